"""How a response ended: who waits for that is called once, whether it was sent or not.

A response belongs to the request that is answered when somebody asks, and ends with its exchange, also if another
response was sent in its place.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from sanicish.context import current_request
from sanicish.exchange import Exchange, Outcome
from sanicish.interruption import is_of_signal
from sanicish.log import error_logger

__all__ = ["Completion", "current_exchange"]


def current_exchange() -> Exchange | None:
    """The exchange that is answered now, ``None`` outside of one."""
    request = current_request.get(None)
    return None if request is None else request._exchange


class Completion:
    """The functions to be called at the end of one response."""

    __slots__ = ("_exchange", "_functions", "begun", "outcome")

    def __init__(self) -> None:
        self._functions: list[Callable[[Outcome], Any]] = []
        self._exchange: Exchange | None = None  # which it ends with
        self.begun = False  # it is the response that the exchange sends
        self.outcome: Outcome | None = None  # once it has ended

    def add(self, function: Callable[[Outcome], Any]) -> None:
        """Call a function at the end, or now if that has been."""
        if self.outcome is None:
            self._functions.append(function)
        else:
            _call(function, self.outcome)

    def belongs_to(self, exchange: Exchange) -> bool:
        """Whether it ends with this exchange."""
        return self._exchange is exchange

    def follow(self, exchange: Exchange) -> None:
        """End with an exchange; the last one counts, for a response may be made in one request and sent in another."""
        if self.outcome is None and self._exchange is not exchange:
            self._exchange = exchange
            exchange.when_over(partial(self._end, exchange))

    def _end(self, followed: Exchange, exchange: Exchange) -> None:
        """The exchange has ended; it is the innermost one, where others were around it."""
        if self._exchange is not followed or self.outcome is not None:
            return
        outcome = exchange.outcome or Outcome.FAILED
        if not self.begun and outcome is Outcome.COMPLETED:  # by another response
            outcome = Outcome.TIMEOUT if exchange.cancel_reason == "timeout" else Outcome.FAILED
        self.outcome = outcome
        functions, self._functions = self._functions, []
        for function in functions:
            _call(function, outcome)


def _call(function: Callable[[Outcome], Any], outcome: Outcome) -> None:
    try:
        function(outcome)
    except BaseException as error:
        if is_of_signal(error):
            raise
        error_logger.exception("a function to be called at the end of a response failed")
