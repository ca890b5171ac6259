"""A file: opened without surprises, measured by its descriptor, read without blocking the loop."""

import asyncio
import ctypes
import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

import aiofiles.os

from sanicish.exceptions import FileNotFound, Forbidden

__all__ = ["IsDirectory", "IsLink", "open_file", "read_at", "read_now", "warm"]

# What says that there is no such file; anything else is a failure of ours.
_MISSING = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV)
)


class IsDirectory(FileNotFound):
    """The path is that of a directory."""


class IsLink(FileNotFound):
    """A symbolic link is part of a path that may have none."""


def _refusal(error: OSError | ValueError, path: object) -> Exception:
    """The exception for the client, made of the error that opening a file raised."""
    if isinstance(error, PermissionError):
        return Forbidden("this file may not be read")
    if isinstance(error, ValueError) or error.errno in _MISSING:  # ValueError: a NUL in the path
        return FileNotFound("File not found", path=path)
    return error


def _checked(descriptor: int, path: str | os.PathLike[str]) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file, and what is known of it."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise (IsDirectory if stat.S_ISDIR(found.st_mode) else FileNotFound)("File not found", path=path)
    return descriptor, found


# A FIFO put in the place of a file would block the thread for ever.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def _open(path: str | os.PathLike[str], links: bool = True) -> tuple[int, os.stat_result]:
    """Called in a thread."""
    return _checked(os.open(path, _FLAGS) if links else _open_without_links(path), path)


class _How(ctypes.Structure):
    """The argument ``how`` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_OPENAT2, _AT_FDCWD = 437, -100
_NO_SYMLINKS, _CACHED = 0x04, 0x20
_HOWS = {resolve: _How(_FLAGS, 0, resolve) for resolve in (_NO_SYMLINKS, _CACHED, _NO_SYMLINKS | _CACHED)}
_ADDRESSES = {resolve: ctypes.addressof(how) for resolve, how in _HOWS.items()}
_syscall: Any = None
if sys.platform == "linux":
    _syscall = ctypes.CDLL(None, use_errno=True).syscall
    _syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
    _syscall.restype = ctypes.c_long
# The kernel would have to read from the disk (EAGAIN), or it lacks or forbids the call.
_CANNOT_SAY = frozenset((errno.EAGAIN, errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG))


def _openat2(path: str | os.PathLike[str], resolve: int) -> int | None:
    """The descriptor of a file; ``None`` if this call cannot say whether there is one."""
    if _syscall is None:
        return None
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError("embedded null byte")
    descriptor: int = _syscall(_OPENAT2, _AT_FDCWD, name, _ADDRESSES[resolve], ctypes.sizeof(_How))
    if descriptor >= 0:
        return descriptor
    number = ctypes.get_errno()
    if number in _CANNOT_SAY:
        return None
    raise OSError(number, os.strerror(number), path)


_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _open_without_links(path: str | os.PathLike[str]) -> int:
    """Open an absolute path, directory by directory where the kernel has no openat2; ``ELOOP`` if a link is part of it."""
    descriptor = _openat2(path, _NO_SYMLINKS)
    if descriptor is not None:
        return descriptor
    *parents, name = Path(path).parts[1:] or (".",)
    directory = os.open("/", _DIRECTORY)
    try:
        for parent in parents:
            outer, directory = directory, _open_directory(parent, directory)
            os.close(outer)
        return os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=directory)
    finally:
        os.close(directory)


def _open_directory(name: str, parent: int) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except NotADirectoryError:  # what Linux says of a link to a directory too
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from None
        raise


async def open_file(path: str | os.PathLike[str], links: bool = True) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file, and its status; raises ``FileNotFound`` or ``Forbidden``.

    Without ``links`` the path is absolute, and raises ``IsLink`` if a part of it is a symbolic link at this moment. The
    loop is not blocked: files whose names the kernel has in memory are opened at once, others in a thread.
    """
    try:
        descriptor = _openat2(path, _CACHED if links else _CACHED | _NO_SYMLINKS)
        if descriptor is not None:
            return _checked(descriptor, path)
        opening = asyncio.get_running_loop().run_in_executor(None, _open, path, links)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
    except (OSError, ValueError) as error:
        if not links and isinstance(error, OSError) and error.errno == errno.ELOOP:
            raise IsLink("File not found", path=path) from None
        raise _refusal(error, path) from None


def _close_unwanted(opening: "asyncio.Future[tuple[int, os.stat_result]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])


# By position: a read that is given up may still run in its thread when the descriptor is closed and its number used
# again, and must then take nothing from anybody.
_pread = aiofiles.os.wrap(os.pread)
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


def _is_warm(descriptor: int, offset: int, size: int) -> bool:
    """Whether bytes of a file lie in memory, as far as its first and last of them tell."""
    if not _NOWAIT:
        return False
    probe = bytearray(1)
    try:
        os.preadv(descriptor, [probe], offset, _NOWAIT)
        os.preadv(descriptor, [probe], offset + size - 1, _NOWAIT)
    except OSError:  # it is on the disk, or its file system cannot tell
        return False
    return True


def read_now(descriptor: int, offset: int, size: int) -> bytes | None:
    """A few bytes of an open file if all of them lie in memory, ``None`` if a thread has to ask the disk."""
    if not _NOWAIT:
        return None
    buffer = bytearray(size)
    try:
        count = os.preadv(descriptor, [buffer], offset, _NOWAIT)
    except OSError:
        return None
    return bytes(buffer) if count == size else None


async def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """Bytes of an open file: at once if they lie in memory, in a thread if the disk has to be asked."""
    if _is_warm(descriptor, offset, size):
        return os.pread(descriptor, size, offset)
    data: bytes = await _pread(descriptor, size, offset)
    return data


async def warm(descriptor: int, offset: int, size: int) -> None:
    """Have bytes of an open file in memory, so that the loop does not wait for the disk."""
    if not _is_warm(descriptor, offset, size):
        await _pread(descriptor, size, offset)
