"""Runs one ``COPY``, however long it takes, and ends it when nobody wants it any more.

``command_timeout`` of a pool is meant for short statements. Here it limits how long the database may be silent: the
time that the client takes, to read rows or to send them, does not count.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any

from asyncpg.protocol import NO_TIMEOUT

from sanicish.exceptions import ClientDisconnected
from sanicish.postgres.joining import Joined
from sanicish.postgres.leasing import Connection, is_closed

__all__ = ["copy_from", "copy_to"]

_CLOSED = "the handler is closed"  # in the words of uvloop

_ROW_SECONDS = 0.02  # for a row to arrive, if any is on its way, before a statement that nobody waits for is cancelled


class _Silence:
    """How long the database has been silent, in seconds."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since: float | None = monotonic()

    def end(self) -> None:
        """The database has moved; now it waits for the client."""
        self._since = None

    def begin(self) -> None:
        """The client has moved; now it waits for the database."""
        self._since = monotonic()

    @property
    def seconds(self) -> float:
        """0 while the database waits for the client."""
        return 0.0 if self._since is None else monotonic() - self._since


class _Sink:
    """Takes the rows of a copy until its ``write`` fails.

    asyncpg waits for ever for the end of a copy whose output fails at the last piece, since that end has arrived by
    then. So a piece that cannot be written is dropped without a word, and only the next one fails.
    """

    def __init__(self, write: Callable[[bytes], Awaitable[None]], silence: _Silence) -> None:
        self._joined = Joined(write)
        self._silence = silence
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def take(self, data: bytes) -> None:
        """Write a piece, and wait while the client is slow."""
        if self.failed.done():
            raise ClientDisconnected("nobody is left to copy for")
        self._silence.end()
        try:
            await self._joined.add(data)
        except asyncio.CancelledError:
            if not self.failed.done():
                raise
        except Exception as error:
            self.fail(error)
        self._silence.begin()

    def fail(self, error: BaseException) -> None:
        """Take no more."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def finish(self) -> None:
        """Write what is left; raises what went wrong."""
        if self.failed.done():
            raise self.failed.result()
        await self._joined.end()

    def drop(self) -> None:
        """Forget what is left."""
        self._joined.drop()


async def copy_to(
    connection: Connection, query: str, write: Callable[[bytes], Awaitable[None]], options: dict[str, Any]
) -> int:
    """Copy a query to ``write``; gives the number of rows.

    When this is cancelled or ``write`` fails, the query is cancelled. asyncpg loses its place if that happens while
    rows are on their way to it, so they are waited for a moment.
    """
    silence = _Silence()
    sink = _Sink(write, silence)
    copying = asyncio.create_task(
        connection.copy_from_query(query, output=sink.take, timeout=NO_TIMEOUT, **options)  # type: ignore[arg-type]
    )
    try:
        await _while_it_moves(copying, sink.failed, silence, _command_timeout(connection))
        await sink.finish()
    except BaseException as error:
        sink.fail(error)
        await _stop(copying)
        raise
    finally:
        sink.drop()
    return _count(copying.result())


class _Source:
    """Gives the pieces of an upload until they end or fail.

    asyncpg waits for ever for the end of a copy whose source fails when the database has refused it already. So the
    source ends in both cases, and whoever copies has to undo what was copied if there is an ``error``.
    """

    def __init__(self, data: AsyncIterable[bytes], silence: _Silence) -> None:
        self._data = data
        self._silence = silence
        self.error: BaseException | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Each piece, once the database takes more."""
        self._silence.end()
        try:
            async for piece in self._data:
                self._silence.begin()
                yield piece
                self._silence.end()
        except (Exception, asyncio.CancelledError) as error:
            self.error = error
        self._silence.begin()


async def copy_from(connection: Connection, table: str, data: AsyncIterable[bytes], options: dict[str, Any]) -> int:
    """Copy data into a table; gives the number of rows. What fails has to be rolled back."""
    silence = _Silence()
    source = _Source(data, silence)
    async with aclosing(source.pieces()) as pieces:
        copying = asyncio.create_task(
            connection.copy_to_table(table, source=pieces, timeout=NO_TIMEOUT, **options)  # type: ignore[arg-type]
        )
        try:
            try:
                await _while_it_moves(copying, None, silence, _command_timeout(connection))
            except RuntimeError as error:  # asyncpg writes to a transport that uvloop has closed already
                if _CLOSED not in str(error) and not is_closed(connection):
                    raise
                raise ConnectionResetError("the connection to the database was lost") from error
        except BaseException as error:
            await _stop(copying)
            if source.error is not None and isinstance(error, Exception):  # the database has got half of a row
                raise source.error from error
            raise
    if source.error is not None:
        raise source.error
    return _count(copying.result())


async def _while_it_moves(
    copying: "asyncio.Task[str]",
    failed: "asyncio.Future[BaseException] | None",
    silence: _Silence,
    limit: float | None,
) -> None:
    """Wait for the end of a copy or for a failure of its output; raises ``TimeoutError`` if the database is silent."""
    waited: list[asyncio.Future[Any]] = [copying] if failed is None else [copying, failed]
    while True:
        left = None if limit is None else limit - silence.seconds
        if left is not None and left <= 0:
            raise TimeoutError(f"the database was silent for {limit} seconds")
        done, _ = await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if copying in done:
            copying.result()
        if done:
            return


async def _stop(copying: "asyncio.Task[str]") -> None:
    """End a copy that is not wanted any more: by its next piece, or else by cancelling it."""
    try:
        await asyncio.wait([copying], timeout=_ROW_SECONDS)
        copying.cancel()  # of the piece that the client is waited for, if it is; that may have been the last
        await asyncio.wait([copying], timeout=_ROW_SECONDS)
    finally:
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)


def _command_timeout(connection: Connection) -> float | None:
    """Seconds that the connection's owner allows a statement; asyncpg has no public name for them."""
    limit: float | None = getattr(getattr(connection, "_config", None), "command_timeout", None)
    return limit


def _count(told: str) -> int:
    """The number in ``COPY 3``."""
    return int(told.rsplit(maxsplit=1)[-1])
