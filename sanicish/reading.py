"""Text, lines and files out of a stream of bytes that is still coming.

A reader is anything with ``read`` and ``readline``: the body of a request, or one part of a multipart body.
"""

import asyncio
import codecs
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sanicish.exceptions import BadRequest

__all__ = ["Reader", "Saved", "read_json_lines", "read_lines", "read_text", "save"]

_BLOCK = 262_144  # bytes gathered before a thread is asked to write them


class Reader(Protocol):
    """A stream of bytes."""

    async def read(self, n: int | None = None, /) -> bytes | None:
        """The next bytes, ``None`` at the end."""

    async def readline(self, limit: int = 65_536, /) -> bytes:
        """The next line with its end, empty at the end of the stream."""


class Saved(NamedTuple):
    """A stream that has become a file: where, of how many bytes, and their digest in hexadecimal."""

    path: Path
    size: int
    digest: str


async def read_text(reader: Reader, encoding: str = "utf-8") -> AsyncIterator[str]:
    """Text as it comes, a character that came in two pieces as one; ``BadRequest`` if it is none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while (data := await reader.read()) is not None:
            if piece := decoder.decode(data):
                yield piece
        if piece := decoder.decode(b"", final=True):
            yield piece
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not {encoding} text: {error.reason}") from None


async def read_lines(reader: Reader, encoding: str = "utf-8", limit: int = 65_536) -> AsyncIterator[str]:
    """Lines without their ends (LF, or CR and LF), each of at most ``limit`` bytes."""
    number = 0
    while line := await reader.readline(limit):
        number += 1
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode(encoding)
        except UnicodeDecodeError as error:
            raise BadRequest(f"line {number} of the body is not {encoding} text: {error.reason}") from None


async def read_json_lines(
    reader: Reader, limit: int = 1_048_576, loads: Callable[[str], Any] = json.loads
) -> AsyncIterator[Any]:
    """The value of each line that is not empty; ``BadRequest`` names the line that is not JSON."""
    number = 0
    async for line in read_lines(reader, limit=limit):
        number += 1
        if line and not line.isspace():
            try:
                value = loads(line)
            except ValueError:
                raise BadRequest(f"line {number} of the body is not JSON") from None
            yield value


class _Draft:
    """A file that is being written, under another name until it is whole; all of it happens in threads.

    A cancelled task does not stop what a thread does for it, so that is waited for before the file is closed.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._path = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.part")
        self._file: Any = None
        self._doing: asyncio.Future[Any] | None = None

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
        await asyncio.shield(self._doing)

    async def open(self) -> None:
        await self._do(self._open)

    async def write(self, data: bytes) -> None:
        await self._do(self._write, data)

    async def finish(self, overwrite: bool) -> None:
        await self._do(self._finish, overwrite)

    def _open(self) -> None:
        self._file = self._path.open("xb", buffering=0)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _finish(self, overwrite: bool) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        if overwrite:
            os.replace(self._path, self._target)
        else:
            os.link(self._path, self._target)  # which fails if there is one
            self._path.unlink()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._doing is not None and not self._doing.done():
            self._doing.add_done_callback(self._remove)
        else:
            self._remove(self._doing)

    def _remove(self, done: Any) -> None:
        if done is not None and not done.cancelled():
            done.exception()  # has been told, or nobody is left to be told
        if self._file is not None:
            self._file.close()
        self._path.unlink(missing_ok=True)


async def save(reader: Reader, path: str | os.PathLike[str], digest: str = "sha256", overwrite: bool = True) -> Saved:
    """Write what is left of a stream into a file, which is there whole or not at all.

    It is written beside its place under another name, brought to the disk and moved; whatever fails, a client that
    leaves too, nothing is left behind. Raises ``FileExistsError`` unless it may ``overwrite``.
    """
    target = Path(path)
    checksum = hashlib.new(digest)
    size = 0
    draft = _Draft(target)
    try:
        await draft.open()
        gathered: list[bytes] = []
        waiting = 0
        while (data := await reader.read()) is not None:
            checksum.update(data)
            gathered.append(data)
            size += len(data)
            waiting += len(data)
            if waiting >= _BLOCK:
                await draft.write(b"".join(gathered))
                gathered, waiting = [], 0
        await draft.write(b"".join(gathered))
        await draft.finish(overwrite)
    except BaseException:
        draft.discard()
        raise
    return Saved(target, size, checksum.hexdigest())
