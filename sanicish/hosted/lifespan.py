"""The life of a hosted application: its startup, its shutdown, and the work it does after a response."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any

from sanicish.exceptions import ServerError
from sanicish.hosted.messages import Asgi, Message, call
from sanicish.log import error_logger, logger

__all__ = ["Lifespan"]

_VERSIONS = {"version": "3.0", "spec_version": "2.0"}  # of the lifespan protocol


class Lifespan:
    """An application from the start of the server to its stop; ``state`` is what it gives to its requests."""

    _events: asyncio.Queue[str]
    _reply: asyncio.Future[Message]

    def __init__(self, application: Asgi) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._deadline: float | None = None  # on the monotonic clock: when background work is cancelled

    async def start(self, app: Any) -> None:
        """Run its startup; raises ``ServerError`` if that fails. An application without lifespan is served without."""
        self.state.clear()
        self._events = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": _VERSIONS.copy(), "state": self.state}
        coroutine = call(self._application, scope, self._receive, self._send)
        self._tell("lifespan.startup")  # first, for the task may run at once
        self._task = task = asyncio.create_task(coroutine, name="asgi lifespan")
        reply = await self._replied(task)
        if reply is None:
            error = None if task.cancelled() else task.exception()
            logger.info("the ASGI application has no lifespan: %r", error)
            self._task = None
        elif reply["type"] == "lifespan.startup.failed":
            await self._end(task, app.config["STREAM_CLEANUP_TIMEOUT"])
            self._task = None
            raise ServerError(f"the ASGI application could not start: {reply.get('message', '')}")

    def stopping(self, app: Any) -> None:
        """The server begins to stop: background work has as long as open requests have."""
        grace = app.config["GRACEFUL_SHUTDOWN_TIMEOUT"]
        self._deadline = None if grace is None else monotonic() + grace

    async def stop(self, app: Any) -> None:
        """Wait for background work, then run the shutdown."""
        patience = app.config["STREAM_CLEANUP_TIMEOUT"]
        await self._finish(patience)
        task, self._task = self._task, None
        if task is None:
            return
        self._tell("lifespan.shutdown")
        reply = await self._replied(task)
        if reply is not None and reply["type"] == "lifespan.shutdown.failed":
            error_logger.error("the ASGI application could not stop: %s", reply.get("message", ""))
        await self._end(task, patience)

    def keep(self, task: asyncio.Task[None], done: Callable[[asyncio.Task[None]], None], context: Context) -> None:
        """Let an application go on after its response; ``done`` is called in ``context`` when its task has ended."""
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(done, context=context)

    async def _finish(self, patience: float) -> None:
        """Wait for background work until the deadline, then cancel it and wait ``patience`` seconds more."""
        if not self._background:
            return
        left = None if self._deadline is None else max(0.0, self._deadline - monotonic())
        _, late = await asyncio.wait(self._background, timeout=left)
        if late:
            logger.info("%d background tasks of the ASGI application are cancelled", len(late))
            await _cancel(late, patience)

    async def _end(self, task: asyncio.Task[None], patience: float) -> None:
        """Wait until the application has returned from its lifespan; one that waits for a further event is cancelled."""
        _, late = await asyncio.wait((task,), timeout=patience)
        if late:
            await _cancel(late, patience)
        elif not task.cancelled() and task.exception() is not None:  # as it has said by its reply
            logger.debug("lifespan ended with %r", task.exception())

    def _tell(self, event: str) -> None:
        self._reply = asyncio.get_running_loop().create_future()
        self._events.put_nowait(event)

    async def _replied(self, task: asyncio.Task[None]) -> Message | None:
        """The reply to the event, or ``None`` if the application returned instead."""
        await asyncio.wait((task, self._reply), return_when=asyncio.FIRST_COMPLETED)
        return self._reply.result() if self._reply.done() else None

    async def _receive(self) -> Message:
        return {"type": await self._events.get()}

    async def _send(self, message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            raise RuntimeError(f"{message['type']} is not a message of lifespan")
        if not self._reply.done():
            self._reply.set_result(message)


async def _cancel(tasks: set[asyncio.Task[None]], patience: float) -> None:
    for task in tasks:
        task.cancel()
    _, stubborn = await asyncio.wait(tasks, timeout=patience)
    for task in stubborn:
        error_logger.error("the task %s did not end when it was cancelled", task.get_name())
