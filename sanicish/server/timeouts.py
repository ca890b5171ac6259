"""Which clock runs out when.

No timer is set per request. A sweep looks at every connection from time to time; a ``Watch`` remembers what it saw
and since when, and a thing that has not moved for longer than its clock allows is overdue. The clock is a parameter.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from sanicish.config import Clocks
from sanicish.http1.connection import Phase
from sanicish.http1.exchange import Http1Exchange

__all__ = ["Due", "Watch", "interval"]

_WINDOW = 5.0  # seconds over which the rate of a body is measured


class Due(Enum):
    """What ran out."""

    HEAD = "the head did not come to its end"
    BODY = "the body did not move, or crept"
    RESPONSE = "the answer did not begin"
    STREAM = "the stream wrote nothing"
    WRITE = "the client took nothing"
    IDLE = "no further request came"
    END = "the peer did not leave"
    CLOSE = "the connection did not close"


class Watched(Protocol):
    """What a watch looks at."""

    serial: int
    exchange: Http1Exchange | None

    @property
    def unsent(self) -> int: ...

    @property
    def head_size(self) -> int: ...

    @property
    def to_drain(self) -> int: ...

    @property
    def phase(self) -> Phase: ...


Taken = Callable[[], tuple[int, ...]]
"""Tells what the peer has taken so far, as something that grows when it takes more."""


def interval(clocks: Clocks) -> float:
    """Seconds between two sweeps: a tenth of the shortest clock, within reason."""
    seconds = clocks._replace(body_rate=None, stream_body_rate=None, head_rate=None, write_rate=None)
    shortest = min([clock for clock in seconds if clock] or [5.0])
    return min(0.5, max(0.02, shortest / 10))


class _Rate:
    """How fast bytes move, over some seconds."""

    __slots__ = ("_moved", "_since")

    def __init__(self, moved: int, now: float) -> None:
        self.begin(moved, now)

    def begin(self, moved: int, now: float) -> None:
        self._moved = moved
        self._since = now

    def creeps(self, moved: int, least: float | None, now: float) -> bool:
        """Whether fewer bytes moved since the last time than a rate asks for."""
        elapsed = now - self._since
        if least is None or elapsed < _WINDOW:
            return False
        if moved - self._moved < least * elapsed:
            return True
        self.begin(moved, now)
        return False


class Watch:
    """What one connection looked like when it last moved."""

    __slots__ = (
        "_answer_since",
        "_body",
        "_body_since",
        "_coming",
        "_going",
        "_mark",
        "_own",
        "_received",
        "_since",
        "_taken",
        "_taken_since",
        "_written",
        "_written_since",
    )

    def __init__(self) -> None:
        self._mark: tuple[int, Phase] | None = None
        self._own: Mapping[str, float | None] | None = None  # the clocks that the exchange sets for itself
        self._begin((-1, Phase.IDLE), 0.0)

    def _begin(self, mark: tuple[int, Phase], now: float) -> None:
        """The connection has gone on to something else: every clock starts again."""
        self._mark = mark
        self._since = self._answer_since = self._body_since = now
        self._taken_since = self._written_since = now
        self._body = (0, 0)  # bytes that came, and that wait to be read
        self._received = 0
        self._taken: tuple[int, ...] = ()
        self._coming = _Rate(0, now)
        self._going: _Rate | None = None  # only while something waits for the client
        self._written = -1

    def look(self, connection: Watched, clocks: Clocks, now: float, taken: Taken) -> Due | None:
        """What is overdue, if anything; ``now`` is seconds on any clock that only goes forward."""
        phase = connection.phase
        mark = (connection.serial, phase)
        if mark != self._mark:
            self._begin(mark, now)
        exchange = connection.exchange
        if exchange is not None:
            if exchange.clocks is not self._own:  # the handler has set them: they count from now
                self._own = exchange.clocks
                self._answer_since = self._written_since = now
            if self._own is not None:
                clocks = clocks._replace(**self._own)
            return self._look_at_request(exchange, clocks, now) or self._look_at_answer(
                connection.unsent, exchange, clocks, now, taken
            )
        idle = phase is Phase.IDLE or phase is Phase.HEAD
        if connection.unsent:  # the client is busy with what it was sent
            self._since = self._body_since = now
            return Due.WRITE if self._stuck(clocks.write if idle else clocks.close, now, taken) else None
        self._taken_since = now
        if phase is Phase.IDLE:
            return Due.IDLE if _over(clocks.keep_alive, self._since, now) else None
        if phase is Phase.HEAD:
            if connection.head_size and self._coming.creeps(connection.head_size, clocks.head_rate, now):
                return Due.HEAD
            return Due.HEAD if _over(clocks.head, self._since, now) else None
        if phase is Phase.CLOSING:
            return Due.CLOSE if _over(clocks.close, self._since, now) else None
        if connection.to_drain != self._received:
            self._received = connection.to_drain
            self._body_since = now
        over = _over(clocks.linger, self._body_since, now) or _over(clocks.linger_total, self._since, now)
        return Due.END if over else None

    def _look_at_request(self, exchange: Http1Exchange, clocks: Clocks, now: float) -> Due | None:
        body = exchange.body
        received = body.received
        if not exchange.started and exchange.outcome is None:
            # Who waits for the client, or works off what came, is not late with the answer.
            if body.waiting or (received, body.unread) != self._body:
                self._body = (received, body.unread)
                self._answer_since = now
            elif _over(clocks.response, self._answer_since, now):
                return Due.RESPONSE
        if not body.waiting:
            self._received = received
            self._body_since = now
            self._coming.begin(received, now)
            return None
        if received != self._received:
            self._received = received
            self._body_since = now
        elif _over(clocks.body_idle, self._body_since, now):
            return Due.BODY
        # A creeping body holds up a handler that can do nothing before it is whole; a stream may creep unless told.
        least = clocks.body_rate if body.whole else clocks.stream_body_rate
        return Due.BODY if self._coming.creeps(received, least, now) else None

    def _look_at_answer(
        self, unsent: int, exchange: Http1Exchange, clocks: Clocks, now: float, taken: Taken
    ) -> Due | None:
        if unsent:
            self._written_since = now
            if clocks.write_rate is not None and len(so_far := taken()) == 1:  # else nobody knows how many bytes
                if self._going is None:
                    self._going = _Rate(so_far[0], now)
                elif self._going.creeps(so_far[0], clocks.write_rate, now):
                    return Due.WRITE
            return Due.WRITE if self._stuck(clocks.write, now, taken) else None
        self._going = None
        self._taken_since = now
        if not exchange.started or exchange.outcome is not None:
            return None
        if exchange.bytes_sent != self._written:
            self._written = exchange.bytes_sent
            self._written_since = now
        elif _over(clocks.stream_idle, self._written_since, now):
            return Due.STREAM
        return None

    def _stuck(self, clock: float | None, now: float, taken: Taken) -> bool:
        """Whether the peer has taken nothing for too long, however much more is written meanwhile."""
        if clock is None:
            return False
        so_far = taken()
        if so_far > self._taken:
            self._taken = so_far
            self._taken_since = now
            return False
        return now - self._taken_since >= clock


def _over(clock: float | None, since: float, now: float) -> bool:
    return clock is not None and now - since >= clock
