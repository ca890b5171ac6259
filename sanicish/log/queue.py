"""Log lines wait in a bounded queue for a thread that writes them: a reader that stalls never stops the server.

Streams that are one file for the system (stdout and stderr of ``2>&1``) share a queue, so their lines keep their order.
"""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet, WeakValueDictionary

__all__ = ["QUEUE_SIZE", "QueuedStreamHandler", "dropped_lines", "flush"]

QUEUE_SIZE = 4 * 1024 * 1024  # characters
_GATHERING = 0.01  # seconds between two writes, so that the thread wakes seldom when there is much to write
_IDLE = 1.0  # seconds without a line after which the thread ends
_PATIENCE = 2.0  # seconds without progress after which a flush gives up
_ATOMIC = 4_096  # bytes that no other writer of the same pipe can get in between (PIPE_BUF)


class _Queue:
    """The lines of one stream that are not written yet, and the thread that writes them while there are any."""

    def __init__(self, stream: Any, limit: float | None) -> None:
        self.limit = limit
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._dropped = 0  # lines, since the log told of them
        self._handler: logging.Handler | None = None  # the last one, whose form is that of what the log tells
        self._broken = False  # the last write failed
        self.reset()
        _queues.add(self)

    def reset(self) -> None:
        """Begin without lines and without a thread; also in a child process, whose parent writes what was waiting."""
        self._lines: deque[str] = deque()
        self._waiting = 0  # characters that were put and not written
        self._put = self._gone = 0  # lines, to know when a flush is done
        self._full = False
        self._stalled = False  # a flush has given up, and nothing was written since
        self._flushes = 0  # that are being waited for
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._awake = False  # the thread will look for more lines by itself
        self._thread: threading.Thread | None = None

    def put(self, line: str, handler: logging.Handler) -> None:
        """Let a line be written, or drop it if too much is waiting."""
        with self._lock:
            self._handler = handler
            if self._has_no_room(len(line)):
                self._drop(1)
                return
            if self._dropped and not self._broken:
                self._tell_dropped()
            self._add(line)
            if self._awake:
                return
            self._awake = True
            if self._thread is not None:
                self._changed.notify_all()
                return
            self._thread = threading.Thread(target=self._run, name="sanicish-log", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending, or the system has no thread left
            self._thread = None
            self._write(self._take())

    def _has_no_room(self, more: int) -> bool:
        """Whether a line has to go; once one had to, so has each until half of the room is free again."""
        if self.limit is None or not self._waiting:
            self._full = False
        elif self._full:
            self._full = self._waiting > self.limit / 2
        else:
            self._full = self._waiting + more > self.limit
        return self._full

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._waiting += len(line)
        self._put += 1

    def _drop(self, count: int) -> None:
        self._dropped += count
        _total.add(count)

    def _tell_dropped(self) -> None:
        count, self._dropped = self._dropped, 0
        told = {
            "name": "sanicish.root",
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": "%d log line%s dropped: the log could not be written fast enough",
            "args": (count, " was" if count == 1 else "s were"),
        }
        if self._handler is not None:
            with suppress(Exception):  # of a formatter of the user's own
                self._add(self._handler.format(logging.makeLogRecord(told)) + "\n")

    # The thread

    def _run(self) -> None:
        while True:
            while lines := self._take():
                self._write(lines)
                with self._lock:
                    if not self._flushes:
                        self._changed.wait(_GATHERING)
            with self._lock:
                if not self._lines and not self._changed.wait_for(lambda: self._lines, _IDLE):
                    self._thread = None
                    return

    def _take(self) -> list[str]:
        with self._lock:
            if not self._lines and self._dropped and not self._broken:
                self._tell_dropped()
            lines = list(self._lines)
            self._lines.clear()
            self._awake = bool(lines)
            return lines

    def _write(self, lines: list[str]) -> None:
        """Write lines, several at once, but never so many that a line of another process could stand inside one."""
        start = size = 0
        for end, line in enumerate(lines):
            if size and size + len(line) > _ATOMIC:
                self._write_piece(lines[start:end])
                start, size = end, 0
            size += len(line)
        self._write_piece(lines[start:])

    def _write_piece(self, lines: list[str]) -> None:
        text = "".join(lines)
        try:
            if self._descriptor is None:
                self._stream.write(text)
                self._stream.flush()
            else:
                self._write_bytes(self._descriptor, text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        except (OSError, ValueError) as error:  # its reader is gone, its disk is full, it is closed
            with self._lock:
                self._drop(len(lines))
                told, self._broken = self._broken, True
            if not told:
                reason = getattr(error, "strerror", None) or error
                logging.getLogger("sanicish.error").error("the log cannot be written: %s", reason)
        else:
            self._broken = False
        with self._lock:
            self._waiting -= len(text)
            self._gone += len(lines)
            self._stalled = False
            if self._flushes:
                self._changed.notify_all()

    def _write_bytes(self, descriptor: int, data: bytes) -> None:
        """Write past the buffer of the stream, whose lock would be held as long as nobody reads."""
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        if poll.poll(0):
            self._stream.flush()  # what was printed before comes before
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:  # somebody made it so, for all who write to it
                poll.poll()

    def flush(self) -> None:
        """Wait until every line is written that was put until now, as long as there is progress."""
        with self._lock:
            if self._stalled or self._thread is threading.current_thread():
                return
            goal = self._put
            self._flushes += 1
            self._changed.notify_all()
            while self._gone < goal and not self._stalled:
                self._stalled = not self._changed.wait_for(self._progress(), _PATIENCE)
            self._flushes -= 1

    def _progress(self) -> Callable[[], bool]:
        """Tells whether anything was written since now."""
        before = self._gone
        return lambda: self._gone != before


class _Total:
    """How many lines all queues of this process have dropped, those that are no more included."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.count += count


_total = _Total()
_queues: WeakSet[_Queue] = WeakSet()
_by_file: WeakValueDictionary[Any, _Queue] = WeakValueDictionary()


def _in_child() -> None:
    for queue in _queues:
        queue.reset()


os.register_at_fork(after_in_child=_in_child)


def _descriptor(stream: Any) -> int | None:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _queue_of(stream: Any, limit: float | None) -> _Queue:
    """The queue of a stream, which is that of every other stream to the same file."""
    descriptor, key = _descriptor(stream), (id(stream), -1)
    if descriptor is not None:
        with suppress(OSError):
            state = os.fstat(descriptor)
            key = state.st_dev, state.st_ino
    found = _by_file.get(key)
    if found is None:
        found = _by_file[key] = _Queue(stream, limit)
    found.limit = limit
    return found


def dropped_lines() -> int:
    """How many log lines of this process were not written: nobody read them in time, or writing failed."""
    return _total.count


def flush() -> None:
    """Wait until all lines are written; a stream that takes nothing for 2 seconds is left."""
    for queue in list(_queues):
        queue.flush()


class QueuedStreamHandler(logging.StreamHandler[Any]):
    """``logging.StreamHandler`` that never blocks: a thread writes, and at most ``limit`` characters wait for it.

    Lines beyond the limit are dropped and counted; ``None`` is no limit. When there is room again, a warning in the log
    tells how many were dropped.
    """

    def __init__(self, stream: Any = None, limit: float | None = QUEUE_SIZE) -> None:
        super().__init__(stream)
        self._limit = limit
        self._queue: _Queue | None = None
        self._queued: Any = None  # the stream whose queue it is

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record at once, and let it be written."""
        try:
            line = self.format(record) + self.terminator
            if self._queue is None or self._queued is not self.stream:
                if self.stream is None:  # there is no stdout and no stderr
                    return
                self._queue, self._queued = _queue_of(self.stream, self._limit), self.stream
            self._queue.put(line, self)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, as long as there is progress."""
        if self._queue is not None:
            self._queue.flush()
