"""``LISTEN``: one connection of a worker hears what the database is told by ``NOTIFY``, for all its clients.

So events cross machines: whoever can reach the database can publish. It never knows who reads the events.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

import asyncpg

from sanicish.log import error_logger, logger

__all__ = ["Listener"]

_FIRST_DELAY = 0.1  # seconds; each further attempt waits twice as long
_SILENCE = 30.0  # seconds after which a connection has to show that it lives
_ANSWER = 10.0  # seconds that it has for that

_GONE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Publisher(Protocol):
    """What notifications are given to; a ``Channel`` is one."""

    def publish(self, data: Any, /) -> Any: ...


class Listener:
    """Gives the payload of each notification to a ``Channel``, or to anything else with ``publish(text)``.

    ``dsn`` says where the database is; a function that makes a connection of asyncpg may be given instead. ``channels``
    has a publisher for the name of each channel in the database. ``app.add_task(listener.run)`` runs it in every
    worker. When the connection is lost it is made again, at once, then ever less often, every ``delay`` seconds in the
    end; what was told meanwhile nobody has heard, so ``on_reconnect`` is called then, for clients to be told.
    """

    def __init__(
        self,
        dsn: str | Callable[[], Awaitable[Any]],
        channels: Mapping[str, Publisher],
        *,
        on_reconnect: Callable[[], Any] | None = None,
        delay: float = 5.0,
    ) -> None:
        if any(getattr(channel, "policy", None) == "wait" for channel in channels.values()):
            raise ValueError("the database does not wait for slow clients: another policy than 'wait' is needed")
        self._connect = partial(asyncpg.connect, dsn) if isinstance(dsn, str) else dsn
        self._channels = dict(channels)
        self._on_reconnect = on_reconnect
        self._delay = delay
        self._heard_before = False
        self.listening = asyncio.Event()  # set while the database is listened to

    async def run(self) -> None:
        """Listen until this is cancelled."""
        delay = 0.0
        while True:
            try:
                await self._listen()
            except _GONE as error:
                error_logger.warning("LISTEN: %s; trying again", error or type(error).__name__)
            if self.listening.is_set():
                self.listening.clear()
                delay = 0.0
            await asyncio.sleep(delay)
            delay = min(max(_FIRST_DELAY, 2 * delay), self._delay)

    async def _listen(self) -> None:
        """One connection, from its beginning to its end."""
        connection = await self._connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda *_: lost.set())
        try:
            for name in self._channels:
                await connection.add_listener(name, self._hear)
            self.listening.set()
            if self._heard_before:
                logger.info("LISTEN: the database is back")
                if self._on_reconnect is not None:
                    self._on_reconnect()
            self._heard_before = True
            while not lost.is_set():
                await self._until(lost, connection)
            raise ConnectionResetError("the connection to the database was lost")
        finally:
            connection.terminate()

    async def _until(self, lost: asyncio.Event, connection: Any) -> None:
        """Wait for the end of the connection; one that is silent for long is asked whether it lives."""
        try:
            async with asyncio.timeout(_SILENCE):
                await lost.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=_ANSWER)

    def _hear(self, connection: Any, pid: int, name: str, payload: object) -> None:
        try:
            self._channels[name].publish(payload)
        except Exception:
            error_logger.exception("a notification of %r could not be published", name)
