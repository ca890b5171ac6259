"""asyncio's callbacks on one side, the wire's connection on the other, and the handler's task between them."""

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Protocol

from sanicish.config import Clocks, Limits
from sanicish.exceptions import RequestTimeout, SanicException
from sanicish.exchange import ConnInfo, Exchange, Handler, Outcome
from sanicish.flow import FlowControl
from sanicish.http1.connection import Http1Connection
from sanicish.http1.exchange import Http1Exchange
from sanicish.http1.serialize import DateField
from sanicish.log import access_line, access_logger, error_logger, logger
from sanicish.server.timeouts import Due, Watch

__all__ = ["Host", "HttpProtocol"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST
_READING_GRACE = 1.0  # seconds that a handler which reads may go on to read what came before the cut

_OUTCOMES = {"disconnect": Outcome.DISCONNECT, "timeout": Outcome.TIMEOUT, "shutdown": Outcome.SHUTDOWN}


class Host(Protocol):
    """What all connections of a server share."""

    loop: asyncio.AbstractEventLoop
    handler: Handler
    limits: Limits
    clocks: Clocks
    date: DateField
    high_water: int
    slice_seconds: float
    access_log: bool
    stopping: bool

    def opened(self, protocol: "HttpProtocol", /) -> None: ...

    def closed(self, protocol: "HttpProtocol", /) -> None: ...


class HttpProtocol(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_began", "_host", "_task", "_transport", "call_soon", "conn", "connection", "date", "flow", "watch")

    conn: ConnInfo
    connection: Http1Connection
    flow: FlowControl

    def __init__(self, host: Host) -> None:
        self._host = host
        self._task: asyncio.Task[None] | None = None
        self._began = 0.0
        self._transport: Any = None
        self.call_soon: Callable[..., Any] = host.loop.call_soon
        self.date = host.date
        self.watch = Watch()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        host = self._host
        self._transport = transport
        transport.set_write_buffer_limits(high=host.high_water)
        self.conn = ConnInfo(transport)
        self.flow = FlowControl(transport, host.slice_seconds)
        self.connection = Http1Connection(transport, self.flow, host.limits, self)
        host.opened(self)

    def data_received(self, data: bytes) -> None:
        self.connection.receive(data)

    def eof_received(self) -> bool:
        keep_open = self.connection.eof()
        if keep_open:
            # A peer that ends its side is taken as leaving; what was written already still goes out.
            self._client_left()
        return keep_open and not self._transport.is_closing()

    def pause_writing(self) -> None:
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self.flow.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._client_left()
        self.connection.lost()
        self.flow.connection_lost()
        if self._task is None:
            self._host.closed(self)

    # What the connection calls

    def start(self, exchange: Http1Exchange) -> None:
        """Run the handler for an exchange."""
        self._began = self._host.loop.time()
        self.flow.begin_turn()
        self._task = self._host.loop.create_task(self._run(exchange))

    def reset(self) -> None:
        """Close so that the peer sees an error, not an end."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def refused(self, error: SanicException) -> None:
        """A request broke HTTP; its client gets the answer, the log a line."""
        logger.debug("%s: refused with %s: %s", self.conn.client_ip or "unix", error.status_code, error.message)
        if "TLS" in error.message:
            logger.warning("%s speaks TLS to a port that speaks plain HTTP", self.conn.client_ip or "a client")

    # Handlers

    async def _run(self, exchange: Http1Exchange) -> None:
        try:
            await self._host.handler(exchange)
            if exchange.outcome is None:
                error_logger.error("%s %s was never answered", exchange.head.method, exchange.head.path)
        except asyncio.CancelledError:
            if exchange.cancel_reason is None and exchange.outcome is None:
                exchange.cancel_reason = "abort"
        except Exception:
            error_logger.exception("the handler of %s %s failed", exchange.head.method, exchange.head.path)
        finally:
            self._task = None
            if exchange.outcome is None:
                exchange.abort(_OUTCOMES.get(exchange.cancel_reason or "", Outcome.FAILED))
            self._ended(exchange)

    def _ended(self, exchange: Http1Exchange) -> None:
        if exchange.on_end is not None:
            for callback in exchange.on_end:
                callback(exchange)
        if self._host.access_log:
            self._log(exchange)
        self.connection.done(exchange)
        if self.flow.lost:
            self._host.closed(self)

    def _log(self, exchange: Http1Exchange) -> None:
        outcome = exchange.outcome
        access_logger.info(
            access_line(
                exchange.head.method,
                exchange.head.target.decode("latin-1"),
                exchange.status,
                exchange.bytes_sent,
                self._host.loop.time() - self._began,
                None if outcome in (None, Outcome.COMPLETED) else str(outcome),
                self.conn.client_ip,
            )
        )

    def cancel(self, reason: str) -> None:
        """Cancel the handler that runs, if one does, and say why; once, for it may need time to clean up."""
        exchange = self.connection.exchange
        if self._task is not None and exchange is not None and exchange.cancel_reason is None:
            exchange.cancel_reason = reason
            self._task.cancel(reason)

    def _client_left(self) -> None:
        """Stop the handler: nobody is left to work for.

        One that reads its request body is told by its read instead, after all that came; it gets a moment for that.
        """
        exchange: Exchange | None = self.connection.exchange
        if exchange is None or self._task is None or exchange.cancel_reason is not None or exchange.shielded:
            return
        exchange.cancel_reason = "disconnect"
        body = exchange.body
        if body.wanted and not body.complete:
            if not body.waiting:
                self._host.loop.call_later(_READING_GRACE, self._task.cancel, "disconnect")
        else:
            self._task.cancel("disconnect")

    # What the server calls

    def sweep(self, now: float) -> None:
        """Act on whatever is overdue."""
        due = self.watch.look(self.connection, self._host.clocks, now)
        if due is None:
            return
        logger.debug("%s: %s", self.conn.client_ip or "unix", due.value)
        if due is Due.HEAD:
            self.connection.refuse_timeout(RequestTimeout("the head of the request did not arrive in time"))
        elif due is Due.RESPONSE or due is Due.STREAM:
            self.cancel("timeout")
        elif due is Due.BODY and self.connection.exchange is not None:
            self.connection.exchange.keep_alive = False
            self.connection.exchange.body.fail(RequestTimeout("the body of the request stopped coming"))
        elif due is Due.WRITE:
            self.cancel("timeout")
            self.reset()
        else:
            self._transport.close()

    def shutdown(self) -> None:
        """Finish what is open and close."""
        self.connection.shutdown()

    def abort(self) -> None:
        """Close without waiting for anything."""
        self._transport.abort()
