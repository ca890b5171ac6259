"""An exchange whose writes are looked at: whether somebody awaits them, and how much waits for the client."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from sanicish.debug.lessons import Lesson, Lessons
from sanicish.exchange import Exchange
from sanicish.log.places import Place, called_from
from sanicish.wrapped import WrappedExchange

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


class WatchedExchange(WrappedExchange):
    """Looks at writes, and passes everything on."""

    __slots__ = ("_awaited", "_enough", "_lessons", "_limit", "_place", "_unawaited", "_writes")

    def __init__(self, exchange: Exchange, lessons: Lessons, enough: int, limit: int) -> None:
        super().__init__(exchange)
        self._lessons = lessons
        self._enough = enough  # bytes that fit into the buffer, so that no write has to wait
        self._limit = limit  # bytes that may wait for the client
        self._writes = self._unawaited = 0
        self._awaited = False
        self._place: Place | None = None  # of the last write

    def look_back(self) -> None:
        """The response has ended: say what there is to say of all of it."""
        if self._place is not None and not self._awaited and (self._unawaited > self._enough or self._writes >= _MANY):
            self._lessons.tell(Lesson.NEVER_AWAITED, self._place)

    def _note_awaited(self) -> None:
        self._awaited = True

    def write(self, data: bytes) -> Awaitable[None]:
        done = self.inner.write(data)
        place = called_from("streaming.py", "events.py")
        if place is None:  # it was ourselves, and we know
            return done
        self._place = place
        self._writes += 1
        self._unawaited += len(data)
        unsent = self.inner.unsent
        if unsent > self._limit / 2:
            self._lessons.tell(Lesson.NEARLY_FULL, place, unsent, self._limit)
        return _Awaited(done, self._note_awaited)

    def flush(self) -> Awaitable[None]:
        return _Awaited(self.inner.flush(), self._note_awaited)
