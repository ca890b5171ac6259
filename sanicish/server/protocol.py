"""asyncio's callbacks on one side, the wire's connection on the other, and the handler's task between them."""

import asyncio
import select
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, Protocol

from sanicish.config import Clocks, Limits
from sanicish.exceptions import RequestTimeout, SanicException
from sanicish.exchange import ConnInfo, Exchange, Handler, Outcome, RequestHead
from sanicish.http1.connection import Http1Connection, Phase
from sanicish.http1.exchange import Http1Exchange, SendFile
from sanicish.http1.serialize import DateField
from sanicish.interruption import is_interruption
from sanicish.log import Access, error_logger, logger
from sanicish.server.sendfile import can_send_files, send_file
from sanicish.server.timeouts import Due, Watch
from sanicish.streams.flow import HOLD_BODY, FlowControl, Turn

__all__ = ["Host", "HttpProtocol"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST
_READING_GRACE = 1.0  # seconds for a handler whose client is gone to take the next piece of what came before
_HALF_CLOSE_GRACE = 0.05  # seconds for an answer to a peer that has ended its side, and may have gone altogether

# While reading is paused, and after the peer's FIN, neither loop reads; poll() reports a peer that left all the same.
_HALF_CLOSED: int = getattr(select, "POLLRDHUP", 0)  # Linux: the peer has ended its side
_GONE = select.POLLHUP | select.POLLERR  # reset, or on a unix socket closed

# Linux reports how much of what was written a TCP peer has acknowledged. Elsewhere it is known later.
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)
_ACKED = slice(120, 128)  # tcpi_bytes_acked

_OUTCOMES = {"disconnect": Outcome.DISCONNECT, "timeout": Outcome.TIMEOUT, "shutdown": Outcome.SHUTDOWN}


# asyncio's own writelines() of these versions never tells that the buffer is full (gh-127655); uvloop's does.
_SILENT_LINES = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)


class Host(Protocol):
    """What all connections of a server share."""

    loop: asyncio.AbstractEventLoop
    create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]  # in a context of its own
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
        "_cancelled",
        "_host",
        "_leaving",
        "_lost",
        "_task",
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
    send_file: SendFile | None
    has_left: Callable[[], bool] | None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._task: asyncio.Task[None] | None = None
        self._cancelled = 0.0  # when the handler was
        self._leaving: Http1Exchange | None = None  # the exchange whose client is gone, while it reads on
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
            self._client_left()
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
        self._client_left()
        self.connection.lost()
        if self._task is None:
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
        return self._task

    # What the connection calls

    def start(self, exchange: Http1Exchange) -> None:
        """Run the handler for an exchange."""
        task = self._host.create_task(self._run(exchange))
        if not task.done():  # an eager one has run already, and may have begun the next exchange
            self._task = task
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

    async def _run(self, exchange: Http1Exchange) -> None:
        host = self._host
        exchange.began = monotonic()
        try:
            await host.handler(exchange)
            if exchange.outcome is None:
                error_logger.error("%s %s was never answered", exchange.head.method, exchange.head.path)
        except asyncio.CancelledError:
            if exchange.cancel_reason is None and exchange.outcome is None:
                exchange.cancel_reason = "abort"
        except BaseException as error:
            if is_interruption(error):
                raise
            error_logger.exception("the handler of %s %s failed", exchange.head.method, exchange.head.path)
        finally:
            self._ended(exchange)

    def _ended(self, exchange: Http1Exchange) -> None:
        self._task = None
        self._leaving = None
        if exchange.outcome is None:
            exchange.abort(_OUTCOMES.get(exchange.cancel_reason or "", Outcome.FAILED))
        if exchange.on_end is None:
            exchange.on_end = ()
        else:
            exchange.over()
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
        """Cancel the handler that runs, if one does, and say why; once, for it may need time to clean up."""
        exchange = self.connection.exchange
        if self._task is not None and exchange is not None and exchange.cancel_reason is None:
            exchange.cancel_reason = reason
            self._cancelled = self._host.loop.time()
            if reason == "disconnect" and self.flow.told is self._task:
                return  # a write has told it already, and it shall clean up undisturbed, within its time
            self._task.cancel(reason)
            if not exchange.began:  # it will never run, and so never come to its end by itself
                self._ended(exchange)

    # Clients that leave

    def _client_left(self) -> None:
        """Stop the handler: nobody is left to work for.

        One that reads its request body is told by its read instead, after all that came; it has time for that as long
        as it goes on reading. One whose response is complete works for somebody else.
        """
        exchange = self.connection.exchange
        if exchange is None:
            return
        exchange.notify("disconnect")
        if exchange is self._leaving or exchange.shielded or exchange.outcome is Outcome.COMPLETED:
            return
        body = exchange.body
        if body.wanted and not body.complete:
            self._leaving = exchange
            self._let_read(exchange)
        else:
            self.cancel("disconnect")

    def _let_read(self, exchange: Http1Exchange) -> None:
        self._host.loop.call_later(_READING_GRACE, self._after_reading, exchange, exchange.body.unread)

    def _after_reading(self, exchange: Http1Exchange, unread: int) -> None:
        if exchange is self._leaving:
            if exchange.body.unread < unread:
                self._let_read(exchange)
            else:
                self.cancel("disconnect")

    def _peer_ended(self) -> None:
        """The peer will send no more, and either waits for its answer or has gone; both look the same from here.

        A peer that has gone answers whatever is sent to it by a reset. So it has left unless something is sent soon.
        """
        exchange = self.connection.exchange
        if exchange is None:
            return
        if exchange.body.wanted and not exchange.body.complete:
            self._client_left()
        else:
            self._host.loop.call_later(
                _HALF_CLOSE_GRACE, self._is_still_there, exchange, exchange.started, exchange.bytes_sent
            )

    def _is_still_there(self, exchange: Http1Exchange, started: bool, sent: int) -> None:
        if exchange is not self.connection.exchange or exchange.outcome is not None or exchange.half_close:
            return
        if (exchange.started, exchange.bytes_sent) == (started, sent) and not self.connection.unsent:
            self._client_left()

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
            if now - self._cancelled >= self._host.cleanup_seconds:
                self._give_up(now)
            return
        if self._lost:  # the handler is shielded, or takes a last look at what came
            return
        quiet = self.flow.holding or self.connection.peer_ended or self.conn.ssl  # so that no read reports it
        if exchange is not None and quiet and self._has_left():
            self._client_left()
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

    def _give_up(self, now: float) -> None:
        """The handler was cancelled and does not end: its client shall not have to wait for that, and it is asked again."""
        assert self._task is not None
        error_logger.error("a handler goes on %.0f s after it was cancelled: %r", now - self._cancelled, self._task)
        self._cancelled = now
        self.abort()
        self._task.cancel()

    def let_go(self) -> None:
        """The loop ends: it shall not wait for a handler that was cancelled and goes on all the same."""
        if self._task is not None:
            error_logger.error("a handler never ended: %r", self._task)
            asyncio.tasks._unregister_task(self._task)
            exchange = self.connection.exchange
            if exchange is not None:
                exchange.abort(Outcome.SHUTDOWN)
                exchange.over()

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
