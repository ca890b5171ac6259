"""One connection: asyncio's callbacks on one side, a wire on the other, and the tasks of the handlers between them."""

import asyncio
import select
import socket
import struct
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from sanicish.config import Limits, Timeouts
from sanicish.exceptions import RequestTimeout, SanicException
from sanicish.exchange import ConnInfo, Exchange, Handler
from sanicish.handling import CreateTask, HandlerTask
from sanicish.log import Access, error_logger, logger
from sanicish.server.sendfile import can_send_files, send_file
from sanicish.server.timeouts import ConnectionWatch, Due, ExchangeWatch
from sanicish.server.wires import new_wire
from sanicish.streams.flow import HOLD_BODY, FlowControl, Turn
from sanicish.wire import DateLine, Phase, SendFile, TlsOnPlainPort, Wire

__all__ = ["HttpProtocol", "ServerState"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST
_HALF_CLOSE_GRACE = 0.05  # seconds for a response to a peer that has ended its side, and may have gone altogether

# While reading is paused, and after the peer's FIN, neither loop reads; poll() reports a peer that left all the same.
_HALF_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # Linux: the peer has ended its side
_GONE = select.POLLHUP | select.POLLERR  # reset, or on a unix socket closed

# Linux reports how much of what was written a TCP peer has acknowledged. Elsewhere it is known later.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_ACKED = slice(120, 128)  # tcpi_bytes_acked


# asyncio's own writelines() of these versions never tells that the buffer is full (gh-127655); uvloop's does.
_SILENT_LINES = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)


class ServerState(Protocol):
    """What all connections of a server share."""

    loop: asyncio.AbstractEventLoop
    create_task: CreateTask  # in a context of its own
    call_soon: Callable[..., Any]
    handler: Handler
    limits: Limits
    timeouts: Timeouts
    date: DateLine
    turn: Turn
    high_water: int
    access_log: bool
    id_field: bytes | None  # in which clients say what they call a request

    @property
    def cleanup_seconds(self) -> float: ...

    def client_of(self, exchange: Exchange, /) -> str: ...

    def opened(self, protocol: "HttpProtocol", /) -> None: ...

    def closed(self, protocol: "HttpProtocol", /) -> None: ...


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    __slots__ = (
        "_handlers",
        "_idle",
        "_lost",
        "_server",
        "_transport",
        "_watch",
        "_watches",
        "call_soon",
        "conn",
        "date",
        "flow",
        "has_left",
        "names",
        "place",
        "refusal",
        "send_file",
        "turn",
        "wire",
    )

    conn: ConnInfo
    wire: Wire
    flow: FlowControl
    send_file: SendFile | None
    has_left: Callable[[], bool] | None

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._lost = False
        self._transport: Any = None
        self.call_soon: Callable[..., Any] = server.call_soon
        self.turn = server.turn
        self.date = server.date
        self.names: tuple[Any, Any] | None = None  # of the peer and of this end, where a proxy has told
        self.place: str | None = None  # among the connections of the server, once it has one
        self.refusal: SanicException | None = None  # or why it gets none
        self._handlers: dict[Exchange, HandlerTask[Exchange]] = {}  # of the open exchanges
        self._idle: HandlerTask[Exchange] | None = None  # to be started with the next exchange
        self._watch = ConnectionWatch()
        self._watches: dict[Exchange, ExchangeWatch] = {}

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        server = self._server
        self._transport = transport
        transport.set_write_buffer_limits(high=server.high_water)
        if _SILENT_LINES and isinstance(server.loop, asyncio.BaseEventLoop):
            transport.writelines = lambda lines: transport.write(b"".join(lines))
        self.conn = ConnInfo(transport)
        if self.names is not None:
            self.conn.peername = self.names[0] or self.conn.peername
            self.conn.sockname = self.names[1] or self.conn.sockname
        self.flow = FlowControl(transport, server.turn)
        self.send_file = self._send_file if can_send_files(transport) else None
        # TLS transports of both loops drop what is written once the peer has ended its side, with a line of the log for
        # each write, and report the end only when all that was written before is sent.
        self.has_left = self._has_left if self.conn.ssl else None
        self.wire = new_wire(transport, self.flow, server.limits, server.timeouts, self)
        server.opened(self)

    def data_received(self, data: bytes) -> None:
        self.wire.receive(data)

    def eof_received(self) -> bool:
        is_open = self.wire.eof()
        if self.conn.ssl:  # both loops close then: their TLS has no half-close
            self._client_left()
            return False
        if not is_open:
            return False
        for exchange in tuple(self._handlers):
            self._peer_ended(exchange)
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        self.wire.resume()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.flow.connection_lost()
        self._client_left()
        self.wire.lost()
        if not self._handlers:
            self._server.closed(self)

    # What is looked at

    @property
    def handlers(self) -> Collection[HandlerTask[Exchange]]:
        """The handlers that run, each with its exchange."""
        return self._handlers.values()

    def unsent_of(self, exchange: Exchange) -> int:
        """Bytes of an exchange that wait for the client."""
        return self.wire.unsent_of(exchange)

    # What the wire calls

    def start(self, exchange: Exchange) -> None:
        """Run the handler for an exchange."""
        handler = self._idle
        if handler is None:
            server = self._server
            handler = HandlerTask(server.loop, server.create_task, server.handler, self.flow, self._handled)
        self._idle = None
        self._handlers[exchange] = handler
        handler.start(exchange)
        if self.wire.peer_ended:
            self._peer_ended(exchange)

    async def _send_file(self, descriptor: int, offset: int, count: int, went: Callable[[int], None]) -> None:
        server = self._server
        await send_file(server.loop, self._transport, self.flow, server.high_water, descriptor, offset, count, went)

    def reset(self) -> None:
        """Cut a body that is delimited by the end of the connection, so that the peer sees an error, not an end."""
        if not self._reset():
            error_logger.error(
                "a cut response was delimited by the end of its connection, and a unix socket cannot be reset: the client"
                " takes it for complete. Let the proxy speak HTTP/1.1 (nginx: proxy_http_version 1.1)"
            )

    def _reset(self) -> bool:
        """Close by a reset; False where the kernel offers none."""
        sock = self._transport.get_extra_info("socket")
        offered = sock is None or sock.family != socket.AF_UNIX
        if sock is not None and offered:
            with suppress(OSError):  # some systems refuse it once the peer has left
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._abort()
        return offered

    def _abort(self) -> None:
        self.flow.connection_lost()  # nothing more is written from now on
        if not self._lost:  # asyncio's transport cannot be aborted after its end
            self._transport.abort()

    def refused(self, error: SanicException) -> None:
        """A request broke HTTP; its client gets the response, the log a line."""
        logger.debug("%s: refused with %s: %s", self.conn.client_ip or "unix", error.status_code, error.message)
        if isinstance(error, TlsOnPlainPort):
            logger.warning("%s speaks TLS to a port that speaks plain HTTP", self.conn.client_ip or "a client")
        if self._server.access_log and not self._handlers:
            Access("-", "-", error.status_code, error.message, self.conn.peer).log()

    # Handlers

    def _handled(self, exchange: Exchange) -> None:
        """A handler has ended, and its exchange with it."""
        self._idle = self._handlers.pop(exchange)
        if self._server.access_log:
            self._log(exchange)
        self.wire.done(exchange)
        if self._lost and not self._handlers:
            self._server.closed(self)

    def _log(self, exchange: Exchange) -> None:
        head, started_at = exchange.head, exchange.started_at
        Access(
            head.method,
            head.target.decode("latin-1"),
            exchange.status,
            str(exchange.outcome),
            self._server.client_of(exchange),
            sent=exchange.bytes_sent,
            received=exchange.body.received,
            seconds=monotonic() - started_at if started_at else 0.0,
            first_byte=max(0.0, exchange.head_sent_at - started_at) if exchange.head_sent_at else None,
            request_id=exchange.request_id or exchange.client_request_id(self._server.id_field),
        ).log()

    def cancel(self, reason: str) -> None:
        """Cancel the handlers that run."""
        for handler in tuple(self._handlers.values()):
            handler.cancel(reason)

    # Clients that leave

    def _client_left(self) -> None:
        for handler in tuple(self._handlers.values()):
            handler.client_left()

    def _peer_ended(self, exchange: Exchange) -> None:
        """The peer will send no more, and either waits for its response or has gone; both look the same from here.

        A peer that has gone answers whatever is sent to it by a reset. So it has left unless something is sent soon.
        """
        handler = self._handlers.get(exchange)
        if handler is None:
            return
        if exchange.body.wanted and not exchange.body.complete:
            handler.client_left()
        else:
            self._server.loop.call_later(
                _HALF_CLOSE_GRACE, self._is_still_there, exchange, exchange.started, exchange.bytes_sent
            )

    def _is_still_there(self, exchange: Exchange, started: bool, sent: int) -> None:
        handler = self._handlers.get(exchange)
        if handler is None or exchange.outcome is not None or exchange.rules.half_close:
            return
        if (exchange.started, exchange.bytes_sent) == (started, sent) and not self.wire.unsent_of(exchange):
            handler.client_left()

    def _has_left(self) -> bool:
        """Whether the peer has left, asked of the kernel: no read reports it while reading is paused, or after its FIN."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock, _HALF_CLOSED)
        state = sum(events for _, events in poll.poll(0))
        ended = state & _HALF_CLOSED and (self.conn.ssl or self.flow.holding == HOLD_BODY)
        return bool(state & _GONE or ended)

    def _tcp_info(self) -> bytes:
        """What the kernel knows of the connection; empty where it does not tell."""
        sock = self._transport.get_extra_info("socket")
        if _TCP_INFO is None or sock is None or sock.family == socket.AF_UNIX:
            return b""
        info: bytes = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACKED.stop)
        return info

    def _taken(self) -> tuple[int, ...]:
        """What the peer has taken so far, as something that grows when it takes more."""
        info = self._tcp_info()
        if len(info) == _ACKED.stop:
            return (int.from_bytes(info[_ACKED], sys.byteorder),)
        return self.flow.resumed, -self._transport.get_write_buffer_size()

    # What the server calls

    def sweep(self, now: float) -> None:
        """Act on whatever is overdue."""
        wire = self.wire
        if not self._handlers:
            self._watches = {}
            if not self._lost:
                self._act(self._watch.look(wire, self._server.timeouts, now, self._taken))
            return
        self._watches = {exchange: self._watches.get(exchange) or ExchangeWatch(now) for exchange in self._handlers}
        quiet = self.flow.holding or wire.peer_ended or self.conn.ssl  # so that no read reports that the peer has left
        left = bool(quiet and not self._lost and self._has_left())
        for exchange, handler in tuple(self._handlers.items()):
            if exchange.cancel_reason is not None:
                if handler.overdue(now, self._server.cleanup_seconds):
                    self.abort()
            elif not self._lost:  # else the handler is shielded, or takes a last look at what arrived
                if left:
                    handler.client_left()
                unsent = wire.unsent_of(exchange)
                due = self._watches[exchange].look(exchange, unsent, self._server.timeouts, now, self._taken)
                self._act_on(exchange, handler, due)

    def _act_on(self, exchange: Exchange, handler: HandlerTask[Exchange], due: Due | None) -> None:
        """Something of an exchange is overdue."""
        if due is None:
            return
        logger.debug("%s: %s", self.conn.client_ip or "unix", due.value)
        if due is Due.BODY:
            exchange.body.fail(RequestTimeout("the body of the request stopped arriving"))
            return
        handler.cancel("timeout")
        if due is Due.WRITE:
            self._reset()

    def _act(self, due: Due | None) -> None:
        """Something of the connection is overdue, and no exchange is open."""
        if due is None:
            return
        logger.debug("%s: %s", self.conn.client_ip or "unix", due.value)
        if due is Due.WRITE:
            self._reset()
        elif due is Due.CLOSE:
            self.abort()
        else:
            self.wire.expire()

    def abandon(self) -> None:
        """The loop ends, and does not wait for handlers."""
        for handler in self._handlers.values():
            handler.abandon()

    def refuse(self, error: SanicException) -> None:
        """Answer before anything was asked, and close."""
        self.wire.refuse(error)

    @property
    def awaits_head(self) -> bool:
        """Whether the head of a request is on its way, or should be: the first, or one that has begun."""
        return self.wire.phase is Phase.HEAD

    def drain(self, stopping: bool = False) -> None:
        """Let the next response be the last; ``stopping`` also notifies the streams that are open."""
        self.wire.drain(stopping)

    def finish(self, one_more: float) -> None:
        """Close when what is open is done.

        A response that has begun may have promised to keep the connection: then one more request is answered if it
        arrives within ``one_more`` seconds. A proxy may send it as soon as it has the last byte of the response.
        """
        if self.wire.promises:
            for exchange in self._handlers:
                exchange.when_over(lambda _: self._server.loop.call_later(one_more, self.wire.finish))
            self.wire.drain(stopping=True)
        else:
            self.wire.finish()

    def abort(self) -> None:
        """Close without waiting for anything; by a reset, if that cuts a response."""
        begun = any(exchange.started and exchange.outcome is None for exchange in self._handlers)
        if begun or self.wire.unsent:
            self._reset()
        else:
            self._abort()
