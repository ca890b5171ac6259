"""A transport that collects bytes and can be as slow as a test wants."""

from typing import Any


class MemoryTransport:
    """asyncio's transport methods over a list; ``room`` is how many bytes the pretended kernel still takes."""

    def __init__(self, room: int | None = None) -> None:
        self.sent = bytearray()  # what the peer has seen
        self.waiting = bytearray()  # what the kernel did not take yet
        self.room = room
        self.high = 65_536
        self.closed = self.aborted = self.ended = self.reading_paused = False
        self.writes = 0
        self.protocol: Any = None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = 65_536 if high is None else high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def write(self, data: bytes) -> None:
        assert not self.closed, "write after close"
        assert not self.ended, "write after write_eof"
        self.writes += 1
        self.waiting += data
        self._drain()
        if self.protocol is not None and len(self.waiting) > self.high:
            self.protocol.pause_writing()

    def writelines(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def _drain(self) -> None:
        count = len(self.waiting) if self.room is None else min(self.room, len(self.waiting))
        self.sent += self.waiting[:count]
        del self.waiting[:count]
        if self.room is not None:
            self.room -= count

    def take(self, count: int | None = None) -> None:
        """Let the kernel take more bytes; wakes the writer when little is left."""
        self.room = None if count is None else (self.room or 0) + count
        self._drain()
        if self.protocol is not None and len(self.waiting) <= self.high // 4:
            self.protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        assert not self.reading_paused, "paused twice"
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused, "resumed without a pause"
        self.reading_paused = False
