"""The transport of a connection as asyncio and uvloop make it; where they differ, the loop says which it is.

See shared facts in docs/design/simulation.md: ``pause_writing`` comes inside ``write``, ``connection_lost`` in a later
callback, and while reading is paused nobody notices that the peer has gone.
"""

from contextlib import suppress

__all__ = ["Transport"]

_HIGH = 65_536


class Transport:
    """One end of a ``Link``, above which a protocol stands."""

    def __init__(self, loop, sock, protocol, made=None) -> None:
        self._loop = loop
        self._sock = sock
        self._link = sock.link
        self._protocol = protocol
        self._made = made
        self._buffer = bytearray()
        self._high, self._low = _HIGH, _HIGH // 4
        self._paused = False  # reading
        self._reading = False
        self._full = False  # the protocol was told to write no more
        self._closing = False
        self.most_buffered = 0
        self.closed_at = None  # since when it waits for the client to take the rest
        self.closing_took = 0.0  # seconds, without those in which the client took something
        self._losing = False  # connection_lost is on its way
        self._lost = False
        self._drained = False  # lost behind the last byte that waited
        self._eof = False  # half-closed by us, or about to be
        self._peer_ended = False
        loop.call_soon(self._begin)
        loop.call_soon(self._begin_reading)

    def _begin(self):
        self._protocol.connection_made(self)
        if self._made is not None:
            if not self._made.done():
                self._made.set_result((self, self._protocol))
            self._made = None

    def _begin_reading(self):
        if not self._closing:
            self._reading = True
            self._link.stir()

    # What the loop asks

    def add_calls(self, calls):
        if self._lost:
            return
        link = self._link
        if self._reading and not self._paused and not self._closing and (link.incoming or link.ended or link.reset):
            calls.append(self._read)
        if self._buffer and not self._losing and (len(link.outgoing) < link.room or link.reset):
            calls.append(self._drain)

    def _read(self) -> bool:
        """Read once; whether there may be more at once."""
        if self._paused or self._closing or not self._reading:
            return False
        link, size = self._link, self._loop.largest_read
        try:
            data = link.recv(size)
        except OSError as error:
            self._fail(error)
            return False
        if data is None:
            return False
        if data:
            link.network.say(link.number, "data_received", len(data))
            self._call(self._protocol.data_received, data)
            link.largest_read = max(link.largest_read, len(data))
            if link.network.after_read is not None:
                link.network.after_read(link, self._protocol)
            if self._reading and (link.incoming or link.ended):
                link.stir()
            return len(data) == size
        link.network.say(link.number, "eof_received")
        self._reading = False
        self._peer_ended = True
        stays = self._call(self._protocol.eof_received)
        if link.kind == "tls" or not stays:
            self.close()
        return False

    def _call(self, function, *args):
        """Errors of a protocol end its connection."""
        try:
            return function(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._loop.failures.append({"message": "a protocol failed", "exception": error})
            self._fail(error)
            return None

    def _drain(self) -> bool:
        if not self._buffer or self._losing:
            return False
        try:
            count = self._link.send(self._buffer)
        except OSError as error:
            self._fail(error)
            return False
        del self._buffer[:count]
        if self._full and len(self._buffer) <= self._low:
            self._full = False
            self._protocol.resume_writing()
        if self._losing:
            return False
        if not self._buffer:
            if self._closing:
                self._drained = True
                self._lose(None)
            elif self._eof:
                self._shutdown()
        return False

    def _shutdown(self):
        if self._loop.flavour == "uvloop":
            with suppress(OSError):  # it asks later, and tells nobody
                self._link.shutdown()
        else:
            self._link.shutdown()

    # What the protocol asks

    def get_extra_info(self, name, default=None):
        link = self._link
        if name == "socket":
            return self._sock
        if name == "peername":
            return "" if link.kind == "unix" else link.client.address
        if name == "sockname":
            return "/run/simulated" if link.kind == "unix" else ("127.0.0.1", 8000)
        if name == "ssl_object":
            return self if link.kind == "tls" else default
        return default

    def get_protocol(self):
        return self._protocol

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = _HIGH if low is None else 4 * low
        self._high, self._low = high, high // 4 if low is None else low
        self._see_if_full()

    def get_write_buffer_limits(self):
        return self._low, self._high

    def get_write_buffer_size(self):
        return len(self._buffer)

    def _see_if_full(self):
        if len(self._buffer) > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def write(self, data):
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._lost and not self._loop.ignores_late_writes:
            raise RuntimeError("unable to perform operation on a transport that is closed; the handler is closed")
        if not data or self._losing or self._lost or self._closing:
            return
        if self._link.kind == "tls" and self._peer_ended:
            return
        self._link.network.say(self._link.number, "write", len(data))
        if not self._buffer:
            try:
                count = self._link.send(data)
            except OSError as error:
                self._fail(error)
                return
            if count == len(data):
                return
            data = data[count:]
        self._buffer += data
        self.most_buffered = max(self.most_buffered, len(self._buffer))
        self._link.stir()
        self._see_if_full()

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def can_write_eof(self):
        return self._link.kind != "tls"

    def write_eof(self):
        if self._closing or self._eof:
            return
        self._eof = True
        self._link.network.say(self._link.number, "write_eof")
        if not self._buffer:
            self._shutdown()

    def is_closing(self):
        return self._closing

    def close(self):
        if self._closing:
            return
        self._closing = True
        self.closed_at = self._loop.now
        self._link.network.say(self._link.number, "close", len(self._buffer))
        if not self._buffer:
            self._lose(None)

    def abort(self):
        self._link.network.say(self._link.number, "abort")
        if self._lost and self._drained and self._loop.flavour == "asyncio":
            raise AttributeError("'NoneType' object has no attribute 'call_soon'")  # as asyncio's does
        self._force(None)

    def pause_reading(self):
        self._paused = True

    def resume_reading(self):
        if self._paused:
            self._paused = False
            self._link.stir()

    def is_reading(self):
        return not self._paused and not self._closing

    # Ends

    def _fail(self, error):
        self._force(error)

    def _force(self, error):
        if self._losing:
            return
        self._buffer.clear()
        self._closing = True
        self._lose(error)

    def _lose(self, error):
        self._losing = True
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error):
        link = self._link
        link.network.say(link.number, "connection_lost", error)
        try:
            self._protocol.connection_lost(error)
        finally:
            self._lost = True
            link.lost_at = self._loop.now
            if self.closed_at is not None:
                self.closing_took = link.lost_at - max(self.closed_at, link.moved_at)
            if self._made is not None and not self._made.done():
                self._made.set_result((self, self._protocol))
            self._sock.close()
