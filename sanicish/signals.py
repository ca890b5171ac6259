"""Signals: functions that are told what happened, and coroutines that wait for it (Sanic 21.3).

Nothing is paid for them as long as nobody listens.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sanicish.context import current_request
from sanicish.exceptions import InvalidSignal
from sanicish.exchange import Exchange, Outcome
from sanicish.interruption import is_interruption
from sanicish.log import error_logger

__all__ = ["SERVER_SIGNALS", "Signals"]

SERVER_SIGNALS = {
    "before_server_start": "server.init.before",
    "after_server_start": "server.init.after",
    "before_server_stop": "server.shutdown.before",
    "after_server_stop": "server.shutdown.after",
}
_REQUEST, _RESPONSE, _EXCEPTION = "http.lifecycle.request", "http.lifecycle.response", "http.lifecycle.exception"
_REPORT = "server.exception.report"
_ENDS = ("http.lifecycle.complete", "http.stream.completed", "http.stream.aborted")
_KNOWN = {*SERVER_SIGNALS.values(), *_ENDS, _REQUEST, _RESPONSE, _EXCEPTION, _REPORT}
_NAME = re.compile(r"[a-z_]\w*\.[a-z_]\w*\.[a-z_]\w*")


class WatchedApplication(Protocol):
    """What is asked of an application whose events are signals."""

    watchers: list[Callable[[Exchange], None]]
    early_middleware: list[Callable[..., Any]]
    response_middleware: list[Callable[..., Any]]


class Signals:
    """The handlers and waiters of one application; they listen to it from the first one on."""

    def __init__(self, app: WatchedApplication) -> None:
        self._app = app
        self._handlers: dict[str, list[Callable[..., Any]]] = {}
        self._waiters: dict[str, list[asyncio.Future[dict[str, Any]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._handlers or self._waiters)

    def add(self, handler: Callable[..., Any], event: str) -> None:
        """Call a function, plain or async, with what is told of an event; raises ``InvalidSignal``."""
        self._handlers.setdefault(_checked(event), []).append(handler)
        self._listen(event)

    async def event(self, event: str, timeout: float | None) -> dict[str, Any]:
        """Wait for the next time; raises ``TimeoutError``."""
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(_checked(event), [])
        waiters.append(waiter)
        self._listen(event)
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(event, None)

    async def dispatch(self, event: str, context: Mapping[str, Any] | None = None) -> None:
        """Tell everybody, one after the other; one that fails is logged and keeps nobody else from being told."""
        told = dict(context or {})
        for waiter in self._waiters.get(_checked(event), ()):
            if not waiter.done():
                waiter.set_result(told)
        for handler in self._handlers.get(event, ()):
            try:
                done = handler(**told)
                if hasattr(done, "__await__"):
                    await done
            except BaseException as error:
                if is_interruption(error):
                    raise
                error_logger.exception("a handler of the signal %s failed", event)

    async def failed(self, request: Any, error: BaseException) -> None:
        """Tell of an exception, and of the request that failed with it if it was one."""
        if request is not None:
            await self.dispatch(_EXCEPTION, {"request": request, "exception": error})
        await self.dispatch(_REPORT, {"exception": error})

    def _listen(self, event: str) -> None:
        """Hear from now on of what this signal tells."""
        app = self._app
        if event == _REQUEST and self._asked not in app.early_middleware:
            app.early_middleware.insert(0, self._asked)
        elif event == _RESPONSE and self._answers not in app.response_middleware:
            app.response_middleware.append(self._answers)
        elif event in _ENDS and self._began not in app.watchers:
            app.watchers.append(self._began)

    async def _asked(self, request: Any) -> None:
        await self.dispatch(_REQUEST, {"request": request})

    async def _answers(self, request: Any, response: Any) -> None:
        await self.dispatch(_RESPONSE, {"request": request, "response": response})

    def _began(self, exchange: Exchange) -> None:
        if self:
            exchange.when_over(self._ended)

    def _ended(self, exchange: Exchange) -> None:
        told = {
            "request": current_request.get(None),
            "outcome": exchange.outcome,
            "status": exchange.status,
            "bytes_sent": exchange.bytes_sent,
        }
        events = ["http.lifecycle.complete"]
        if exchange.streamed:
            events.append(f"http.stream.{'completed' if exchange.outcome is Outcome.COMPLETED else 'aborted'}")
        for event in events:
            task = asyncio.get_running_loop().create_task(self.dispatch(event, told))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _checked(event: str) -> str:
    """A name of three words; what begins as ours do must be one of ours."""
    if not _NAME.fullmatch(event):
        raise InvalidSignal(f"a signal has a name of three words like http.stream.completed, not {event!r}")
    if event.startswith(("http.", "server.")) and event not in _KNOWN:
        raise InvalidSignal(f"there is no signal {event!r}; there are {', '.join(sorted(_KNOWN))}")
    return event
