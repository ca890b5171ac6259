"""What runs around the requests: listeners of start and stop, and tasks beside the server."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from sanicish.log import error_logger

__all__ = ["Lifecycle"]


class Lifecycle:
    """The listeners and tasks of one application, and the loop they run in while it is served."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Callable[..., Any]]] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stopping = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: list[tuple[Any, str | None]] = []

    def add_listener(self, listener: Callable[..., Any], event: str) -> None:
        """Call ``listener(app, loop)`` or ``listener(app)`` at an event."""
        self.listeners.setdefault(event, []).append(listener)

    async def run(self, app: Any, event: str) -> None:
        """Call the listeners of an event, those of stopping in reverse order."""
        if event == "before_server_start":
            self.loop = asyncio.get_running_loop()
            self.stopping = False
        listeners = self.listeners.get(event, [])
        for listener in reversed(listeners) if event.endswith("_stop") else listeners:
            result = listener(app, self.loop) if _takes_two(listener) else listener(app)
            if hasattr(result, "__await__"):
                await result
        if event == "before_server_start":
            waiting, self._waiting = self._waiting, []
            for task, name in waiting:
                self.add_task(app, task, name)
        elif event == "after_server_stop":
            for running in tuple(self._tasks):
                running.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.loop = None

    def add_task(self, app: Any, task: Any, name: str | None) -> asyncio.Task[Any] | None:
        """Run a coroutine, or what a function makes, in the loop; before there is one, keep it until then."""
        if self.loop is None:
            self._waiting.append((task, name))
            return None
        if callable(task):
            task = task(app) if inspect.signature(task).parameters else task()
        running = self.loop.create_task(task, name=name)
        self._tasks.add(running)
        running.add_done_callback(self._done)
        return running

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            error_logger.error("the task %s failed", task.get_name(), exc_info=task.exception())


def _takes_two(listener: Callable[..., Any]) -> bool:
    """Whether a listener takes the loop beside the application."""
    try:
        parameters = inspect.signature(listener).parameters.values()
    except (TypeError, ValueError):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)
