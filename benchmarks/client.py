"""The load client: it sends requests, and checks every byte of every answer.

It is no HTTP client: it knows what must come, and compares. What it has found right once it knows again by its
bytes, so that the server is the limit and not its client.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

__all__ = ["Answer", "Asker", "Body", "Listener", "NotOffered", "Staller", "Transfer", "Wrong", "request"]

BUFFER = 262_144  # bytes read at once
REMEMBERED = 65_536  # chunks and answers of at most so many bytes are known again by their bytes


def request(method: str, target: str, *fields: str) -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: bench", *fields, "\r\n")).encode()


class Wrong(Exception):
    """An answer that is not the one that was asked for: the run has failed."""


class NotOffered(Wrong):
    """An answer of 501: the server has no way to do this, and says so."""


class Body:
    """What the body of an answer must be: ``size`` bytes that repeat ``pattern``."""

    __slots__ = ("period", "size", "wide")

    def __init__(self, pattern: bytes, size: int | None = None) -> None:
        self.period = len(pattern)
        self.size = len(pattern) if size is None else size
        # So wide that whatever is read at once is compared in one go, wherever in the pattern it begins.
        self.wide = pattern if self.size <= self.period else pattern * (2 + BUFFER // self.period)

    def check(self, data: Any, at: int) -> None:
        """Compare what arrived at this place of the body; in place, for ``startswith`` takes any buffer."""
        if at + len(data) > self.size:
            raise Wrong(f"more than the {self.size} bytes of the body")
        if not self.wide.startswith(data, at % self.period):
            raise Wrong(f"wrong bytes in the body between {at} and {at + len(data)}")


class Answer:
    """Reads one answer as it comes; raises ``Wrong`` at the first thing that is not as it must be.

    ``bodies`` are the spellings the body may have (JSON with blanks and without); its length says which one it is.
    """

    def __init__(self, *bodies: Body, status: int = 200) -> None:
        self.ended = False
        self.at = 0  # bytes of body that arrived
        self._bodies = bodies
        self._body = bodies[0]
        self._status = b"HTTP/1.1 %d " % status
        self._line: Callable[[Answer, bytes], None] = Answer._head  # reads the next line
        self._left = 0  # bytes still to arrive of the body, or of this chunk
        self._chunked = self._until_close = False
        self._rest = b""  # a line that has no end yet
        self._chunk = b""  # what the next chunk looks like if it is like the last one

    def feed(self, data: Any, size: int) -> int:
        """Read ``data[:size]``, at most to the end of this answer; returns how many bytes that took."""
        before = len(self._rest)
        if before:
            data = self._rest + data[:size]
            size += before
            self._rest = b""
        view = memoryview(data)
        pos = 0
        while pos < size and not self.ended:
            if self._left:
                end = min(pos + self._left, size)
                self._body.check(view[pos:end], self.at)
                self.at += end - pos
                self._left -= end - pos
                pos = end
                if not self._left:
                    self._line = Answer._border
                    self.ended = not (self._chunked or self._until_close)
                continue
            if self._chunk and self._line is Answer._size:
                while data.startswith(self._chunk, pos, size):
                    pos += len(self._chunk)
                    self.at += self._body.period
                if pos == size:
                    break
            mark = b"\r\n\r\n" if self._line is Answer._head else b"\r\n"
            found = data.find(mark, pos, size)
            if found < 0:
                if size - pos > 16_384:
                    raise Wrong("a head or a chunk size without an end")
                self._rest = bytes(view[pos:size])
                return size - before
            self._line(self, bytes(view[pos:found]))
            pos = found + len(mark)
        return pos - before

    def closed(self) -> None:
        """The connection has ended: right only where the body ends with it."""
        if not (self._until_close and self.at == self._body.size):
            raise Wrong(f"the connection was closed after {self.at} of {self._body.size} bytes of body")
        self.ended = True

    # Lines

    def _head(self, head: bytes) -> None:
        if not head.startswith(self._status):
            _look_for_501(head)
            raise Wrong(f"the answer begins {head[:32]!r}")
        fields = head.lower().split(b"\r\n")
        lengths = [int(field[15:]) for field in fields if field.startswith(b"content-length:")]
        self._chunked = b"transfer-encoding: chunked" in fields
        if self._chunked:
            self._line = Answer._size
            return
        self._line = Answer._border
        self._until_close = not lengths
        if lengths:
            self._body = next((body for body in self._bodies if body.size == lengths[0]), self._body)
            if lengths[0] != self._body.size:
                raise Wrong(f"a length of {lengths[0]} where the body has {self._body.size}")
        self._left = self._body.size

    def _size(self, line: bytes) -> None:
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            raise Wrong(f"no chunk size: {line[:32]!r}") from None
        if self._left == 0:
            if self.at != self._body.size:
                raise Wrong(f"the body ended after {self.at} of {self._body.size} bytes")
            self._line = Answer._last
        elif self._left == self._body.period <= REMEMBERED and self.at % self._left == 0:
            self._chunk = b"%b\r\n%b\r\n" % (line, self._body.wide[: self._left])

    def _border(self, line: bytes) -> None:
        if line or not self._chunked:
            raise Wrong("a chunk, or a body, that is longer than its size")
        self._line = Answer._size

    def _last(self, line: bytes) -> None:
        if line:
            raise Wrong("something after the last chunk")
        self.ended = True


def _look_for_501(head: bytes) -> None:
    if head.startswith(b"HTTP/1.1 501 "):
        raise NotOffered("not offered")


class _Checked:
    """What the client's protocols share: a transport, and a future that fails when an answer is wrong."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.lost = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def succeed(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def fail(self, reason: object) -> None:
        if not self.over.done():
            self.over.set_exception(reason if isinstance(reason, Wrong) else Wrong(str(reason)))
            self.over.exception()  # seen, also when nobody waits for it
        self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.fail(f"the connection was closed{f' by {error!r}' if error else ''}")


class Asker(_Checked, asyncio.Protocol):
    """Asks one thing on one connection, ``depth`` requests at a time, again and again until it is told to stop."""

    def __init__(self, asked: bytes, bodies: tuple[Body, ...], depth: int = 1) -> None:
        super().__init__()
        self.answers = 0
        self._batch = asked * depth
        self._bodies = bodies
        self._depth = depth
        self._open = 0  # requests without an answer
        self._answer: Answer | None = None  # one of which a part has arrived
        self._seen = b""  # that part
        self._known = b""  # the last answer that was checked in full
        self._stopped = False

    def ask(self) -> None:
        """Send the first requests."""
        self._open = self._depth
        self.transport.write(self._batch)

    def stop(self) -> None:
        """Send no more requests; ``over`` is done when the answers to those that were sent have arrived."""
        self._stopped = True

    def data_received(self, data: bytes) -> None:
        pos, size, known = 0, len(data), self._known
        try:
            while pos < size:
                if self._answer is None and known and data.startswith(known, pos):
                    pos += len(known)
                else:
                    pos = self._read(data, pos)
                    if self._answer is not None:
                        return
                    known = self._known
                self.answers += 1
                self._open -= 1
            if self._open < 0:
                raise Wrong("more answers than requests")
        except Wrong as wrong:
            self.fail(wrong)
            return
        if not self._open:
            if self._stopped:
                self.succeed()
            else:
                self._open = self._depth
                self.transport.write(self._batch)

    def _read(self, data: bytes, pos: int) -> int:
        if self._answer is None:
            self._answer, self._seen = Answer(*self._bodies), b""
        data = data[pos:]
        used = self._answer.feed(data, len(data))
        if len(self._seen) < REMEMBERED:
            self._seen += data[:used]
        if self._answer.ended:
            self._known = self._seen if len(self._seen) < REMEMBERED else b""
            self._answer = None
        return pos + used


class Transfer(_Checked, asyncio.BufferedProtocol):
    """One large exchange after another; sends and reads at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray(BUFFER)
        self._answer: Answer | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._sent = self._paused = False
        self.asked_at = self.first_at = 0.0  # when the head was sent, when the first byte of body came

    async def exchange(self, head: bytes, *bodies: Body, upload: Iterable[bytes] = ()) -> None:
        """Send a request and read its answer; raises ``Wrong``."""
        self.over = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            raise Wrong("the connection was closed after an answer")
        self._answer = Answer(*bodies)
        self._pieces = iter(upload)
        self._sent = False
        self.first_at = 0.0
        self.asked_at = perf_counter()
        self.transport.write(head)
        self._send()
        await self.over

    def _send(self) -> None:
        while not self._paused and not self._sent:
            piece = next(self._pieces, None)
            if piece is None:
                self._sent = True
            else:
                self.transport.write(piece)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()

    def get_buffer(self, size: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, size: int) -> None:
        answer = self._answer
        if answer is None:
            self.fail("something came that was not asked for")
            return
        try:
            used = answer.feed(self._buffer, size)
            if used < size:
                raise Wrong("something came after the answer")
            if answer.ended and not self._sent:
                raise Wrong("the answer ended before the request did")
        except Wrong as wrong:
            self.fail(wrong)
            return
        if not self.first_at and answer.at:
            self.first_at = perf_counter()
        if answer.ended:
            self._answer = None
            self.succeed()

    def connection_lost(self, error: Exception | None) -> None:
        try:
            if self._answer is not None:
                self._answer.closed()
            self.succeed()
        except Wrong as wrong:
            self.fail(wrong)


class Listener(_Checked, asyncio.Protocol):
    """Reads one long answer; ``begun`` is done at its first byte of body."""

    def __init__(self, asked: bytes, body: Body) -> None:
        super().__init__()
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answer = Answer(body)
        self._asked = asked

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        try:
            if self.answer.feed(data, len(data)) < len(data):
                raise Wrong("something came after the answer")
        except Wrong as wrong:
            self.fail(wrong)
            return
        if self.answer.at and not self.begun.done():
            self.begun.set_result(None)
        if self.answer.ended:
            self.succeed()

    def fail(self, reason: object) -> None:
        super().fail(reason)
        if not self.begun.done():
            self.begun.set_result(None)


class Staller(_Checked, asyncio.Protocol):
    """Asks, sends as many pieces as are taken, and reads no more than the beginning of an answer."""

    def __init__(self, asked: bytes, piece: bytes = b"") -> None:
        super().__init__()
        self.begun = False
        self._asked = asked
        self._piece = piece
        self._paused = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._asked)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._paused = True
        self.begun = True

    def resume_writing(self) -> None:
        self._paused = False
        while self._piece and not self._paused and not self.transport.is_closing():
            self.transport.write(self._piece)

    def data_received(self, data: bytes) -> None:
        try:
            if self._piece or not data.startswith(b"HTTP/1.1 200 "):
                _look_for_501(data)
                raise Wrong(f"the answer begins {data[:32]!r}")
        except Wrong as wrong:
            self.fail(wrong)
            return
        self.begun = True
        self.transport.pause_reading()
