"""The parts of a multipart body while it is still coming, each a stream of its own (RFC 7578, RFC 2046 5.1)."""

import os
import re
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from sanicish.exceptions import BadRequest, PayloadTooLarge, SanicException, StreamError
from sanicish.streams.reading import (
    Reader,
    Saved,
    Writer,
    json_loads,
    pipe,
    read_json_lines,
    read_lines,
    read_text,
    save,
)

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

    It can be read until the next part is asked for. What was not read of it is dropped then, and a later read raises
    ``StreamError``. A read that is cancelled loses no byte.
    """

    __slots__ = (
        "_buffer",
        "_dropped",
        "_ended",
        "_limit",
        "_next",
        "_size",
        "content_type",
        "filename",
        "headers",
        "name",
    )

    def __init__(self, segment: MultipartSegment, more: Callable[[], Any], limit: int | None) -> None:
        self.name, self.filename = names_of(segment)
        self.content_type: str = segment.content_type or (
            "text/plain" if self.filename is None else "application/octet-stream"
        )
        self.headers: list[tuple[str, str]] = list(segment.headerlist)
        self._next = more
        self._limit = limit
        self._size = 0
        self._buffer = bytearray()
        self._ended = False
        self._dropped = False

    async def read(self, n: int | None = None) -> bytes | None:
        """The next bytes, at most ``n`` of them; ``None`` when the part has ended."""
        if n is not None and n <= 0:
            raise ValueError("read() needs a positive number of bytes")
        if not self._buffer:
            data = await self._pull()
            if n is None or len(data) <= n:
                return data or None
            self._buffer += data
        return self._take(n)

    get = read

    async def readexactly(self, n: int) -> bytes:
        """Exactly ``n`` bytes; raises ``BadRequest`` if the part ends before."""
        while len(self._buffer) < n:
            if not (data := await self._pull()):
                raise BadRequest(f"the part {self.name!r} ended {n - len(self._buffer)} bytes too early")
            self._buffer += data
        return self._take(n)

    async def readline(self, limit: int = 65_536) -> bytes:
        """The next line with its end, the rest if there is none; raises ``PayloadTooLarge`` above ``limit`` bytes."""
        searched = 0
        while not (end := self._buffer.find(b"\n", searched) + 1):
            searched = len(self._buffer)
            if searched > limit or not (data := await self._pull()):
                end = searched
                break
            self._buffer += data
        if end > limit:
            raise PayloadTooLarge(f"a line of the part {self.name!r} is longer than {limit} bytes")
        return self._take(end)

    async def read_all(self, limit: int | None = None) -> bytes:
        """What is left of the part, as one; raises ``PayloadTooLarge`` if it is more than ``limit`` bytes."""
        while limit is None or len(self._buffer) <= limit:
            if not (data := await self._pull()):
                return self._take()
            self._buffer += data
        raise PayloadTooLarge(f"the part {self.name!r} is larger than {limit} bytes")

    def _take(self, n: int | None = None) -> bytes:
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        return data

    async def _pull(self) -> bytes:
        """More data; empty at the end."""
        if self._dropped:
            raise StreamError(
                f"the rest of the part {self.name!r} was dropped: read a part before you ask for the next"
            )
        return await self._more()

    async def _more(self) -> bytes:
        data = None if self._ended else await self._next()
        self._ended = data is None
        self._size += len(data or b"")
        if self._limit is not None and self._size > self._limit:
            raise PayloadTooLarge(f"the part {self.name!r} is larger than {self._limit} bytes")
        return bytes(data or b"")

    async def skip(self) -> None:
        """Drop what was not read."""
        if self._buffer:
            self._dropped = True
            self._buffer.clear()
        while await self._more():
            self._dropped = True

    def __aiter__(self) -> "Part":
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if data is None:
            raise StopAsyncIteration
        return data

    async def value(self, limit: int = 65_536, encoding: str = "utf-8") -> str:
        """All of it as text, as the fields of a form are; raises ``PayloadTooLarge`` above ``limit`` bytes."""
        try:
            return (await self.read_all(limit)).decode(encoding)
        except UnicodeDecodeError as error:
            raise BadRequest(f"the part {self.name!r} is not {encoding} text: {error.reason}") from None

    def text(self, encoding: str = "utf-8") -> AsyncIterator[str]:
        """Text as it comes; see ``RequestStream.text``."""
        return read_text(self, encoding)

    def lines(self, encoding: str = "utf-8", limit: int = 65_536) -> AsyncIterator[str]:
        """Lines without their ends; see ``RequestStream.lines``."""
        return read_lines(self, encoding, limit)

    def json_lines(self, limit: int = 1_048_576, loads: Callable[[str], Any] = json_loads) -> AsyncIterator[Any]:
        """The value of each line; see ``RequestStream.json_lines``."""
        return read_json_lines(self, limit, loads)

    async def save(self, path: str | os.PathLike[str], digest: str = "sha256", overwrite: bool = True) -> Saved:
        """Write it into a file, whole or not at all; see ``RequestStream.save``."""
        return await save(self, path, digest, overwrite)

    async def pipe(self, response: Writer) -> int:
        """Write what is left of the part to a response, piece by piece; the number of bytes."""
        return await pipe(self, response)


def read_parts(
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
    return _Parts(_Events(reader, parser, max_header), max_part)


class _Parts:
    """No async generator, for the reason that ``reading`` gives: one that was cancelled says that the body has ended."""

    def __init__(self, events: "_Events", max_part: int | None) -> None:
        self._events = events
        self._max_part = max_part
        self._part: Part | None = None

    def __aiter__(self) -> "_Parts":
        return self

    async def __anext__(self) -> Part:
        if self._part is not None:
            await self._part.skip()
            self._part = None
        segment = await self._events.next()
        if segment is None:
            raise StopAsyncIteration
        self._part = Part(segment, self._events.next, self._max_part)
        return self._part


class _Events:
    """What the parser finds in a stream of bytes: a part begins, its data, its end (``None``), and ``None`` for ever.

    Waiting for the next one may be cancelled and begun again. What fails once fails again, so that a body that cannot be
    read never seems to have ended.
    """

    def __init__(self, reader: Reader, parser: Any, limit: int) -> None:
        self._reader = reader
        self._parser = parser
        self._limit = limit
        self._found: deque[Any] = deque()
        self._inside = False  # a part
        self._outside = 0  # bytes since the last part, as far as they brought nothing
        self._ended = False
        self._error: SanicException | None = None

    async def next(self) -> Any:
        while not self._found:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            data = await self._reader.read()
            try:
                if data is None:
                    self._ended = True
                    self._parser.close()  # raises if the last boundary is missing
                else:
                    self._parse(data)
            except MultipartError as error:
                self._error = refusal(error, "multipart body")
            except SanicException as error:
                self._error = error
        return self._found.popleft()

    def _parse(self, data: bytes) -> None:
        start = 0
        while start < len(data):
            step = len(data) if self._inside else min(_STEP, self._limit + 1 - self._outside)
            piece = data[start : start + step]
            start += len(piece)
            self._outside += len(piece)
            for event in () if self._parser.closed else self._parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    check_segment(event)
                self._inside = event is not None
                self._outside = 0
                self._found.append(event)
            if self._outside > self._limit and not self._inside:
                raise PayloadTooLarge(
                    f"more than {self._limit} bytes of the multipart body belong to none of its parts"
                )
