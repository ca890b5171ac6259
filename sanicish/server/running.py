"""How an application comes to be served: in this process, by workers, or inside a loop of the caller's.

It knows nothing of what the application answers.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from sanicish.config import Config
from sanicish.exchange import Exchange
from sanicish.log import logger
from sanicish.server.serve import AsyncioServer, Server, listening, serve, unix_socket
from sanicish.server.supervisor import Link, supervise

__all__ = ["Serving", "worker_count"]


class Served(Protocol):
    """What is needed of the application."""

    name: str
    config: Config

    async def handle(self, exchange: Exchange, /) -> None: ...

    async def run_listeners(self, event: str, /) -> None: ...

    def server_stopping(self) -> None: ...

    def run_in_main_process(self, event: str, /) -> None: ...


class Serving:
    """What ``run``, ``create_server`` and ``stop`` of an application do."""

    def __init__(self, app: Served) -> None:
        self._app = app
        self.server: Server | None = None
        self._stop_asked = False  # before there was a server to be told

    @property
    def url(self) -> str:
        """Where the application is served, empty when it is not."""
        return self.server.url if self.server is not None else ""

    def run(
        self,
        listen: dict[str, Any],
        *,
        workers: int,
        max_requests: int | None,
        single_process: bool,
        register_sys_signals: bool,
        access_log: bool | None,
        motd: bool,
    ) -> None:
        """Serve until told to stop: here, or by workers that this process supervises, or as one of them."""
        app = self._app
        motd = motd and app.config.get("MOTD", True)
        link = Link.inherited()
        if link is None and (workers > 1 or max_requests) and not single_process:
            _supervise(app, workers, listen, motd)
            return

        def ready(server: Server) -> None:
            self.server = server
            if link is None and motd:
                logger.info("%s on %s (pid %d, Ctrl-C stops)", app.name, server.url, os.getpid())
            if self._stop_asked:
                server.ask_to_stop()

        self.server = None
        self._stop_asked = False
        if link is not None:  # and this is not the main process
            if listen["sock"] is None or listen["sock"].fileno() != link.listener:
                listen["sock"] = socket.socket(fileno=link.listener)
            listen["unix"] = None  # it listens already
            serve(app, listen, access_log=access_log, on_ready=ready, link=link, max_requests=max_requests)
            return
        app.run_in_main_process("main_process_start")
        try:
            serve(app, listen, register_sys_signals=register_sys_signals, access_log=access_log, on_ready=ready)
        finally:
            self.server = None
            app.run_in_main_process("main_process_stop")

    async def create(
        self, listen: Mapping[str, Any], access_log: bool | None, options: Mapping[str, Any] | None
    ) -> AsyncioServer:
        """A server inside the loop that runs now; ``options`` are the loop's, and ``start_serving``."""
        app = self._app
        options = dict(options or {})
        at_once = options.pop("start_serving", True)
        server = self.server = Server(app, access_log=access_log)

        async def start() -> None:
            try:
                await app.run_listeners("before_server_start")
                await server.start(**listen, **options)
                await app.run_listeners("after_server_start")
            except BaseException:
                await server.stop(0)
                await app.run_listeners("after_server_stop")
                raise

        asyncio_server = AsyncioServer(server, start)
        if at_once:
            await asyncio_server.start_serving()
        return asyncio_server

    def stop(self) -> None:
        """Stop gracefully, from any thread, and before it serves."""
        server = self.server
        if server is None:
            self._stop_asked = True
        elif not server.loop.is_closed():
            server.loop.call_soon_threadsafe(server.ask_to_stop)


def _supervise(app: Served, count: int, listen: Mapping[str, Any], motd: bool) -> None:
    """Listen, and keep so many workers until told to stop.

    Raises ``OSError`` when the address cannot be had, ``SystemExit`` when no worker starts.
    """
    unix, sock = listen["unix"], listen["sock"]
    if sock is None:
        backlog = listen["backlog"]
        sock = unix_socket(unix, backlog) if unix else listening(listen["host"], listen["port"], backlog)
    name = sock.getsockname()
    if isinstance(name, str):
        url = f"unix:{unix or name}"
    else:
        url = f"{'https' if listen['ssl'] else 'http'}://{f'[{name[0]}]' if ':' in name[0] else name[0]}:{name[1]}"

    def serving() -> None:
        if motd:
            logger.info("%s on %s (%d workers, pid %d, Ctrl-C stops)", app.name, url, count, os.getpid())

    # A worker ends by itself within its grace and what handlers may take to end; then it hangs.
    patience = app.config["GRACEFUL_SHUTDOWN_TIMEOUT"] + app.config["STREAM_CLEANUP_TIMEOUT"] + 5
    app.run_in_main_process("main_process_start")
    try:
        code = supervise(sock, count, patience, serving)
    finally:
        sock.close()
        if unix:
            with suppress(FileNotFoundError):
                os.unlink(unix)
        app.run_in_main_process("main_process_stop")
    if code:
        raise SystemExit(code)


def worker_count(workers: int | str) -> int:
    """How many workers; ``auto`` is one for each processor."""
    if workers == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(workers))
