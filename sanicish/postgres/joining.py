"""Pieces that come fast leave together: a database sends 8 KiB at a time, which is too little for a write each.

It knows neither the database nor the response, only what to write with.
"""

import asyncio
from collections.abc import Awaitable, Callable

from sanicish.streams.flow import READY

__all__ = ["Joined"]

_ENOUGH = 32_768  # bytes that leave at once
_HELD = 0.002  # seconds that fewer wait for more


class Joined:
    """Gathers bytes, and writes them when there are enough or when none have arrived for a moment."""

    __slots__ = ("_error", "_pieces", "_size", "_timer", "_write", "_writing")

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._pieces: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: Awaitable[None] = READY  # what the last write has to wait for
        self._error: Exception | None = None

    async def add(self, piece: bytes) -> None:
        """Take a piece, and wait while those before it wait for the client."""
        if self._error is not None:
            raise self._error
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _ENOUGH:
            self._send()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_HELD, self._send_late)
        await self._written()

    async def end(self) -> None:
        """Write what is left."""
        if self._error is not None:
            raise self._error
        if self._pieces:
            self._send()
        await self._written()

    def drop(self) -> None:
        """Forget what is left."""
        self._pieces.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _written(self) -> None:
        writing, self._writing = self._writing, READY
        if writing is not READY:
            await writing

    def _send(self) -> None:
        data = b"".join(self._pieces)
        self._size = 0
        self.drop()
        self._writing = self._write(data)

    def _send_late(self) -> None:
        try:
            self._send()
        except Exception as error:  # told to whoever adds the next piece
            self._error = error
