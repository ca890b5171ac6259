"""What debug mode has to say: one line each, with the place it is about and the page to read; once for each place."""

from enum import Enum

from sanicish.log import error_logger
from sanicish.log.places import Place

__all__ = ["Lesson", "Lessons"]

PAGE = "docs/guide/debugging.md"


class Lesson(Enum):
    """The anchor on the page, and the sentence."""

    NEVER_AWAITED = (
        "writes-that-are-not-awaited",
        "this stream never awaited its writes: it cannot wait for slow clients",
    )
    NEARLY_FULL = (
        "writes-that-are-not-awaited",
        "{0:,} bytes wait for a slow client; beyond {1:,} a write raises: await it",
    )
    BLOCKED = "a-blocking-call", "the loop has stood still for more than {0:.0f} ms: nobody else is served meanwhile"
    CONNECTS = "a-connection-for-each-request", "this request opened a connection for itself alone: keep a pool"
    NOT_CLOSED = (
        "a-generator-that-nobody-closes",
        "an async generator was dropped before its end: its cleanup runs late",
    )


class Lessons:
    """Says each of them once for each place."""

    def __init__(self) -> None:
        self._told: set[tuple[str, Place]] = set()

    def tell(self, lesson: Lesson, place: Place, *values: float, stack: str = "") -> None:
        """Say it; ``stack`` is what else one has to see, in lines of its own."""
        anchor, sentence = lesson.value
        if (anchor, place) in self._told:
            return
        self._told.add((anchor, place))
        more = f"\n{stack.rstrip()}" if stack else ""
        error_logger.warning("%s · %s · %s#%s%s", sentence.format(*values), place, PAGE, anchor, more)
