"""Which clock runs out when.

No timer is set per request. A sweep looks at every connection from time to time; a ``Watch`` remembers what it saw
and since when, and a thing that has not moved for longer than its clock allows is overdue. The clock is a parameter.
"""

from enum import Enum
from typing import Any, Protocol

from sanicish.config import Clocks
from sanicish.flow import FlowControl
from sanicish.http1.connection import Phase
from sanicish.http1.exchange import Http1Exchange

__all__ = ["Due", "Watch", "interval"]


class Due(Enum):
    """What ran out."""

    HEAD = "the head did not come to its end"
    BODY = "the body did not move"
    RESPONSE = "the answer did not begin"
    STREAM = "the stream wrote nothing"
    WRITE = "the client took nothing"
    IDLE = "no further request came"
    END = "the peer did not leave"


class Watched(Protocol):
    """What a watch looks at."""

    serial: int
    exchange: Http1Exchange | None
    flow: FlowControl
    transport: Any

    @property
    def phase(self) -> Phase: ...


def interval(clocks: Clocks) -> float:
    """Seconds between two sweeps: a tenth of the shortest clock, within reason."""
    shortest = min([clock for clock in clocks if clock] or [5.0])
    return min(0.5, max(0.02, shortest / 10))


class Watch:
    """What one connection looked like when it last moved."""

    __slots__ = ("_body", "_body_since", "_mark", "_sent", "_sent_since", "_since")

    def __init__(self) -> None:
        self._mark: tuple[int, Phase] | None = None
        self._since = 0.0
        self._body = self._sent = -1
        self._body_since = self._sent_since = 0.0

    def look(self, connection: Watched, clocks: Clocks, now: float) -> Due | None:
        """What is overdue, if anything; ``now`` is seconds on any clock that only goes forward."""
        phase = connection.phase
        mark = (connection.serial, phase)
        if mark != self._mark:
            self._mark = mark
            self._since = now
            self._body = self._sent = -1
        exchange = connection.exchange
        if exchange is not None:
            return self._look_at_exchange(connection, exchange, exchange.clocks or clocks, now)
        if phase is Phase.IDLE:
            return Due.IDLE if _over(clocks.keep_alive, self._since, now) else None
        if phase is Phase.HEAD:
            return Due.HEAD if _over(clocks.head, self._since, now) else None
        if phase is Phase.CLOSING:
            return self._look_at_writing(connection, 0, clocks.close, now)
        return Due.END if _over(clocks.linger, self._since, now) else None

    def _look_at_exchange(self, connection: Watched, exchange: Http1Exchange, clocks: Clocks, now: float) -> Due | None:
        if exchange.outcome is None and not exchange.started and _over(clocks.response, self._since, now):
            return Due.RESPONSE
        body = exchange.body
        if body.received != self._body or not body.waiting:
            self._body = body.received
            self._body_since = now
        elif _over(clocks.body_idle, self._body_since, now):
            return Due.BODY
        return self._look_at_writing(connection, exchange.bytes_sent, clocks.write, now)

    def _look_at_writing(self, connection: Watched, written: int, clock: float | None, now: float) -> Due | None:
        unsent = connection.transport.get_write_buffer_size()
        # What has left: it never grows while the peer takes nothing, however much more is written.
        sent = written - unsent
        if not unsent or sent > self._sent or self._sent == -1:
            self._sent = sent
            self._sent_since = now
        elif _over(clock, self._sent_since, now):
            return Due.WRITE
        return None


def _over(clock: float | None, since: float, now: float) -> bool:
    return clock is not None and now - since >= clock
