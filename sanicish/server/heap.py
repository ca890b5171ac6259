"""The C heap of a process that serves.

A read brings up to 256 KiB, and glibc gives memory of that size back to the system as soon as it is free, only to ask
for it again, page fault by page fault, for the next read: a third of the price of an upload. So it is told to keep some.
"""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_KEPT = 16 << 20  # bytes that may stay free at the top of the heap
_LARGE = 4 << 20  # bytes from which on memory is the system's own again


def keep_freed_memory() -> None:
    """Let freed buffers be used again by this process, up to 16 MiB of them; does nothing where it cannot be told."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_MMAP_THRESHOLD, _LARGE)
            mallopt(_TRIM_THRESHOLD, _KEPT)
