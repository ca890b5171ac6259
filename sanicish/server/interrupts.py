"""SIGINT and SIGTERM while an application is served: they are passed on to the loop, and end a process whose loop hangs."""

import asyncio
import faulthandler
import io
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "end_soon"]

_FORCED = 2.0  # seconds after which a process that was forced to stop ends, whatever it is doing


class Interrupts:
    """Passes signals on to the loop, while it is entered; in the main thread only.

    After the second one the process ends soon, whatever it is doing. One that comes before the last one was passed on,
    because something blocks the loop, ends it at once, as it ends any process. Where ``is_last`` says that there is
    nobody to send another one, the first is like the second.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        numbers: Iterable[signal.Signals],
        is_last: Callable[[], bool] = bool,
        stacks: Any = None,
    ) -> None:
        self._loop = loop
        self._numbers = tuple(numbers)
        self._is_last = is_last
        self._stacks = stacks  # the file for those of a process that is ended
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}
        self._ask: Callable[[signal.Signals], None] | None = None
        self._early: list[signal.Signals] = []  # signals that arrived before there was somebody to call

    def attach(self, ask: Callable[[signal.Signals], None]) -> None:
        """Call this in the loop for each signal."""
        self._ask = ask
        early, self._early = self._early, []
        for number in early:
            ask(number)

    def __enter__(self) -> "Interrupts":
        self._before = {number: signal.signal(number, self._handle) for number in self._numbers}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Called between any two lines of the main thread, so it must do as little as possible (and never log)."""
        for one in self._numbers:
            signal.signal(one, signal.SIG_DFL)
        if self._asked or self._is_last():
            end_soon(self._stacks)
        self._asked = True
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._pass_on, signal.Signals(number))

    def _pass_on(self, number: signal.Signals) -> None:
        for one in self._numbers:
            signal.signal(one, self._handle)
        if self._ask is None:
            self._early.append(number)
        else:
            self._ask(number)


def end_soon(file: Any = None) -> None:
    """End the process in 2 seconds, whatever holds it, and write the stacks of its threads to ``file`` or stderr."""
    with suppress(AttributeError, RuntimeError, io.UnsupportedOperation, ValueError):  # there is no such file
        where: Any = file or sys.__stderr__
        faulthandler.dump_traceback_later(_FORCED, exit=True, file=where)
