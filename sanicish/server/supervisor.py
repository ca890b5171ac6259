"""Worker processes on one listening socket, started, heard and ended; which there should be is decided in ``workers``."""

import fcntl
import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from sanicish.log import error_logger, logger
from sanicish.server import link
from sanicish.server.launch import Launch
from sanicish.server.sockets import Listening
from sanicish.server.workers import Worker, WorkerPool

__all__ = ["Limits", "supervise"]

_LONGEST_WAIT = 3600.0  # seconds; more than a month would be too much for the system
_AHEAD = 0.1  # seconds before the workers accept no more; a client that is turned away tries again, and is refused then
_OWN_END = 2.0  # seconds for a worker to notice by itself that it hangs, and to leave its stacks


class Limits(NamedTuple):
    """Seconds that a worker may take to leave, to become ready, and between two signs of life; ``None`` is no limit.

    ``drain`` is how long it goes on to accept connections when it is stopped by SIGTERM.
    """

    leave: float
    start: float | None = None
    timeout: float | None = None
    drain: float = 0.0


class _Process(NamedTuple):
    process: subprocess.Popen[bytes]
    line: socket.socket
    stacks: int | None  # a file for those of a worker that hangs or crashes


class _Doors:
    """The sockets that are listened on, closed when the workers are about to accept no more.

    They stay open for as long as one process has them; a connection that is made then would wait for nobody.
    """

    def __init__(self, listening: Listening, drain: float) -> None:
        self._listening = listening
        self._drain = drain
        self.due: float | None = None  # when new connections are turned away

    def stop(self, now: float, *, drain: bool) -> None:
        """The workers are about to be stopped, ``drain`` says whether they accept for a while."""
        self.due = now + max(0.0, self._drain - _AHEAD) if drain else now
        self.tick(now)

    def tick(self, now: float) -> None:
        """Turn new connections away if it is time; those that were made are accepted by the workers."""
        if self.due is not None and now >= self.due:
            self.due = None
            self._listening.turn_away()
            self._listening.close()


class _Processes:
    """The processes of the workers, and the lines to them."""

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        launch: Launch,
        limits: Limits,
        selector: selectors.BaseSelector,
        reloading: bool,
    ) -> None:
        self._listeners = [one.fileno() for one in listeners]
        self.launch = launch
        self._limits = limits
        self._selector = selector
        self.stop_word = link.LEAVE if reloading else link.MAKE_WAY
        # Bytecode is told from its source by size and second, and who edits may save twice in one.
        self._more = {"PYTHONDONTWRITEBYTECODE": "1"} if reloading else {}
        self._running: dict[Worker, _Process] = {}

    def start(self, worker: Worker) -> bool:
        """Start the process of a worker; False if that cannot be done now."""
        undo = ExitStack()
        try:
            self._running[worker] = self._start(worker, undo)
        except OSError as error:  # the interpreter is not where it was; no descriptor, memory or process is left
            undo.close()
            error_logger.error("a worker cannot be started: %s", error)
            return False
        return True

    def _start(self, worker: Worker, undo: ExitStack) -> _Process:
        ours, theirs = socket.socketpair()
        undo.callback(ours.close)
        ours.setblocking(False)
        with theirs:
            plan = self.launch.plan
            if plan:
                ours.send(plan)  # it has room before anybody reads
            stacks = os.memfd_create("stacks") if hasattr(os, "memfd_create") else None
            if stacks is not None:
                undo.callback(os.close, stacks)
            told = {
                "line": theirs.fileno(),
                "listeners": self._listeners,
                "stacks": stacks,
                "start_limit": self._limits.start,
                "timeout": self._limits.timeout,
                "plan": len(plan),
            }
            _signal_at_end(theirs)
            process = subprocess.Popen(
                self.launch.command,
                pass_fds=(theirs.fileno(), *self._listeners, *(() if stacks is None else (stacks,))),
                env={**os.environ, **self._more, link.VARIABLE: json.dumps(told)},
            )
            undo.callback(process.kill)
            with suppress(AttributeError, OSError):
                fcntl.fcntl(theirs, fcntl.F_SETOWN, process.pid)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return _Process(process, ours, stacks)

    def leave(self, worker: Worker) -> None:
        """Ask a worker to leave."""
        process, line, _ = self._running[worker]
        if not worker.ready:  # it may be loading the application, and does not listen yet
            process.send_signal(signal.SIGTERM)
            return
        with suppress(OSError):  # it is gone, or so stuck that only killing will help
            line.send(self.stop_word)

    def kill(self, worker: Worker, late: str) -> None:
        """Kill a worker that did not do something in time."""
        error_logger.error("worker %d did not %s in time; it is killed", self._running[worker].process.pid, late)
        self._running[worker].process.kill()

    def read(self, worker: Worker) -> bytes:
        """What a worker says; nothing at its end."""
        try:
            return self._running[worker].line.recv(1000)
        except OSError:
            return b""

    def forget(self, worker: Worker, expected: bool) -> None:
        """See a worker off after its end, and log the end if nobody asked for it, and the stacks it left."""
        process, line, stacks = self._running.pop(worker)
        self._selector.unregister(line)
        line.close()
        try:
            code = process.wait(1)
        except subprocess.TimeoutExpired:  # it closed its line and lives on: no use to anybody
            process.kill()
            code = process.wait()
        left = _content(stacks)
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        if left.startswith("Timeout"):
            error_logger.error("worker %d hung (%s):\n%s", process.pid, how, left.partition("\n")[2])
        elif left or not expected:
            error_logger.error("worker %d ended by itself (%s)%s", process.pid, how, left and f":\n{left}")


def _content(file: int | None) -> str:
    """The text of a file, which is closed."""
    if file is None:
        return ""
    try:
        return os.pread(file, os.fstat(file).st_size, 0).decode("utf-8", "replace").strip("\0\n")
    finally:
        os.close(file)


def _signal_at_end(line: socket.socket) -> None:
    """Have the system send SIGTERM to the owner of this end when the other end is closed (fcntl(2), F_SETSIG: Linux).

    So a worker that does not listen yet, because it starts, ends with its supervisor though that is killed.
    """
    with suppress(AttributeError, OSError):
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGTERM)
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)


def supervise(
    listening: Listening,
    size: int,
    launch: Launch,
    limits: Limits,
    on_serving: Callable[[], None],
    *,
    reloading: bool = False,
) -> int:
    """Keep ``size`` workers until SIGINT or SIGTERM; gives the exit code.

    SIGHUP renews them one by one. Must run in the main thread. ``reloading``: the code changes all the time, and a worker
    that is replaced shall answer nobody who comes later.
    """
    with selectors.DefaultSelector() as selector, _signals() as woken:
        selector.register(woken, selectors.EVENT_READ, None)
        processes = _Processes(listening.sockets, launch, limits, selector, reloading)
        doors = _Doors(listening, limits.drain)
        silence = limits.timeout and limits.timeout + _OWN_END
        pool = WorkerPool(size, processes.start, processes.leave, processes.kill, limits.leave, limits.start, silence)
        pool.begin(time.monotonic())
        told = False
        while not pool.done:
            due = min((one for one in (pool.due(), doors.due) if one is not None), default=None)
            events = selector.select(None if due is None else min(max(0.0, due - time.monotonic()), _LONGEST_WAIT))
            for key, _ in events:
                if key.data is None:
                    _take_signals(pool, processes, doors, woken.recv(100))
                else:
                    _listen_to(pool, processes, doors, key.data)
            pool.tick(time.monotonic())
            doors.tick(time.monotonic())
            if pool.serving and not told:
                told = True
                on_serving()
    return 1 if pool.failed else 0


def _take_signals(pool: WorkerPool, processes: _Processes, doors: _Doors, numbers: bytes) -> None:
    for number in numbers:
        if number == signal.SIGHUP:
            logger.info("renewing the workers, one by one")
            pool.renew(time.monotonic())
        elif number in (signal.SIGINT, signal.SIGTERM):
            drain = number == signal.SIGTERM and not pool.stopping
            doors.stop(time.monotonic(), drain=drain)
            processes.stop_word = link.FORCE if pool.stopping else link.DRAIN if drain else link.LEAVE
            pool.stop(time.monotonic())


def _listen_to(pool: WorkerPool, processes: _Processes, doors: _Doors, worker: Worker) -> None:
    words = processes.read(worker)
    now = time.monotonic()
    pool.heard(worker, now)
    if link.READY in words:
        processes.launch.confirm()
        pool.ready(worker, now)
    if link.OTHERWISE in words and processes.launch.use_command():
        logger.info(
            "the module alone does not make the whole application: each worker runs the command of this process"
        )
    if link.SPENT in words:
        pool.spent(worker, now)
    if link.STOP in words and not pool.stopping:
        doors.stop(now, drain=False)
        processes.stop_word = link.LEAVE
        pool.stop(now)
    if not words:
        processes.forget(worker, expected=worker.killed or worker.kill_at is not None or pool.stopping)
        pool.gone(worker, now)


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
