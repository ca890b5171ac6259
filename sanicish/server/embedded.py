"""A server inside a loop of the caller's: what ``app.create_server`` returns, with Sanic's names."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from socket import socket
from typing import Any

from sanicish import life
from sanicish.server.protocol import HttpProtocol
from sanicish.server.serve import Server, Stage
from sanicish.streams.flow import READY

__all__ = ["AsyncioServer"]


class AsyncioServer:
    """What ``app.create_server`` returns: a server inside a loop of the caller's."""

    def __init__(self, server: Server, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.server = server
        self._start = start
        self._serving = False
        self._changing = asyncio.Lock()  # who closes while it starts waits until it has
        self._stopping: asyncio.Task[None] | None = None
        self._context = copy_context()  # of the listeners, those of the stop too, whoever asks for that

    @property
    def connections(self) -> set[HttpProtocol]:
        """The connections that are open."""
        return self.server.connections

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The sockets that are listened on."""
        return self.server.sockets

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self.server.port

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._serving and self.server.stage is not Stage.STOPPING

    def startup(self) -> Awaitable[None]:
        """Part of Sanic's calling order, awaited or not; the listeners run by themselves."""
        return READY

    before_start = after_start = before_stop = after_stop = startup

    async def start_serving(self) -> None:
        """Run the start listeners and accept connections."""
        async with self._changing:
            if not self._serving:
                await self._start()
                self.server.started()
                self._context = copy_context()
                if self.server.asked.is_set():  # by a listener
                    self.close()
                self._serving = True

    async def serve_forever(self) -> None:
        """Serve until ``close``, ``app.stop`` or until cancelled; then stop."""
        await self.start_serving()
        try:
            await self.server.asked.wait()
        finally:
            await self.close()

    async def _stop(self) -> None:
        self._stopping = asyncio.current_task()  # close() may not have it yet, where tasks are eager
        self.server.asked.set()
        async with self._changing:
            await life.stop(self.server.app, self.server)

    def ask_to_stop(self) -> None:
        """Stop, at once or when the start is complete."""
        self.server.asked.set()
        if self._serving:
            self.close()

    def close(self) -> asyncio.Task[None]:
        """Begin to stop, unless that has begun; ``wait_closed`` waits for the end."""
        if self._stopping is None:
            self._stopping = self._context.copy().run(self.server.loop.create_task, self._stop())
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
