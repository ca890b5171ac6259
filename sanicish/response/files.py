"""Files as responses: validators, conditions, ranges, and the bytes by the way that is fastest.

A file is opened before anything is sent, and everything that is told of it is told of that open file. One that is
small is read at once; the descriptor of a larger one belongs to the response, which closes it.
"""

import inspect
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from os import PathLike
from typing import Any, NamedTuple, Protocol

from sanicish.context import current_request
from sanicish.exceptions import RangeNotSatisfiable, ResponseError, SanicException
from sanicish.headers import Headers
from sanicish.http.conditions import Validators, file_validators, http_date, precondition, range_is_wanted
from sanicish.http.media import content_disposition, guess_type
from sanicish.http.ranges import Span, content_range, multipart_pieces, parse_ranges
from sanicish.response.complete import HeaderMap, HTTPResponse
from sanicish.response.streaming import StreamingHTTPResponse
from sanicish.streams.files import open_file, read_at, read_now

__all__ = ["OpenFile", "Source", "file", "file_response", "file_stream", "ranged", "validate_file"]

_SMALL = 65_536  # bytes that are read and sent as one
_PIECE = 262_144  # bytes that are asked of a source at once
_OF_FILE: Any = object()  # told by the file itself

Response = HTTPResponse | StreamingHTTPResponse


class Source(Protocol):
    """Something with a size that can be read anywhere, such as an object in a store."""

    size: int

    def read_at(self, offset: int, n: int, /) -> Any:
        """At most ``n`` bytes from ``offset`` on, or an awaitable of them."""


class OpenFile:
    """A descriptor that is closed with the object, and the file's status when it was opened."""

    __slots__ = ("descriptor", "status")

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.status = status

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close it; does nothing the second time."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    async def send(self, response: StreamingHTTPResponse, span: Span) -> None:
        """Write some of its bytes to a response."""
        await response.send_file(self.descriptor, span.start, span.size)


class _Read:
    """A source, read piece by piece."""

    __slots__ = ("_source",)

    def __init__(self, source: Source) -> None:
        self._source = source

    def close(self) -> None:
        pass

    async def send(self, response: StreamingHTTPResponse, span: Span) -> None:
        offset = span.start
        while offset < span.stop:
            data = self._source.read_at(offset, min(_PIECE, span.stop - offset))
            if inspect.isawaitable(data):
                data = await data
            if not data:
                raise ResponseError(f"the source ended {span.stop - offset} bytes too early")
            await response.write(data)
            offset += len(data)


class _Pieces:
    """A streaming function: spans of something, each behind bytes of ours."""

    __slots__ = ("_content", "_last", "_parts")

    def __init__(self, content: OpenFile | _Read, parts: Iterable[tuple[bytes, Span]], last: bytes = b"") -> None:
        self._content = content
        self._parts = parts
        self._last = last

    async def __call__(self, response: StreamingHTTPResponse) -> None:
        try:
            for head, span in self._parts:
                if head:
                    await response.write(head)
                await self._content.send(response, span)
            if self._last:
                await response.write(self._last)
        finally:
            self._content.close()

    async def close(self) -> None:
        """Close the file unsent."""
        self._content.close()


_CONDITIONS = frozenset(b"if-match if-none-match if-modified-since if-unmodified-since if-range range".split())


class _Asked:
    """What the request says of the copy it has and the part it wants; ``plain`` if it says nothing."""

    __slots__ = ("get", "method", "plain")

    def __init__(self, request_headers: Any) -> None:
        request = current_request.get(None)
        self.method: str = request.method if request is not None else "GET"
        self.get: Callable[[str], Any] = _nothing
        self.plain = True
        if request_headers is None and request is not None:
            self.plain = _CONDITIONS.isdisjoint([name for name, _ in request.head.fields])
            if not self.plain:
                request_headers = request.headers
        if request_headers is not None:
            self.get = request_headers.get
            self.plain = False


def _nothing(name: str) -> None:
    return None


class _Representation(NamedTuple):
    """What the response can send, all of it or in part, and what it says of it (RFC 9110 section 3.2)."""

    content: OpenFile | _Read
    size: int
    state: Validators
    fields: Headers
    media_type: str


def _condition(asked: _Asked, state: Validators, fields: Headers) -> HTTPResponse | None:
    """The response to a request whose conditions do not hold; raises the one that is an error."""
    status = precondition(asked.method, asked.get, state)
    if status == 412:
        raise SanicException("the file is not as the request expects it", 412, quiet=True)
    if status == 304:
        return HTTPResponse(b"", 304, {name: fields[name] for name in _KEPT if name in fields})
    return None


_KEPT = ("ETag", "Last-Modified", "Cache-Control", "Vary", "Expires", "Content-Location")  # RFC 9110 15.4.5


def _spans(asked: _Asked, state: Validators, size: int) -> list[Span] | None:
    """The ranges that are asked for; ``None`` for all of it. Raises ``RangeNotSatisfiable``."""
    text = asked.get("range") if asked.method == "GET" else None
    if text is None or not range_is_wanted(asked.get, state):
        return None
    spans = parse_ranges(text, size)
    if spans is not None and not spans:
        raise RangeNotSatisfiable("no byte of this range exists", size)
    return spans


def _given(bounds: Any, size: int) -> Span:
    """The range that the application names by ``start`` and ``end``; raises ``RangeNotSatisfiable``."""
    span = Span(int(bounds.start), min(int(bounds.end), size - 1) + 1)
    if not 0 <= span.start < span.stop:
        raise RangeNotSatisfiable("no byte of this range exists", size)
    return span


def _caching(max_age: int | float | None, no_store: bool | None, immutable: bool) -> str | None:
    if no_store:
        return "no-store"
    if max_age is None:
        return None
    return f"max-age={int(max_age)}{', immutable' if immutable else ''}"


def _moment(modified: Any) -> float | None:
    """A time of modification that was given: seconds, a datetime, or none."""
    return modified.timestamp() if isinstance(modified, datetime) else None if modified is None else float(modified)


async def file(
    location: str | PathLike[str],
    status: int = 200,
    mime_type: str | None = None,
    headers: HeaderMap = None,
    filename: str | None = None,
    _range: Any = None,
    *,
    request_headers: Mapping[str, str] | None = None,
    validate_when_requested: bool = True,
    last_modified: datetime | float | None = _OF_FILE,
    max_age: float | None = None,
    no_store: bool | None = None,
    immutable: bool = False,
) -> Response:
    """A response with a file: its length, validators and type are told, conditions and ranges of the request kept to.

    ``filename`` makes it a download; ``max_age`` is in seconds; ``_range`` has ``start`` and ``end`` (the last byte).
    ``validate_when_requested=False`` ignores conditions. Raises ``FileNotFound`` (404), ``Forbidden`` (403) and
    ``RangeNotSatisfiable`` (416). RFC 9110 sections 8.8, 13 and 14.
    """
    opened = OpenFile(*await open_file(location))
    state = file_validators(opened.status)
    if last_modified is not _OF_FILE:
        state = state._replace(modified=_moment(last_modified))
    fields = _fields(headers, filename, _caching(max_age, no_store, immutable), state)
    media_type = mime_type or guess_type(filename or os.path.basename(location))
    asked = _Asked(request_headers)
    found = _Representation(opened, opened.status.st_size, state, fields, media_type)
    if _range is not None:
        return await _send(found, [_given(_range, found.size)], asked.method, status)
    return await _respond(found, asked, status, validate_when_requested)


async def file_response(
    opened: OpenFile, media_type: str, headers: HeaderMap, *, validators: bool = True, max_age: float | None = None
) -> Response:
    """What ``file`` makes, of a file that is open already; without ``validators`` its age is neither sent nor compared."""
    state = file_validators(opened.status) if validators else Validators(None, None)
    fields = _fields(headers, None, _caching(max_age, None, False), state)
    found = _Representation(opened, opened.status.st_size, state, fields, media_type)
    return await _respond(found, _Asked(None), validate=validators)


@lru_cache(maxsize=256)
def _told(state: Validators) -> Headers:
    """What is told of every file in this state."""
    fields = Headers({"X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes"})
    if state.etag is not None:
        fields["ETag"] = state.etag
    if state.modified is not None:
        fields["Last-Modified"] = http_date(int(state.modified))
    return fields


def _fields(headers: HeaderMap, filename: str | None, caching: str | None, state: Validators) -> Headers:
    """The fields of the application, and those of the file that it did not set itself."""
    fields = Headers(_told(state))
    if headers:
        own = Headers(headers)
        for name in own:
            fields.pop(name, None)
        fields.extend(own)
    if filename is not None:
        fields.setdefault("Content-Disposition", content_disposition(filename))
    if caching is not None:
        fields.setdefault("Cache-Control", caching)
    return fields


async def _respond(found: _Representation, asked: _Asked, status: int = 200, validate: bool = True) -> Response:
    """The response to what is asked: all of it, parts of it, or that the client has it already."""
    spans: list[Span] | None = None
    # Whoever says the length means the whole.
    if status == 200 and not asked.plain and "content-length" not in found.fields:
        if validate:
            unsent = _condition(asked, found.state, found.fields)
            if unsent is not None:
                found.content.close()
                return unsent
        spans = _spans(asked, found.state, found.size)
    return await _send(found, spans, asked.method, status)


async def _send(found: _Representation, spans: list[Span] | None, method: str, status: int) -> Response:
    """The response that sends some ranges, or all of it if there are none; that of HEAD closes it unsent."""
    content, size, _, fields, media_type = found
    heads, last = [b""], b""
    if spans is None:
        spans = [Span(0, size)]
        total = size
    elif len(spans) == 1:
        status = 206
        fields["Content-Range"] = content_range(spans[0], size)
        total = spans[0].size
    else:
        status = 206
        boundary = secrets.token_hex(16)
        heads, last, total = multipart_pieces(spans, size, media_type, boundary)
        media_type = f"multipart/byteranges; boundary={boundary}"
    if method == "HEAD":
        content.close()
        fields.setdefault("Content-Length", str(total))
        return HTTPResponse(b"", status, fields, media_type)
    if total <= _SMALL and isinstance(content, OpenFile) and len(spans) == 1 and "content-length" not in fields:
        response = HTTPResponse(await _read(content, spans[0]), status, None, media_type)
        response._headers = fields
        return response
    fields.setdefault("Content-Length", str(total))
    return StreamingHTTPResponse(
        _Pieces(content, zip(heads, spans, strict=True), last), status, fields, media_type, False
    )


async def _read(opened: OpenFile, span: Span) -> bytes:
    """All bytes of a small span; closes the file."""
    data = read_now(opened.descriptor, span.start, span.size)
    if data is None:
        data = await read_at(opened.descriptor, span.start, span.size) if span.size else b""
    opened.close()
    if len(data) != span.size:
        raise ResponseError("the file became shorter while it was read")
    return data


async def ranged(
    source: Source,
    mime_type: str = "application/octet-stream",
    headers: HeaderMap = None,
    filename: str | None = None,
    *,
    etag: str | None = None,
    last_modified: datetime | float | None = None,
    max_age: float | None = None,
    no_store: bool | None = None,
    immutable: bool = False,
) -> Response:
    """A response with anything that has a ``size`` and ``read_at(offset, n)``; conditions and ranges as for a file.

    ``etag`` stands in quotes as it is sent (``'"v1"'``, weak ``'W/"v1"'``).
    """
    state = Validators(etag, _moment(last_modified))
    fields = _fields(headers, filename, _caching(max_age, no_store, immutable), state)
    return await _respond(_Representation(_Read(source), source.size, state, fields, mime_type), _Asked(None))


async def file_stream(
    location: str | PathLike[str],
    status: int = 200,
    chunk_size: int = 262_144,
    mime_type: str | None = None,
    headers: HeaderMap = None,
    filename: str | None = None,
    chunked: bool | None = None,
    _range: Any = None,
) -> StreamingHTTPResponse:
    """A response that sends a file ``chunk_size`` bytes at a time; chunked unless told otherwise.

    With ``chunked=False``, and for HTTP/1.0, the length of the open file is sent, or the one in ``headers``, which is
    then kept to.
    Raises ``FileNotFound`` (404) or ``Forbidden`` (403).
    """
    if chunk_size < 1:
        raise ValueError("chunk_size is at least 1")
    opened = OpenFile(*await open_file(location))
    found = opened.status
    span = Span(0, found.st_size)
    fields = Headers(headers)
    if filename is not None:
        fields.setdefault("Content-Disposition", content_disposition(filename))
    if _range is not None:
        span = _given(_range, found.st_size)
        status = 206
        fields["Content-Range"] = content_range(span, found.st_size)
    parts: Iterator[tuple[bytes, Span]]
    request = current_request.get(None)
    if chunked is False or (chunked is None and request is not None and request.version == "1.0"):
        fields.setdefault("Content-Length", str(span.size))
        parts = iter([(b"", span)])
    else:
        starts = range(span.start, span.stop, chunk_size)
        parts = ((b"", Span(start, min(start + chunk_size, span.stop))) for start in starts)
    media_type = mime_type or guess_type(filename or os.path.basename(location))
    return StreamingHTTPResponse(_Pieces(opened, parts), status, fields, media_type, chunked)


async def validate_file(request_headers: Mapping[str, str], last_modified: datetime | float) -> HTTPResponse | None:
    """A 304 if the client has this state already, else ``None`` (Sanic 22.9)."""
    state = Validators(None, _moment(last_modified))
    if precondition("GET", request_headers.get, state) == 304:
        return HTTPResponse(b"", 304, {"Last-Modified": http_date(state.modified or 0)})
    return None
