"""One server from its first connection to the last: its sockets, the drain and the graceful stop."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import copy_context
from enum import StrEnum
from functools import partial
from socket import socket
from typing import Any, Protocol

import uvloop

from sanicish.config import Config
from sanicish.exceptions import SanicException
from sanicish.exchange import Exchange, Handler
from sanicish.http.forwarded import forwarded_client, is_proxied
from sanicish.log import error_logger, logger
from sanicish.server.alpn import negotiate
from sanicish.server.listener import Listener, Trust
from sanicish.server.places import Places, with_client_limit
from sanicish.server.probes import with_probes
from sanicish.server.protocol import HttpProtocol
from sanicish.server.shortage import Shortage
from sanicish.server.sockets import Listening
from sanicish.server.timeouts import interval
from sanicish.server.tls import renew_certificate, tls_context
from sanicish.server.wires import new_date
from sanicish.streams.flow import Turn

__all__ = ["Application", "Server", "Stage", "new_loop"]

_SWEEP_SLICE = 500  # connections looked at before others get their turn
_LAST_ARRIVALS = 0.1  # seconds to accept what waits when the server stops listening
_FIRST_REQUEST = 0.5  # seconds for what a connection that was accepted at the last moment asks
_HANDSHAKE = 60.0  # seconds for TLS to begin or to end, where the settings set no limit
_ONE_MORE = 5.0  # seconds for one more request, where a successor makes it no loss to stay
_OF_ADDRESSES = ("family", "flags", "reuse_address", "reuse_port")  # options of loop.create_server


class Stage(StrEnum):
    """What a server is doing."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"  # every response says that nobody should come, and who does is served
    STOPPING = "stopping"


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


CreateTask = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


def _in_own_context(loop: asyncio.AbstractEventLoop) -> CreateTask:
    """What creates the tasks of exchanges, each in a copy of the context of now.

    A pipelined request is started by the task of the one before it, whose context is none of its business.
    """
    context = copy_context()

    def create(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # What the loop does without a task factory, but for a name that would be made up for each.
        return asyncio.Task(coroutine, loop=loop, name="handler", context=context.copy())

    def create_by_factory(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return context.copy().run(loop.create_task, coroutine)  # not every factory takes a context

    return create if loop.get_task_factory() is None else create_by_factory


class Server:
    """An application on its sockets, from the first connection to the last."""

    def __init__(self, app: Application, *, access_log: bool | None = None) -> None:
        config = app.config
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.create_task = _in_own_context(self.loop)
        # Callbacks of ours run in the server's context: it is not copied for each, and none keeps a request alive.
        self.call_soon: Callable[..., Any] = partial(self.loop.call_soon, context=copy_context())
        self._proxied = is_proxied(config)
        self.handler: Handler = with_probes(self._limited(app.handle), self, config)
        self.limits = config.limits()
        self.timeouts = config.timeouts()
        self.date = new_date()
        self.turn = Turn(self.call_soon, config["FAIRNESS_SLICE"])
        self.high_water: int = config["RESPONSE_BUFFER_SIZE"]
        self.access_log: bool = config["ACCESS_LOG"] if access_log is None else access_log
        self.id_field = config.id_field
        self.stage = Stage.STARTING
        self.connections: set[HttpProtocol] = set()
        self._arriving: set[HttpProtocol] = set()  # connections that are not ready for HTTP yet
        of_one = None if self._proxied else config["MAX_CONNECTIONS_PER_CLIENT"]
        self._places = Places(config["MAX_CONNECTIONS"], of_one)
        self._shortage = Shortage()
        self.address: Any = None  # of the first socket: (host, port), or a path
        self.url = ""  # where the server is found; empty before it listens
        self._listening = Listening(())
        self._servers: list[asyncio.AbstractServer | Listener] = []
        self._ssl: Any = None
        self._context: Any = None
        self._sweeper: asyncio.Task[None] | None = None
        self._all_closed: asyncio.Future[None] | None = None
        self._ended = asyncio.Event()
        self.asked = asyncio.Event()  # to stop
        self.interrupted = asyncio.Event()  # and not by the application itself
        self.forced = asyncio.Event()  # to stop without waiting for anything
        self.drain_seconds = 0.0  # to go on accepting once asked
        self.kept_seconds = 0.0  # for one more request on a connection that was to be kept, when it stops

    # What connections call

    @property
    def cleanup_seconds(self) -> float:
        """How long a handler that was cancelled may take to end."""
        seconds: float = self.app.config["STREAM_CLEANUP_TIMEOUT"]
        return seconds

    def _limited(self, handler: Handler) -> Handler:
        """Behind a proxy a client is known by its requests, not by connections."""
        most = self.app.config["MAX_CONNECTIONS_PER_CLIENT"]
        return with_client_limit(handler, most, self._named) if self._proxied and most is not None else handler

    def _named(self, exchange: Exchange) -> str:
        """The client that a trusted proxy names, empty if it names none."""
        return forwarded_client(exchange.head.fields, self.app.config)

    def client_of(self, exchange: Exchange) -> str:
        """Who asked, as the log tells it: the client that a trusted proxy names, else the peer."""
        return (self._named(exchange) if self._proxied else "") or exchange.conn.peer

    def opened(self, protocol: HttpProtocol) -> None:
        """A connection was made."""
        self.connections.add(protocol)
        if protocol in self._arriving:
            self._arriving.remove(protocol)
        elif not self._admit(protocol, protocol.conn.client_ip):
            protocol.abort()
            return
        if protocol.refusal is not None:
            protocol.refuse(protocol.refusal)
        elif self.stage is Stage.STOPPING:
            self._send_off(protocol)
        elif self.stage is Stage.DRAINING:
            protocol.drain()

    def closed(self, protocol: HttpProtocol) -> None:
        """A connection is gone, and so is its handler."""
        if protocol in self.connections:
            self.connections.remove(protocol)
            self._leave(protocol)

    def _admit(self, protocol: HttpProtocol, address: str) -> bool:
        """Give a connection its place, or a refusal; False if it has to be closed without a response."""
        try:
            protocol.place = self._places.take(address)
        except SanicException as error:
            if not self._places.refuse():
                return False
            protocol.refusal = error
        return True

    def _leave(self, protocol: HttpProtocol) -> None:
        if protocol.place is not None:
            self._places.leave(protocol.place)
        elif protocol.refusal is not None:
            self._places.refused()
        if not self.connections and not self._arriving and self._all_closed is not None and not self._all_closed.done():
            self._all_closed.set_result(None)

    # What a listener calls

    def arrived(self, protocol: HttpProtocol, address: str) -> bool:
        """A connection was accepted that is not ready for HTTP yet; False if it has to be closed at once."""
        if not self._admit(protocol, address):
            return False
        self._arriving.add(protocol)
        return True

    def named(self, protocol: HttpProtocol, address: str) -> None:
        """Its preamble has named the client."""
        if protocol.place is not None:
            self._places.leave(protocol.place)
            protocol.place = None
            if not self._admit(protocol, address):
                raise ConnectionAbortedError("too many connections are being refused")

    def vanished(self, protocol: HttpProtocol) -> None:
        """A connection has ended before it was ready for HTTP."""
        if protocol in self._arriving:
            self._arriving.remove(protocol)
            self._leave(protocol)

    def exhausted(self, error: OSError) -> None:
        """A connection could not be accepted."""
        self._shortage.report(error, len(self.connections))

    # Life

    async def start(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        unix: str | None = None,
        sock: socket | Iterable[socket] | None = None,
        ssl: Any = None,
        backlog: int = 100,
        protocol: type[HttpProtocol] = HttpProtocol,
        **options: Any,
    ) -> None:
        """Listen and accept; raises ``OSError`` when the address cannot be had."""

        def factory() -> HttpProtocol:
            return protocol(self)

        self._ssl, self._context = ssl, tls_context(ssl)
        if self._context is not None:
            negotiate(self._context)
            options.setdefault("ssl_handshake_timeout", self.timeouts.head or _HANDSHAKE)
            options.setdefault("ssl_shutdown_timeout", self.timeouts.close or _HANDSHAKE)
        config = self.app.config
        where = {"reuse_port": config["REUSE_PORT"]}
        where |= {name: options.pop(name) for name in _OF_ADDRESSES if name in options}
        listening = Listening.on(host, port, unix, sock, backlog=backlog, mode=config["UNIX_MODE"], **where)
        self._listening = listening
        trust = Trust(config["TRUSTED_PROXIES"]) if config["PROXY_PROTOCOL"] else None
        plain = self._context is None and trust is None
        for one in listening.sockets:
            if plain and isinstance(self.loop, uvloop.Loop):  # which accepts faster than Python does
                self._servers.append(await self.loop.create_server(factory, sock=one, backlog=backlog, **options))
            else:
                patience = None if plain else self.timeouts.head
                options["ssl"] = self._context
                self._servers.append(
                    Listener(one, backlog, self, factory, trust=trust, patience=patience, options=options)
                )
        self.address = listening.address
        self.url = listening.url(tls=self._context is not None)
        self.create_task = _in_own_context(self.loop)
        self._sweeper = self.loop.create_task(self._sweep())

    def started(self) -> None:
        """All listeners of the start are done, in this context: exchanges begin with what they have set in it."""
        self.create_task = _in_own_context(self.loop)
        if self.stage is Stage.STARTING:
            self.stage = Stage.SERVING

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The sockets that are listened on."""
        return self._listening.sockets if self._servers else ()

    @property
    def port(self) -> int:
        """The port that is listened on, also when 0 was asked for."""
        return int(self.address[1]) if isinstance(self.address, tuple) else 0

    @property
    def state(self) -> str:
        """In a word: starting, serving, or stopping; where a successor serves, serving."""
        if self.stage is Stage.STARTING or self.stage is Stage.SERVING:
            return str(self.stage)
        return str(Stage.SERVING if self.kept_seconds else Stage.STOPPING)

    def renew_certificate(self) -> None:
        """Read certificate and key again; those that are of no use change nothing."""
        try:
            renew_certificate(self._context, self._ssl)
        except OSError as error:
            error_logger.error("the certificate is not renewed: %s", error)
        else:
            logger.info("the certificate was read again")

    async def _sweep(self) -> None:
        pause = interval(self.timeouts)
        while True:
            await asyncio.sleep(pause)
            self._shortage.look(len(self.connections))
            for count, protocol in enumerate(tuple(self.connections), 1):
                try:
                    protocol.sweep(self.loop.time())
                except Exception:  # of one connection; the timeouts of the others must go on
                    error_logger.exception("looking after a connection failed")
                    protocol.abort()
                if not count % _SWEEP_SLICE:
                    await asyncio.sleep(0)

    def yield_to_successor(self) -> None:
        """Stop for a successor that accepts already: then there is time to let go of nobody who is just asking."""
        grace = self.app.config["GRACEFUL_SHUTDOWN_TIMEOUT"]
        self.kept_seconds = _ONE_MORE if grace is None else min(_ONE_MORE, grace / 2)
        self.ask_to_stop()

    def interrupt(self, *, drain: bool = False) -> None:
        """Stop as ``ask_to_stop`` does, and give up a start that is not complete."""
        self.interrupted.set()
        self.ask_to_stop(drain=drain)

    def ask_to_stop(self, *, drain: bool = False) -> None:
        """Stop gracefully, where ``drain`` asks for it only after ``DRAIN_DELAY``; asked again, at once."""
        if self.asked.is_set():
            self.forced.set()
            return
        self.drain_seconds = self.app.config["DRAIN_DELAY"] or 0.0 if drain else 0.0
        self.asked.set()

    async def drain(self) -> None:
        """Serve whoever comes for ``DRAIN_DELAY``, but say that nobody should: by the probes, and by every response."""
        seconds, self.drain_seconds = self.drain_seconds, 0.0
        if seconds:
            logger.info("draining for %g s", seconds)
            self.stage = Stage.DRAINING
            for protocol in tuple(self.connections):
                protocol.drain()
            await asyncio.sleep(seconds)

    def abort(self) -> None:
        """Close every connection that is still open, whatever it is doing."""
        for protocol in tuple(self.connections):
            protocol.cancel("shutdown")
            protocol.abort()

    async def accept_no_more(self) -> None:
        """Stop listening; what is open goes on, and what has been connected is accepted before."""
        if self._servers:
            self._listening.turn_away()
            ends = self.loop.time() + _LAST_ARRIVALS
            while self._listening.has_waiting() and self.loop.time() < ends:  # noqa: ASYNC110 (the loop accepts)
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # the last ones are on their way from the listener
        for one in self._servers:
            one.close()
        self._servers = []
        self._listening.close()

    async def stop(self, grace: float | None = None) -> None:
        """Stop: accept no more, let what is open finish for ``grace`` seconds, then cancel it and close."""
        if self.stage is Stage.STOPPING:
            await self._ended.wait()
            return
        self.stage = Stage.STOPPING
        if self.connections and self.interrupted.is_set():
            count = len(self.connections)
            open_ones = "1 connection is" if count == 1 else f"{count} connections are"
            logger.info("stopping; %s open (once more cuts)", open_ones)
        try:
            await self.accept_no_more()
            self.app.server_stopping()
            for protocol in tuple(self.connections):
                self._send_off(protocol)
            if grace is None:
                grace = 0 if self.forced.is_set() else self.app.config["GRACEFUL_SHUTDOWN_TIMEOUT"]
            if not await self._wait_closed(grace):
                logger.info("%d connections are still open; they are cut now", len(self.connections))
                for protocol in tuple(self.connections):
                    protocol.cancel("shutdown")
                await self._wait_closed(self.cleanup_seconds)
        finally:
            self.abort()
            if self._sweeper is not None:
                self._sweeper.cancel()
            await self._wait_closed(1)
            for protocol in self.connections:
                protocol.abandon()
            self._ended.set()

    def _send_off(self, protocol: HttpProtocol) -> None:
        """Let a connection end; one that has just been accepted has a request on its way, which is answered."""
        seconds = _FIRST_REQUEST if protocol.awaits_head else self.kept_seconds
        if seconds:
            protocol.drain(stopping=True)
            self.loop.call_later(seconds, protocol.finish, _FIRST_REQUEST)
        else:
            protocol.finish(_FIRST_REQUEST)

    async def wait_stopped(self) -> None:
        """Wait until somebody has stopped the server."""
        await self._ended.wait()

    async def _wait_closed(self, seconds: float) -> bool:
        if not self.connections and not self._arriving:
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
