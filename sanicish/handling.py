"""The life of a handler: one exchange, the task that answers it, why it is cancelled, and how both end.

It is the same on every wire. The wire says that the client has left, or that the handler has to stop; it is called when
the handler has ended.
"""

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Generic, TypeVar

from sanicish.exchange import OVER, Exchange, Handler, Outcome
from sanicish.interruption import is_interruption
from sanicish.log import error_logger
from sanicish.streams.flow import FlowControl

__all__ = ["CreateTask", "HandlerTask"]

_READING_GRACE = 1.0  # seconds for a handler whose client has left to take the next piece of what arrived before
_OUTCOMES = {"disconnect": Outcome.DISCONNECT, "timeout": Outcome.TIMEOUT, "shutdown": Outcome.SHUTDOWN}

CreateTask = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


_Exchange = TypeVar("_Exchange", bound=Exchange)


class HandlerTask(Generic[_Exchange]):
    """The task of the handler that answers an exchange; once that has ended it can be started with the next one.

    ``ended`` is called with the exchange when the handler has ended, and the exchange with it.
    """

    __slots__ = ("_create_task", "_ended", "_handler", "_leaving", "_loop", "cancelled_at", "exchange", "flow", "task")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        create_task: CreateTask,
        handler: Handler,
        flow: FlowControl,
        ended: Callable[[_Exchange], None],
    ) -> None:
        self._loop = loop
        self._create_task = create_task
        self._handler = handler
        self.flow = flow
        self._ended = ended
        self._leaving: _Exchange | None = None  # whose client has left, while its handler still reads
        self.exchange: _Exchange | None = None  # the open one
        self.task: asyncio.Task[None] | None = None
        self.cancelled_at = 0.0  # on the clock of the loop

    def start(self, exchange: _Exchange) -> "asyncio.Task[None]":
        """Run the handler for an exchange."""
        self.exchange = exchange
        task = self._create_task(self._run(exchange))
        if not task.done():  # an eager one has run already, and may have begun the next exchange
            self.task = task
        return task

    async def _run(self, exchange: _Exchange) -> None:
        exchange.started_at = monotonic()
        try:
            await self._handler(exchange)
            if exchange.outcome is None and not exchange.client_left:
                error_logger.error("%s %s was never answered", exchange.head.method, exchange.head.path)
        except asyncio.CancelledError:
            if exchange.cancel_reason is None and exchange.outcome is None:
                exchange.cancel_reason = "abort"
        except BaseException as error:
            if is_interruption(error):
                raise
            error_logger.exception("the handler of %s %s failed", exchange.head.method, exchange.head.path)
        finally:
            self._finish(exchange)

    def _finish(self, exchange: _Exchange) -> None:
        self.task = self.exchange = self._leaving = None
        if exchange.outcome is None:
            reason = exchange.cancel_reason or ("disconnect" if exchange.client_left else "")
            exchange.abort(_OUTCOMES.get(reason, Outcome.FAILED))
        if exchange.notices is None:
            exchange.notices = OVER
        else:
            exchange.over()
        self._ended(exchange)

    def cancel(self, reason: str) -> None:
        """Cancel the handler, if one runs, and record why; once, because it may need time to clean up."""
        exchange, task = self.exchange, self.task
        if task is None or exchange is None or exchange.cancel_reason is not None:
            return
        exchange.cancel_reason = reason
        self.cancelled_at = self._loop.time()
        if reason == "disconnect" and self.flow.told is task:
            return  # a write has raised already; it cleans up undisturbed, within its time
        task.cancel(reason)
        if not exchange.started_at:  # it will never run, and so never reach its end by itself
            self._finish(exchange)

    def overdue(self, now: float, patience: float) -> bool:
        """Whether the handler goes on ``patience`` seconds after it was cancelled; then it is cancelled again."""
        exchange, task = self.exchange, self.task
        if task is None or exchange is None or exchange.cancel_reason is None or now - self.cancelled_at < patience:
            return False
        error_logger.error("a handler goes on %.0f s after it was cancelled: %r", now - self.cancelled_at, task)
        self.cancelled_at = now
        task.cancel()
        return True

    def abandon(self) -> None:
        """The loop ends, and does not wait for a handler that was cancelled and goes on."""
        if self.task is not None:
            error_logger.error("a handler never ended: %r", self.task)
            asyncio.tasks._unregister_task(self.task)

    def client_left(self) -> None:
        """Notify the exchange, and stop the handler: nobody is left to work for.

        One that reads its request body gets an error from its read instead, after all that arrived; it has time for that
        as long as it goes on reading. One whose response is complete works for somebody else.
        """
        exchange = self.exchange
        if exchange is None:
            return
        exchange.notify("disconnect")
        if exchange is self._leaving or exchange.rules.shielded or exchange.outcome is Outcome.COMPLETED:
            return
        body = exchange.body
        if body.wanted and not body.complete:
            self._leaving = exchange
            self._let_read(exchange)
        else:
            self.cancel("disconnect")

    def _let_read(self, exchange: _Exchange) -> None:
        self._loop.call_later(_READING_GRACE, self._after_reading, exchange, exchange.body.unread)

    def _after_reading(self, exchange: _Exchange, unread: int) -> None:
        if exchange is self._leaving:
            if exchange.body.unread < unread:
                self._let_read(exchange)
            else:
                self.cancel("disconnect")
