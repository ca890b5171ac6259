"""Text, lines and files out of a stream of bytes that is still coming.

A reader is anything with ``read`` and ``readline``: the body of a request, or one part of a multipart body.
"""

import asyncio
import codecs
import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sanicish.exceptions import BadRequest

__all__ = ["Reader", "Saved", "Writer", "json_loads", "pipe", "read_json_lines", "read_lines", "read_text", "save"]

_BLOCK = 262_144  # bytes gathered before a thread is asked to write them


class Reader(Protocol):
    """A stream of bytes."""

    async def read(self, n: int | None = None, /) -> bytes | None:
        """The next bytes, ``None`` at the end."""

    async def readline(self, limit: int = 65_536, /) -> bytes:
        """The next line with its end, empty at the end of the stream."""


class Writer(Protocol):
    """What a stream can be piped into: a response."""

    def write(self, data: bytes, /) -> Awaitable[None]:
        """Send a piece; awaiting the result waits for room."""


class Saved(NamedTuple):
    """A stream that has become a file: where, of how many bytes, and their digest in hexadecimal."""

    path: Path
    size: int
    digest: str


def read_text(reader: Reader, encoding: str = "utf-8") -> AsyncIterator[str]:
    """Text as it comes, a character that came in two pieces as one; ``BadRequest`` if it is none."""
    return _Text(reader, encoding)


def read_lines(reader: Reader, encoding: str = "utf-8", limit: int = 65_536) -> AsyncIterator[str]:
    """Lines without their ends (LF, or CR and LF), each of at most ``limit`` bytes."""
    return _Lines(reader, encoding, limit)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def json_loads(data: bytes | str) -> Any:
    """JSON as RFC 8259 has it; raises ``ValueError`` for NaN and infinities too, which Python's ``loads`` takes."""
    return _DECODER.decode(data if isinstance(data, str) else data.decode(json.detect_encoding(data)))


def read_json_lines(
    reader: Reader, limit: int = 1_048_576, loads: Callable[[str], Any] = json_loads
) -> AsyncIterator[Any]:
    """The value of each line that is not empty; ``BadRequest`` names the line that is not JSON."""
    return _Values(_Lines(reader, "utf-8", limit), loads)


# These are no async generators: a generator ends when an exception passes through it, a timeout of its caller too, and
# would then say that the body has ended.


class _Text:
    def __init__(self, reader: Reader, encoding: str) -> None:
        self._reader = reader
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ended = False
        self._error: BadRequest | None = None

    def __aiter__(self) -> "_Text":
        return self

    async def __anext__(self) -> str:
        if self._error is not None:
            raise self._error
        while not self._ended:
            data = await self._reader.read()
            self._ended = data is None
            try:
                piece = self._decoder.decode(data or b"", final=self._ended)
            except UnicodeDecodeError as error:
                self._error = BadRequest(f"the body is not {self._encoding} text: {error.reason}")
                raise self._error from None
            if piece:
                return piece
        raise StopAsyncIteration


class _Lines:
    def __init__(self, reader: Reader, encoding: str, limit: int) -> None:
        self._reader = reader
        self._encoding = encoding
        self._limit = limit
        self.number = 0  # of the line that was read last

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> str:
        line = await self._reader.readline(self._limit)
        if not line:
            raise StopAsyncIteration
        self.number += 1
        try:
            return line.removesuffix(b"\n").removesuffix(b"\r").decode(self._encoding)
        except UnicodeDecodeError as error:
            what = f"line {self.number} of the body is not {self._encoding} text: {error.reason}"
            raise BadRequest(what) from None


class _Values:
    def __init__(self, lines: _Lines, loads: Callable[[str], Any]) -> None:
        self._lines = lines
        self._loads = loads

    def __aiter__(self) -> "_Values":
        return self

    async def __anext__(self) -> Any:
        while not (line := await anext(self._lines)) or line.isspace():
            pass
        try:
            return self._loads(line)
        except (ValueError, RecursionError):
            raise BadRequest(f"line {self._lines.number} of the body is not JSON") from None


async def pipe(reader: Reader, response: Writer) -> int:
    """Write what is left of a stream to a response, piece by piece; the number of bytes."""
    size = 0
    while (data := await reader.read()) is not None:
        size += len(data)
        await response.write(data)
    return size


class _Draft:
    """A file that is being written, under another name until it is whole; all of it happens in threads.

    A cancelled task does not stop what a thread does for it, so that is waited for before the file is closed.
    """

    def __init__(self, target: Path, overwrite: bool) -> None:
        self._target = target
        self._overwrite = overwrite
        shown = os.fsencode(target.name)[:200].decode("utf-8", "ignore")  # names have at most 255 bytes
        self._path = target.with_name(f".{shown}.{secrets.token_hex(8)}.part")
        self._file: Any = None
        self._doing: asyncio.Future[Any] | None = None

    async def _do(self, work: Callable[..., Any], *arguments: Any) -> None:
        self._doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
        await asyncio.shield(self._doing)

    async def open(self) -> None:
        await self._do(self._open)

    async def write(self, data: bytes) -> None:
        await self._do(self._write, data)

    async def finish(self) -> None:
        await self._do(self._finish)

    def _check(self) -> None:
        """Refuse what may not be replaced: anything that is there, or what is no file, such as ``/dev/null``."""
        if not self._overwrite and os.path.lexists(self._target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._target))
        try:
            mode = self._target.stat().st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._target))
        if not stat.S_ISREG(mode):
            raise FileExistsError(errno.EEXIST, "Not a regular file, so it is not replaced", str(self._target))

    def _open(self) -> None:
        self._check()
        self._file = self._path.open("xb", buffering=0)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _finish(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        self._check()
        if self._overwrite:
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
    leaves too, nothing is left behind. Raises ``FileExistsError`` for a file that it may not ``overwrite`` and for what
    is no regular file (a device, a pipe), ``IsADirectoryError`` for a directory, before anything is read. A symbolic
    link is replaced, not followed.
    """
    target = Path(path)
    checksum = hashlib.new(digest)
    size = 0
    draft = _Draft(target, overwrite)
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
        await draft.finish()
    except BaseException:
        draft.discard()
        raise
    return Saved(target, size, checksum.hexdigest())
