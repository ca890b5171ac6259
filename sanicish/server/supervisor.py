"""Worker processes on one listening socket: they run the command of this process again, so a new one has new code.

Between supervisor and worker is a pair of sockets, for words of one byte: the worker says that it is ready or spent,
the supervisor how to leave, and each sees the other end by the end of it. Which workers there should be is decided in
``workers``.
"""

import os
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sanicish.log import error_logger, logger
from sanicish.server.workers import Crew, Worker

__all__ = ["Link", "supervise"]

_VARIABLE = "_SANICISH_WORKER"
_READY, _SPENT = b"r", b"s"
_MAKE_WAY, _LEAVE, _DRAIN, _FORCE = b"m", b"l", b"d", b"f"  # for a successor; at the end, with a drain; at once

_LONGEST_WAIT = 3600.0  # seconds; more than a month would be too much for the system
_MEMORY_PAUSE = 5.0  # seconds between two looks at how much a worker holds


class Link:
    """What a worker has of its supervisor: the sockets to listen on, and a line to talk."""

    _own: "Link | None" = None  # held until the process ends, for that is what the end of the line tells

    def __init__(self, listeners: list[socket.socket], line: socket.socket) -> None:
        self.listeners = listeners
        self.line = line

    @classmethod
    def inherited(cls) -> "Link | None":
        """The link of this process, if a supervisor started it; found once, so that children do not find it."""
        said = os.environ.pop(_VARIABLE, None)
        if said is None:
            return None
        line, *listeners = (socket.socket(fileno=int(number)) for number in said.split(","))
        for one in (line, *listeners):
            one.set_inheritable(False)
        line.setblocking(False)
        cls._own = cls(listeners, line)
        return cls._own

    def ready(self) -> None:
        """Connections are accepted."""
        self._tell(_READY)

    def spent(self) -> None:
        """Please replace me."""
        self._tell(_SPENT)

    def obey(self, server: Any) -> None:
        """Let a server stop as the supervisor says, or when it is gone; ask to be replaced after ``MAX_REQUESTS``, or
        when the process holds more than ``MAX_MEMORY``."""
        # Ctrl-C reaches every process of a terminal; the supervisor passes it on, and twice would mean at once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        server.loop.add_signal_handler(signal.SIGTERM, server.ask_to_stop)
        server.loop.add_reader(self.line, self._listen, server)
        config = server.app.config
        if config["MAX_REQUESTS"]:
            self._count(server, config["MAX_REQUESTS"])
        if config["MAX_MEMORY"]:
            server.loop.call_later(_MEMORY_PAUSE, self._weigh, server, config["MAX_MEMORY"])

    def _listen(self, server: Any) -> None:
        try:
            words = self.line.recv(100)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            server.loop.remove_reader(self.line)
        if _FORCE in words:
            server.asked.set()
            server.forced.set()
        elif server.asked.is_set():
            return
        elif _MAKE_WAY in words:
            server.make_way()
        else:
            server.ask_to_stop(drain=_DRAIN in words)

    def _count(self, server: Any, max_requests: int) -> None:
        answer = server.handler
        left = max_requests

        def counting(exchange: Any) -> Any:
            nonlocal left
            left -= 1
            if left <= 0 and not left % max_requests:  # asked again, should its successor not have started
                self.spent()
            return answer(exchange)

        server.handler = counting

    def _weigh(self, server: Any, max_memory: int) -> None:
        if memory() > max_memory:
            self.spent()
        server.loop.call_later(_MEMORY_PAUSE, self._weigh, server, max_memory)

    def _tell(self, word: bytes) -> None:
        with suppress(OSError):  # the supervisor is gone, which the line tells by its end
            self.line.send(word)


def memory() -> int:
    """Bytes that this process holds now; where the system does not tell, the most it ever held."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


class _Processes:
    """The processes of the workers, and their lines."""

    def __init__(self, listeners: Iterable[socket.socket], selector: selectors.BaseSelector, hurried: bool) -> None:
        self._listeners = [one.fileno() for one in listeners]
        self._selector = selector
        self.farewell = _LEAVE if hurried else _MAKE_WAY
        # Bytecode is told from its source by size and second, and who edits may save twice in one.
        self._more = {"PYTHONDONTWRITEBYTECODE": "1"} if hurried else {}
        self._running: dict[Worker, tuple[subprocess.Popen[bytes], socket.socket]] = {}

    def start(self, worker: Worker) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            passed = (theirs.fileno(), *self._listeners)
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                pass_fds=passed,
                env={**os.environ, **self._more, _VARIABLE: ",".join(map(str, passed))},
            )
        ours.setblocking(False)
        self._running[worker] = process, ours
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def leave(self, worker: Worker) -> None:
        process, line = self._running[worker]
        if not worker.ready:  # it may be loading the application, and does not listen yet
            process.send_signal(signal.SIGTERM)
            return
        with suppress(OSError):  # it is gone, or so stuck that only killing will help
            line.send(self.farewell)

    def kill(self, worker: Worker) -> None:
        what = "end" if worker.ready else "become ready"
        error_logger.error("worker %d did not %s in time; it is killed", self._running[worker][0].pid, what)
        self._running[worker][0].kill()

    def read(self, worker: Worker) -> bytes:
        try:
            return self._running[worker][1].recv(100)
        except OSError:
            return b""

    def forget(self, worker: Worker) -> tuple[int, int]:
        """Its process id and exit code, after its end."""
        process, line = self._running.pop(worker)
        self._selector.unregister(line)
        line.close()
        try:
            code = process.wait(1)
        except subprocess.TimeoutExpired:  # it closed its line and lives on: no use to anybody
            process.kill()
            code = process.wait()
        return process.pid, code


def supervise(
    listeners: Iterable[socket.socket],
    size: int,
    patience: float,
    start_limit: float | None,
    on_serving: Callable[[], None],
    *,
    hurried: bool = False,
) -> int:
    """Keep ``size`` workers until SIGINT or SIGTERM; gives the exit code.

    SIGHUP renews them one by one. One that leaves has ``patience`` seconds, one that starts ``start_limit``. Must run
    in the main thread. ``hurried``: the code changes all the time, and a worker that is replaced shall answer nobody
    who comes later.
    """
    with selectors.DefaultSelector() as selector, _signals() as woken:
        selector.register(woken, selectors.EVENT_READ, None)
        processes = _Processes(listeners, selector, hurried)
        crew = Crew(size, processes.start, processes.leave, processes.kill, patience, start_limit)
        crew.begin(time.monotonic())
        told = False
        while not crew.done:
            due = crew.due()
            events = selector.select(None if due is None else min(max(0.0, due - time.monotonic()), _LONGEST_WAIT))
            for key, _ in events:
                if key.data is None:
                    _take_signals(crew, processes, woken.recv(100))
                else:
                    _listen_to(crew, processes, key.data)
            crew.tick(time.monotonic())
            if crew.serving and not told:
                told = True
                on_serving()
    return 1 if crew.failed else 0


def _take_signals(crew: Crew, processes: _Processes, numbers: bytes) -> None:
    for number in numbers:
        if number == signal.SIGHUP:
            logger.info("renewing the workers, one by one")
            crew.renew(time.monotonic())
        elif number in (signal.SIGINT, signal.SIGTERM):
            processes.farewell = _FORCE if crew.stopping else _DRAIN if number == signal.SIGTERM else _LEAVE
            crew.stop(time.monotonic())


def _listen_to(crew: Crew, processes: _Processes, worker: Worker) -> None:
    words = processes.read(worker)
    now = time.monotonic()
    if _READY in words:
        crew.ready(worker, now)
    if _SPENT in words:
        crew.spent(worker, now)
    if not words:
        pid, code = processes.forget(worker)
        if not worker.killed and worker.kill_at is None and not crew.stopping:
            error_logger.error("worker %d ended by itself (%s)", pid, f"signal {-code}" if code < 0 else f"exit {code}")
        crew.gone(worker, now)


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that gets a byte for each signal; before and after, signals do what they did."""
    woken, waker = socket.socketpair()
    with woken, waker:
        waker.setblocking(False)
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        old_waker = signal.set_wakeup_fd(waker.fileno())
        old = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield woken
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_waker)
