"""The parts of a multipart body while it is still coming, each a stream of its own (RFC 7578, RFC 2046 5.1)."""

import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from sanicish.exceptions import BadRequest, PayloadTooLarge, SanicException
from sanicish.reading import Reader, Saved, read_json_lines, read_lines, read_text, save

__all__ = ["Part", "check_segment", "names_of", "read_parts", "refusal"]


def check_segment(segment: MultipartSegment) -> None:
    """Refuse a part whose own ``Content-Length`` is not a number; some versions of the parser pass over it."""
    length = segment.header("Content-Length")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise BadRequest("the Content-Length of a part is not a number")


def names_of(segment: MultipartSegment) -> tuple[str, str | None]:
    """The name of a part, and its file name if it is a file.

    Parameters in the form ``filename*=utf-8''...`` count too, and before the plain ones (RFC 8187): RFC 7578 forbids them
    in forms, but clients send them, and the part is a file for it.
    """
    name, filename = segment.name or "", segment.filename
    disposition: str = segment.header("Content-Disposition", "")
    for found in _PARAMETER.finditer(disposition) if "*" in disposition else ():
        if found[1] is not None and found[1].lower() == "name":
            name = _extended(found[2])
        elif found[1] is not None:
            filename = _extended(found[2])
    return name, filename


# A quoted string, which is passed over (to the end of the text if it has no end, so that nothing is read twice), or an
# extended parameter.
_PARAMETER = re.compile(
    r'"(?:[^"\\]|\\.)*"?|;[ \t]*(name|filename)\*[ \t]*=[ \t]*("[^"]*"|[^;\s"]*)', re.ASCII | re.IGNORECASE
)


def _extended(text: str) -> str:
    """The value of an extended parameter, decoded; as it is if it names no charset that is known."""
    text = text.strip('"')
    charset, _, rest = text.partition("'")
    _, quote, escaped = rest.partition("'")
    if not quote or charset.lower() not in ("utf-8", "iso-8859-1"):
        return text
    return unquote(escaped, charset)


def refusal(error: MultipartError, what: str) -> SanicException:
    """The response to a multipart body that cannot be read: 413 above a limit of the parser, else 400."""
    kind = PayloadTooLarge if error.http_status == 413 else BadRequest
    return kind(f"the {what} cannot be read: {error}")


_STEP = 1_024  # bytes parsed at once outside of parts, where they are counted


class Part:
    """One part: its ``name``, its ``filename`` if it has one, its headers, and its data as a stream.

    It can be read until the next part is asked for; what was not read of it is dropped then.
    """

    __slots__ = ("_buffer", "_ended", "_limit", "_next", "_size", "content_type", "filename", "headers", "name")

    def __init__(self, segment: MultipartSegment, more: Callable[[], Any], limit: int | None) -> None:
        self.name, self.filename = names_of(segment)
        self.content_type: str = segment.content_type or (
            "text/plain" if self.filename is None else "application/octet-stream"
        )
        self.headers: list[tuple[str, str]] = list(segment.headerlist)
        self._next = more
        self._limit = limit
        self._size = 0
        self._buffer = b""
        self._ended = False

    async def read(self, n: int | None = None) -> bytes | None:
        """The next bytes, at most ``n`` of them; ``None`` when the part has ended."""
        data = self._buffer or await self._pull()
        if not data:
            return None
        self._buffer = b"" if n is None else data[n:]
        return data if n is None else data[:n]

    async def readline(self, limit: int = 65_536) -> bytes:
        """The next line with its end, the rest if there is none; raises ``PayloadTooLarge`` above ``limit`` bytes."""
        line = self._buffer
        while b"\n" not in line and (data := await self._pull()):
            line += data
            if len(line) > limit and b"\n" not in line:
                raise PayloadTooLarge(f"a line of the part {self.name!r} is longer than {limit} bytes")
        end = line.find(b"\n") + 1 or len(line)
        self._buffer = line[end:]
        return line[:end]

    async def _pull(self) -> bytes:
        """More data; empty at the end."""
        if self._ended:
            return b""
        data = await self._next()
        if data is None:
            self._ended = True
            return b""
        self._size += len(data)
        if self._limit is not None and self._size > self._limit:
            raise PayloadTooLarge(f"the part {self.name!r} is larger than {self._limit} bytes")
        return bytes(data)

    async def skip(self) -> None:
        """Drop what was not read."""
        self._buffer = b""
        while await self._pull():
            pass

    def __aiter__(self) -> "Part":
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if data is None:
            raise StopAsyncIteration
        return data

    async def value(self, limit: int = 65_536, encoding: str = "utf-8") -> str:
        """All of it as text, as the fields of a form are; raises ``PayloadTooLarge`` above ``limit`` bytes."""
        pieces: list[str] = []
        async for piece in read_text(self, encoding):
            pieces.append(piece)
            if self._size > limit:
                raise PayloadTooLarge(f"the part {self.name!r} is larger than {limit} bytes")
        return "".join(pieces)

    def text(self, encoding: str = "utf-8") -> AsyncIterator[str]:
        """Text as it comes; see ``RequestStream.text``."""
        return read_text(self, encoding)

    def lines(self, encoding: str = "utf-8", limit: int = 65_536) -> AsyncIterator[str]:
        """Lines without their ends; see ``RequestStream.lines``."""
        return read_lines(self, encoding, limit)

    def json_lines(self, limit: int = 1_048_576) -> AsyncIterator[Any]:
        """The value of each line; see ``RequestStream.json_lines``."""
        return read_json_lines(self, limit)

    async def save(self, path: str | os.PathLike[str], digest: str = "sha256", overwrite: bool = True) -> Saved:
        """Write it into a file, whole or not at all; see ``RequestStream.save``."""
        return await save(self, path, digest, overwrite)


async def read_parts(
    reader: Reader, content_type: str, max_parts: int = 1_000, max_header: int = 8_192, max_part: int | None = None
) -> AsyncIterator[Part]:
    """The parts of a multipart body, one after the other.

    ``max_header`` bounds the bytes that belong to no part: the header of each, and what stands before the first and
    behind the last boundary (RFC 2046 5.1.1). Raises ``BadRequest`` for what is no multipart body, ``PayloadTooLarge``
    above a limit.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary")
    if not kind.startswith("multipart/") or not boundary:
        raise BadRequest("the body is no multipart body with a boundary")
    parser = PushMultipartParser(boundary, max_segment_count=max_parts, max_header_size=max_header)
    events = _events(reader, parser, max_header)

    async def more() -> Any:
        return await anext(events, None)

    try:
        while (segment := await more()) is not None:
            part = Part(segment, more, max_part)
            yield part
            await part.skip()
    finally:
        await events.aclose()


async def _events(reader: Reader, parser: Any, limit: int) -> AsyncGenerator[Any, None]:
    inside = False  # a part
    outside = 0  # bytes since the last part, as far as they brought nothing
    try:
        while (data := await reader.read()) is not None:
            start = 0
            while start < len(data):
                piece = data[start:] if inside else data[start : start + min(_STEP, limit + 1 - outside)]
                start += len(piece)
                outside += len(piece)
                for event in () if parser.closed else parser.parse(piece):
                    if isinstance(event, MultipartSegment):
                        check_segment(event)
                    inside = event is not None
                    outside = 0
                    yield event
                if outside > limit and not inside:
                    raise PayloadTooLarge(f"more than {limit} bytes of the multipart body belong to none of its parts")
        parser.close()  # raises if the last boundary is missing
    except MultipartError as error:
        raise refusal(error, "multipart body") from None
