"""A connection for one piece of work: the given one, or one of a pool for as long as it is needed.

A pool that is exhausted, or a database that cannot be reached, becomes an answer with 503.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sanicish.exceptions import ServiceUnavailable

__all__ = ["WAIT", "Connection", "Source", "leased"]

Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"
Source: TypeAlias = "asyncpg.Pool[Any] | Connection"

WAIT = 5.0  # seconds for a connection of a pool to become free

_AWAY = (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError)


@asynccontextmanager
async def leased(source: Source, wait: float | None) -> AsyncIterator[Connection]:
    """A connection, which goes back to its pool at the end whatever happens.

    Waits ``wait`` seconds for one to become free, ``None`` for ever; raises ``ServiceUnavailable`` after that and when
    the database is not there.
    """
    if not isinstance(source, asyncpg.Pool):
        yield source
        return
    try:
        connection = await source.acquire(timeout=wait)
    except TimeoutError as error:
        raise ServiceUnavailable("all database connections are in use", headers={"Retry-After": "1"}) from error
    except _AWAY as error:
        raise ServiceUnavailable("the database cannot be reached", headers={"Retry-After": "5"}) from error
    try:
        yield connection
    finally:
        await source.release(connection)
