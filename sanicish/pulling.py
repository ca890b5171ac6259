"""Sync iterators, pulled in threads, so that what blocks there does not block the loop.

A thread pulls until a batch is full or its time is over, and is then free for other streams; what it has pulled
meanwhile is handed over at once when it came alone, and once a millisecond when it comes fast: handing over each
item by itself costs more than making it.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import SimpleQueue
from threading import Semaphore, Thread
from time import monotonic
from typing import Any

from sanicish.log import error_logger

__all__ = ["Pull", "close_sync"]

_BATCH_BYTES = 65_536
_BATCH_SECONDS = 0.1
_HAND_OVER_SECONDS = 0.001
_OVERHEAD = 64  # bytes that an item costs beside its own: a batch of empty ones ends too

_MOST_THREADS = 64


class _Threads:
    """Threads that do jobs, started when none is idle, up to a limit.

    They are daemons, unlike those of an executor: a generator that blocks for ever shall not keep the process from ending.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin again: a process that was forked has none of its parent's threads."""
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = Semaphore(0)
        self._started = 0

    def run(self, job: Callable[[], None]) -> None:
        """Do a job in a thread as soon as there is one."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and self._started < _MOST_THREADS:
            self._started += 1
            Thread(target=self._work, name=f"sanicish-pull-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._idle.release()


_threads = _Threads()


def close_sync(iterator: Any) -> None:
    """Close a generator, or what can be closed like one; a failure of that is logged."""
    close = getattr(iterator, "close", None)
    if close is not None:
        try:
            close()
        except Exception:
            error_logger.exception("%r failed when it was closed", iterator)


os.register_at_fork(after_in_child=_threads.forget)


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
        self._ended = False  # nothing more will come; the iterator is closed
        self._error: BaseException | None = None

    @property
    def iterator(self) -> Any:
        """What is pulled, once it is."""
        return self._iterator

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
        """Close the iterator in its thread, once the item is made that it is at; wait for that."""
        self._stopped = True
        while not self._ended:
            await self._wait()

    async def _wait(self) -> None:
        if not self._busy:
            self._busy = True
            _threads.run(self._job)
        self._waiter = self._loop.create_future()
        await self._waiter

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
        self._tell(self._paused, *self._context.run(self._pull))

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
