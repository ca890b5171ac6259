"""A loop whose clock is turned by hand: tasks and callbacks run on the real one, timers only when told."""

import asyncio
from collections.abc import Callable
from typing import Any


class HandTurnedLoop:
    """What a connection needs of a loop; ``turn`` lets time pass."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self.now = 1000.0
        self.create_task = self._loop.create_task
        self.call_soon = self._loop.call_soon

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        self._timers.append((self.now + delay, len(self._timers), callback, args))

    async def turn(self, seconds: float) -> None:
        """Let so much time pass, and everything run that is due."""
        end = self.now + seconds
        while due := sorted((timer for timer in self._timers if timer[0] <= end), key=lambda timer: timer[:2]):
            self._timers.remove(due[0])
            self.now, _, callback, args = due[0]
            callback(*args)
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let everything run that can run now."""
    for _ in range(10):
        await asyncio.sleep(0)
