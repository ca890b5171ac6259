"""Start and stop of an application that is served: the order of its listeners, around whoever accepts its requests.

| start                  | stop                                      |
|------------------------|-------------------------------------------|
| before_server_start    | drain: it is said, and requests are served |
| accept connections     | accept no more                            |
| after_server_start     | before_server_stop                        |
|                        | stop: what is open ends                   |
|                        | after_server_stop                         |

A start that fails or is given up is followed by the last two steps of the stop.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

__all__ = ["Acceptor", "Listening", "start", "stop"]


class Listening(Protocol):
    """Who runs listeners: an application."""

    async def run_listeners(self, event: str, /) -> None:
        """Run those of one event."""


class Acceptor(Protocol):
    """Who accepts requests."""

    async def drain(self) -> None:
        """Serve whoever comes for a while, but say that nobody should."""

    async def accept_no_more(self) -> None:
        """Accept no further connection; what is open goes on."""

    async def stop(self) -> None:
        """Let what is open end, then close it."""


async def _do(step: Coroutine[Any, Any, None]) -> None:
    await step


async def start(app: Listening, accept: Callable[[], Awaitable[None]]) -> None:
    """Run the listeners of the start, and accept connections between them."""
    await app.run_listeners("before_server_start")
    await accept()
    await app.run_listeners("after_server_start")


async def stop(
    app: Listening,
    acceptor: Acceptor,
    *,
    started: bool = True,
    do: Callable[[Coroutine[Any, Any, None]], Awaitable[Any]] = _do,
) -> None:
    """Take the steps of the stop, all of them, even if one of them fails; ``do`` may give one up."""
    try:
        if started:
            await do(acceptor.drain())
            await do(acceptor.accept_no_more())
            await do(app.run_listeners("before_server_stop"))
    finally:
        try:
            await do(acceptor.stop())
        finally:
            await do(app.run_listeners("after_server_stop"))
