"""An iterable becomes a streaming function: what it yields is written, and it is closed where it ran.

It ends in ``response.write`` like every other body, and knows nothing of requests and routes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Protocol

from sanicish.interruption import is_cancellation
from sanicish.response import encode
from sanicish.streams.flow import READY
from sanicish.streams.pulling import Pull, close_sync

__all__ = ["Body", "Writable", "buffered", "is_body"]

_JOINED = 32_768  # bytes that are written as one, though the source has more to give at once


def is_body(value: Any) -> bool:
    """Whether something can be streamed as a body."""
    return hasattr(value, "__aiter__") or hasattr(value, "__iter__")


class Writable(Protocol):
    """What pieces are written to, such as a ``StreamingHTTPResponse``."""

    def write(self, data: bytes, /) -> Awaitable[None]:
        """Send data now; awaiting the result waits while the client is slow."""


class Body:
    """Writes what an iterable yields, sync or async, one write for each item.

    A sync iterable is pulled in a thread unless it is ``inline``. With ``joined``, items that come in one turn of the
    loop leave as one; ``first`` then stands before them all and ``last`` behind. ``encode`` makes bytes of an item.
    """

    __slots__ = ("_encode", "_first", "_inline", "_joined", "_last", "_source")

    def __init__(
        self,
        source: Any,
        *,
        inline: bool = False,
        joined: bool = False,
        encode: Callable[[Any], bytes] = encode,
        first: bytes = b"",
        last: bytes = b"",
    ) -> None:
        self._source = source
        self._inline = inline or isinstance(source, list | tuple)  # nothing there can block
        self._joined = joined
        self._encode = encode
        self._first = first
        self._last = last

    async def __call__(self, response: Writable) -> None:
        """Write it all, and close it whatever happens."""
        write = _JoinedWriter(response, self._first) if self._joined else _Writer(response)
        if hasattr(self._source, "__aiter__"):
            await self._pour_async(write)
        elif self._inline:
            await self._pour_inline(write)
        else:
            await self._pour_from_thread(write)
        await write.end(self._last)

    async def _pour_async(self, write: "_Writer | _JoinedWriter") -> None:
        iterator = aiter(self._source)
        encode, add = self._encode, write.add
        try:
            async for item in iterator:
                done = add(encode(item))
                while done is not READY:
                    try:
                        await done
                    except asyncio.CancelledError as error:
                        done = add(encode(await _cancelled(iterator, error)))
                    else:
                        break
        except StopAsyncIteration:  # it ended as it was cancelled
            pass
        finally:
            await _close_async(iterator)

    async def _pour_inline(self, write: "_Writer | _JoinedWriter") -> None:
        iterator = iter(self._source)
        encode, add = self._encode, write.add
        try:
            for item in iterator:
                done = add(encode(item))
                if done is not READY:
                    await done
        finally:
            close_sync(iterator)

    async def _pour_from_thread(self, write: "_Writer | _JoinedWriter") -> None:
        pull = Pull(self._source, self._encode)
        try:
            while pieces := await pull.batch():
                for piece in pieces:
                    done = write.add(piece)
                    if done is not READY:
                        await done
        finally:
            await pull.close()

    async def close(self) -> None:
        """Close the source without having asked it for anything."""
        if hasattr(self._source, "__anext__"):
            await _close_async(self._source)
        elif hasattr(self._source, "__next__"):
            close_sync(self._source)


async def _cancelled(iterator: Any, error: asyncio.CancelledError) -> Any:
    """Raise a cancellation where the generator waits, in its yield: its ``asyncio.timeout()`` or task group may be the cause.

    Gives what it yields next, if it has dealt with that; raises what it raises, and ``StopAsyncIteration`` at its end.
    """
    throw = getattr(iterator, "athrow", None)
    if throw is None:
        raise error
    try:
        item = await throw(error)
    except StopAsyncIteration:
        if is_cancellation(error):
            raise error from None
        raise
    if is_cancellation(error):  # somebody else wants all of this to end
        raise error
    return item


async def _close_async(iterator: Any) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()


class _Writer:
    """Writes every piece by itself."""

    __slots__ = ("add",)

    def __init__(self, response: Writable) -> None:
        self.add: Callable[[bytes], Awaitable[None]] = response.write

    async def end(self, last: bytes) -> None:
        if last:
            await self.add(last)


class _JoinedWriter:
    """Gathers pieces, and writes them as one when there are enough or when the loop has its turn."""

    __slots__ = ("_error", "_pieces", "_response", "_scheduled", "_size", "_writing")

    def __init__(self, response: Writable, first: bytes) -> None:
        self._response = response
        self._pieces = [first] if first else []
        self._size = len(first)
        self._scheduled = False
        self._writing: Awaitable[None] = READY  # what the last write has to wait for
        self._error: Exception | None = None

    def add(self, piece: bytes) -> Awaitable[None]:
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
        if self._size >= _JOINED or self._error is not None:
            self._write()
        done, self._writing = self._writing, READY
        return done

    async def end(self, last: bytes) -> None:
        self._pieces.append(last)
        self._write()
        await self._writing

    def _turn(self) -> None:
        self._scheduled = False
        if self._pieces and self._error is None:
            try:
                self._write()
            except Exception as error:  # told to whoever adds the next piece
                self._error = error

    def _write(self) -> None:
        if self._error is not None:
            raise self._error
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if data:
            self._writing = self._response.write(data)


def buffered(source: Any, size: int = 5) -> Any:
    """Join text or bytes of an iterable, sync or async, ``size`` items that are not empty at a time (Jinja's count)."""
    return _buffered_async(source, size) if hasattr(source, "__aiter__") else _buffered(source, size)


def _join(group: list[Any]) -> str | bytes:
    """One piece of several; plain text even if some are Markup, whose own join would escape the others."""
    return "".join(group) if isinstance(group[0], str) else b"".join(group)


def _buffered(source: Any, size: int) -> Iterator[Any]:
    iterator = iter(source)
    group: list[Any] = []
    try:
        for item in iterator:
            if item:
                group.append(item)
            if len(group) >= size:
                yield _join(group)
                group.clear()
        if group:
            yield _join(group)
    finally:
        close_sync(iterator)


async def _buffered_async(source: Any, size: int) -> AsyncIterator[Any]:
    iterator = aiter(source)
    group: list[Any] = []
    try:
        async for item in iterator:
            if item:
                group.append(item)
            if len(group) >= size:
                yield _join(group)
                group.clear()
        if group:
            yield _join(group)
    finally:
        await _close_async(iterator)
