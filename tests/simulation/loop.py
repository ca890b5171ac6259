"""An event loop whose clock and queue belong to the simulation.

Callbacks run in the order of ``call_soon``, as on the real loops. What those leave open is decided by a seed: which sockets
are ready in one iteration, in which order, and how long a callback takes. ``Asyncio`` and ``Uvloop`` differ in the order of
callbacks, sockets and timers within an iteration.
"""

import asyncio
import heapq
from collections import deque
from contextvars import copy_context
from random import Random

__all__ = ["LOOPS", "Asyncio", "SimulatedLoop", "Uvloop"]

_READS_IN_A_TURN = 32  # of one socket, where every one fills the buffer (libuv)


class Handle:
    """A callback that waits for its turn."""

    __slots__ = ("_args", "_callback", "_context", "_when", "cancelled_")

    def __init__(self, callback, args, context, when=0.0):
        self._callback = callback
        self._args = args
        self._context = context
        self._when = when
        self.cancelled_ = False

    def cancel(self):
        self.cancelled_ = True
        self._callback = self._args = None

    def cancelled(self):
        return self.cancelled_

    def when(self):
        return self._when

    def run(self):
        self._context.run(self._callback, *self._args)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """One loop over one ``Network``; ``failures`` collects what callbacks raised."""

    ignores_late_writes = True
    flavour = ""

    def __init__(self, random: Random, network, tick: float = 1e-5, late: float = 0.0) -> None:
        self.random = random
        self.network = network
        network.loop = self
        self.now = 1000.0
        self.tick = tick  # seconds that a callback takes, and a look at the clock
        self.late = late  # how probable it is that a socket that is ready is reported an iteration later
        self.failures = []
        self.iterations = 0
        self.waited_for = {}  # threads that work, as (time, handle)
        self._ready = deque()
        self._timers = []
        self._serial = 0
        self._generators = {}
        self._factory = None

    # The clock

    def time(self):
        return self.now

    def monotonic(self):
        """A clock that goes on while it is looked at, so that whoever waits for it without a pause gets there."""
        self.now += self.tick
        return self.now

    # Callbacks

    def call_soon(self, callback, *args, context=None):
        handle = Handle(callback, args, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = Handle(callback, args, copy_context() if context is None else context, when)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, handle))
        return handle

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coroutine, *, name=None, context=None):
        return asyncio.Task(coroutine, loop=self, name=name or "task", context=context)

    def get_task_factory(self):
        return self._factory

    def get_debug(self):
        return False

    def is_running(self):
        return True

    def is_closed(self):
        return False

    def call_exception_handler(self, context):
        self.failures.append(context)

    default_exception_handler = call_exception_handler

    def run_in_executor(self, executor, function, *args):
        """A thread does it: at a later moment, and as one step."""
        future = self.create_future()
        self.network.after(self.random.choice((0.0, 1e-4, 2e-3, 0.05)), self._work, (future, function, args))
        return future

    def _work(self, job):
        future, function, args = job
        try:
            result = function(*args)
        except BaseException as error:
            self.call_soon(_settle, future, None, error)
        else:
            self.call_soon(_settle, future, result, None)

    # Sockets

    def add_reader(self, sock, callback, *args):
        self.network.watch_read(sock, callback, args)

    def remove_reader(self, sock):
        return self.network.unwatch_read(sock)

    def add_writer(self, sock, callback, *args):
        self.network.watch_write(sock, callback, args)

    def remove_writer(self, sock):
        return self.network.unwatch_write(sock)

    async def create_server(self, factory, *, sock, **options):
        sock.factory = factory
        return sock.serve(self)

    async def connect_accepted_socket(self, factory, sock, **options):
        made = self.create_future()
        self.network.connect(sock, factory(), made)
        return await made

    # Running

    def run_until(self, is_over, until: float) -> bool:
        """Iterate until something is true, or the clock shows ``until``, or nothing will ever happen; whether it is true."""
        asyncio._set_running_loop(self)
        try:
            while not is_over():
                if self.now >= until:
                    return False
                if not self._step():
                    return bool(is_over())
            return True
        finally:
            asyncio._set_running_loop(None)

    def _step(self) -> bool:
        network, ready, timers = self.network, self._ready, self._timers
        if not ready and not network.stirred:
            upcoming = network.events[0][0] if network.events else float("inf")
            while timers and timers[0][2].cancelled_:
                heapq.heappop(timers)
            if timers and timers[0][0] < upcoming:
                upcoming = timers[0][0]
            if upcoming == float("inf"):
                return False
            self.now = max(self.now, upcoming)
        network.happen()
        self.iterations += 1
        self._iterate()
        return True

    def _iterate(self):
        raise NotImplementedError

    def _due(self):
        timers = self._timers
        while timers and timers[0][0] <= self.now:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled_:
                yield handle

    def _sockets(self):
        """The sockets that are looked at now, in any order."""
        stirred = self.network.stirred
        if not stirred:
            return ()
        found = list(stirred)
        stirred.clear()
        if len(found) > 1:
            self.random.shuffle(found)
            if self.late:
                later = [one for one in found if self.random.random() < self.late]
                for one in later:
                    stirred[one] = None
                found = [one for one in found if one not in stirred]
        return found

    def _run(self, handle):
        if not handle.cancelled_:
            self.now += self.tick
            try:
                handle.run()
            except BaseException as error:
                self.failures.append({"message": "a callback failed", "exception": error})


class Asyncio(SimulatedLoop):
    """Callbacks that wait, then sockets, then timers."""

    flavour = "asyncio"
    largest_read = 262_144

    def _iterate(self):
        ready = self._ready
        empty = copy_context()
        for one in self._sockets():
            for call in one.ready_calls():
                ready.append(Handle(call, (), empty))
        ready.extend(self._due())
        for _ in range(len(ready)):
            self._run(ready.popleft())


class Uvloop(SimulatedLoop):
    """Timers, then callbacks that wait, then sockets, which are read up to 32 times."""

    flavour = "uvloop"
    ignores_late_writes = False
    largest_read = 256_000

    def _iterate(self):
        ready = self._ready
        for handle in list(self._due()):
            self._run(handle)
        for _ in range(len(ready)):
            self._run(ready.popleft())
        self.network.happen()
        empty = copy_context()
        for one in self._sockets():
            for call in one.ready_calls():
                for _ in range(_READS_IN_A_TURN):
                    handle = Handle(call, (), empty)
                    self.now += self.tick
                    try:
                        again = handle._context.run(call)
                    except BaseException as error:
                        self.failures.append({"message": "a callback failed", "exception": error})
                        break
                    if not again:
                        break


LOOPS = {"asyncio": Asyncio, "uvloop": Uvloop}


def _settle(future, result, error):
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
