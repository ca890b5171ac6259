"""Exceptions of Python's that have one usual cause here, and what to do about it."""

import re
import traceback

from sanicish.log.places import is_own

__all__ = ["explain"]

# What the exception says, what the line that failed looks like, and the note.
_HINTS = [
    (r"NoneType", r"\.stream\b", "request.stream is None here: a body is streamed on routes with stream=True"),
    (r"'(RequestStream|async_generator)' object is not iterable", "", "iterate over it with `async for`"),
    (r"async_generator can't be used in 'await'", "", "iterate over it with `async for`, without `await`"),
    (r"'coroutine'", "", "an `await` is missing before the call that gave this coroutine"),
]


def explain(exception: BaseException) -> None:
    """Add a note to an exception, which its traceback shows, if it has such a cause."""
    if not isinstance(exception, TypeError | AttributeError) or getattr(exception, "__notes__", None):
        return
    stack = traceback.extract_tb(exception.__traceback__)
    line = next((frame.line or "" for frame in reversed(stack) if is_own(frame.filename)), "")
    for said, looks, note in _HINTS:
        if re.search(said, str(exception)) and re.search(looks, line):
            exception.add_note(note)
            return
