"""A file as pieces: opened without surprises, measured by its descriptor, read in a thread."""

import asyncio
import errno
import mimetypes
import os
import stat
from pathlib import Path
from urllib.parse import quote

import aiofiles.os

from sanicish.exceptions import FileNotFound, Forbidden, ResponseError

__all__ = ["FileBody", "content_disposition", "guess_type", "stat_file"]

# So that an answer does not depend on what the machine's own tables say.
_TYPES = {
    ".avif": "image/avif",
    ".br": "application/octet-stream",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".ndjson": "application/x-ndjson",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".xml": "text/xml",
    ".zst": "application/zstd",
}


# What says that there is no such file; anything else is a failure of ours.
_MISSING = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.ENODEV)
)


def guess_type(name: str) -> str:
    """The media type of a file name, with charset where it is text."""
    found = _TYPES.get(Path(name).suffix.lower())
    if found is None:
        found, encoding = mimetypes.guess_type(name)
        if found is None or encoding is not None:
            return "application/octet-stream"
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def content_disposition(filename: str, disposition: str = "attachment") -> str:
    """The field that names a download, for any name (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    field = f'{disposition}; filename="{plain}"'
    return field if plain == filename else f"{field}; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


async def stat_file(path: str | os.PathLike[str]) -> os.stat_result:
    """What the file is; raises ``FileNotFound`` (404) for none and for what is no regular file, ``Forbidden`` (403)."""
    try:
        found = await aiofiles.os.stat(path)
    except (OSError, ValueError) as error:
        raise _refusal(error, path) from None
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFound("File not found", path=path)
    return found


def _refusal(error: OSError | ValueError, path: object) -> Exception:
    """What an error on the way to a file means to who asked for it."""
    if isinstance(error, PermissionError):
        return Forbidden("this file may not be read")
    if isinstance(error, ValueError) or error.errno in _MISSING:  # ValueError: a NUL in the path
        return FileNotFound("File not found", path=path)
    return error


def _open(path: str | os.PathLike[str]) -> tuple[int, int]:
    """A descriptor of a regular file, and its size; called in a thread."""
    # A FIFO put in the place of a file would block the thread for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise FileNotFound("File not found", path=path)
    return descriptor, found.st_size


def _close_unwanted(opening: "asyncio.Future[tuple[int, int]]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])


# By position: a read that is given up may still run in its thread when the descriptor is closed and its number used
# again, and must then take nothing from anybody.
_pread = aiofiles.os.wrap(os.pread)


class FileBody:
    """An open file, or ``length`` bytes of it from ``start`` on; ``async with`` opens and closes it."""

    def __init__(self, path: str | os.PathLike[str], start: int = 0, length: int | None = None) -> None:
        self.path = path
        self.left = length or 0  # bytes still to be read
        self._position = start
        self._whole = length is None
        self._descriptor = -1

    async def __aenter__(self) -> "FileBody":
        opening = asyncio.get_running_loop().run_in_executor(None, _open, self.path)
        try:
            self._descriptor, size = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        except (OSError, ValueError) as error:
            raise _refusal(error, self.path) from None
        if self._whole:
            self.left = size - self._position
        return self

    async def __aexit__(self, *error: object) -> None:
        os.close(self._descriptor)

    async def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; ``b""`` at the end.

        Raises ``ResponseError`` if the file became shorter than what was promised of it.
        """
        if self.left <= 0:
            return b""
        piece: bytes = await _pread(self._descriptor, min(self.left, size), self._position)
        if not piece:
            raise ResponseError(f"{self.path} became {self.left} bytes shorter while it was sent")
        self._position += len(piece)
        self.left -= len(piece)
        return piece
