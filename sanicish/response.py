"""What a handler returns. A response says what to send; how it looks on the wire is the exchange's business."""

import json as json_module
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sanicish.cookies import Cookie, CookieJar
from sanicish.exceptions import RangeNotSatisfiable, ResponseError, StreamClosed
from sanicish.exchange import Exchange
from sanicish.files import FileBody, content_disposition, guess_type, stat_file
from sanicish.flow import READY
from sanicish.headers import Headers, is_field_value
from sanicish.log import error_logger

__all__ = [
    "DEFAULT_STREAM_TYPE",
    "BaseHTTPResponse",
    "HTTPResponse",
    "ResponseStream",
    "StreamingHTTPResponse",
    "empty",
    "encode",
    "file",
    "file_stream",
    "html",
    "json",
    "raw",
    "redirect",
    "stream",
    "text",
]

HeaderMap = Mapping[str, Any] | None
Data = str | bytes | bytearray | memoryview | int | float | Decimal
StreamingFunction = Callable[["StreamingHTTPResponse"], Awaitable[Any]]

DEFAULT_STREAM_TYPE = "text/plain; charset=utf-8"
_NO_HEADERS, _NO_COOKIES = Headers(), CookieJar()  # of a head that has left without any
_NO_HEADERS.freeze()
_NO_COOKIES.freeze()
_known_types = {None, DEFAULT_STREAM_TYPE, "application/json", "text/html; charset=utf-8", "application/octet-stream"}


def encode(data: Any) -> bytes:
    """Data as bytes: bytes-like as it is, text as UTF-8, numbers as text; ``TypeError`` for anything else."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytearray | memoryview):
        return bytes(data)  # a copy: the caller may use its buffer again
    if isinstance(data, int | float | Decimal):
        return str(data).encode()
    hint = ": use json() or write_json()" if isinstance(data, dict | list | tuple) else ""
    raise TypeError(f"a body is made of str, bytes-like or numbers, not of {type(data).__name__}{hint}")


class BaseHTTPResponse:
    """Status, headers, content type and cookies: what every response has."""

    __slots__ = ("_content_type", "_cookies", "_headers", "status")

    def __init__(self, status: int, headers: HeaderMap, content_type: str | None) -> None:
        self.status = status
        self._headers: Headers | None = Headers(headers) if headers else None
        self._cookies: CookieJar | None = None
        if content_type not in _known_types:
            _check_type(content_type)
        self._content_type = content_type

    @property
    def headers(self) -> Headers:
        """The fields of the head; ``Content-Type`` among them comes before ``content_type``."""
        if self._headers is None:
            self._headers = Headers()
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderMap) -> None:
        self._headers = Headers(headers or {})

    @property
    def content_type(self) -> str | None:
        """The media type, as it is sent."""
        return self._content_type

    @content_type.setter
    def content_type(self, value: str | None) -> None:
        _check_type(value)
        self._content_type = value

    @property
    def status_code(self) -> int:
        """``status``, as Flask and Quart call it."""
        return self.status

    @status_code.setter
    def status_code(self, status: int) -> None:
        self.status = status

    @property
    def cookies(self) -> CookieJar:
        """The cookies to set."""
        if self._cookies is None:
            self._cookies = CookieJar()
        return self._cookies

    def add_cookie(self, key: str, value: str, **attributes: Any) -> Cookie:
        """Set a cookie with its attributes; see ``CookieJar.add_cookie``."""
        return self.cookies.add_cookie(key, value, **attributes)

    def delete_cookie(self, key: str, *, path: str = "/", domain: str | None = None) -> Cookie:
        """Tell the client to forget a cookie."""
        return self.cookies.delete_cookie(key, path=path, domain=domain)

    def _head_fields(self) -> Headers | None:
        """The fields to send, cookies among them; a copy then, for a response may be sent more than once."""
        if not self._cookies:
            return self._headers
        headers = self._headers.copy() if self._headers is not None else Headers()
        for cookie in self._cookies.cookies:
            headers.add("Set-Cookie", cookie.encode())
        return headers


def _check_type(value: str | None) -> None:
    if value is not None and not is_field_value(value):
        raise ValueError(f"a content type that cannot be sent: {value!r}")


class HTTPResponse(BaseHTTPResponse):
    """A whole response: ``body`` is text or bytes."""

    __slots__ = ("body",)

    def __init__(
        self,
        body: Any = None,
        status: int = 200,
        headers: HeaderMap = None,
        content_type: str | None = None,
        body_bytes: bytes = b"",
    ) -> None:
        self.body: bytes = body if type(body) is bytes else body_bytes if body is None else encode(body)
        self.status = status
        self._headers = Headers(headers) if headers else None
        self._cookies = None
        if content_type not in _known_types:
            _check_type(content_type)
        self._content_type = content_type

    @property
    def data(self) -> bytes:
        """``body``, as Flask and Quart call it."""
        return self.body

    def send_to(self, exchange: Exchange) -> None:
        """Give the whole answer to the exchange."""
        headers = self._headers if self._cookies is None else self._head_fields()
        body = self.body
        if type(body) is not bytes:  # assigned by the application
            body = encode(body)
        exchange.send_whole(self.status, headers, self._content_type, body)


class StreamingHTTPResponse(BaseHTTPResponse):
    """A response written piece by piece, by a callback that is given it or by whoever holds it.

    The head leaves with the first data, so a failure before that is still an ordinary error page. ``chunked``:
    ``None`` lets a ``Content-Length`` decide, True asks for chunks, False for none.
    """

    __slots__ = ("_exchange", "_first", "chunked", "streaming_fn")

    def __init__(
        self,
        streaming_fn: StreamingFunction | None,
        status: int = 200,
        headers: HeaderMap = None,
        content_type: str | None = DEFAULT_STREAM_TYPE,
        chunked: bool | None = None,
    ) -> None:
        super().__init__(status, headers, content_type)
        if streaming_fn is not None and not callable(streaming_fn):
            raise TypeError(
                f"stream() takes the function itself, not {type(streaming_fn).__name__}: write stream(fn), not stream(fn())"
            )
        self.streaming_fn = streaming_fn
        self.chunked = chunked
        self._exchange: Exchange | None = None
        self._first = b""

    # Writing

    def write(self, data: Data) -> Awaitable[None]:
        """Send data now; awaiting the result waits while the client is slow and lets others run.

        Bytes-like as it is, ``str`` as UTF-8, numbers as text. An empty write sends the head and nothing else. Raises
        ``TypeError`` for other types before a byte leaves, ``StreamClosed`` after the end, ``ContentLengthMismatch``
        beyond the promised length, ``WriteBufferFull`` when too much was written without ``await``.
        """
        exchange = self._exchange
        if exchange is None:
            raise StreamClosed("a response can be written once it is being sent")
        if type(data) is not bytes:
            data = encode(data)
        if not exchange.started:
            self._begin(exchange)
        return exchange.write(data)

    def send(self, data: Data | None = None, end_stream: bool | None = None) -> Awaitable[None]:
        """Write data, and end the response if told to; without arguments, end it (Sanic 21.3)."""
        if data is None and end_stream is None:
            end_stream = True
        done: Awaitable[None] = READY
        if data is not None:
            done = self.write(data)
        return self.eof() if end_stream else done

    def flush(self) -> Awaitable[None]:
        """Let what was written leave now; the head too, if nothing was."""
        exchange = self._exchange
        if exchange is None:
            raise StreamClosed("a response can be flushed once it is being sent")
        if not exchange.started:
            self._begin(exchange)
        return exchange.flush()

    def eof(self) -> Awaitable[None]:
        """End the response; once it has ended, nothing happens."""
        exchange = self._exchange
        if exchange is None:
            raise StreamClosed("a response can be ended once it is being sent")
        if exchange.outcome is not None:
            return READY
        if not exchange.started:
            self._begin(exchange)
        return exchange.finish()

    async def __aenter__(self) -> "StreamingHTTPResponse":
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            await self.eof()

    # Being sent

    def attach(self, exchange: Exchange) -> None:
        """Let writes go to this exchange from now on."""
        if self._exchange is not None:
            raise ResponseError("this response has been sent already")
        self._exchange = exchange

    def _begin(self, exchange: Exchange) -> None:
        exchange.start(self.status, self._head_fields(), self._content_type, self.chunked)
        self._headers = _frozen(self._headers, _NO_HEADERS)
        self._cookies = _frozen(self._cookies, _NO_COOKIES)
        if self._first:
            exchange.write(self._first)

    async def stream_to(self, exchange: Exchange) -> None:
        """Run the callback against the exchange, from the head to the end."""
        self.attach(exchange)
        if self.streaming_fn is not None and not self._bodiless(exchange):
            await self.streaming_fn(self)
        if exchange.outcome is None:
            await self.eof()

    def _bodiless(self, exchange: Exchange) -> bool:
        """Whether nobody will see what the callback writes."""
        if exchange.head.method == "HEAD":
            return True
        if self.status in (204, 205, 304):
            error_logger.warning("status %s allows no body: the stream of this response was not run", self.status)
            return True
        return False


_Fields = TypeVar("_Fields", Headers, CookieJar)


def _frozen(fields: _Fields | None, none: _Fields) -> _Fields:
    """What the head said and may not say any more."""
    if fields is None:
        return none
    fields.freeze()
    return fields


ResponseStream = StreamingHTTPResponse  # its name in Sanic 21.12


def json_dumps(value: Any, **options: Any) -> str:
    """JSON without blanks."""
    return json_module.dumps(value, separators=(",", ":"), **options)


def text(
    body: Any, status: int = 200, headers: HeaderMap = None, content_type: str = DEFAULT_STREAM_TYPE
) -> HTTPResponse:
    """A response of text; raises ``TypeError`` if ``body`` is neither text nor a number."""
    if not isinstance(body, str):
        if isinstance(body, bytes | bytearray | memoryview) or body is None:
            raise TypeError(f"text() takes str, not {type(body).__name__}")
        body = str(encode(body), "ascii")
    return HTTPResponse(body.encode(), status, headers, content_type)


def json(
    body: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/json",
    dumps: Callable[..., Any] | None = None,
    **options: Any,
) -> HTTPResponse:
    """A response of JSON; ``dumps`` may be any function that makes text or bytes of a value."""
    return HTTPResponse((dumps or json_dumps)(body, **options), status, headers, content_type)


def html(body: Any, status: int = 200, headers: HeaderMap = None) -> HTTPResponse:
    """A response of HTML: text, bytes, or an object with ``__html__`` or ``_repr_html_``."""
    if not isinstance(body, str | bytes):
        render = getattr(body, "__html__", None) or getattr(body, "_repr_html_", None)
        if render is not None:
            body = render()
    return HTTPResponse(body, status, headers, "text/html; charset=utf-8")


def raw(
    body: Any, status: int = 200, headers: HeaderMap = None, content_type: str = "application/octet-stream"
) -> HTTPResponse:
    """A response of bytes."""
    return HTTPResponse(body, status, headers, content_type)


def empty(status: int = 204, headers: HeaderMap = None) -> HTTPResponse:
    """A response without content."""
    return HTTPResponse(b"", status, headers)


def redirect(
    to: str, headers: HeaderMap = None, status: int = 302, content_type: str = "text/html; charset=utf-8"
) -> HTTPResponse:
    """Send the client to another address; what cannot stand in a URL is percent-encoded, line breaks too."""
    response = HTTPResponse(b"", status, headers, content_type)
    response.headers["Location"] = quote(to, safe=":/%#?&=@[]!$'()*+,;~")
    return response


def stream(
    streaming_fn: StreamingFunction,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = DEFAULT_STREAM_TYPE,
    chunked: bool | None = None,
) -> StreamingHTTPResponse:
    """A response that ``streaming_fn(response)`` writes, with ``await response.write(data)``."""
    return StreamingHTTPResponse(streaming_fn, status, headers, content_type, chunked)


async def file(
    location: str | PathLike[str],
    status: int = 200,
    mime_type: str | None = None,
    headers: HeaderMap = None,
    filename: str | None = None,
    _range: Any = None,
) -> StreamingHTTPResponse:
    """A response with a file, its length told; raises ``FileNotFound`` (404) or ``Forbidden`` (403).

    ``_range`` has ``start``, ``end`` (the last byte), ``size`` and ``total``, in bytes.
    """
    return await _file(location, status, 262_144, mime_type, headers, filename, False, _range)


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
    """A response that reads a file ``chunk_size`` bytes at a time; chunked unless told otherwise.

    With ``chunked=False`` the length of the open file is told, or the one in ``headers``, which is then kept to.
    """
    return await _file(location, status, chunk_size, mime_type, headers, filename, chunked, _range)


async def _file(
    location: str | PathLike[str],
    status: int,
    chunk_size: int,
    mime_type: str | None,
    headers: HeaderMap,
    filename: str | None,
    chunked: bool | None,
    _range: Any,
) -> StreamingHTTPResponse:
    found = await stat_file(location)
    start, length = 0, None
    if _range is not None:
        start, end = int(_range.start), min(int(_range.end), found.st_size - 1)
        if not 0 <= start <= end:
            raise RangeNotSatisfiable("no byte of this range exists", found.st_size)
        length = end + 1 - start

    async def send_file(response: StreamingHTTPResponse) -> None:
        async with FileBody(location, start, length) as body:
            if tell_length:
                response.headers["Content-Length"] = str(body.left)  # of what was opened, not of what was seen before
            while piece := await body.read(chunk_size):
                await response.write(piece)

    media_type = mime_type or guess_type(filename or Path(location).name)
    response = StreamingHTTPResponse(send_file, status, headers, media_type, chunked)
    tell_length = chunked is False and "content-length" not in response.headers
    if tell_length:
        response.headers["Content-Length"] = str(found.st_size if length is None else length)
    if filename is not None:
        response.headers.setdefault("Content-Disposition", content_disposition(filename))
    if length is not None:
        response.status = 206
        response.headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{found.st_size}"
    return response
