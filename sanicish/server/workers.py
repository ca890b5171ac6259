"""Which worker processes there should be: the state machine of a supervisor.

It never says process, signal handler, socket or clock: it is told what happened and when, and calls what it was given.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Worker", "WorkerPool"]

_STEADY = 10.0  # seconds after which a worker that dies was no false start
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0
_UNREADY_PATIENCE = 5.0  # seconds for one that is not wanted any more before it was ready
_FORCED_PATIENCE = 3.0  # seconds after everybody was told a second time


@dataclass(eq=False)
class Worker:
    """One process, from its start to its end."""

    slot: int
    generation: int
    started: float
    ready: bool = False
    heard: float = 0.0  # when it last gave a sign of life
    spent: bool = False  # it asked to be replaced
    kill_at: float | None = None  # it was told to leave
    killed: bool = False


@dataclass(eq=False)
class _Slot:
    current: Worker | None = None
    coming: Worker | None = None
    start_at: float | None = None
    failures: int = 0


class WorkerPool:
    """So many workers: the dead are started again, later each time; all are renewed one by one; times in seconds.

    ``start`` tells whether it could; if not, it is tried again later. One that leaves has ``patience``, one that starts
    ``start_limit``, one that is ready gives a sign of life within ``silence``; then ``kill`` is told what it did not do.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[Worker], bool],
        leave: Callable[[Worker], None],
        kill: Callable[[Worker, str], None],
        patience: float,
        start_limit: float | None = None,
        silence: float | None = None,
    ) -> None:
        self._slots = [_Slot() for _ in range(size)]
        self._start, self._leave, self._kill = start, leave, kill
        self._patience = patience
        self._start_limit = start_limit
        self._silence = silence
        self._vain = 0  # starts that could not be, one after the other
        self._again_at: float | None = None  # nothing is started before
        self._generation = 0
        self._leaving: set[Worker] = set()
        self._ever_ready = False
        self.stopping = False
        self.failed = False

    @property
    def living(self) -> list[Worker]:
        """All that were started and did not end."""
        held = [worker for slot in self._slots for worker in (slot.current, slot.coming) if worker is not None]
        return [*held, *self._leaving]

    @property
    def done(self) -> bool:
        """Whether it was told to stop and nothing is left."""
        return self.stopping and not self.living

    @property
    def serving(self) -> bool:
        """Whether every place has a worker that is ready."""
        return all(slot.current is not None and slot.current.ready for slot in self._slots)

    def begin(self, now: float) -> None:
        """Start everybody."""
        for number, slot in enumerate(self._slots):
            slot.current = self._new(number, now)
            if slot.current is None:
                self.failed = True
                self.stop(now)
                return

    def ready(self, worker: Worker, now: float) -> None:
        """A worker accepts connections: whom it replaces may go."""
        worker.ready = self._ever_ready = True
        worker.heard = now
        slot = self._slots[worker.slot]
        if slot.coming is worker:
            old, slot.current, slot.coming = slot.current, worker, None
            if old is not None:
                self._send_off(old, now)
        self._advance(now)

    def gone(self, worker: Worker, now: float) -> None:
        """A worker ended, asked or not."""
        slot = self._slots[worker.slot]
        if worker in self._leaving:
            self._leaving.discard(worker)
        elif slot.coming is worker:
            slot.coming = None
            self._give_up(worker.generation)
        elif slot.current is worker:
            slot.current, slot.coming = slot.coming, None
            if not self._ever_ready:
                self.failed = True
                self.stop(now)
            elif slot.current is None:
                self._start_later(worker.slot, slot, worker, now)
        self._advance(now)

    def spent(self, worker: Worker, now: float) -> None:
        """A worker asks to be replaced."""
        worker.spent = True
        self._advance(now)

    def heard(self, worker: Worker, now: float) -> None:
        """A worker gives a sign of life."""
        worker.heard = now

    def renew(self, now: float) -> None:
        """Replace all, one by one, each when its successor is ready; what is not ready yet is replaced at once."""
        self._generation += 1
        for number, slot in enumerate(self._slots):
            if slot.coming is not None:
                stale, slot.coming = slot.coming, None
                self._send_off(stale, now)
            if slot.current is not None and not slot.current.ready and not self.stopping:
                stale, slot.current = slot.current, None
                self._send_off(stale, now)
                self._start_at(number, slot, now, now)
            elif slot.start_at is not None:  # it has died again and again, perhaps of what is better now
                slot.failures = 0
                self._start_at(number, slot, now, now)
        self._advance(now)

    def stop(self, now: float) -> None:
        """Send all away; called again, at once."""
        if self.stopping:
            for worker in self._leaving:
                if worker.kill_at is not None:
                    worker.kill_at = min(worker.kill_at, now + _FORCED_PATIENCE)
        self.stopping = True
        for slot in self._slots:
            held = [worker for worker in (slot.current, slot.coming) if worker is not None]
            slot.current = slot.coming = slot.start_at = None
            self._leaving.update(held)
        for worker in self._leaving:
            self._send_off(worker, now)

    def tick(self, now: float) -> None:
        """Start and kill what is due."""
        for number, slot in enumerate(self._slots):
            if slot.start_at is not None and slot.start_at <= now:
                self._start_at(number, slot, now, now)
        if self._again_at is not None and self._again_at <= now:
            self._again_at = None
            self._advance(now)
        for worker in self.living:
            deadline = self._deadline(worker)
            if deadline is not None and deadline <= now:
                late = "become ready" if not worker.ready else "end" if deadline == worker.kill_at else "respond"
                worker.kill_at, worker.killed = None, True
                self._kill(worker, late)

    def due(self) -> float | None:
        """When ``tick`` has something to do."""
        times = [slot.start_at for slot in self._slots] + [self._deadline(worker) for worker in self.living]
        times.append(None if self.stopping else self._again_at)
        return min((time for time in times if time is not None), default=None)

    def _deadline(self, worker: Worker) -> float | None:
        """When it will have had time enough, to end, to become ready, or to give a sign of life."""
        if worker.killed:
            return None
        if worker.kill_at is None and not worker.ready and self._start_limit is not None:
            return worker.started + self._start_limit
        if worker.ready and self._silence is not None:
            silent = worker.heard + self._silence
            return silent if worker.kill_at is None else min(worker.kill_at, silent)
        return worker.kill_at

    def _new(self, number: int, now: float) -> Worker | None:
        worker = Worker(number, self._generation, now)
        if self._start(worker):
            self._vain, self._again_at = 0, None
            return worker
        self._vain += 1
        self._again_at = now + _delay(self._vain)
        return None

    def _start_at(self, number: int, slot: _Slot, time: float, now: float) -> None:
        """Start the worker of a slot, now or at some time, but not before it is worth another try."""
        slot.start_at = time if self._again_at is None else max(time, self._again_at)
        if slot.start_at <= now:
            slot.start_at = None
            slot.current = self._new(number, now)
            if slot.current is None:
                slot.start_at = self._again_at

    def _send_off(self, worker: Worker, now: float) -> None:
        self._leaving.add(worker)
        if worker.kill_at is None:
            worker.kill_at = now + (self._patience if worker.ready else min(self._patience, _UNREADY_PATIENCE))
        self._leave(worker)

    def _start_later(self, number: int, slot: _Slot, dead: Worker, now: float) -> None:
        if dead.ready and now - dead.started >= _STEADY:
            slot.failures = 0
        delay = _delay(slot.failures)
        slot.failures += 1
        self._start_at(number, slot, now + delay, now)

    def _give_up(self, generation: int) -> None:
        """What would come does not start, so what is there stays: better old code than none."""
        for slot in self._slots:
            if slot.current is not None:
                slot.current.generation, slot.current.spent = max(slot.current.generation, generation), False

    def _advance(self, now: float) -> None:
        if self.stopping or self._again_at is not None or any(slot.coming for slot in self._slots):
            return
        for number, slot in enumerate(self._slots):
            old = slot.current
            if old is not None and old.ready and (old.spent or old.generation < self._generation):
                slot.coming = self._new(number, now)
                return


def _delay(failures: int) -> float:
    """Seconds until the next start, after so many that failed."""
    return min(_FIRST_DELAY * 2 ** min(failures - 1, 10), _LONGEST_DELAY) if failures else 0.0
