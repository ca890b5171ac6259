"""How an application comes to be served: in this process, by workers, or inside a loop of the caller's.

It knows nothing of what the application answers.
"""

import importlib
import os
import pickle
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import inf
from typing import Any, Protocol

from sanicish import life
from sanicish.config import Config
from sanicish.exchange import Exchange
from sanicish.log import logger
from sanicish.log.queue import flush as flush_log
from sanicish.server.embedded import AsyncioServer
from sanicish.server.launch import Launch, NoWorkers, Plan, outline
from sanicish.server.link import Link
from sanicish.server.process import serve
from sanicish.server.protocol import HttpProtocol
from sanicish.server.serve import Server, Stage
from sanicish.server.sockets import Listening
from sanicish.server.supervisor import Limits, supervise
from sanicish.server.systemd import notify, passed_sockets

__all__ = ["MissingExtra", "NoWorkers", "Serving", "directories", "listening", "worker_count"]


_OF_WORKERS = ("ssl", "backlog", "protocol")  # what a worker has to know of how to listen


class MissingExtra(ImportError):
    """Something was asked for that needs an extra; the message says which."""


class Served(Protocol):
    """What is needed of the application."""

    name: str
    config: Config
    debug: bool

    async def handle(self, exchange: Exchange, /) -> None: ...

    async def run_listeners(self, event: str, /) -> None: ...

    def server_stopping(self) -> None: ...

    def run_in_main_process(self, event: str, /) -> None: ...


class Serving:
    """What ``run``, ``create_server`` and ``stop`` of an application do."""

    def __init__(self, app: Served) -> None:
        self._app = app
        self.server: Server | None = None
        self._ask_to_stop: Callable[[], None] = _nobody
        self._stop_asked = False  # before there was a server to be told
        self._supervising = False  # workers serve, and this process does not
        self._embedded: list[AsyncioServer] = []  # in loops of the caller's

    @property
    def url(self) -> str:
        """Where the application is served, empty when it is not."""
        return self.server.url if self.server is not None else ""

    def run(
        self,
        listen: dict[str, Any],
        *,
        workers: int,
        single_process: bool,
        reload: Sequence[str] | None,
        register_sys_signals: bool,
        motd: bool,
        again: Mapping[str, Any],
    ) -> None:
        """Serve until told to stop: here, or by workers that this process supervises, or as one of them.

        ``again`` are further arguments of ``run`` that a worker needs. In a worker it ends with the process.
        """
        app = self._app
        motd = motd and app.config.get("MOTD", True)
        self._forget()
        _open_standard_streams()
        link = Link.inherited()
        if link is not None:
            self._work(link, listen)
            raise SystemExit(0)
        _say_doubts(app.config)
        if listen["sock"] is None and listen["unix"] is None:
            listen["sock"] = passed_sockets() or None
        replacing = app.config["MAX_REQUESTS"] or app.config["MAX_MEMORY"] or reload is not None
        if (workers > 1 or replacing) and not single_process:
            launch = Launch(app, {**again, **{name: listen[name] for name in listen if name in _OF_WORKERS}})
            with nullcontext() if reload is None else _reloading()(reload):
                self._supervise(workers, launch, listen, motd, reloading=reload is not None)
            return

        def ready(server: Server) -> None:
            self._serves(server, server.ask_to_stop)
            if motd:
                _say(app, server.url, 1)

        app.run_in_main_process("main_process_start")
        try:
            serve(app, listen, register_sys_signals=register_sys_signals, on_ready=ready)
        finally:
            self._forget()
            app.run_in_main_process("main_process_stop")

    def _serves(self, server: Server, ask_to_stop: Callable[[], None]) -> None:
        """Connections are accepted; who has asked for the end before gets it now."""
        self.server = server
        self._ask_to_stop = ask_to_stop
        if self._stop_asked:
            ask_to_stop()

    def _work(self, link: Link, listen: dict[str, Any]) -> None:
        """Serve as a worker, which is not the main process."""
        if link.plan:
            plan: Plan = pickle.loads(link.plan)
            if plan.outline not in ("", outline(self._app)):
                link.run_otherwise(plan.command)
        listen["sock"] = link.listeners
        serve(self._app, listen, on_ready=lambda server: self._serves(server, link.stop_all), link=link)

    def _supervise(self, count: int, launch: Launch, listen: Mapping[str, Any], motd: bool, *, reloading: bool) -> None:
        """Listen, and keep so many workers until told to stop.

        Raises ``OSError`` when the address cannot be had, ``SystemExit`` when no worker starts.
        """
        app, config = self._app, self._app.config
        where = (listen[name] for name in ("host", "port", "unix", "sock"))
        found = Listening.on(
            *where, backlog=listen["backlog"], mode=config["UNIX_MODE"], reuse_port=config["REUSE_PORT"]
        )

        def serving() -> None:
            self._supervising = True
            if self._stop_asked:
                self.stop()
            notify("READY=1")
            if motd:
                _say(app, found.url(tls=listen["ssl"] is not None), count)

        # A worker ends by itself within its grace and what handlers may take to end; then it hangs.
        grace = config["GRACEFUL_SHUTDOWN_TIMEOUT"]
        patience = inf if grace is None else grace + config["STREAM_CLEANUP_TIMEOUT"] + (config["DRAIN_DELAY"] or 0) + 5
        # Who edits may also debug, and stops a worker on purpose.
        timeout = None if reloading or app.debug else config["WORKER_TIMEOUT"]
        limits = Limits(patience, config["START_TIMEOUT"], timeout or None, config["DRAIN_DELAY"] or 0.0)
        try:
            app.run_in_main_process("main_process_start")
            code = supervise(found, count, launch, limits, serving, reloading=reloading)
        finally:
            self._supervising = False
            self._forget()
            found.close()
            app.run_in_main_process("main_process_stop")
            flush_log()
        if code:
            raise SystemExit(code)

    async def create(self, listen: Mapping[str, Any], options: Mapping[str, Any] | None) -> AsyncioServer:
        """A server inside the loop that runs now; ``options`` are the loop's, and ``start_serving``."""
        app = self._app
        _say_doubts(app.config)
        options = dict(options or {})
        at_once = options.pop("start_serving", True)
        server = self.server = Server(app)

        async def start() -> None:
            try:
                await life.start(app, partial(server.start, **listen, **options))
            except BaseException:
                server.forced.set()
                await life.stop(app, server, started=False)
                raise

        asyncio_server = AsyncioServer(server, start)
        self._embedded = [one for one in self._embedded if one.server.stage is not Stage.STOPPING] + [asyncio_server]
        self._ask_to_stop = self._stop_embedded
        if at_once:
            await asyncio_server.start_serving()
        return asyncio_server

    def stop(self) -> None:
        """Stop gracefully, from any thread, and before it serves."""
        if self._supervising:
            os.kill(os.getpid(), signal.SIGINT)
        elif self.server is None:
            self._stop_asked = True
        elif not self.server.loop.is_closed():
            self.server.loop.call_soon_threadsafe(self._ask_to_stop)

    def _stop_embedded(self) -> None:
        for one in self._embedded:
            one.ask_to_stop()

    def _forget(self) -> None:
        self.server = None
        self._stop_asked = False


def _nobody() -> None:
    """Stands for who could be asked to stop, as long as there is nobody."""


def _open_standard_streams() -> None:
    """Open what was closed of descriptors 0 to 2 (``>&-``), lest a socket becomes one: libuv does not close these."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _say_doubts(config: Config) -> None:
    for sentence in config.doubts():
        logger.warning(sentence)


def _say(app: Served, url: str, workers: int) -> None:
    loop = "uvloop" if app.config["USE_UVLOOP"] else "asyncio"
    pool = f"{workers} worker{'s' if workers > 1 else ''}"
    logger.info("%s on %s (%s, %s, pid %d, Ctrl-C stops)", app.name, url, pool, loop, os.getpid())


def directories(auto_reload: bool | None, reload_dir: Any, config: Config) -> Sequence[str] | None:
    """The directories to watch: named ones, none of them for the current one, ``None`` for no reload at all."""
    named = [reload_dir] if isinstance(reload_dir, str | os.PathLike) else list(reload_dir or ())
    wanted = config.get("AUTO_RELOAD") if auto_reload is None else auto_reload
    return [os.fspath(one) for one in named] if wanted or named else None


def _reloading() -> Callable[[Sequence[str]], AbstractContextManager[None]]:
    """What watches files; its room is loaded only here, for it needs an extra."""
    try:
        found: Callable[..., Any] = importlib.import_module("sanicish.server.reloading").renewing_on_change
    except ImportError as error:
        raise MissingExtra(str(error)) from error
    return found


def listening(
    host: str | None,
    port: int | None,
    unix: str | None,
    sock: Any,
    ssl: Any,
    backlog: int,
    protocol: type[HttpProtocol] | None,
) -> dict[str, Any]:
    """Where to listen, and how, as the server takes it."""
    own = {} if protocol is None else {"protocol": protocol}
    return {"host": host, "port": port, "unix": unix, "sock": sock, "ssl": ssl, "backlog": backlog, **own}


def worker_count(workers: int | str) -> int:
    """How many workers; ``auto`` is one for each processor."""
    if workers == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(workers))
