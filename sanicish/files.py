"""A file as pieces: opened without surprises, measured by its descriptor, read in a thread."""

import mimetypes
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiofiles
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


def guess_type(name: str) -> str:
    """The media type of a file name, with charset where it is text."""
    suffix = Path(name).suffix.lower()
    found = _TYPES.get(suffix)
    if found is None:
        found, encoding = mimetypes.guess_type(name)
        if found is None or encoding is not None:
            return "application/octet-stream"
    if found.startswith("text/") or found == "application/json":
        return f"{found}; charset=utf-8" if found.startswith("text/") else found
    return found


def content_disposition(filename: str, disposition: str = "attachment") -> str:
    """The field that names a download, for any name (RFC 6266, RFC 8187)."""
    plain = filename.encode("ascii", "ignore").decode()
    if plain == filename and filename.isprintable() and not set('"\\%') & set(filename):
        return f'{disposition}; filename="{filename}"'
    safe = "".join(c if c.isprintable() and c not in '"\\%' else "_" for c in plain)
    return f"{disposition}; filename=\"{safe}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _refuse(error: OSError, path: Any) -> FileNotFound | Forbidden:
    if isinstance(error, PermissionError):
        return Forbidden("this file may not be read")
    return FileNotFound("File not found", path=path)


async def stat_file(path: str | os.PathLike[str]) -> os.stat_result:
    """What the file is; raises ``FileNotFound`` (404) for none and for what is no regular file, ``Forbidden`` (403)."""
    try:
        found = await aiofiles.os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _refuse(error if isinstance(error, OSError) else FileNotFoundError(), path) from None
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFound("File not found", path=path)
    return found


def _open_quietly(path: str, flags: int) -> int:
    # A FIFO put in the place of a file would block the thread for ever.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


class FileBody:
    """An open file, or ``length`` bytes of it from ``start`` on; ``async with`` opens and closes it."""

    def __init__(self, path: str | os.PathLike[str], start: int = 0, length: int | None = None) -> None:
        self.path = path
        self.start = start
        self.left = length or 0  # bytes still to be read
        self._whole = length is None
        self._file: Any = None

    async def __aenter__(self) -> "FileBody":
        try:
            self._file = await aiofiles.open(self.path, "rb", buffering=0, opener=_open_quietly)
        except OSError as error:
            raise _refuse(error, self.path) from None
        try:
            found = os.fstat(self._file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFound("File not found", path=self.path)
            if self._whole:
                self.left = found.st_size - self.start
            if self.start:
                await self._file.seek(self.start)
        except BaseException:
            await self._file.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._file.close()

    async def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; ``b""`` at the end.

        Raises ``ResponseError`` if the file became shorter than what was promised of it.
        """
        if self.left <= 0:
            return b""
        piece: bytes = await self._file.read(min(self.left, size))
        if not piece:
            raise ResponseError(f"{self.path} became {self.left} bytes shorter while it was sent")
        self.left -= len(piece)
        return piece
