"""A connection in a transaction for one piece of work: the given one, or one of a pool for as long as it is needed.

What the database refuses, and a pool that is exhausted, become HTTP errors here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sanicish.exceptions import ServiceUnavailable
from sanicish.log import error_logger
from sanicish.postgres.sqlstates import refusal

__all__ = ["WAIT", "Connection", "Source", "is_closed", "leased"]

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"
Source: TypeAlias = "asyncpg.Pool[Any] | Connection"

WAIT = 5.0  # seconds for a connection of a pool to become free

# Seconds for a statement to end once its work has failed. Cancelling one takes a connection of its own, so with TLS
# that is six round trips or more, and whoever gives up sooner leaves the statement running.
SETTLE = 3.0

_BROKEN = (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


@asynccontextmanager
async def leased(source: Source, wait: float | None, given: bool, uploaded: bool = False) -> AsyncIterator[Connection]:
    """A connection in a transaction, which goes back to its pool at the end whatever happens.

    Waits ``wait`` seconds for one to become free, ``None`` for ever; raises ``ServiceUnavailable`` after that. What
    the database raises becomes an HTTP error as ``sqlstates`` says, to which ``given`` and ``uploaded`` are passed.
    """
    try:
        if isinstance(source, asyncpg.Pool):
            connection = await _acquired(source, wait)
            try:
                async with _transaction(connection):
                    yield connection
            finally:
                await _release(source, connection)
        else:
            async with _transaction(source):
                yield source
    except Exception as error:
        refused = refusal(error, given, uploaded)
        if refused is None:
            raise
        raise refused from error


async def _acquired(pool: "asyncpg.Pool[Any]", wait: float | None) -> "PoolConnectionProxy[Any]":
    try:
        return await pool.acquire(timeout=wait)
    except TimeoutError as error:
        raise ServiceUnavailable("all database connections are in use", headers={"Retry-After": "1"}) from error


async def _release(pool: "asyncpg.Pool[Any]", connection: "PoolConnectionProxy[Any]") -> None:
    """Give a connection back; what fails then says nothing about the work, whose rows are sent or committed."""
    try:
        await pool.release(connection, timeout=SETTLE)
    except _BROKEN as error:
        error_logger.warning("a database connection was given up: %s", error or type(error).__name__)


@asynccontextmanager
async def _transaction(connection: Connection) -> AsyncGenerator[None, None]:
    """A transaction, or a savepoint in one, that is committed or rolled back."""
    if is_closed(connection):
        raise ConnectionResetError("the connection to the database is closed")
    transaction: Any = connection.transaction()
    try:
        await transaction.__aenter__()
    except asyncpg.InterfaceError:
        if not connection.is_in_transaction():
            raise
        transaction = _Savepoint(connection)
        await transaction.__aenter__()
    try:
        yield
    except BaseException as error:
        lost = isinstance(error, asyncpg.InterfaceError) and is_closed(connection)
        await _roll_back(connection, transaction, error)
        if lost:
            raise ConnectionResetError("the connection to the database was lost") from error
        raise
    await transaction.__aexit__(None, None, None)


class _Savepoint:
    """Part of a transaction that a statement of the caller began, so that asyncpg refuses one of its own in it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> None:
        await self._connection.execute("SAVEPOINT sanicish")

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._connection.execute(
            "RELEASE SAVEPOINT sanicish" if kind is None else "ROLLBACK TO SAVEPOINT sanicish"
        )


async def _roll_back(connection: Connection, transaction: Any, error: BaseException) -> None:
    """Wait until the statement has ended, and undo it; a connection where that fails is given up."""
    try:
        async with asyncio.timeout(SETTLE):
            await transaction.__aexit__(type(error), error, None)
    except _BROKEN:
        if not is_closed(connection):
            connection.terminate()


def is_closed(connection: Connection) -> bool:
    """Whether a connection is closed, or has been and has left its pool."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True
