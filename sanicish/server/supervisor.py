"""Worker processes on one listening socket: they run the command of this process again, so a new one has new code.

Between supervisor and worker is a pair of sockets: the worker says that it is ready or spent, and each sees the other
end by the end of it. Which workers there should be is decided in ``workers``.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sanicish.log import error_logger, logger
from sanicish.server.workers import Crew, Worker

__all__ = ["Link", "supervise"]

_VARIABLE = "_SANICISH_WORKER"
_READY, _SPENT = b"r", b"s"


class Link:
    """What a worker has of its supervisor: the socket to listen on, and a line to tell it things."""

    def __init__(self, listener: int, line: socket.socket) -> None:
        self.listener = listener
        self.line = line

    @classmethod
    def inherited(cls) -> "Link | None":
        """The link of this process, if a supervisor started it; found once, so that children do not find it."""
        said = os.environ.pop(_VARIABLE, None)
        if said is None:
            return None
        listener, line = (int(number) for number in said.split(","))
        os.set_inheritable(listener, False)
        return cls(listener, socket.socket(fileno=line))

    def ready(self) -> None:
        """Connections are accepted."""
        self._tell(_READY)

    def spent(self) -> None:
        """Please replace me."""
        self._tell(_SPENT)

    def obey(self, server: Any, max_requests: int | None) -> None:
        """Let a server stop when the supervisor says so or is gone, and ask to be replaced after so many requests."""
        # Ctrl-C reaches every process of a terminal; the supervisor passes it on, and twice would mean at once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        server.loop.add_signal_handler(signal.SIGTERM, server.ask_to_stop)

        def orphaned() -> None:  # the supervisor never writes, so that this is its end
            server.loop.remove_reader(self.line)
            server.asked.set()

        server.loop.add_reader(self.line, orphaned)
        if max_requests:
            answer = server.handler
            left = max_requests

            def counting(exchange: Any) -> Any:
                nonlocal left
                left -= 1
                if left <= 0 and not left % max_requests:  # asked again, should its successor not have started
                    self.spent()
                return answer(exchange)

            server.handler = counting

    def _tell(self, word: bytes) -> None:
        with suppress(OSError):  # the supervisor is gone, which the line tells by its end
            self.line.send(word)


class _Processes:
    """The processes of the workers, and their lines."""

    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        self._listener = listener
        self._selector = selector
        self._running: dict[Worker, tuple[subprocess.Popen[bytes], socket.socket]] = {}

    def start(self, worker: Worker) -> None:
        ours, theirs = socket.socketpair()
        listener = self._listener.fileno()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                pass_fds=(listener, theirs.fileno()),
                env={**os.environ, _VARIABLE: f"{listener},{theirs.fileno()}"},
            )
        ours.setblocking(False)
        self._running[worker] = process, ours
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def leave(self, worker: Worker) -> None:
        self._running[worker][0].send_signal(signal.SIGTERM)

    def kill(self, worker: Worker) -> None:
        error_logger.error("worker %d did not end in time; it is killed", self._running[worker][0].pid)
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


def supervise(listener: socket.socket, size: int, patience: float, on_serving: Callable[[], None]) -> int:
    """Keep ``size`` workers until SIGINT or SIGTERM; gives the exit code.

    SIGHUP renews them one by one. One that leaves has ``patience`` seconds. Must run in the main thread.
    """
    with selectors.DefaultSelector() as selector, _signals() as woken:
        selector.register(woken, selectors.EVENT_READ, None)
        processes = _Processes(listener, selector)
        crew = Crew(size, processes.start, processes.leave, processes.kill, patience)
        crew.begin(time.monotonic())
        told = False
        while not crew.done:
            due = crew.due()
            events = selector.select(None if due is None else max(0.0, due - time.monotonic()))
            for key, _ in events:
                if key.data is None:
                    _take_signals(crew, woken.recv(100))
                else:
                    _listen_to(crew, processes, key.data)
            crew.tick(time.monotonic())
            if crew.serving and not told:
                told = True
                on_serving()
    return 1 if crew.failed else 0


def _take_signals(crew: Crew, numbers: bytes) -> None:
    for number in numbers:
        if number == signal.SIGHUP:
            logger.info("renewing the workers, one by one")
            crew.renew(time.monotonic())
        elif number in (signal.SIGINT, signal.SIGTERM):
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
        if worker.kill_at is None and not crew.stopping:
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
