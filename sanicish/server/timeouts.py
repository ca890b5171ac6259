"""Which timeout runs out when.

No timer is set per request. A sweep looks at every connection and every open exchange from time to time; a watch
remembers what it saw and since when, and what has not moved for longer than its timeout allows is overdue. The clock is
a parameter.
"""

from collections.abc import Callable, Mapping
from enum import Enum

from sanicish.config import Timeouts
from sanicish.exchange import Exchange
from sanicish.wire import Phase, Wire

__all__ = ["ConnectionWatch", "Due", "ExchangeWatch", "interval"]

_WINDOW = 5.0  # seconds over which the rate of a body is measured


class Due(Enum):
    """What ran out."""

    HEAD = "the head did not arrive"
    BODY = "the body did not move, or crept"
    RESPONSE = "the response did not begin"
    STREAM = "the stream wrote nothing"
    WRITE = "the client took nothing"
    IDLE = "no further request came"
    END = "the peer did not leave"
    CLOSE = "the connection did not close"


Taken = Callable[[], tuple[int, ...]]
"""Tells what the peer has taken so far, as something that grows when it takes more."""


def interval(timeouts: Timeouts) -> float:
    """Seconds between two sweeps: a tenth of the shortest clock, within reason."""
    seconds = timeouts._replace(body_rate=None, stream_body_rate=None, head_rate=None, write_rate=None)
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


class _Write:
    """What a client has taken of what waits for it, and when it last took something."""

    __slots__ = ("_since", "_taken")

    def __init__(self, now: float) -> None:
        self._since = now
        self._taken: tuple[int, ...] = ()

    def begin(self, now: float) -> None:
        """Nothing waits."""
        self._since = now

    def stands(self, timeout: float | None, now: float, taken: Taken) -> bool:
        """Whether the peer has taken nothing for too long, however much more is written meanwhile."""
        if timeout is None:
            return False
        so_far = taken()
        if so_far > self._taken:
            self._taken = so_far
            self._since = now
            return False
        return now - self._since >= timeout


class ConnectionWatch:
    """What a connection without an open exchange looked like when it last moved."""

    __slots__ = ("_coming", "_drained_at", "_mark", "_since", "_to_drain", "_write")

    def __init__(self) -> None:
        self._begin((-1, Phase.IDLE), 0.0)

    def _begin(self, mark: tuple[int, Phase], now: float) -> None:
        """The connection has gone on to something else: every timeout starts again."""
        self._mark = mark
        self._since = self._drained_at = now
        self._to_drain = 0
        self._coming = _Rate(0, now)
        self._write = _Write(now)

    def look(self, wire: Wire, timeouts: Timeouts, now: float, taken: Taken) -> Due | None:
        """What is overdue, if anything; ``now`` is seconds on any clock that only goes forward."""
        phase = wire.phase
        mark = (wire.serial, phase)
        if mark != self._mark:
            self._begin(mark, now)
        idle = phase is Phase.IDLE or phase is Phase.HEAD
        if wire.unsent:  # the client is busy with what it was sent
            self._since = self._drained_at = now
            return Due.WRITE if self._write.stands(timeouts.write if idle else timeouts.close, now, taken) else None
        self._write.begin(now)
        if phase is Phase.IDLE:
            return Due.IDLE if _over(timeouts.keep_alive, self._since, now) else None
        if phase is Phase.HEAD:
            if wire.head_size and self._coming.creeps(wire.head_size, timeouts.head_rate, now):
                return Due.HEAD
            return Due.HEAD if _over(timeouts.head, self._since, now) else None
        if phase is Phase.CLOSING:
            return Due.CLOSE if _over(timeouts.close, self._since, now) else None
        if wire.to_drain != self._to_drain:
            self._to_drain = wire.to_drain
            self._drained_at = now
        over = _over(timeouts.linger, self._drained_at, now) or _over(timeouts.linger_total, self._since, now)
        return Due.END if over else None


class ExchangeWatch:
    """What an open exchange looked like when it last moved."""

    __slots__ = (
        "_body",
        "_body_since",
        "_coming",
        "_going",
        "_own",
        "_received",
        "_response_since",
        "_write",
        "_written",
        "_written_since",
    )

    def __init__(self, now: float) -> None:
        self._own: Mapping[str, float | None] | None = None  # the timeouts that the exchange sets for itself
        self._response_since = self._body_since = self._written_since = now
        self._body = (0, 0)  # bytes that arrived, and that wait to be read
        self._received = 0
        self._coming = _Rate(0, now)
        self._going: _Rate | None = None  # only while something waits for the client
        self._write = _Write(now)
        self._written = -1

    def look(self, exchange: Exchange, unsent: int, timeouts: Timeouts, now: float, taken: Taken) -> Due | None:
        """What is overdue, if anything; ``unsent`` is bytes that wait for the client."""
        if exchange.rules.timeouts is not self._own:  # the handler has set them: they count from now
            self._own = exchange.rules.timeouts
            self._response_since = self._written_since = now
        if self._own is not None:
            timeouts = timeouts._replace(**self._own)
        return self._look_at_request(exchange, timeouts, now) or self._look_at_response(
            unsent, exchange, timeouts, now, taken
        )

    def _look_at_request(self, exchange: Exchange, timeouts: Timeouts, now: float) -> Due | None:
        body = exchange.body
        received = body.received
        if not exchange.started and exchange.outcome is None:
            # Who waits for the client, or works off what arrived, is not late with the response.
            if body.waiting or (received, body.unread) != self._body:
                self._body = (received, body.unread)
                self._response_since = now
            elif _over(timeouts.response, self._response_since, now):
                return Due.RESPONSE
        if not body.waiting:
            self._received = received
            self._body_since = now
            self._coming.begin(received, now)
            return None
        if received != self._received:
            self._received = received
            self._body_since = now
        elif _over(timeouts.body_idle, self._body_since, now):
            return Due.BODY
        # A creeping body holds up a handler that can do nothing before it is whole; a stream may creep unless told.
        least = timeouts.body_rate if body.whole else timeouts.stream_body_rate
        return Due.BODY if self._coming.creeps(received, least, now) else None

    def _look_at_response(
        self, unsent: int, exchange: Exchange, timeouts: Timeouts, now: float, taken: Taken
    ) -> Due | None:
        if unsent:
            self._written_since = now
            if timeouts.write_rate is not None and len(so_far := taken()) == 1:  # else nobody knows how many bytes
                if self._going is None:
                    self._going = _Rate(so_far[0], now)
                elif self._going.creeps(so_far[0], timeouts.write_rate, now):
                    return Due.WRITE
            return Due.WRITE if self._write.stands(timeouts.write, now, taken) else None
        self._going = None
        self._write.begin(now)
        if not exchange.started or exchange.outcome is not None:
            return None
        if exchange.bytes_sent != self._written:
            self._written = exchange.bytes_sent
            self._written_since = now
        elif _over(timeouts.stream_idle, self._written_since, now):
            return Due.STREAM
        return None


def _over(timeout: float | None, since: float, now: float) -> bool:
    return timeout is not None and now - since >= timeout
