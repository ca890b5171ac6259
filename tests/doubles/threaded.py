"""A server in a thread, for tests whose client blocks, and for ``serve``, which does."""

import asyncio
import threading
from typing import Any

from sanicish.server import Server, serve


class Threaded:
    """``serve`` in a thread, from the moment it is made until ``stop``."""

    address: Any
    server: Server

    def __init__(self, app: Any, **listen: Any) -> None:
        self.app = app
        self.error: Exception | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=({"port": 0, **listen},), daemon=True)
        self._thread.start()

    def _run(self, listen: dict[str, Any]) -> None:
        try:
            serve(self.app, listen, register_sys_signals=False, on_ready=self._is_ready)
        except Exception as error:
            self.error = error
        self._ready.set()

    def _is_ready(self, server: Server) -> None:
        self.server = server
        self.address = server.address
        self._ready.set()

    def wait_ready(self) -> None:
        """Wait until connections are accepted, or cannot be."""
        assert self._ready.wait(10)

    def stop(self) -> None:
        """Ask to stop; once more, to stop at once."""
        self.server.loop.call_soon_threadsafe(self.server.ask_to_stop)

    def wait_done(self) -> None:
        """Wait until the server has ended."""
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def until_ready(self) -> "Threaded":
        await asyncio.to_thread(self.wait_ready)
        return self

    async def until_done(self) -> None:
        await asyncio.to_thread(self.wait_done)
