"""A request body as it arrives, between two marks.

The parser feeds it, one reader reads it. Above the high mark the connection stops reading from the socket, below
the low mark it goes on; the marks count bytes, so memory is bounded whatever the client sends.

Law: ``None`` means that the message ended, and that nothing of it was kept back. A body that was cut raises instead,
after all that arrived was delivered; one that is too large raises at once.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from sanicish.exceptions import BadRequest, PayloadTooLarge, StreamBusy
from sanicish.headers import Headers
from sanicish.streams.flow import wake_at_once
from sanicish.streams.multipart import Part, read_parts
from sanicish.streams.reading import Saved, Writer, json_loads, pipe, read_json_lines, read_lines, read_text, save

__all__ = ["EMPTY", "RequestStream", "StreamBuffer"]

# Pieces smaller than this are gathered: a client that sends one-byte chunks costs bytes, not objects.
_SMALL = 2048


class Brakes(Protocol):
    """What a stream needs of the flow control: to stop and start what feeds it."""

    def hold(self, reason: int, /) -> None: ...

    def release(self, reason: int, /) -> None: ...


class RequestStream:
    """The body of one request, read piece by piece.

    ``read()`` gives the next bytes and ``None`` at the end, for ever after too; ``async for`` gives the same pieces.
    Raises ``RequestAborted`` if the client left before the end, ``StreamBusy`` for a second reader at one time and
    ``PayloadTooLarge`` above ``request_max_size`` (bytes; ``None`` is no limit).
    """

    __slots__ = (
        "_brakes",
        "_busy",
        "_discarding",
        "_ended",
        "_error",
        "_gathered",
        "_high",
        "_hold",
        "_holding",
        "_offset",
        "_on_wanted",
        "_pieces",
        "_size",
        "_trailers",
        "_waiter",
        "fields",
        "received",
        "request_max_size",
        "total",
        "wanted",
        "whole",
    )

    def __init__(
        self,
        brakes: Brakes | None = None,
        hold: int = 0,
        high: int = 65_536,
        total: int | None = None,
        max_size: int | None = None,
        on_wanted: Callable[[], None] | None = None,
    ) -> None:
        self._brakes = brakes
        self._hold = hold
        self._high = high
        self._pieces: deque[bytes] = deque()
        self._gathered: bytearray | None = None
        self._offset = 0  # how much of the oldest piece has been taken
        self._size = 0
        self._holding = False
        self._busy = False
        self._ended = False
        self._discarding = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._on_wanted = on_wanted
        self.wanted = False  # somebody has begun to read
        self.whole = False  # and wants all of it, as one
        self.received = 0  # bytes of body that have arrived
        self.fields: Sequence[tuple[bytes, bytes]] = ()  # of the head that announced the body
        self.total = total  # bytes that the head announced; None when it did not
        self.request_max_size = max_size
        self._trailers: Headers | None = None

    # What the connection does

    def put(self, data: bytes) -> None:
        """Take the next piece; ``deliver`` tells of it."""
        size = len(data)
        self.received += size
        if self._discarding or self._error is not None:
            return
        if self.request_max_size is not None and self.received > self.request_max_size:
            self._refuse(self.request_max_size)
            return
        self._size += size
        if size >= _SMALL or not (self._pieces or self._gathered):
            if self._gathered:
                self._settle()
            self._pieces.append(data)
        elif self._gathered is None:
            self._gathered = bytearray(data)
        else:
            self._gathered += data

    def end(self) -> None:
        """The message is complete; ``deliver`` tells of it."""
        if self._error is None:
            self._ended = True

    def deliver(self) -> None:
        """Let the reader have what was put, at once if that can be; if more is left than the mark allows, hold."""
        waiter = self._waiter
        if waiter is not None and (self._size or self._ended):
            self._waiter = None
            if not waiter.done():
                wake_at_once(waiter)
        if self._size > self._high and not self._holding and self._brakes is not None and self._waiter is None:
            self._holding = True
            self._brakes.hold(self._hold)

    def feed(self, data: bytes) -> None:
        """Take the next piece and tell of it."""
        self.put(data)
        self.deliver()

    def feed_eof(self) -> None:
        """The message is complete, and whoever waits is told."""
        self.end()
        self.deliver()

    def fail(self, error: Exception) -> None:
        """The message will never be complete; the reader is told after what has arrived."""
        if not self._ended and self._error is None:
            self._error = error
            self._wake()

    def discard(self) -> None:
        """Nobody will read this any more: forget what has arrived and what will arrive."""
        self._discarding = True
        self._pieces.clear()
        self._gathered = None
        self._offset = 0
        self._size = 0
        self._release()

    def leave(self) -> None:
        """The connection goes on to the next request: what came can still be read, and holds nobody."""
        self._release()
        self._brakes = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _release(self) -> None:
        if self._holding and self._brakes is not None:
            self._holding = False
            self._brakes.release(self._hold)

    def limit(self, max_size: int | None) -> None:
        """Take at most so many bytes; raises ``PayloadTooLarge`` if more are announced or have arrived."""
        if max_size is not None and max(self.total or 0, self.received) > max_size:
            raise self._refuse(max_size)
        if not self._ended:
            self.request_max_size = max_size

    def _refuse(self, max_size: int) -> Exception:
        """The body is larger than it may be: nobody gets any more of it."""
        error = PayloadTooLarge(f"the body is larger than {max_size} bytes")
        self._ended = False
        self.fail(error)
        self.discard()
        return error

    # What a handler does

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked body, once it has ended."""
        if self._trailers is None:
            self._trailers = Headers()
        return self._trailers

    @trailers.setter
    def trailers(self, fields: Headers) -> None:
        self._trailers = fields

    @property
    def at_end(self) -> bool:
        """Whether the whole body has been read."""
        return self._ended and not self._size

    @property
    def complete(self) -> bool:
        """Whether the whole body has arrived, read or not."""
        return self._ended

    @property
    def failed(self) -> bool:
        """Whether the body will never be whole: cut, broken or too large."""
        return self._error is not None

    @property
    def unread(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return self._size

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for the next piece now."""
        return self._waiter is not None

    def _front(self) -> bytes:
        """The oldest piece; there is one."""
        if not self._pieces:
            self._settle()
        return self._pieces[0]

    def _settle(self) -> None:
        """What was gathered is a piece now."""
        self._pieces.append(bytes(self._gathered or b""))
        self._gathered = None

    def _take(self, end: int | None = None) -> bytes:
        """The oldest piece up to ``end``, or all that is left of it."""
        if not self._pieces:
            self._settle()
        piece = self._pieces[0]
        start = self._offset
        if end is None or end >= len(piece):
            self._pieces.popleft()
            self._offset = 0
            data = piece[start:] if start else piece
        else:
            self._offset = end
            data = piece[start:end]
        self._size -= len(data)
        if self._holding and self._size <= self._high // 2:
            self._release()
        return data

    async def _fill(self) -> bool:
        """Wait until there is a piece; False when the body has ended."""
        if self._busy:
            raise StreamBusy("another reader already waits for this request body")
        while not self._size:
            if self._ended:
                return False
            if self._error is not None:
                raise self._error
            if not self.wanted:
                self.wanted = True
                if self._on_wanted is not None:
                    self._on_wanted()
                    continue  # it may have arrived at once
            self._busy = True
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._busy = False
                self._waiter = None
        return True

    async def read(self, n: int | None = None) -> bytes | None:
        """The next bytes, at most ``n`` of them; ``None`` when the body has ended."""
        if n is not None and n <= 0:
            raise ValueError("read() needs a positive number of bytes")
        if (self._busy or not self._size) and ((self._ended and not self._busy) or not await self._fill()):
            return None
        self.wanted = True
        return self._take(None if n is None else self._offset + n)

    get = read

    async def readexactly(self, n: int) -> bytes:
        """Exactly ``n`` bytes; raises ``BadRequest`` if the body ends before.

        Whatever it raises, no byte is lost: the next read begins where this one began.
        """
        pieces: list[bytes] = []
        missing = n
        try:
            while missing > 0:
                piece = await self.read(missing)
                if piece is None:
                    raise BadRequest(f"the body ended {missing} bytes too early")
                pieces.append(piece)
                missing -= len(piece)
        except BaseException:
            self._put_back(pieces)
            raise
        return b"".join(pieces)

    async def readline(self, limit: int = 65_536) -> bytes:
        """The next line with its ``\\n``, the rest if there is none, ``b""`` at the end; at most ``limit`` bytes.

        Raises ``PayloadTooLarge`` for a longer line. Whatever it raises, no byte is lost.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while (self._size and not self._busy) or await self._fill():
                self.wanted = True
                end = self._front().find(b"\n", self._offset) + 1
                pieces.append(self._take(end or None))
                size += len(pieces[-1])
                if size > limit:
                    raise PayloadTooLarge(f"a line of the body is longer than {limit} bytes")
                if end:
                    break
        except BaseException:
            self._put_back(pieces)
            raise
        return b"".join(pieces)

    def _put_back(self, pieces: list[bytes]) -> None:
        """Undo reading: these are the oldest pieces again."""
        if not pieces or self._discarding:
            return
        if self._offset:
            pieces.append(self._pieces.popleft()[self._offset :])
            self._offset = 0
            self._size -= len(pieces[-1])
        self._pieces.extendleft(reversed(pieces))
        self._size += sum(map(len, pieces))

    async def read_all(self, limit: int | None = None) -> bytes:
        """What is left of the body, as one; raises ``PayloadTooLarge`` if the body is larger than ``limit`` bytes.

        When it is cut or cancelled, what arrived can still be read.
        """
        if limit is not None and (self.request_max_size is None or self.request_max_size > limit):
            self.limit(limit)
        if self.at_end:
            return b""
        self.whole = True
        first = await self.read()
        if first is None:
            return b""
        if self._ended and not self._size:
            return first
        pieces = [first]
        try:
            while (piece := await self.read()) is not None:
                pieces.append(piece)
        except BaseException:
            self._put_back(pieces)
            raise
        return b"".join(pieces)

    # Text, lines, parts, files

    def text(self, encoding: str = "utf-8") -> AsyncIterator[str]:
        """Text as it comes: ``async for piece in stream.text()``; a character that came in two pieces is one.

        Raises ``BadRequest`` for bytes that are no such text.
        """
        return read_text(self, encoding)

    def lines(self, encoding: str = "utf-8", limit: int = 65_536) -> AsyncIterator[str]:
        """Lines without their ends; raises ``PayloadTooLarge`` for one of more than ``limit`` bytes."""
        return read_lines(self, encoding, limit)

    def json_lines(self, limit: int = 1_048_576, loads: Callable[[str], Any] = json_loads) -> AsyncIterator[Any]:
        """The values of lines of JSON (NDJSON); raises ``BadRequest`` that names the line which is none."""
        return read_json_lines(self, limit, loads)

    def parts(
        self, max_parts: int = 1_000, max_header: int = 8_192, max_part: int | None = None
    ) -> AsyncIterator[Part]:
        """The parts of a multipart body, each a stream: ``async for part in stream.parts()``.

        Limits are a number of parts, bytes of a part's header, bytes of a part; ``PayloadTooLarge`` above them,
        ``BadRequest`` for what is no multipart body.
        """
        content_type = b", ".join(value for name, value in self.fields if name == b"content-type")
        return read_parts(self, content_type.decode("latin-1"), max_parts, max_header, max_part)

    async def save(self, path: str | os.PathLike[str], digest: str = "sha256", overwrite: bool = True) -> Saved:
        """Write what is left of the body into a file, which is there whole or not at all; its size and digest.

        Raises ``RequestAborted`` if the client leaves too early, and nothing is left of the file then. Raises, before
        anything is read, ``FileExistsError`` for a file that it may not ``overwrite`` and for what is no regular file (a
        device, a pipe), ``IsADirectoryError`` for a directory. A symbolic link is replaced, not followed.
        """
        return await save(self, path, digest, overwrite)

    async def pipe(self, response: Writer) -> int:
        """Write what is left of the body to a response, piece by piece; the number of bytes."""
        return await pipe(self, response)

    def __aiter__(self) -> "RequestStream":
        return self

    async def __anext__(self) -> bytes:
        if (self._busy or not self._size) and ((self._ended and not self._busy) or not await self._fill()):
            raise StopAsyncIteration
        self.wanted = True
        return self._take()


StreamBuffer = RequestStream  # its name in Sanic 19.3 to 20.12


class _Empty(RequestStream):
    """A body that has ended before it began. Nothing of it can be set, for all requests share it."""

    __slots__ = ("_shared",)

    def __init__(self) -> None:
        super().__init__(total=0)
        self.feed_eof()
        self.wanted = self.whole = True
        self.trailers.freeze()
        self._shared = True

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, "_shared"):
            raise AttributeError(f"this request has no body, so {name} cannot be set")
        super().__setattr__(name, value)

    def limit(self, max_size: int | None) -> None:
        """Nothing is less than any limit."""


EMPTY: RequestStream = _Empty()
"""The body of every request that has none: already ended, shared by all."""
