"""Stop and go, both ways.

Reading is *held*, and every hold has a name: a full body and a waiting pipelined request may hold at the same
time, and reading goes on only when the last hold is released. Writing waits while the transport is full. Both
share the turns of the loop with all other connections.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from contextvars import copy_context
from time import monotonic
from typing import Any

from sanicish.exceptions import ClientDisconnected

__all__ = ["HOLD_BODY", "HOLD_PIPELINE", "HOLD_TURN", "READY", "STOP", "FlowControl", "Turn"]

HOLD_BODY = 1  # more unread body than the high mark
HOLD_PIPELINE = 2  # requests wait behind the one that is answered
HOLD_TURN = 4  # bodies came for so long without a pause that it is the turn of others

_TURN = 0.001  # seconds of reading after which it is the turn of others; longer turns do not raise the throughput


class _Ready:
    """An awaitable that is done; one object for all writes that need not wait."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return iter(())  # type: ignore[return-value]


READY: Awaitable[None] = _Ready()


class _Stop:
    """An awaitable that ends the handler: the response to a HEAD request is complete with its head."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()
        raise asyncio.CancelledError("the response is complete")


STOP: Awaitable[None] = _Stop()


def wake_at_once(waiter: asyncio.Future[None]) -> None:
    """Complete a future and let the task that waits for it go on now, not in the next turn of the loop.

    So a body is read while it is in the cache, and the socket need not be told to wait. Inside of a task no other can
    go on: then it does so in the next turn, as always.
    """
    loop = waiter.get_loop()
    callbacks: Sequence[Any] = getattr(waiter, "_callbacks", None) or ()
    if len(callbacks) != 1:
        waiter.set_result(None)
        return
    ((resume, context),) = callbacks
    waiter.remove_done_callback(resume)
    waiter.set_result(None)
    try:
        context.run(resume, waiter)
    except RuntimeError:  # a task runs, and nothing has happened yet
        loop.call_soon(resume, waiter, context=context)
    except (SystemExit, KeyboardInterrupt) as error:  # are for the loop, not for the transport that called
        loop.call_soon(_throw, error)


def _throw(error: BaseException) -> None:
    raise error


class Turn:
    """One turn of the loop, shared by all connections that read and write in it.

    Reading: once bodies have been read for a millisecond, each connection rests after its next read until the turn
    after it. uvloop reads a socket up to 32 times before it looks at the next, 8 MiB of an upload that is fast.

    Writing: awaiting a write that is ready would never return to the loop. So writers have ``slice_seconds`` of a turn
    together. Whoever awaits a write after that waits in a queue, which goes on in the turns that follow. However many
    write, others wait for one slice.
    """

    __slots__ = ("_began", "_call_soon", "_queue", "_resting", "_slice", "ends")

    def __init__(self, call_soon: Callable[..., Any], slice_seconds: float = 0.001) -> None:
        self._call_soon = call_soon
        self._began = 0.0  # of reading, on the monotonic clock; 0 before the first read
        self._resting: list[FlowControl] = []
        self._queue: deque[asyncio.Future[None]] = deque()
        self._slice = slice_seconds
        self.ends = 0.0  # of writing, on the monotonic clock; 0 while nobody has written in this turn and nobody waits

    def has_read(self, flow: "FlowControl") -> None:
        """A connection has read as much as it can at once, and would go on."""
        if not self._began:
            self._began = monotonic()
            self._call_soon(self._end_reading)
        elif monotonic() - self._began > _TURN:
            flow.hold(HOLD_TURN)
            self._resting.append(flow)

    def _end_reading(self) -> None:
        self._began = 0.0
        resting, self._resting = self._resting, []
        for flow in resting:
            flow.release(HOLD_TURN)

    def begin(self) -> bool:
        """Begin the slice of this turn; False if it has begun already, or others wait."""
        if self.ends:
            return False
        self.ends = monotonic() + self._slice
        self._call_soon(self._next)
        return True

    def wait(self, waiter: "asyncio.Future[None]") -> None:
        """Complete the future when it is its turn."""
        self._queue.append(waiter)
        self.begin()

    def _next(self) -> None:
        """A turn of the loop has begun: let those go on who wait, as long as the slice lasts."""
        queue = self._queue
        if not queue:
            self.ends = 0.0
            return
        self.ends = monotonic() + self._slice
        self._call_soon(self._next)
        while queue:
            waiter = queue.popleft()
            if not waiter.done():
                wake_at_once(waiter)
                if monotonic() > self.ends:
                    break


class FlowControl:
    """The brakes of one connection; awaiting it waits until there is room to write, and for its turn."""

    __slots__ = ("_context", "_holds", "_transport", "_waiters", "blocked", "lost", "paused", "resumed", "told", "turn")

    def __init__(self, transport: Any, turn: Turn) -> None:
        self._transport = transport
        self._context = copy_context()  # in which the connection was made
        self._holds = 0
        self._waiters: deque[asyncio.Future[None]] | None = None
        self.turn = turn
        self.paused = False  # the transport has more unsent bytes than its high-water mark
        self.blocked = False  # something waits for room that the transport does not know of
        self.resumed = 0  # how often it had room again
        self.lost = False  # the connection is gone
        self.told: asyncio.Task[Any] | None = None  # who has heard of that

    # Reading

    def hold(self, reason: int) -> None:
        """Stop reading for this reason."""
        if not self._holds and not self.lost:
            self._transport.pause_reading()
        self._holds |= reason

    def release(self, reason: int) -> None:
        """Take this reason back; reading goes on when none is left."""
        if self._holds:
            self._holds &= ~reason
            if not self._holds and not self.lost:
                # asyncio reads on in the context that it is called in, which may be a handler's.
                self._context.run(self._transport.resume_reading)

    @property
    def holding(self) -> int:
        """The reasons why reading is stopped, as bits; 0 when it is not."""
        return self._holds

    # Writing

    def pause_writing(self) -> None:
        """The transport is full."""
        self.paused = True

    def resume_writing(self) -> None:
        """The transport has room again: wake those who wait."""
        self.paused = False
        self.resumed += 1
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            self.turn.wait(waiter)

    def connection_lost(self) -> None:
        """Nothing will be written any more: wake those who wait, so that none waits for ever."""
        self.lost = True
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    @property
    def must_wait(self) -> bool:
        """Whether a writer should wait now, for room or for its turn."""
        return self.paused or self.lost or monotonic() > self.turn.ends

    def __await__(self) -> Generator[Any, None, None]:
        if self.lost:
            yield  # to the loop, once: a handler that ignores the error must not stop the loop
        elif self.paused or not self.turn.begin():
            create_future = asyncio.get_running_loop().create_future
            while True:
                waiter: asyncio.Future[None] = create_future()
                if not self.paused:
                    self.turn.wait(waiter)
                elif self._waiters is None:
                    self._waiters = deque((waiter,))
                else:
                    self._waiters.append(waiter)
                yield from waiter
                if self.lost or not self.paused:
                    break
        if self.lost:
            with suppress(RuntimeError):  # whoever drives this without a loop has no task either
                self.told = asyncio.current_task()
            raise ClientDisconnected("the client is gone")
