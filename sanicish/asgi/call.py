"""One exchange between a server's receive and send and our handler: three that work at once.

The handler runs in a task of its own, another one reads what the client sends and learns that it left, and the
server's own call sends what was written. Whatever goes wrong after the head leaves as an exception, which is how
an ASGI server is told to cut.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextvars import copy_context
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from sanicish.asgi.exchange import AsgiExchange
from sanicish.config import Config
from sanicish.exceptions import RequestAborted, ResponseCut
from sanicish.exchange import ConnInfo, Handler, Outcome, RequestHead
from sanicish.handling import HandlerTask
from sanicish.log import error_logger
from sanicish.streams.flow import HOLD_BODY, FlowControl, Turn
from sanicish.streams.incoming import EMPTY, RequestStream

__all__ = ["AsgiCall", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, Turn] = WeakKeyDictionary()  # of the loops that serve


class AsgiCall:
    """One exchange of an ASGI server."""

    def __init__(self, handler: Handler, config: Config, scope: Scope, receive: Receive, send: Send) -> None:
        self._patience: float = config["STREAM_CLEANUP_TIMEOUT"]
        self._receive = receive
        self._send = send
        self._context = copy_context()  # of the server's call
        self._news = asyncio.Event()  # something is to be sent, or the handler has ended
        self._reading: asyncio.Event | None = None  # to be set when no more is unread than should be
        loop = asyncio.get_running_loop()
        turn = _turns.get(loop)
        if turn is None:
            turn = _turns[loop] = Turn(loop.call_soon, config["FAIRNESS_SLICE"])
        self._flow = FlowControl(self, turn)
        self._reader: asyncio.Task[None] | None = None
        head = _head(scope)
        self._waits = head.expect_continue  # the first receive() sends 100 Continue
        body = EMPTY
        if head.body_length != 0:
            body = RequestStream(
                self._flow,
                HOLD_BODY,
                config["REQUEST_BUFFER_SIZE"],
                head.body_length,
                config["REQUEST_STREAM_MAX_SIZE"],
                self._read_now,
            )
            body.fields = head.fields
        self.exchange = AsgiExchange(
            head,
            body,
            _conn(scope),
            self._flow,
            self._news.set,
            config["RESPONSE_BUFFER_SIZE"],
            config["RESPONSE_BUFFER_LIMIT"],
            "http.response.early_hint" in (scope.get("extensions") or {}),
        )
        self._handling = HandlerTask(loop, asyncio.create_task, handler, self._flow, self._handled)

    async def run(self) -> None:
        """Answer; raises ``ResponseCut`` if the response could not be completed, so that the server cuts it."""
        exchange = self.exchange
        task = self._handling.start(exchange)
        if not self._waits:
            self._read_now()
        try:
            await self._write(task)
        except BaseException as error:  # the server has had enough, or cannot send
            self._flow.connection_lost()
            self._handling.cancel("shutdown" if isinstance(error, asyncio.CancelledError) else "abort")
            raise
        finally:
            await self._handler_ended(task)
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.sleep(0)  # the turn in which it ends
        if exchange.outcome is not Outcome.COMPLETED and not self._flow.lost:
            raise ResponseCut(
                f"the response to {exchange.head.method} {exchange.head.path} was cut: {exchange.outcome}"
            )

    # The handler

    def _handled(self, exchange: AsgiExchange) -> None:
        body = exchange.body
        if not body.complete:  # whoever reads on behind the handler's back must not wait for ever
            body.discard()
            body.fail(RequestAborted("the request was answered before its body had arrived"))
        self._news.set()

    async def _handler_ended(self, task: asyncio.Task[None]) -> None:
        """Wait until the handler has cleaned up; one that was cancelled and goes on is asked again."""
        while not task.done():
            await asyncio.wait((task,), timeout=self._patience)
            self._handling.overdue(asyncio.get_running_loop().time(), self._patience)

    # What it writes

    async def _write(self, task: asyncio.Task[None]) -> None:
        """Send what is written, until there is nothing more or nobody to send it to."""
        exchange, flow, news = self.exchange, self._flow, self._news
        while not flow.lost:
            messages = exchange.take()
            for message in messages:
                try:
                    await self._send(message)
                except OSError:  # as specified for a client that is gone
                    self._client_left()
                    return
            if messages:
                exchange.taken()
            elif task.done():
                return
            else:
                await news.wait()
                news.clear()

    # What the client sends

    def _read_now(self) -> None:
        if self._reader is None:
            # Not in the handler's context: what the server does as it is asked for more may begin the next request.
            self._reader = self._context.run(asyncio.create_task, self._read())

    def pause_reading(self) -> None:
        """Take no more for now; asked by the flow control."""
        self._reading = asyncio.Event()

    def resume_reading(self) -> None:
        """Go on."""
        if self._reading is not None:
            self._reading.set()
            self._reading = None

    async def _read(self) -> None:
        body = self.exchange.body
        try:
            while True:
                if self._reading is not None:
                    await self._reading.wait()
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    break
                if body is not EMPTY:
                    self._feed(body, message)
        except Exception:
            error_logger.exception("reading %s failed", self.exchange.head.path)
        self._client_left()

    def _feed(self, body: RequestStream, message: MutableMapping[str, Any]) -> None:
        data = message.get("body")
        if data:
            body.feed(data)
        if not message.get("more_body"):
            if body.total is not None and body.received < body.total:
                body.fail(RequestAborted("the client left in the middle of its body"))
            else:
                body.feed_eof()

    def _client_left(self) -> None:
        """The client has left, or has its response, which a server says in the same way."""
        exchange, body = self.exchange, self.exchange.body
        known = self._flow.lost
        self._flow.connection_lost()
        self._news.set()
        if not known and exchange.outcome is None:
            self._handling.client_left()
        if not body.complete:
            body.fail(RequestAborted("the client left in the middle of its body"))


def _head(scope: Scope) -> RequestHead:
    """The request line and fields, with a target below the path that the application is mounted at."""
    fields = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
    version: str = scope.get("http_version", "1.1")
    said = dict(fields)
    length: int | None = None  # not known
    text = said.get(b"content-length", b"")
    if text.isdigit() and b"transfer-encoding" not in said:
        length = int(text)
    elif version.startswith("1") and b"transfer-encoding" not in said:
        length = 0
    return RequestHead(
        scope["method"],
        _target(scope),
        version,
        fields,
        body_length=length,
        expect_continue=said.get(b"expect", b"").lower() == b"100-continue",
    )


def _target(scope: Scope) -> bytes:
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    raw: bytes | None = scope.get("raw_path")
    target = quote(path).encode() if raw is None else raw.partition(b"?")[0]
    if root and f"{path}/".startswith(f"{root}/"):
        inner = path[len(root) :]
        quoted = quote(root).encode()
        target = target[len(quoted) :] if target.startswith(quoted) else quote(inner).encode()
        target = target or b"/"
    query: bytes = scope.get("query_string", b"")
    return target + b"?" + query if query else target


def _conn(scope: Scope) -> ConnInfo:
    conn = ConnInfo()
    conn.peername = _address(scope.get("client"))
    conn.sockname = _address(scope.get("server"))
    if scope.get("scheme") == "https":
        conn.ssl_object = (scope.get("extensions") or {}).get("tls", {})
    return conn


def _address(pair: Sequence[Any] | None) -> tuple[Any, ...] | None:
    """Host and port; Granian gives the port as text."""
    if not pair:
        return None
    host, port = pair
    return host, int(port) if isinstance(port, str) and port.isdecimal() else port
