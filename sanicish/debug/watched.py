"""An exchange whose writes are looked at: whether somebody awaits them, and how much waits for the client."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from sanicish.debug.lessons import Lesson, Lessons
from sanicish.debug.places import Place, called_from
from sanicish.exchange import Exchange, Notice, Outcome
from sanicish.headers import Headers

__all__ = ["WatchedExchange"]

_MANY = 100  # writes; with fewer than this, and few bytes, waiting would have changed nothing


class _Awaited:
    """What a write returned, and a note when it is awaited."""

    __slots__ = ("_done", "_note")

    def __init__(self, done: Awaitable[None], note: Callable[[], None]) -> None:
        self._done = done
        self._note = note

    def __await__(self) -> Generator[Any, Any, None]:
        self._note()
        return self._done.__await__()


class WatchedExchange(Exchange):
    """Passes everything on to another exchange."""

    __slots__ = ("_awaited", "_enough", "_exchange", "_lessons", "_limit", "_place", "_unawaited", "_writes")

    def __init__(self, exchange: Exchange, lessons: Lessons, enough: int, limit: int) -> None:
        self._exchange = exchange
        self._lessons = lessons
        self._enough = enough  # bytes that fit into the buffer, so that no write has to wait
        self._limit = limit  # bytes that may wait for the client
        self._writes = self._unawaited = 0
        self._awaited = False
        self._place: Place | None = None  # of the last write

    def look_back(self) -> None:
        """The answer has ended: say what there is to say of all of it."""
        if self._place is not None and not self._awaited and (self._unawaited > self._enough or self._writes >= _MANY):
            self._lessons.tell(Lesson.NEVER_AWAITED, self._place)

    def _note_awaited(self) -> None:
        self._awaited = True

    def write(self, data: bytes) -> Awaitable[None]:
        done = self._exchange.write(data)
        place = called_from("streaming.py", "events.py")
        if place is None:  # it was ourselves, and we know
            return done
        self._place = place
        self._writes += 1
        self._unawaited += len(data)
        unsent = self._exchange.unsent
        if unsent > self._limit / 2:
            self._lessons.tell(Lesson.NEARLY_FULL, place, unsent, self._limit)
        return _Awaited(done, self._note_awaited)

    def flush(self) -> Awaitable[None]:
        return _Awaited(self._exchange.flush(), self._note_awaited)

    # Everything else as it is

    def has(self, notice: Notice) -> bool:
        return self._exchange.has(notice)

    @property
    def congested(self) -> bool:
        return self._exchange.congested

    @property
    def unsent(self) -> int:
        return self._exchange.unsent

    @property
    def bodiless(self) -> bool:
        return self._exchange.bodiless

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        self._exchange.start(status, headers, content_type, chunked)

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        await self._exchange.send_file(descriptor, offset, count)

    def finish(self) -> Awaitable[None]:
        return self._exchange.finish()

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        self._exchange.send_whole(status, headers, content_type, body)

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        self._exchange.abort(outcome)


def _passed_on(name: str) -> Any:
    def get(self: WatchedExchange) -> Any:
        return getattr(self._exchange, name)

    def set(self: WatchedExchange, value: Any) -> None:
        setattr(self._exchange, name, value)

    return property(get, set)


for _name in Exchange.__slots__:  # what an exchange remembers, the other one does
    setattr(WatchedExchange, _name, _passed_on(_name))
