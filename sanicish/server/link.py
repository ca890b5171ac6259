"""What a worker has of its supervisor: the sockets to listen on, and a pair of sockets for words of one byte.

The worker says that it is ready, lives, or is spent; the supervisor how to leave; each sees the other end by the end of it.
"""

import asyncio
import faulthandler
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from sanicish.exchange import Exchange, Handler
from sanicish.server.interrupts import end_soon

__all__ = [
    "ALIVE",
    "DRAIN",
    "FORCE",
    "LEAVE",
    "MAKE_WAY",
    "OTHERWISE",
    "READY",
    "SPENT",
    "STOP",
    "VARIABLE",
    "Link",
    "memory",
]

VARIABLE = "_SANICISH_WORKER"

# What a worker says
READY = b"r"  # connections are accepted
ALIVE = b"a"  # the loop turns
SPENT = b"s"  # please replace me
STOP = b"q"  # the application asks that everything stops
OTHERWISE = b"o"  # what is imported by name is not the same application: run the command instead

# What it is told
MAKE_WAY, LEAVE, DRAIN, FORCE = b"m", b"l", b"d", b"f"  # for a successor; at the end, with a drain; at once

_MEMORY_PAUSE = 5.0  # seconds between two looks at how much a worker holds
_BEFORE = 1.0  # seconds before it is killed, a worker that starts leaves its stacks
_SIGNS = 4  # of life, in the time after which a worker is replaced


class Linked(Protocol):
    """What the supervisor asks of the server of a worker."""

    loop: asyncio.AbstractEventLoop
    asked: asyncio.Event
    forced: asyncio.Event

    def interrupt(self, *, drain: bool = False) -> None: ...

    def yield_to_successor(self) -> None: ...


class Link:
    """The link of this process to the supervisor that started it."""

    _own: "Link | None" = None  # held until the process ends, for that is what the end of the line says

    def __init__(
        self,
        line: socket.socket,
        listeners: Sequence[socket.socket] = (),
        stacks: Any = None,
        start_limit: float | None = None,
        timeout: float | None = None,
        plan: bytes = b"",
    ) -> None:
        self.line = line
        self.listeners = list(listeners)
        self.stacks = stacks  # a file for the stacks of a process that hangs or crashes
        self.plan = plan  # of how to start, if that is not by the command of the supervisor
        self.is_ready = False
        self._start_limit = start_limit
        self._timeout = timeout

    @classmethod
    def inherited(cls) -> "Link | None":
        """The link of this process, if a supervisor started it; taken from the environment, so that children have none."""
        said = os.environ.pop(VARIABLE, None)
        if said is not None:
            told = json.loads(said)
            line, *listeners = (socket.socket(fileno=number) for number in [told["line"], *told["listeners"]])
            for one in (line, *listeners):
                one.set_inheritable(False)
            plan = line.recv(told["plan"], socket.MSG_WAITALL) if told["plan"] else b""
            line.setblocking(False)
            stacks = None if told["stacks"] is None else open(told["stacks"], "ab", buffering=0)  # noqa: SIM115
            cls._own = cls(line, listeners, stacks, told["start_limit"], told["timeout"], plan)
            cls._own._begin()
        return cls._own

    def _begin(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the supervisor passes it on
        if self.stacks is not None:
            os.set_inheritable(self.stacks.fileno(), False)
            faulthandler.enable(self.stacks)
            if self._start_limit:  # before the supervisor has waited long enough
                seconds = max(self._start_limit / 2, self._start_limit - _BEFORE)
                faulthandler.dump_traceback_later(seconds, file=self.stacks)

    def run_otherwise(self, command: Sequence[str]) -> None:
        """Become the process of another command, with the same link and no plan."""
        self._tell(OTHERWISE)
        descriptors = [self.line.fileno(), *(one.fileno() for one in self.listeners)]
        told = {
            "line": descriptors[0],
            "listeners": descriptors[1:],
            "stacks": self.stacks and self.stacks.fileno(),
            "start_limit": self._start_limit,
            "timeout": self._timeout,
            "plan": 0,
        }
        for number in (*descriptors, *([told["stacks"]] if self.stacks else [])):
            os.set_inheritable(number, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], list(command), {**os.environ, VARIABLE: json.dumps(told)})

    def attach(self, server: Linked, config: Mapping[str, Any]) -> None:
        """Let a server stop as the supervisor says, or when it is gone; ask to be replaced when the process holds more
        than ``MAX_MEMORY``."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        server.loop.add_reader(self.line, self._listen, server)
        if config["MAX_MEMORY"]:
            server.loop.call_later(_MEMORY_PAUSE, self._check_memory, server.loop, config["MAX_MEMORY"])

    def with_max_requests(self, handler: Handler, config: Mapping[str, Any]) -> Handler:
        """A handler that asks to be replaced after ``MAX_REQUESTS``, and again after as many more, should its successor
        not have started; the same one if there is no limit."""
        most: int = config["MAX_REQUESTS"]
        if not most:
            return handler
        left = most

        def counting(exchange: Exchange) -> Awaitable[None]:
            nonlocal left
            left -= 1
            if left <= 0 and not left % most:
                self._tell(SPENT)
            return handler(exchange)

        return counting

    def ready(self, server: Linked) -> None:
        """Connections are accepted."""
        self.is_ready = True
        with suppress(OSError):  # what the supervisor has asked for, for the time before this
            fcntl.fcntl(self.line, fcntl.F_SETFL, fcntl.fcntl(self.line, fcntl.F_GETFL) & ~os.O_ASYNC)
        if self.stacks is not None:
            faulthandler.cancel_dump_traceback_later()
            os.ftruncate(self.stacks.fileno(), 0)
        self._tell(READY)
        if self._timeout:
            self._show_life(server, self._timeout)

    def stop_all(self) -> None:
        """Please stop, and all other workers too."""
        self._tell(STOP)

    def is_abandoned(self) -> bool:
        """Whether the supervisor is gone before this process was ready."""
        try:
            return not self.is_ready and not self.line.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _show_life(self, server: Linked, timeout: float) -> None:
        """Say now and then that the loop turns; when it does not, the process ends and leaves its stacks."""
        if server.forced.is_set():
            return
        if self.stacks is not None:
            faulthandler.dump_traceback_later(timeout, exit=True, file=self.stacks)
        self._tell(ALIVE)
        server.loop.call_later(timeout / _SIGNS, self._show_life, server, timeout)

    def _listen(self, server: Linked) -> None:
        try:
            words = self.line.recv(100)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            server.loop.remove_reader(self.line)
        if FORCE in words:
            server.interrupt()
            server.forced.set()
            end_soon(self.stacks)
        elif server.asked.is_set():
            return
        elif MAKE_WAY in words:
            server.yield_to_successor()
        else:
            server.interrupt(drain=DRAIN in words)

    def _check_memory(self, loop: asyncio.AbstractEventLoop, max_memory: int) -> None:
        if memory() > max_memory:
            self._tell(SPENT)
        loop.call_later(_MEMORY_PAUSE, self._check_memory, loop, max_memory)

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
