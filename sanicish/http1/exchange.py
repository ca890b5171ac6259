"""The HTTP/1.1 Exchange: a head held until there is something to send with it, then framed, batched, written.

Pieces written in one turn of the loop leave in one write, each still a chunk of its own; what is large leaves at
once and uncopied. ``write`` sends now and waits only when awaited.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol

from sanicish.constants import BODILESS
from sanicish.exceptions import ResponseError, StreamClosed, WriteBufferFull
from sanicish.exchange import DEFAULT_RULES, ConnInfo, Exchange, Notice, Outcome, RequestHead
from sanicish.headers import Headers, promised_length, split_tokens
from sanicish.http1.framing import TUNNEL, Framing, choose_framing
from sanicish.http1.serialize import (
    serialize_fields,
    serialize_head,
    serialize_interim,
    serialize_response,
    serialize_upgrade,
)
from sanicish.log import error_logger
from sanicish.streams.flow import READY, STOP, FlowControl
from sanicish.streams.incoming import RequestStream
from sanicish.wire import SendFile

__all__ = ["ConnectionView", "Http1Exchange"]

_LARGE = 16_384  # from this size on, several buffers in one call are cheaper than joining them
_BATCH = 65_536  # what is written in one turn leaves before its end when it is more than this

_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"  # RFC 9112 9.3: HTTP/1.0 has to be told
_NO_TIMEOUTS = dict.fromkeys(("response", "stream_idle", "body_idle", "body_rate", "stream_body_rate", "write_rate"))
_NOTHING: list[bytes] = []  # stays empty; most responses are whole, and need no list of their own

# Python's http.client, requests and Java's HttpURLConnection take a 103 for the response itself, so only browsers get one,
# and none behind a proxy: nginx 1.22 and Varnish 7.1 fail the request.
_BROWSER = b"sec-fetch-mode"
_PROXY = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})


class ConnectionView(Protocol):
    """What an exchange needs of the connection that carries it."""

    transport: Any
    flow: FlowControl
    unsent_limit: int
    call_soon: Callable[..., Any]
    date_line: Callable[[], bytes]
    reset: Callable[[], None]
    send_file: SendFile | None
    has_left: Callable[[], bool] | None
    stopping: bool

    def may_keep(self, whole: bool, /) -> bool: ...

    def tunnel(self) -> None: ...


class _Region:
    """Stands for bytes of a file while they are framed: nothing but their number is asked for."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


class Http1Exchange(Exchange):
    """One request and its response on an HTTP/1.1 connection."""

    __slots__ = (
        "_connection",
        "_flow",
        "_framing",
        "_out",
        "_pending",
        "_scheduled",
        "_transport",
        "keep_alive",
        "owes_100",
    )

    def __init__(self, head: RequestHead, body: RequestStream, conn: ConnInfo, connection: ConnectionView) -> None:
        self.head = head  # not by super(): one call less for each request
        self.body = body
        self.conn = conn
        self.rules = DEFAULT_RULES
        self.route_name = ""
        self.status = self.bytes_sent = 0
        self.started_at = self.head_sent_at = 0.0
        self.outcome = self.cancel_reason = self.notices = self.request_id = self.trailers = None
        self._connection = connection
        self._transport = connection.transport
        self._flow = connection.flow
        self._framing: Framing | None = None
        self._out = _NOTHING  # framed, not yet given to the transport
        self._pending = 0  # bytes of data in it
        self._scheduled = False
        self.keep_alive = head.keep_alive
        self.owes_100 = head.expect_continue

    def has(self, notice: Notice) -> bool:
        if notice == "shutdown":
            return self._connection.stopping
        return self._flow.lost or super().has(notice)

    @property
    def congested(self) -> bool:
        return self._flow.paused or self._flow.lost

    @property
    def unsent(self) -> int:
        return 0 if self._flow.lost else self._unsent()

    @property
    def bodiless(self) -> bool:
        return self._framing is not None and self._framing.bodiless

    @property
    def takes_trailers(self) -> bool:
        # Varnish 7.1 drops the last chunk of a response that has any, so nobody gets them unasked.
        if self.head.version == "1.0":
            return False
        if self.trailers is not None and self.trailers.always:
            return True
        asked = Headers.from_raw(self.head.fields).getall("te")
        return "trailers" in split_tokens(", ".join(asked))

    def send_continue(self) -> None:
        """Tell a client that waits to go on with its body, once (RFC 9110 10.1.1)."""
        if self.owes_100 and not self.started:
            self.inform(100)

    def inform(self, status: int, headers: Headers | None = None) -> bool:
        if self.started:
            raise StreamClosed("an interim response was sent after the response had started")
        data = serialize_interim(status, headers)
        if self._flow.lost or not self._understands(status):
            return False
        self._transport.write(data)
        return True

    def _understands(self, status: int) -> bool:
        """Whether this client can be sent an interim response."""
        if status == 100:
            owed, self.owes_100 = self.owes_100, False
            return owed and not self.body.received
        names = {name for name, _ in self.head.fields}
        return self.head.version != "1.0" and _BROWSER in names and _PROXY.isdisjoint(names)

    # The head

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        if self.status:
            raise StreamClosed("this request has been answered already")
        framing = choose_framing(self.head.method, self.head.version, status, promised_length(headers), chunked)
        field = framing.field
        if self.trailers and framing.trails and "trailer" not in (headers or ()) and self.takes_trailers:
            field += b"Trailer: %b\r\n" % ", ".join(self.trailers).encode("latin-1")  # RFC 9110 6.6.2
        self._out = [self._head(status, headers, content_type, field, framing.closes, False)]
        self._framing = framing
        self.head_sent_at = monotonic()  # or soon: it is held until there is data

    def _head(
        self, status: int, headers: Headers | None, content_type: str | None, field: bytes, closes: bool, whole: bool
    ) -> bytes:
        """The head, ready to be sent; from here on there is no second one."""
        if status in BODILESS and status != 205:
            content_type = None
        connection = self._connection_line(headers, closes, whole)
        lines = serialize_head(status, headers, content_type, field, self._connection.date_line(), connection)
        self.status = status
        return lines

    def tunnel(self, status: int, headers: Headers) -> None:
        if self.status:
            raise StreamClosed("this request has been answered already")
        if not self.head.protocol or "upgrade" not in headers or status != 101:
            raise ResponseError("a tunnel is a 101 with Upgrade, for a client that offers to switch protocols")
        if not self.body.complete:
            raise ResponseError("the body of a request has to be read before its protocol is switched")
        self._out = [serialize_upgrade(headers, self._connection.date_line())]
        self.keep_alive = False
        self.status = status
        self.head_sent_at = monotonic()
        self._framing = TUNNEL
        self.rules = replace(self.rules.with_timeouts(_NO_TIMEOUTS), half_close=True)
        self._connection.tunnel()
        self._push()

    def _connection_line(self, headers: Headers | None, closes: bool, whole: bool) -> bytes:
        """Decide whether the connection goes on, and how that is said."""
        keep_alive = self.keep_alive and not closes and self._connection.may_keep(whole)
        if headers and keep_alive and "connection" in headers:
            keep_alive = "close" not in split_tokens(", ".join(headers.getall("connection")))
        self.keep_alive = keep_alive
        if not keep_alive:
            return _CLOSE
        return _KEEP_ALIVE if self.head.version == "1.0" else b""

    # The body

    def write(self, data: bytes) -> Awaitable[None]:
        framing = self._framing
        if framing is None:
            if self.outcome is Outcome.COMPLETED and self.head.method == "HEAD":
                return STOP  # it was complete with its head; who writes without awaiting has not seen that
            raise self._closed()
        flow = self._flow
        size = len(data)
        if flow.lost:
            return flow  # raises, but only when awaited, and after a turn of the loop
        if framing.bodiless:
            return self._drop(size)
        if size:
            if flow.paused and self._unsent() + size > self._connection.unsent_limit:
                raise WriteBufferFull(
                    f"more than {self._connection.unsent_limit} bytes wait for the client; await write()"
                )
            framing.frame(data, self._out)
            self.bytes_sent += size
            self._pending += size
            if size >= _LARGE:
                self._push_lines()
            elif self._pending >= _BATCH:
                self._push()
        if not self._scheduled and self._out:
            self._scheduled = True
            self._connection.call_soon(self._push_scheduled)
        if flow.paused or monotonic() > flow.turn.ends:
            return flow
        return READY

    async def send_file(self, descriptor: int, offset: int, count: int) -> bool:
        send = self._connection.send_file
        framing = self._framing
        if send is None or framing is None or framing.bodiless or count < _LARGE:
            return False
        region = _Region(count)
        pieces: list[Any] = []
        framing.frame(region, pieces)  # type: ignore[arg-type]
        for piece in pieces:
            if piece is region:
                self._push()
                await send(descriptor, offset, count, self._went)
            else:
                self._out.append(piece)
        return True

    def _went(self, count: int) -> None:
        self.bytes_sent += count

    def flush(self) -> Awaitable[None]:
        if self._framing is None and self.outcome is None:
            raise self._closed()
        self._push()
        return self._flow if self._flow.must_wait else READY

    def finish(self) -> Awaitable[None]:
        if self._framing is None:
            raise self._closed()
        if self._flow.lost:
            self._end(Outcome.DISCONNECT)
            return self._flow
        self._framing.end(self._out, serialize_fields(self.trailers) if self.trailers and self.takes_trailers else b"")
        self._push()
        self._end(Outcome.COMPLETED)
        return self._flow if self._flow.must_wait else READY

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        if self.status:
            raise StreamClosed("this request has been answered already")
        if self.head.method == "HEAD" or status in BODILESS:
            lines = self._bodiless_head(status, headers, content_type, len(body))
            body = b""
        elif not headers and len(body) < _LARGE:
            connection = self._connection_line(None, False, True)
            lines = serialize_response(status, content_type, self._connection.date_line(), connection, body)
            self.status = status
            self.bytes_sent = len(body)
            body = b""
        else:
            lines = self._head(status, headers, content_type, b"Content-Length: %d\r\n" % len(body), False, True)
        if self._flow.lost:
            self._end(Outcome.DISCONNECT)
            return
        if body:
            self.bytes_sent = len(body)
            self._transport.writelines((lines, body))
        else:
            self._transport.write(lines)
        self.outcome = Outcome.COMPLETED

    def _bodiless_head(self, status: int, headers: Headers | None, content_type: str | None, size: int) -> bytes:
        head = self.head
        length: int | None = size
        if head.method == "HEAD" or status == 304:  # both may tell what a GET and a 200 would have had (RFC 9110 8.6)
            announced = promised_length(headers)
            if announced is not None or status == 304:
                length = announced
        framing = choose_framing(head.method, head.version, status, length, None)
        lines = self._head(status, headers, content_type, framing.field, framing.closes, True)
        if size and head.method != "HEAD":
            self._warn_dropped(size)
        return lines

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        if self.outcome is not None:
            return
        framing = self._framing
        self.keep_alive = False
        if not self._flow.lost:
            if framing is not None and framing.closes:
                self._connection.reset()  # only a reset shows that a body which ends with the connection was cut
            else:
                self._push()
                if not self._transport.is_closing():  # see Http1Connection._close
                    self._transport.close()
        self._out.clear()
        self._end(outcome)

    # Inside

    def _end(self, outcome: Outcome) -> None:
        self._framing = None
        self.outcome = outcome

    def _closed(self) -> ResponseError:
        return StreamClosed("the response has ended" if self.outcome is not None else "the response has not begun")

    def _drop(self, size: int) -> Awaitable[None]:
        """Data for a response without a body: not sent, and after HEAD not made either."""
        if self.head.method == "HEAD":
            self.finish()
            return STOP
        if size and not self._pending:
            self._pending = size  # said once
            self._warn_dropped(size)
        return READY

    def _warn_dropped(self, size: int) -> None:
        error_logger.warning("status %s allows no body: %s bytes of a response were dropped", self.status, size)

    def _unsent(self) -> int:
        size: int = self._transport.get_write_buffer_size()
        return size + self._pending

    def _push_scheduled(self) -> None:
        self._scheduled = False
        if self._out:
            self._push()

    def _push(self) -> None:
        """Give what is framed to the transport, as one."""
        out = self._out
        if out:
            if self._is_open():
                self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
            self._pending = 0

    def _push_lines(self) -> None:
        """Give what is framed to the transport, uncopied."""
        if self._is_open():
            self._transport.writelines(self._out)
        self._out = []
        self._pending = 0

    def _is_open(self) -> bool:
        """Whether anything can be sent; a transport that failed is reported to be lost a turn later only."""
        flow = self._flow
        if not flow.lost:
            if self._transport.is_closing():
                flow.connection_lost()
            elif self._connection.has_left is not None and self._connection.has_left():
                self._transport.abort()
                flow.connection_lost()
        return not flow.lost
