"""Sockets, signals and the graceful stop."""

import asyncio
import os
import signal
import socket
import ssl as tls
import stat
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import uvloop

from sanicish.config import Config
from sanicish.exceptions import ServerError, ServiceUnavailable
from sanicish.exchange import Exchange, Handler, RequestHead
from sanicish.http1.serialize import DateField
from sanicish.log import error_logger, logger
from sanicish.server.heap import keep_freed_memory
from sanicish.server.protocol import HttpProtocol
from sanicish.server.supervisor import Link
from sanicish.server.timeouts import interval

__all__ = ["Application", "AsyncioServer", "Server", "listening", "new_loop", "serve", "tls_context", "unix_socket"]

_SWEEP_SLICE = 500  # connections looked at before others get their turn

# A peer that vanished without a word is asked after by the kernel; connections inherit this from their listener.
_KEEP_ALIVE = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)]


class Application(Protocol):
    """What a server needs of the application it serves."""

    name: str
    config: Config

    async def handle(self, exchange: Exchange, /) -> None: ...

    async def run_listeners(self, event: str, /) -> None: ...

    def server_stopping(self) -> None: ...


def new_loop(config: Mapping[str, Any]) -> Callable[[], asyncio.AbstractEventLoop]:
    """The factory of the event loop to run on: uvloop's, unless the settings say otherwise."""
    return uvloop.new_event_loop if config.get("USE_UVLOOP", True) else asyncio.new_event_loop


def tls_context(ssl: Any) -> tls.SSLContext | None:
    """A TLS context from what ``run(ssl=)`` takes: a context, or a mapping with ``cert`` and ``key`` paths."""
    if ssl is None or isinstance(ssl, tls.SSLContext):
        return ssl
    cert = ssl.get("cert") or ssl.get("certificate")
    key = ssl.get("key") or ssl.get("keyfile")
    if not cert or not key:
        raise ServerError("ssl needs both a cert and a key")
    context = tls.create_default_context(purpose=tls.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, keyfile=key, password=ssl.get("password"))
    return context


def unix_socket(path: str, backlog: int, mode: int = 0o666) -> socket.socket:
    """Listen on a unix socket; one that a dead server left behind is replaced."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            raise FileExistsError(f"{path} exists and is no socket")
    sock = socket.socket(socket.AF_UNIX)
    fresh = f"{path}.{os.getpid()}"
    try:
        sock.bind(fresh)
        os.chmod(fresh, mode)
        sock.listen(backlog)
        os.rename(fresh, path)  # so that there is never a moment without a socket at this path
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(fresh)
        sock.close()
        raise
    return sock


def listening(host: str | None, port: int | None, backlog: int) -> socket.socket:
    """A socket that listens on one address; raises ``OSError`` when it cannot be had."""
    address = host or "127.0.0.1", 8000 if port is None else port
    family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server(address, family=family, backlog=backlog)


class Server:
    """An application on its sockets, from the first connection to the last."""

    def __init__(self, app: Application, *, access_log: bool | None = None) -> None:
        config = app.config
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = self.loop.create_task
        self.handler: Handler = app.handle
        self.limits = config.limits()
        self.clocks = config.clocks()
        self.date = DateField()
        self.heads: dict[bytes, RequestHead] = {}
        self.high_water: int = config["RESPONSE_BUFFER_SIZE"]
        self.slice_seconds: float = config["FAIRNESS_SLICE"]
        self.max_connections: int | None = config["MAX_CONNECTIONS"]
        self.access_log: bool = config["ACCESS_LOG"] if access_log is None else access_log
        self.id_header: str | None = config["REQUEST_ID_HEADER"]
        self.stopping = False
        self.connections: set[HttpProtocol] = set()
        self._server: asyncio.Server | None = None
        self._unix: str | None = None
        self._tls = False
        self._sweeper: asyncio.Task[None] | None = None
        self._all_closed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self.asked = asyncio.Event()  # to stop
        self.forced = asyncio.Event()  # to stop without waiting for anything

    # What connections call

    @property
    def cleanup_seconds(self) -> float:
        """How long a handler that was cancelled may take to end."""
        seconds: float = self.app.config["STREAM_CLEANUP_TIMEOUT"]
        return seconds

    def opened(self, protocol: HttpProtocol) -> None:
        """A connection was made."""
        self.connections.add(protocol)
        if self.stopping:
            protocol.shutdown()
        elif self.max_connections is not None and len(self.connections) > self.max_connections:
            protocol.refuse(ServiceUnavailable("too many connections; try again later"))

    def closed(self, protocol: HttpProtocol) -> None:
        """A connection is gone, and so is its handler."""
        self.connections.discard(protocol)
        if not self.connections and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    # Life

    async def start(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        unix: str | None = None,
        sock: socket.socket | None = None,
        ssl: Any = None,
        backlog: int = 100,
        protocol: type[HttpProtocol] = HttpProtocol,
        **options: Any,
    ) -> None:
        """Listen and accept; raises ``OSError`` when the address cannot be had."""

        def factory() -> HttpProtocol:
            return protocol(self)

        context = tls_context(ssl)
        self._tls = context is not None
        if unix is not None:
            sock = unix_socket(unix, backlog)
            self._unix = unix
        if sock is not None:
            self._server = await self.loop.create_server(factory, sock=sock, ssl=context, backlog=backlog, **options)
        else:
            self._server = await self.loop.create_server(
                factory, host or "127.0.0.1", 8000 if port is None else port, ssl=context, backlog=backlog, **options
            )
        for one in self._server.sockets:
            if one.family != socket.AF_UNIX:
                _ask_after_peers(one)
        if self.loop.get_task_factory() is None:  # what the loop does then, without making up a name for each
            self.create_task = partial(asyncio.Task, loop=self.loop, name="handler")
        self._sweeper = self.loop.create_task(self._sweep())

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The sockets that are listened on."""
        return tuple(self._server.sockets) if self._server is not None else ()

    @property
    def address(self) -> Any:
        """The address of the first socket: ``(host, port)``, or a path."""
        return self._unix or self.sockets[0].getsockname()  # bound under another name, then renamed

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        address = self.address
        return int(address[1]) if isinstance(address, tuple) else 0

    @property
    def url(self) -> str:
        """Where the server is found; empty before it listens."""
        if self._server is None:
            return ""
        address = self.address
        if isinstance(address, str):
            return f"unix:{address}"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if self._tls else 'http'}://{host}:{address[1]}"

    async def _sweep(self) -> None:
        pause = interval(self.clocks)
        while True:
            await asyncio.sleep(pause)
            for count, protocol in enumerate(tuple(self.connections), 1):
                try:
                    protocol.sweep(self.loop.time())
                except Exception:  # of one connection; the clocks of the others must go on
                    error_logger.exception("looking after a connection failed")
                    protocol.abort()
                if not count % _SWEEP_SLICE:
                    await asyncio.sleep(0)

    def ask_to_stop(self) -> None:
        """Stop gracefully; asked again, at once."""
        (self.forced if self.asked.is_set() else self.asked).set()

    def cut(self) -> None:
        """Close every connection that is still open, whatever it is doing."""
        for protocol in tuple(self.connections):
            protocol.abort()

    def accept_no_more(self) -> None:
        """Stop listening; what is open goes on."""
        if self._server is not None:
            self._server.close()

    async def stop(self, grace: float | None = None) -> None:
        """Stop: accept no more, let what is open finish for ``grace`` seconds, then cancel it and close."""
        if self.stopping:
            await self._ended.wait()
            return
        self.stopping = True
        try:
            self.accept_no_more()
            self.app.server_stopping()
            for protocol in tuple(self.connections):
                protocol.shutdown()
            if not await self._wait_closed(self.app.config["GRACEFUL_SHUTDOWN_TIMEOUT"] if grace is None else grace):
                logger.info("%d connections are still open; they are cut now", len(self.connections))
                for protocol in tuple(self.connections):
                    protocol.cancel("shutdown")
                await self._wait_closed(self.cleanup_seconds)
        finally:
            self.cut()
            if self._sweeper is not None:
                self._sweeper.cancel()
            if self._unix is not None:
                with suppress(FileNotFoundError):
                    os.unlink(self._unix)
            await self._wait_closed(1)
            for protocol in self.connections:
                protocol.let_go()
            self._ended.set()

    async def wait_stopped(self) -> None:
        """Wait until somebody has stopped the server."""
        await self._ended.wait()

    async def _wait_closed(self, seconds: float) -> bool:
        if not self.connections:
            return True
        self._all_closed = self.loop.create_future()
        try:
            async with asyncio.timeout(seconds):
                await self._all_closed
        except TimeoutError:
            return False
        finally:
            self._all_closed = None
        return True


class AsyncioServer:
    """What ``app.create_server`` returns: a server inside a loop of the caller's."""

    def __init__(self, server: Server, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.server = server
        self._start = start
        self._serving = False
        self._changing = asyncio.Lock()  # who closes while it starts waits until it has
        self._stopping: asyncio.Task[None] | None = None

    @property
    def connections(self) -> set[HttpProtocol]:
        """The connections that are open."""
        return self.server.connections

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The sockets that are listened on."""
        return self.server.sockets

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self.server.port

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._serving and not self.server.stopping

    async def startup(self) -> None:
        """Part of Sanic's calling order; all is done by ``start_serving``."""

    async def before_start(self) -> None:
        """Part of Sanic's calling order; the listeners run by themselves."""

    after_start = before_stop = after_stop = before_start

    async def start_serving(self) -> None:
        """Run the start listeners and accept connections."""
        async with self._changing:
            if not self._serving:
                await self._start()
                self._serving = True

    async def serve_forever(self) -> None:
        """Serve until ``close``, ``app.stop`` or until cancelled; then stop."""
        await self.start_serving()
        try:
            await self.server.asked.wait()
        finally:
            await self.close()

    async def _stop(self) -> None:
        self.server.asked.set()
        async with self._changing:
            self.server.accept_no_more()
            await self.server.app.run_listeners("before_server_stop")
            await self.server.stop()
            await self.server.app.run_listeners("after_server_stop")

    def close(self) -> asyncio.Task[None]:
        """Begin to stop, unless that has begun; ``wait_closed`` waits for the end."""
        if self._stopping is None:
            self._stopping = self.server.loop.create_task(self._stop())
        return self._stopping

    async def wait_closed(self) -> None:
        """Wait until everything is closed."""
        await self.server.wait_stopped()
        if self._stopping is not None:
            await asyncio.shield(self._stopping)

    async def __aenter__(self) -> "AsyncioServer":
        await self.start_serving()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __await__(self) -> Any:
        return self.start_serving().__await__()


def serve(
    app: Application,
    listen: Mapping[str, Any],
    *,
    register_sys_signals: bool = True,
    access_log: bool | None = None,
    on_ready: Callable[[Server], None] | None = None,
    link: Link | None = None,
    max_requests: int | None = None,
) -> None:
    """Run an application in this process until it is told to stop.

    ``listen`` goes to ``Server.start``; ``on_ready`` is told when connections are accepted. SIGINT and SIGTERM stop
    gracefully, a second one at once. A worker has a ``link`` to its supervisor, which it asks to be replaced after
    ``max_requests``.
    """
    keep_freed_memory()
    with asyncio.Runner(loop_factory=new_loop(app.config)) as runner:
        runner.run(_serve(app, listen, register_sys_signals, access_log, on_ready, link, max_requests))


async def _serve(
    app: Application,
    listen: Mapping[str, Any],
    register_sys_signals: bool,
    access_log: bool | None,
    on_ready: Callable[[Server], None] | None,
    link: Link | None,
    max_requests: int | None,
) -> None:
    server = Server(app, access_log=access_log)
    if link is not None:
        link.obey(server, max_requests)
    elif register_sys_signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            server.loop.add_signal_handler(number, server.ask_to_stop)
    try:
        await app.run_listeners("before_server_start")
        await server.start(**listen)
        if on_ready is not None:
            on_ready(server)
        await app.run_listeners("after_server_start")
        if link is not None:
            link.ready()
        await server.asked.wait()
        server.accept_no_more()
        await _until(server.forced, app.run_listeners("before_server_stop"))
        if server.connections:
            logger.info("stopping; %d connections are open (once more cuts them)", len(server.connections))
    finally:
        await _until(server.forced, server.stop())
        await _until(server.forced, app.run_listeners("after_server_stop"))


def _ask_after_peers(listener: Any) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _until(forced: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, or leave it when the second signal comes."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.ensure_future(forced.wait())
    await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if not task.done():
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
