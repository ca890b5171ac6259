"""What runs around the requests: listeners of start and stop, and tasks beside the server."""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from sanicish.interruption import contained, is_interruption, original
from sanicish.log import error_logger

__all__ = ["Lifecycle"]


class Lifecycle:
    """The listeners and tasks of one application, and the loop they run in while it is served."""

    def __init__(self) -> None:
        self.listeners: dict[str, list[Callable[..., Any]]] = defaultdict(list)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stopping = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: list[tuple[Any, str | None]] = []

    def add_listener(self, listener: Callable[..., Any], event: str) -> None:
        """Call ``listener(app, loop)`` or ``listener(app)`` at an event."""
        self.listeners[event].append(listener)

    async def run(self, app: Any, event: str) -> None:
        """Call the listeners of an event, those of stopping in reverse order.

        One that fails while the server starts stops the start; one that fails while it stops is logged, so that the
        others still close what they opened.
        """
        listeners = self.listeners.get(event, [])
        if event.endswith("_stop"):
            await self._stop(app, event, listeners)
            return
        if event == "before_server_start":
            self.loop = asyncio.get_running_loop()
            self.stopping = False
        for listener in listeners:
            try:
                await _call(listener, app)
            except BaseException as error:
                error.add_note(f"in the {event} listener {_name(listener)}")
                raise
        if event == "before_server_start":
            waiting = self._waiting
            self._waiting = [one for one in waiting if callable(one[0])]  # a function can begin again, a coroutine not
            for task, name in waiting:
                self.add_task(app, task, name)

    async def _stop(self, app: Any, event: str, listeners: list[Callable[..., Any]]) -> None:
        self.stopping = True
        if event == "after_server_stop":
            await self._cancel_tasks(app.config["STREAM_CLEANUP_TIMEOUT"])  # what they use is closed next
        for listener in reversed(listeners):
            try:
                await _call(listener, app)
            except BaseException as error:
                if is_interruption(error):
                    raise
                error_logger.exception("the %s listener %s failed", event, _name(listener))
        if event == "after_server_stop":
            await self._cancel_tasks(app.config["STREAM_CLEANUP_TIMEOUT"])  # a listener may have made one
            self.loop = None

    async def _cancel_tasks(self, patience: float) -> None:
        """Cancel every task and wait until it is done, for so many seconds."""
        tasks = self._tasks - {asyncio.current_task()}
        for running in tasks:
            running.cancel()
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=patience)
            for task in stubborn:
                error_logger.error("the task %s did not end when it was cancelled", task.get_name())

    def add_task(self, app: Any, task: Any, name: str | None) -> asyncio.Task[Any] | None:
        """Run a coroutine, or what a function makes, in the loop; before there is one, keep it until every start."""
        if self.loop is None:
            self._waiting.append((task, name))
            return None
        if callable(task):
            task = task(app) if inspect.signature(task).parameters else task()
        running = self.loop.create_task(contained(task) if inspect.iscoroutine(task) else task, name=name)
        self._tasks.add(running)
        running.add_done_callback(partial(self._done, app, task))
        return running

    def _done(self, app: Any, work: Any, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if inspect.iscoroutine(work):
            work.close()  # one that was cancelled before it began
        error = None if task.cancelled() else task.exception()
        if error is not None:
            error = original(error)
            error_logger.error("the task %s failed", task.get_name(), exc_info=error)
            if app.signals and self.loop is not None:
                self.add_task(app, app.signals.failed(None, error), None)


async def _call(listener: Callable[..., Any], app: Any) -> None:
    result = listener(app, asyncio.get_running_loop()) if _takes_two(listener) else listener(app)
    if hasattr(result, "__await__"):
        await result


def _takes_two(listener: Callable[..., Any]) -> bool:
    """Whether a listener takes the loop beside the application; a default of its own is not for the loop."""
    try:
        parameters = inspect.signature(listener).parameters.values()
    except (TypeError, ValueError):
        return True
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (positional[1].default is inspect.Parameter.empty or positional[1].name == "loop")


def _name(listener: Callable[..., Any]) -> str:
    return getattr(listener, "__qualname__", None) or repr(listener)
