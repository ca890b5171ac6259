"""A response that is written piece by piece; those whose body is known stand in ``whole``.

A response says what to send; how it looks on the wire is the exchange's business.
"""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from sanicish.constants import BODILESS
from sanicish.cookies import CookieJar
from sanicish.exceptions import ResponseError, StreamClosed
from sanicish.exchange import Exchange
from sanicish.headers import Headers, Trailers
from sanicish.log import error_logger
from sanicish.response.complete import DEFAULT_STREAM_TYPE, BaseHTTPResponse, HeaderMap, HTTPResponse
from sanicish.response.formats import app_dumps, encode, encode_csv, encode_json, json_dumps
from sanicish.streams.files import read_at
from sanicish.streams.flow import READY

__all__ = ["ResponseStream", "StreamingFunction", "StreamingHTTPResponse", "as_stream", "stream"]

Data = str | bytes | bytearray | memoryview | int | float | Decimal
StreamingFunction = Callable[["StreamingHTTPResponse"], Awaitable[Any]]

_NO_HEADERS, _NO_COOKIES = Headers(), CookieJar()  # of a head that has left without any
_NO_HEADERS.freeze()
_NO_COOKIES.freeze()


class StreamingHTTPResponse(BaseHTTPResponse):
    """A response written piece by piece, by a callback that is given it or by whoever holds it.

    The head leaves with the first data, so a failure before that is still an ordinary error page. ``chunked``:
    ``None`` lets a ``Content-Length`` decide, True asks for chunks, False for none.
    """

    __slots__ = ("_begun", "_exchange", "_first", "_timeout", "_trailers", "chunked", "streaming_fn")

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
                f"stream() takes the function itself, not {type(streaming_fn).__name__}: write stream(fn), not stream(fn());"
                " a generator is returned as it is"
            )
        self.streaming_fn = streaming_fn
        self.chunked = chunked
        self._exchange: Exchange | None = None
        self._first = b""
        self._begun = False  # it is the one that the exchange sends
        self._timeout: Any = ...
        self._trailers: Trailers | None = None

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
        if not exchange.status:  # a slot, where ``started`` calls a function for each write
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

    def write_json(self, value: Any, dumps: Callable[[Any], Any] | None = None) -> Awaitable[None]:
        """Write a value as one line of JSON (NDJSON), by ``dumps``, else by ``Sanic(dumps=)``; see ``ndjson()``."""
        own = app_dumps() if dumps is None else dumps
        return self.write(encode_json(value, None if own is json_dumps else own) + b"\n")

    def write_row(self, cells: Any) -> Awaitable[None]:
        """Write one row of CSV, quoted where it must be; see ``csv()``."""
        return self.write(encode_csv(cells))

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Write ``count`` bytes of an open file from ``offset`` on, by the kernel where that is possible.

        Raises ``ResponseError`` if the file has become shorter, and what ``write`` raises.
        """
        exchange = self._exchange
        if exchange is None:
            raise StreamClosed("a response can be written once it is being sent")
        if not exchange.started:
            self._begin(exchange)
        if await exchange.send_file(descriptor, offset, count):
            return
        while count:
            data = await read_at(descriptor, offset, min(count, _READ))
            if not data:
                raise ResponseError(f"the file became {count} bytes shorter while it was sent")
            await exchange.write(data)
            offset += len(data)
            count -= len(data)

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
        done = exchange.finish()
        if self._trailers is not None:
            self._trailers.freeze()
        return done

    async def __aenter__(self) -> "StreamingHTTPResponse":
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            await self.eof()

    @property
    def congested(self) -> bool:
        """Whether the client is behind with reading: awaiting ``write`` would wait for it."""
        return self._exchange is not None and self._exchange.congested

    @property
    def bytes_sent(self) -> int:
        """Bytes of body written so far."""
        return self._exchange.bytes_sent if self._exchange is not None else 0

    @property
    def trailers(self) -> Trailers:
        """Fields to send after the body, such as its digest or a row count; they can be set until the end.

        They are sent if the response is chunked and the client asked for them by ``TE: trailers``; with
        ``response.trailers.always = True`` to every client of HTTP/1.1. Those set before the first data are announced
        by ``Trailer``. A field that has to be known before the body raises ``ValueError`` (RFC 9110 section 6.5.1).
        """
        if self._trailers is None:
            self._trailers = Trailers()
            if self._exchange is not None:
                self._exchange.trailers = self._trailers
                if self._exchange.outcome is not None:
                    self._trailers.freeze()
        return self._trailers

    @property
    def takes_trailers(self) -> bool:
        """Whether the client asked for trailers; False before the response is being sent."""
        return self._exchange is not None and self._exchange.takes_trailers

    # Time and end

    @property
    def timeout(self) -> Any:
        """Seconds the stream may stand still, ``None`` for ever; ``...`` leaves it to the route and the settings.

        It counts from when it is set. A stream that moves is never cut, however long it takes (Quart's attribute).
        """
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._timeout = seconds
        exchange = self._exchange
        if exchange is not None:
            timeouts = {"response": seconds, "stream_idle": seconds}
            if seconds is None:  # a stream that may stand still may creep
                timeouts["write_rate"] = None
            exchange.rules = exchange.rules.with_timeouts(timeouts)

    def _was_sent(self, exchange: Exchange) -> bool:
        return self._begun

    # Being sent

    def attach(self, exchange: Exchange) -> None:
        """Let writes go to this exchange from now on."""
        if self._exchange is not None:
            raise ResponseError("this response has been sent already")
        self._exchange = exchange
        exchange.trailers = self._trailers
        if self._timeout is not ...:
            self.timeout = self._timeout
        self.follow(exchange)

    def _begin(self, exchange: Exchange) -> None:
        exchange.start(self.status, self._head_fields(), self._content_type, self.chunked)
        self._begun = True
        if self._completion is not None:
            self._completion.begun = True
        self._headers = _frozen(self._headers, _NO_HEADERS)
        self._cookies = _frozen(self._cookies, _NO_COOKIES)
        if self._first:
            exchange.write(self._first)

    async def stream_to(self, exchange: Exchange) -> None:
        """Run the callback against the exchange, from the head to the end."""
        self.attach(exchange)
        if self.streaming_fn is not None:
            if self._bodiless(exchange):
                await self.discard()
            else:
                await self.streaming_fn(self)
        if exchange.outcome is None:
            await self.eof()

    async def discard(self) -> None:
        """Close what would have been streamed, if it can be closed: nobody will be sent it."""
        close = getattr(self.streaming_fn, "close", None)
        if close is not None:
            await close()

    def _bodiless(self, exchange: Exchange) -> bool:
        """Whether nobody will see what the callback writes."""
        if exchange.head.method == "HEAD":
            return True
        if self.status in BODILESS:
            error_logger.warning("status %s allows no body: the stream of this response was not run", self.status)
            return True
        return False


_READ = 262_144  # bytes of a file that are read at once; more make nothing faster
_Fields = TypeVar("_Fields", Headers, CookieJar)


def _frozen(fields: _Fields | None, none: _Fields) -> _Fields:
    """What the head said and may not say any more."""
    if fields is None:
        return none
    fields.freeze()
    return fields


ResponseStream = StreamingHTTPResponse  # its name in Sanic 21.12


def stream(
    streaming_fn: StreamingFunction,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = DEFAULT_STREAM_TYPE,
    chunked: bool | None = None,
) -> StreamingHTTPResponse:
    """A response that ``streaming_fn(response)`` writes, with ``await response.write(data)``."""
    return StreamingHTTPResponse(streaming_fn, status, headers, content_type, chunked)


def as_stream(response: HTTPResponse | StreamingHTTPResponse) -> StreamingHTTPResponse:
    """The same response, to be written piece by piece."""
    if isinstance(response, StreamingHTTPResponse):
        return response
    streaming = StreamingHTTPResponse(None, response.status, None, response.content_type)
    streaming._headers = response._headers
    streaming._cookies = response._cookies
    streaming._completion = response._completion
    streaming._first = encode(response.body)
    return streaming
