"""Real files for the handlers of the simulation, by exchange and size."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulation.bodies import pattern

__all__ = ["Disk"]


class Disk:
    """A folder that goes away with the process; ``cold`` is how often the disk has to be asked."""

    def __init__(self, cold: float, threads: int) -> None:
        self.cold = cold
        self.threads = threads

    @staticmethod
    @cache
    def path(number: int, size: int) -> str:
        """A file with the body of an exchange."""
        found = Path(_folder().name) / f"{number}-{size}"
        found.write_bytes(pattern(number, size))
        return str(found)


@cache
def _folder() -> TemporaryDirectory:
    return TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
