"""Connections that a handler opens: one that is closed again when its request ends was opened for that request alone.

A pool keeps its connections, so it is not meant. What a library opens in a task of its own is not seen.
"""

import sys
from asyncio import AbstractEventLoop, BaseTransport
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from sanicish.debug.places import Place, frames, is_own

__all__ = ["ConnectionWatch", "Opened", "opened"]

Opened = list[tuple[BaseTransport, Place]]

opened: ContextVar[Opened | None] = ContextVar("opened", default=None)
"""What the request that is answered now has opened."""

_WAYS = {"create_connection", "create_unix_connection"}


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
        place = _caller() if notes is not None else None
        return made if notes is None or place is None else _note(made, notes, place)

    return noted


async def _note(made: Awaitable[Any], notes: Opened, place: Place) -> Any:
    transport, protocol = await made
    notes.append((transport, place))
    return transport, protocol


def _caller() -> Place | None:
    """The innermost line of the application that waits for this."""
    return next((Place.of(one) for one in frames(sys._getframe(2)) if is_own(one.f_code.co_filename)), None)
