"""A thread that asks the loop every now and then whether it is there, and looks what it does when it does not answer."""

import sys
import traceback
from collections.abc import Callable
from threading import Event, Thread, get_ident
from types import FrameType
from typing import Any

from sanicish.log.places import Place, frames, is_own

__all__ = ["Watchdog"]

_DEBUGGERS = ("bdb.py", "pdb.py")  # whoever stops there means to


class Watchdog:
    """Tells where the loop stands still for longer than so many seconds, once for each time, while it still does.

    Made in the loop's thread. ``tell`` is called in another one, with the innermost place of the application's own
    code and the stack from the outermost one on.
    """

    def __init__(
        self, ask: Callable[[Callable[[], Any]], Any], seconds: float, tell: Callable[[Place, str], None]
    ) -> None:
        self._ask = ask  # the loop's call_soon_threadsafe
        self._seconds = seconds
        self._tell = tell
        self._thread = get_ident()
        self._stopped = Event()
        Thread(target=self._watch, name="sanicish-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no more; the thread ends by itself."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds / 4):
            answered = Event()
            try:
                self._ask(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not answered.wait(self._seconds) and not self._stopped.is_set():
                self._look(answered)
                while not (answered.wait(self._seconds) or self._stopped.is_set()):
                    pass

    def _look(self, answered: Event) -> None:
        frame = sys._current_frames().get(self._thread)
        own = [one for one in frames(frame) if is_own(one.f_code.co_filename)]
        if not own or any(one.f_code.co_filename.endswith(_DEBUGGERS) for one in frames(frame)):
            return
        place, stack = Place.of(own[0]), _stack(frame, own[-1])
        if not answered.is_set():  # else it went on meanwhile, and what was seen is something else
            self._tell(place, stack)


def _stack(innermost: FrameType | None, outermost: FrameType) -> str:
    """The lines of a stack, from one frame on."""
    seen = []
    for frame in frames(innermost):
        seen.append((frame, frame.f_lineno))
        if frame is outermost:
            break
    return "".join(traceback.StackSummary.extract(iter(reversed(seen))).format())
