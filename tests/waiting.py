"""Waiting for what no event announces: the state of a server, a database or another process."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

from tests.doubles.wire import PATIENCE

_PATIENCE_OUTSIDE = 20.0  # seconds for other processes


async def until(condition: Callable[[], Any], pause: float = 0.001) -> Any:
    """Wait until ``condition()`` is true, and return what it gave; it may give an awaitable. Raises ``TimeoutError``."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(pause)


def wait_until(condition: Callable[[], Any], pause: float = 0.02) -> Any:
    """The same for tests without an event loop."""
    deadline = time.monotonic() + _PATIENCE_OUTSIDE
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
    return found
