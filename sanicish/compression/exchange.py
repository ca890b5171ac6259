"""An exchange whose body is compressed on its way.

What is written leaves when the coder gives it, at a ``flush()``, and when the producer pauses: when two turns of the
loop went by with nothing more written. Large pieces are compressed a slice at a time, so that others get their turn,
and large whole bodies in a thread.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any

from sanicish.compression.coders import Coder, coders
from sanicish.compression.policy import Policy
from sanicish.config import Config
from sanicish.exceptions import ContentLengthMismatch, StreamClosed, WriteBufferFull
from sanicish.exchange import Answer, Exchange, Outcome
from sanicish.headers import Headers, promised_length
from sanicish.streams.flow import READY
from sanicish.wrapped import WrappedExchange

__all__ = ["CompressedExchange", "Compression"]

_SLICE = 65_536  # bytes that are compressed at once


class Compression:
    """What an application has asked for.

    ``encodings`` are ``zstd``, ``br`` and ``gzip``, the preferred one first; without any, those that are installed.
    ``levels`` are theirs, ``min_size`` is bytes, ``types`` are media types that shrink beside those known; ``events``
    has event streams compressed too. Raises ``ImportError`` for what is not installed, ``ValueError`` for what there
    is not.
    """

    def __init__(
        self,
        config: Config,
        encodings: Iterable[str] = (),
        *,
        levels: Mapping[str, int] | None = None,
        min_size: int = 1024,
        types: Iterable[str] = (),
        events: bool = False,
    ) -> None:
        made = coders(encodings, levels or {})
        self._policy = Policy(made, min_size, types, events, config["RESPONSE_BUFFER_LIMIT"])

    def around(self, answer: Answer) -> Answer:
        """Answer as ``answer`` does, and compress for clients that take it."""

        async def answer_compressed(app: Any, exchange: Exchange) -> None:
            wrapped = CompressedExchange(exchange, self._policy)
            await answer(app, wrapped)
            await wrapped.complete()

        return answer_compressed


class _Rest:
    """Awaiting it compresses what waits for its turn."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: "CompressedExchange") -> None:
        self._exchange = exchange

    def __await__(self) -> Generator[Any, None, None]:
        return self._exchange.catch_up().__await__()


class CompressedExchange(WrappedExchange):
    """An exchange around the one that sends."""

    __slots__ = (
        "_awaited",
        "_backlog",
        "_backlog_size",
        "_coder",
        "_dirty",
        "_ending",
        "_flushing",
        "_left",
        "_policy",
        "_ticking",
        "_turns",
        "_whole",
    )

    def __init__(self, inner: Exchange, policy: Policy) -> None:
        super().__init__(inner)
        self._policy = policy
        self._coder: Coder | None = None  # while there is something to compress
        self._left: int | None = None  # bytes of what was promised, before they are compressed
        self._backlog: deque[bytes] = deque()  # written, not yet compressed
        self._backlog_size = 0
        self._awaited = 0  # how many wait for the backlog, and so work it off
        self._dirty = False  # something was put in that a reader cannot read yet
        self._ending = False  # the end follows the backlog
        self._flushing = False  # a flush follows it
        self._ticking = False
        self._turns = 0  # of the loop, since the last write
        self._whole: Callable[[], Coroutine[Any, Any, None]] | None = None

    @property
    def unsent(self) -> int:
        return self.inner.unsent + self._backlog_size

    # The head

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        if self.started:
            raise StreamClosed("this request has been answered already")
        length = promised_length(headers)
        fields, coder = self._policy.look(self.head, status, headers, content_type, length)
        if self.trailers is not None and "content-digest" in self.trailers:  # of the bytes as they are (RFC 9530)
            fields, coder = headers, None
        if coder is not None and length is not None:
            if not (chunked and self.head.version == "1.1"):
                self._left = length
            chunked = None
        self.inner.start(status, fields, content_type, chunked)
        self._coder = coder

    # The body

    def write(self, data: bytes) -> Awaitable[None]:
        coder = self._coder
        if coder is None or self.inner.outcome is not None:
            return self.inner.write(data)
        if self._ending:
            raise StreamClosed("the response has ended")
        size = len(data)
        if self._left is not None:
            if size > self._left:
                raise ContentLengthMismatch(f"{size} bytes written where {self._left} are left of Content-Length")
            self._left -= size
        self._touch()
        if size <= _SLICE and not self._backlog:
            self._dirty = self._dirty or size > 0
            return self.inner.write(coder.compress(data) if data else data)
        if self._backlog and self._backlog_size + size > self._policy.limit:
            raise WriteBufferFull(f"more than {self._policy.limit} bytes wait to be compressed; await write()")
        self._backlog.extend(data[start : start + _SLICE] for start in range(0, size, _SLICE))
        self._backlog_size += size
        return _Rest(self)

    async def send_file(self, descriptor: int, offset: int, count: int) -> bool:
        return self._coder is None and await self.inner.send_file(descriptor, offset, count)

    def flush(self) -> Awaitable[None]:
        if self._coder is None or self.inner.outcome is not None:
            return self.inner.flush()
        self._flushing = bool(self._backlog)
        if self._flushing:
            return _Rest(self)
        self._flush_coder()
        return self.inner.flush()

    def finish(self) -> Awaitable[None]:
        if self._coder is None or self.inner.outcome is not None:
            return self.inner.finish()
        if self._left:
            raise ContentLengthMismatch(f"the body ended {self._left} bytes before its Content-Length")
        self._ending = True
        return _Rest(self) if self._backlog else self._finish()

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        self._coder = None
        self._backlog.clear()
        self._backlog_size = 0
        self.inner.abort(outcome)

    # What waits for its turn

    async def catch_up(self) -> None:
        """Compress what waits, a slice at a time, and let it leave; then the end, if that was asked for."""
        self._awaited += 1
        try:
            while self._backlog:
                await self.inner.write(self._next())
        finally:
            self._awaited -= 1
        if self._coder is not None:
            await self._caught_up()

    def _caught_up(self) -> Awaitable[None]:
        """Do what was asked for behind the backlog."""
        if self._ending:
            return self._finish()
        if self._flushing:
            return self.flush()
        self._touch()
        return READY

    def _next(self) -> bytes:
        assert self._coder is not None
        data = self._backlog.popleft()
        self._backlog_size -= len(data)
        self._dirty = True
        return self._coder.compress(data)

    def _finish(self) -> Awaitable[None]:
        assert self._coder is not None
        coder, self._coder = self._coder, None
        self.inner.write(coder.finish())
        return self.inner.finish()

    def _flush_coder(self) -> None:
        if self._dirty and self._coder is not None:
            self._dirty = False
            self.inner.write(self._coder.flush())

    def _touch(self) -> None:
        self._turns = 0
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        """Once in a turn of the loop after something was written: has the producer paused?"""
        if self._coder is None or self.inner.outcome is not None or self._awaited:
            self._ticking = False
            return
        try:
            if self._backlog:  # that nobody waits for
                self.inner.write(self._next())
                if not self._backlog:
                    self._caught_up()
            elif self._turns:
                self._ticking = False
                self._flush_coder()
                return
            else:
                self._turns += 1
        except WriteBufferFull:  # whoever writes next is told that the response has ended
            self.abort()
            return
        asyncio.get_running_loop().call_soon(self._tick)

    # Whole answers

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        if self.started or self._whole is not None:
            raise StreamClosed("this request has been answered already")
        fields, coder = self._policy.look(self.head, status, headers, content_type, len(body))
        if coder is None:
            self.inner.send_whole(status, fields, content_type, body)
        elif len(body) <= _SLICE:
            self.inner.send_whole(status, fields, content_type, _whole(coder, body))
        else:

            async def send() -> None:
                packed = await asyncio.to_thread(_whole, coder, body)
                self.inner.send_whole(status, fields, content_type, packed)

            self._whole = send

    async def complete(self) -> None:
        """Send what a complete response has left to be done."""
        if self._whole is not None:
            await self._whole()


def _whole(coder: Coder, body: bytes) -> bytes:
    return coder.compress(body) + coder.finish()
