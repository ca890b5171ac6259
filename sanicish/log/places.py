"""Lines of code, and whose they are: the application's own, or those of Python, of installed packages and of this one."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

__all__ = ["Place", "called_from", "frames", "is_ours", "is_own", "shortened"]

_OURS = str(Path(__file__).parent.parent) + os.sep
_PYTHON = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_INSTALLED = {"site-packages", "dist-packages"}


class Place(NamedTuple):
    """A line of code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{shortened(self.file)}:{self.line} in {self.function}"

    @classmethod
    def of(cls, frame: FrameType) -> "Place":
        """Where a frame is now."""
        return cls(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


def is_ours(file: str) -> bool:
    """Whether it is code of this package."""
    return file.startswith(_OURS)


@lru_cache(maxsize=1024)
def is_own(file: str) -> bool:
    """Whether it is code of the application."""
    if is_ours(file) or file.startswith(("<frozen ", *_PYTHON)):
        return False
    return _INSTALLED.isdisjoint(Path(file).parts) and not file.endswith(".pyx")


def shortened(file: str) -> str:
    """A path as one would write it here: from the working directory if it is below that."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


def frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def called_from(*rooms: str) -> Place | None:
    """Where the application called these rooms of ours from; ``None`` if it was not the application."""
    for frame in frames(sys._getframe(2)):
        if not frame.f_code.co_filename.endswith(rooms):
            return Place.of(frame) if is_own(frame.f_code.co_filename) else None
    return None
