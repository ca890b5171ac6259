"""Async generators that are dropped before their end: Python then asks the loop to close them, some time later."""

import sys
from collections.abc import AsyncGenerator, Callable
from types import AsyncGeneratorType
from typing import Any

from sanicish.log.places import Place, is_ours

__all__ = ["GeneratorWatch"]


class GeneratorWatch:
    """Tells where such a generator had come to; belongs to the thread of the loop that runs now."""

    def __init__(self, tell: Callable[[Place], None]) -> None:
        self._tell = tell
        self._hooks = sys.get_asyncgen_hooks()
        if not isinstance(getattr(self._hooks.finalizer, "__self__", None), GeneratorWatch):  # of another server here
            sys.set_asyncgen_hooks(finalizer=self._dropped)

    def stop(self) -> None:
        """Let the loop's own hook be the only one again."""
        if sys.get_asyncgen_hooks().finalizer == self._dropped:
            sys.set_asyncgen_hooks(*self._hooks)

    def _dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        frame = generator.ag_frame if isinstance(generator, AsyncGeneratorType) else None
        if frame is not None and not is_ours(frame.f_code.co_filename):
            self._tell(Place.of(frame))
        if self._hooks.finalizer is not None:
            self._hooks.finalizer(generator)
