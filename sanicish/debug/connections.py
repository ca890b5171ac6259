"""Connections that a handler opens: one that is closed again when its request ends was opened for that request alone.

A pool keeps its connections, so it is not meant, unless a request makes the pool itself. What a library opens in a
task of its own is not seen.
"""

import sys
from asyncio import AbstractEventLoop, BaseTransport
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

from sanicish.log.places import Place, frames, is_own

__all__ = ["ConnectionWatch", "Opened", "opened"]


class Opened(NamedTuple):
    """A connection that was opened for a request, and where."""

    transport: BaseTransport
    place: Place
    by_new_pool: bool


opened: ContextVar[list[Opened] | None] = ContextVar("opened", default=None)
"""What the request that is answered now has opened."""

_WAYS = {"create_connection", "create_unix_connection"}
_NEW_POOL = "Pool._initialize"  # of asyncpg, where a pool opens its first connections


class ConnectionWatch:
    """Notes what is opened by way of one loop; ``stop`` leaves that loop as it was."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = None if vars(loop).keys() & _WAYS else loop  # another server in this loop notes already
        if self._loop is not None:
            for way in _WAYS:
                setattr(loop, way, _noting(getattr(loop, way)))

    def stop(self) -> None:
        """Note nothing any more."""
        if self._loop is not None:
            for way in _WAYS:
                delattr(self._loop, way)


def _noting(connect: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    def noted(*arguments: Any, **options: Any) -> Awaitable[Any]:
        made = connect(*arguments, **options)
        notes = opened.get()
        if notes is None:
            return made
        callers = list(frames(sys._getframe(1)))
        place = next((Place.of(one) for one in callers if is_own(one.f_code.co_filename)), None)
        if place is None:
            return made
        return _note(made, notes, place, any(one.f_code.co_qualname == _NEW_POOL for one in callers))

    return noted


async def _note(made: Awaitable[Any], notes: list[Opened], place: Place, by_new_pool: bool) -> Any:
    transport, protocol = await made
    notes.append(Opened(transport, place, by_new_pool))
    return transport, protocol
