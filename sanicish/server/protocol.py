"""asyncio's callbacks on one side, the wire's connection on the other, and the handler's task between them."""

import asyncio
import select
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from sanicish.config import Clocks, Limits
from sanicish.exceptions import RequestTimeout, SanicException
from sanicish.exchange import ConnInfo, Exchange, Handler, RequestHead
from sanicish.handling import CreateTask, HandlerTask
from sanicish.http1.connection import Http1Connection, Phase
from sanicish.http1.exchange import Http1Exchange, SendFile
from sanicish.http1.serialize import DateField
from sanicish.log import Access, error_logger, logger
from sanicish.server.sendfile import can_send_files, send_file
from sanicish.server.timeouts import Due, Watch
from sanicish.streams.flow import HOLD_BODY, FlowControl, Turn

__all__ = ["Host", "HttpProtocol"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST
_HALF_CLOSE_GRACE = 0.05  # seconds for an answer to a peer that has ended its side, and may have gone altogether

# While reading is paused, and after the peer's FIN, neither loop reads; poll() reports a peer that left all the same.
_HALF_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # Linux: the peer has ended its side
_GONE = select.POLLHUP | select.POLLERR  # reset, or on a unix socket closed

# Linux reports how much of what was written a TCP peer has acknowledged. Elsewhere it is known later.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_ACKED = slice(120, 128)  # tcpi_bytes_acked


# asyncio's own writelines() of these versions never tells that the buffer is full (gh-127655); uvloop's does.
_SILENT_LINES = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)


class Host(Protocol):
    """What all connections of a server share."""

    loop: asyncio.AbstractEventLoop
    create_task: CreateTask  # in a context of its own
    call_soon: Callable[..., Any]
    handler: Handler
    limits: Limits
    clocks: Clocks
    date: DateField
    turn: Turn
    heads: dict[bytes, RequestHead]
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
        "_handling",
        "_host",
        "_lost",
        "_transport",
        "call_soon",
        "conn",
        "connection",
        "date",
        "flow",
        "has_left",
        "heads",
        "names",
        "place",
        "refusal",
        "send_file",
        "turn",
        "watch",
    )

    conn: ConnInfo
    connection: Http1Connection
    flow: FlowControl
    _handling: HandlerTask[Http1Exchange]
    send_file: SendFile | None
    has_left: Callable[[], bool] | None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lost = False
        self._transport: Any = None
        self.call_soon: Callable[..., Any] = host.call_soon
        self.turn = host.turn
        self.date = host.date
        self.heads = host.heads
        self.names: tuple[Any, Any] | None = None  # of the peer and of this end, where a proxy has told
        self.place: str | None = None  # among the connections of the server, once it has one
        self.refusal: SanicException | None = None  # or why it gets none
        self.watch = Watch()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        host = self._host
        self._transport = transport
        transport.set_write_buffer_limits(high=host.high_water)
        if _SILENT_LINES and isinstance(host.loop, asyncio.BaseEventLoop):
            transport.writelines = lambda lines: transport.write(b"".join(lines))
        self.conn = ConnInfo(transport)
        if self.names is not None:
            self.conn.peername = self.names[0] or self.conn.peername
            self.conn.sockname = self.names[1] or self.conn.sockname
        self.flow = FlowControl(transport, host.turn)
        self._handling = HandlerTask(host.loop, host.create_task, host.handler, self.flow, self._handled)
        self.send_file = self._send_file if can_send_files(transport) else None
        # TLS transports of both loops drop what is written once the peer has ended its side, with a line of the log for
        # each write, and report the end only when all that was written before is sent.
        self.has_left = self._has_left if self.conn.ssl else None
        self.connection = Http1Connection(transport, self.flow, host.limits, self, host.clocks.keep_alive != 0)
        host.opened(self)

    def data_received(self, data: bytes) -> None:
        self.connection.receive(data)

    def eof_received(self) -> bool:
        is_open = self.connection.eof()
        if self.conn.ssl:  # both loops close then: their TLS has no half-close
            self._handling.client_left()
            return False
        if not is_open:
            return False
        self._peer_ended()
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self.flow.connection_lost()
        self._handling.client_left()
        self.connection.lost()
        if self._handling.task is None:
            self._host.closed(self)

    # What is looked at

    @property
    def exchange(self) -> Exchange | None:
        """What is open."""
        return self.connection.exchange

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client."""
        return self.connection.unsent

    @property
    def task(self) -> asyncio.Task[None] | None:
        """Who answers it."""
        return self._handling.task

    # What the connection calls

    def start(self, exchange: Http1Exchange) -> None:
        """Run the handler for an exchange."""
        self._handling.start(exchange)
        if self.connection.peer_ended:
            self._peer_ended()

    async def _send_file(self, descriptor: int, offset: int, count: int, went: Callable[[int], None]) -> None:
        host = self._host
        await send_file(host.loop, self._transport, self.flow, host.high_water, descriptor, offset, count, went)

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
        self.abort()
        return offered

    def refused(self, error: SanicException) -> None:
        """A request broke HTTP; its client gets the answer, the log a line."""
        logger.debug("%s: refused with %s: %s", self.conn.client_ip or "unix", error.status_code, error.message)
        if "TLS" in error.message:
            logger.warning("%s speaks TLS to a port that speaks plain HTTP", self.conn.client_ip or "a client")
        if self._host.access_log and self.connection.exchange is None:
            Access("-", "-", error.status_code, error.message, self.conn.peer).log()

    # Handlers

    def _handled(self, exchange: Http1Exchange) -> None:
        """A handler has ended, and its exchange with it."""
        if self._host.access_log:
            self._log(exchange)
        self.connection.done(exchange)
        if self._lost:
            self._host.closed(self)

    def _log(self, exchange: Http1Exchange) -> None:
        head, began = exchange.head, exchange.began
        Access(
            head.method,
            head.target.decode("latin-1"),
            exchange.status,
            str(exchange.outcome),
            self._host.client_of(exchange),
            sent=exchange.bytes_sent,
            received=exchange.body.received,
            seconds=monotonic() - began if began else 0.0,
            first_byte=max(0.0, exchange.left - began) if exchange.left else None,
            request_id=exchange.request_id or exchange.told_id(self._host.id_field),
        ).log()

    def cancel(self, reason: str) -> None:
        """Cancel the handler that runs, if one does."""
        self._handling.cancel(reason)

    # Clients that leave

    def _peer_ended(self) -> None:
        """The peer will send no more, and either waits for its answer or has gone; both look the same from here.

        A peer that has gone answers whatever is sent to it by a reset. So it has left unless something is sent soon.
        """
        exchange = self.connection.exchange
        if exchange is None:
            return
        if exchange.body.wanted and not exchange.body.complete:
            self._handling.client_left()
        else:
            self._host.loop.call_later(
                _HALF_CLOSE_GRACE, self._is_still_there, exchange, exchange.started, exchange.bytes_sent
            )

    def _is_still_there(self, exchange: Http1Exchange, started: bool, sent: int) -> None:
        if exchange is not self.connection.exchange or exchange.outcome is not None or exchange.half_close:
            return
        if (exchange.started, exchange.bytes_sent) == (started, sent) and not self.connection.unsent:
            self._handling.client_left()

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
        exchange = self.connection.exchange
        if exchange is not None and exchange.cancel_reason is not None:
            if self._handling.overdue(now, self._host.cleanup_seconds):
                self.abort()
            return
        if self._lost:  # the handler is shielded, or takes a last look at what came
            return
        quiet = self.flow.holding or self.connection.peer_ended or self.conn.ssl  # so that no read reports it
        if exchange is not None and quiet and self._has_left():
            self._handling.client_left()
        due = self.watch.look(self.connection, self._host.clocks, now, self._taken)
        if due is not None:
            self._act(due)

    def _act(self, due: Due) -> None:
        logger.debug("%s: %s", self.conn.client_ip or "unix", due.value)
        connection = self.connection
        if due is Due.HEAD and connection.begun:
            connection.refuse(RequestTimeout("the head of the request did not arrive in time"))
        elif due is Due.RESPONSE or due is Due.STREAM:
            self.cancel("timeout")
        elif due is Due.BODY and connection.exchange is not None:
            connection.exchange.body.fail(RequestTimeout("the body of the request stopped coming"))
        elif due is Due.WRITE:
            self.cancel("timeout")
            self._reset()
        elif due is Due.END:
            connection.end()
        elif due is Due.CLOSE:
            self.abort()
        else:
            connection.close()

    def let_go(self) -> None:
        """The loop ends, and does not wait for the handler."""
        self._handling.abandon()

    def refuse(self, error: SanicException) -> None:
        """Answer before anything was asked, and close."""
        self.connection.refuse(error)

    def shutdown(self) -> None:
        """Finish what is open and close."""
        self.connection.shutdown()

    @property
    def unheard(self) -> bool:
        """Whether the head of a request is on its way, or should be: the first, or one that has begun."""
        return self.connection.phase is Phase.HEAD

    @property
    def promised(self) -> bool:
        """Whether a response has begun that tells the client that the connection is kept."""
        return self.connection.promised

    def when_answered(self, function: Callable[[], Any]) -> None:
        """Call a function at the end of the open exchange."""
        self.connection.when_answered(function)

    def leave(self) -> None:
        """Begin to close: finish what is open, and answer one more request if it comes."""
        self.connection.leave()

    def drain(self) -> None:
        """Finish what is open, answer one more request if it comes, and close."""
        self.connection.drain()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self.flow.connection_lost()  # nothing more is written from now on
        self._transport.abort()
