"""Threads for work that may block: started when none is free, up to a limit; beyond it work waits for its turn."""

import os
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread

__all__ = ["Threads", "threads"]

Job = Callable[[], None]


class Threads:
    """Up to ``most`` threads.

    They are daemons, unlike those of an executor: work that blocks for ever does not keep the process alive. Whoever waits
    for a thread may give up after ``patience`` seconds and ``withdraw`` the job; ``None`` is for ever. A job that waits
    already is not taken a second time.
    """

    def __init__(self, most: int = 64, patience: float | None = 5) -> None:
        self.most = most
        self.patience = patience
        self.forget()

    def forget(self) -> None:
        """Start from nothing: a forked process has none of its parent's threads."""
        self._lock = Lock()
        self._handed: SimpleQueue[Job] = SimpleQueue()  # to threads that are free
        self._waiting: dict[Job, None] = {}
        self._free = 0
        self.started = 0

    def run(self, job: Job) -> bool:
        """Do a job at once, or, if all threads are busy, as soon as one is free; returns whether it is done at once."""
        with self._lock:
            if self._free:
                self._free -= 1
                self._handed.put(job)
                return True
            if self.started >= self.most:
                self._waiting[job] = None
                return False
            self.started += 1
        Thread(target=self._work, args=(job,), name=f"sanicish-pull-{self.started}", daemon=True).start()
        return True

    def withdraw(self, job: Job) -> bool:
        """Forget a job that waits; returns whether it did."""
        with self._lock:
            return self._waiting.pop(job, job) is None

    def _work(self, job: Job) -> None:
        while True:
            job()
            with self._lock:
                waits = bool(self._waiting)
                if waits:
                    job = next(iter(self._waiting))
                    del self._waiting[job]
                else:
                    self._free += 1
            if not waits:
                del job  # an idle thread keeps nothing alive
                job = self._handed.get()


threads = Threads()
os.register_at_fork(after_in_child=threads.forget)
