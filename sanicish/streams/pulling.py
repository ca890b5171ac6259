"""Sync iterators, pulled in threads, so that what blocks there does not block the loop.

A thread pulls until a batch is full or its time is over, and is then free for other streams; what it has pulled
meanwhile is handed over at once when it arrived alone, and once a millisecond when it comes fast: handing over each
item by itself costs more than making it.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from threading import get_ident
from time import monotonic
from typing import Any

from sanicish.exceptions import ServiceUnavailable
from sanicish.interruption import is_of_signal
from sanicish.log import error_logger
from sanicish.log.places import Place, frames, is_own
from sanicish.streams.threads import threads

__all__ = ["Pull", "close_sync", "pulls_of_the_gone"]

_BATCH_BYTES = 65_536
_BATCH_SECONDS = 0.1
_HAND_OVER_SECONDS = 0.001
_OVERHEAD = 64  # bytes that an item costs beside its own: a batch of empty ones ends too

_LEAVE_SECONDS = 2.5  # that a generator whose client has left may take for its item, before it is left to its thread
_SILENCE = 60.0  # seconds between two lines of the log about one place


def close_sync(iterator: Any) -> None:
    """Close a generator, or what can be closed like one; a failure of that is logged."""
    close = getattr(iterator, "close", None)
    if close is not None:
        try:
            close()
        except BaseException as error:
            if is_of_signal(error):
                raise
            error_logger.exception("%r failed when it was closed", iterator)


class Pull:
    """One sync iterable, pulled a batch at a time, always in the same copy of the context it was made in."""

    def __init__(self, source: Any, encode: Callable[[Any], bytes]) -> None:
        self._source = source
        self._iterator: Any = None
        self._encode = encode
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._pieces: deque[bytes] = deque()  # put in by the thread, taken out by the loop
        self._told = False  # the loop knows, or will, that there are some
        self._next = 0.0  # on the loop's clock: when it takes the next ones at the earliest
        self._waiter: asyncio.Future[None] | None = None
        self._busy = False  # a thread pulls, or is about to
        self._stopped = False  # nothing more is wanted
        self._ended = False  # nothing more will arrive; the iterator is closed
        self._left = False  # nobody waits for its end any more
        self._thread: int | None = None  # the one that pulls, by its identifier
        self._error: BaseException | None = None

    @property
    def iterator(self) -> Any:
        """The iterator, once it was asked for."""
        return self._iterator

    @property
    def context(self) -> Context:
        """The context that the iterable was made in."""
        return self._context

    @property
    def place(self) -> Place | None:
        """The line of the application's code where its thread is now."""
        frame = sys._current_frames().get(self._thread or 0)
        own = (one for one in frames(frame) if is_own(one.f_code.co_filename))
        return next((Place.of(one) for one in own if not one.f_code.co_filename.startswith("<")), None)

    # In the loop

    async def batch(self) -> list[bytes]:
        """The next pieces, at least one; none at the end. Raises what the iterator raised, after all before it."""
        while True:
            self._told = False  # before looking: what comes after that is told again
            if self._pieces:
                self._next = self._loop.time() + _HAND_OVER_SECONDS
                return [self._pieces.popleft() for _ in range(len(self._pieces))]
            if self._error is not None:
                raise self._error
            if self._ended:
                return []
            await self._wait()

    async def close(self) -> None:
        """Close the iterator in its thread, once the item is made that it is at.

        Waits for that, but not for ever: a generator that blocks is closed by its thread when it goes on.
        """
        self._stopped = True
        if not self._ended and self._iterator is None and (not self._busy or threads.withdraw(self._job)):
            self._ended = True  # nothing was asked of it
            close_sync(self._source)
        if self._ended:
            return
        timer = self._loop.call_later(_LEAVE_SECONDS, self._leave)
        try:
            while not self._ended and not self._left:
                await self._wait()
        finally:
            timer.cancel()

    async def _wait(self) -> None:
        if not self._busy:
            self._busy = True
            if not threads.run(self._job) and self._iterator is None and threads.patience is not None:
                self._loop.call_later(threads.patience, self._refuse)
        self._waiter = self._loop.create_future()
        await self._waiter

    def _refuse(self) -> None:
        """Give up if no thread has begun with it yet: nothing was sent, so the client may try again."""
        if threads.withdraw(self._job):
            _say_all_are_busy()
            close_sync(self._source)
            retry = {"Retry-After": "5"}
            self._paused(True, ServiceUnavailable("all threads for streams are busy", quiet=True, headers=retry))

    def _leave(self) -> None:
        self._left = True
        if self._thread is not None:
            _say_blocked(self)
        self._wake()

    def _arrived(self) -> None:
        if self._loop.time() >= self._next:
            self._wake()
        else:
            self._loop.call_at(self._next, self._wake)

    def _paused(self, ended: bool, error: BaseException | None) -> None:
        self._busy = False
        self._ended = ended
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # In the thread

    def _job(self) -> None:
        # The loop is told when the context was left: it may have the next batch pulled at once, by another thread.
        self._thread = get_ident()
        _pulling.add(self)
        try:
            end = self._context.run(self._pull)
        finally:
            self._thread = None
            _pulling.discard(self)
        self._tell(self._paused, *end)

    def _pull(self) -> tuple[bool, BaseException | None]:
        """Whether this was the last of it, and what went wrong."""
        error: BaseException | None = None
        ended = True
        try:
            ended = self._pull_batch()
        except BaseException as raised:
            error = raised
        if self._stopped or ended:
            ended = True
            close_sync(self._iterator if self._iterator is not None else self._source)
        return ended, error

    def _pull_batch(self) -> bool:
        """Whether the iterator has come to its end."""
        if self._stopped:
            return True
        if self._iterator is None:
            self._iterator = iter(self._source)
        room = _BATCH_BYTES
        time_is_up = monotonic() + _BATCH_SECONDS
        for item in self._iterator:
            piece = self._encode(item)
            self._pieces.append(piece)
            if not self._told:
                self._told = True
                self._tell(self._arrived)
            room -= len(piece) + _OVERHEAD
            if room <= 0 or self._stopped or monotonic() > time_is_up:
                return False
        return True

    def _tell(self, act: Callable[..., None], *values: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(act, *values)


_pulling: set[Pull] = set()  # those that have a thread now
_said: dict[str, float] = {}  # when there was a line about a place


def pulls_of_the_gone() -> list[Pull]:
    """What blocks threads although its client has left."""
    return [pull for pull in list(_pulling) if pull._left]


def _say(place: str, message: str, *values: object) -> None:
    """Log it, unless there was a line about this place a while ago."""
    now = monotonic()
    if now - _said.get(place, -_SILENCE) >= _SILENCE:
        _said[place] = now
        error_logger.warning(message, *values)


def _say_blocked(pull: Pull) -> None:
    place = str(pull.place or type(pull.iterator).__name__)
    count = sum(1 for one in list(_pulling) if one._left)
    _say(
        place,
        "a sync generator blocks at %s although its client has left; such ones hold %d of %d threads until they go on",
        place,
        count,
        threads.most,
    )


def _say_all_are_busy() -> None:
    blocked = Counter(str(pull.place or type(pull.iterator).__name__) for pull in list(_pulling))
    told = ", ".join(f"{place} ({count})" for place, count in blocked.most_common(5))
    _say(
        "",
        "a stream was refused with 503: no thread for its sync generator in %s s; all %d (SYNC_THREADS) are busy: %s",
        threads.patience,
        threads.started,
        told,
    )
