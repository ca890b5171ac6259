"""The kernel between clients and server: connections with buffers, ends and resets, and the descriptors that name them."""

import errno
import heapq
import os
import select
import socket
import struct
from contextlib import suppress

from tests.simulation.transport import Transport

__all__ = ["Link", "ListeningSocket", "Network"]

_FIRST = 1_000_000  # descriptors of the simulation begin here
_MOST_WAITING = 262_144  # bytes that the kernel keeps for the server


class Network:
    """All connections, and what will happen to them: a heap of (time, number, function, argument)."""

    def __init__(self, random, trace=None) -> None:
        self.random = random
        self.trace = trace
        self.loop = None
        self.after_read = None  # called with a link and its protocol
        self.events = []
        self.stirred = {}  # what may be readable or writable, in order
        self.links = []
        self.descriptors = {}
        self._serial = 0
        self._happening = False

    def say(self, *words):
        if self.trace is not None:
            self.trace(self.loop.now, *words)

    # Time

    def at(self, when, function, argument):
        self._serial += 1
        heapq.heappush(self.events, (when, self._serial, function, argument))

    def after(self, seconds, function, argument):
        self.at(self.loop.now + seconds, function, argument)

    def happen(self):
        """Let everything happen that is due; also in the middle of a callback, at a system call."""
        events, now = self.events, self.loop.now
        if self._happening:
            return
        self._happening = True
        try:
            while events and events[0][0] <= now:
                _, _, function, argument = heapq.heappop(events)
                function(argument)
        finally:
            self._happening = False

    def link(self, number, kind, room, client):
        link = Link(self, number, kind, room, client)
        self.links.append(link)
        return link

    # Descriptors

    def new_descriptor(self, link) -> int:
        number = _FIRST + len(self.descriptors)
        self.descriptors[number] = link
        link.names += 1
        return number

    def link_of(self, descriptor):
        link = self.descriptors.get(descriptor)
        if link is None:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return link

    def close(self, descriptor):
        link = self.link_of(descriptor)
        self.descriptors[descriptor] = None
        link.drop_name()

    # What the loop is asked

    def watch_read(self, sock, callback, args):
        sock.watch(callback, args)

    def unwatch_read(self, sock):
        return sock.watch(None, ())

    def watch_write(self, descriptor, callback, args):
        link = self.link_of(descriptor)
        link.writer = (callback, args)
        self.stirred[link] = None

    def unwatch_write(self, descriptor):
        link = self.descriptors.get(descriptor)
        if link is None or link.writer is None:
            return False
        link.writer = None
        return True

    def connect(self, sock, protocol, made=None):
        sock.link.transport = Transport(self.loop, sock, protocol, made)


class Link:
    """One connection as the kernel of the server sees it."""

    def __init__(self, network, number, kind, room, client) -> None:
        self.network = network
        self.number = number
        self.kind = kind  # tcp, tls or unix
        self.client = client
        self.incoming = bytearray()  # arrived, and not read by the server
        self.ended = False  # the client's FIN has arrived
        self.reset = False  # its RST has arrived
        self.told_reset = False  # by the error of a call; later ones see a broken pipe
        self.outgoing = bytearray()  # written by the server, not taken by the client
        self.room = room  # bytes that fit in there
        self.taken = 0  # bytes that the client has taken, in all
        self.finished = False  # the server has sent FIN
        self.refused = False  # the server has sent RST
        self.closed = False  # no descriptor of the server is left
        self.lingers = True  # False: closing sends RST
        self.peer_gone = False  # what is sent now is answered by RST
        self.names = 0
        self.writer = None
        self.transport = None
        self.opened_at = 0.0
        self.largest_read = 0  # bytes that the server read at once
        self.reset_at = 0.0
        self.worked_until = 0.0  # when the last exchange was over
        self.moved_at = 0.0  # when the client took something
        self.lost_at = None

    def stir(self):
        self.network.stirred[self] = None

    # What the client does

    def arrive(self, data):
        """Bytes reach the server; False if nobody is there."""
        if self.closed or self.refused:
            self._refuse()
            return False
        if self.reset:
            return False
        self.incoming += data
        self.stir()
        return True

    def full(self):
        return len(self.incoming) >= _MOST_WAITING

    def arrive_end(self, argument=None):
        if not (self.closed or self.reset):
            self.ended = True
            self.stir()

    def arrive_reset(self, argument=None):
        if not self.reset:
            self.reset = True
            self.reset_at = self.network.loop.now
            self.told_reset = self.ended  # Linux: behind a FIN it is a broken pipe from the first call on
            self.incoming.clear()
            self.outgoing.clear()
            self.network.say(self.number, "reset arrives")
            self.stir()

    def take(self, count):
        data = bytes(self.outgoing[:count])
        del self.outgoing[:count]
        self.taken += len(data)
        self.moved_at = self.network.loop.now
        self.stir()
        return data

    # What the server does

    def recv(self, size):
        if self.reset:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        if self.incoming:
            data = bytes(self.incoming[:size])
            del self.incoming[:size]
            return data
        return b"" if self.ended else None

    def send(self, data):
        """How many bytes the kernel takes."""
        network = self.network
        network.happen()
        if self.reset:
            if not self.told_reset:
                self.told_reset = True
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        if self.finished:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        count = min(self.room - len(self.outgoing), len(data))
        if count <= 0:
            return 0
        if self.peer_gone:
            network.after(self.client.latency, self.arrive_reset, None)
            self.outgoing += data[:count]
            return count
        self.outgoing += data[:count]
        self.client.stir()
        return count

    def shutdown(self):
        self.network.happen()
        if self.reset:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        self.finished = True
        self.client.stir()

    def drop_name(self):
        """A descriptor was closed; with the last one the connection."""
        self.names -= 1
        if self.names or self.closed:
            return
        self.closed = True
        self.finished = True
        if self.incoming or not self.lingers:
            self._refuse()
        self.client.stir()

    def _refuse(self):
        """RST to the client: what it has not taken may be lost."""
        if not self.refused:
            self.refused = True
            self.finished = True
            self.network.say(self.number, "server resets")
            if not self.lingers or self.network.random.random() < 0.5:
                self.outgoing.clear()
            self.client.stir()

    def state(self, mask):
        """What poll() tells."""
        self.network.happen()
        events = 0
        if self.reset:
            events |= select.POLLHUP | select.POLLERR
        if self.ended or self.reset:
            events |= getattr(select, "POLLRDHUP", 0) & mask
            if self.kind == "unix" and self.peer_gone:
                events |= select.POLLHUP
        if self.incoming:
            events |= select.POLLIN & mask
        return events

    # What the loop asks

    def ready_calls(self):
        """The callbacks of a loop that found this socket ready."""
        calls = []
        if self.writer is not None and (len(self.outgoing) < self.room or self.reset):
            calls.append(self._call_writer)
            self.stir()  # it stays ready
        transport = self.transport
        if transport is not None:
            transport.add_calls(calls)
        return calls

    def _call_writer(self):
        if self.writer is not None:
            callback, args = self.writer
            callback(*args)


class Socket:
    """The server's end of a link, as far as the product asks it."""

    def __init__(self, network, link) -> None:
        self.link = link
        self._network = network
        self._descriptor = network.new_descriptor(link)
        self.family = socket.AF_UNIX if link.kind == "unix" else socket.AF_INET

    def fileno(self):
        return self._descriptor

    def setblocking(self, value):
        pass

    def setsockopt(self, level, name, value):
        if (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER):
            if self.link.reset:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.link.lingers = struct.unpack("ii", value) != (1, 0)

    def getsockopt(self, level, name, size=0):
        info = bytearray(size)
        info[120:128] = self.link.taken.to_bytes(8, "little")
        return bytes(info)

    def close(self):
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._network.close(descriptor)

    def state(self, mask):
        return self.link.state(mask)


class ListeningSocket:
    """Where clients connect to."""

    family = socket.AF_INET

    def __init__(self, network) -> None:
        self._network = network
        self._waiting = []
        self._watcher = None
        self._loop = None
        self.factory = None
        self.open = True

    def setsockopt(self, *option):
        pass

    def setblocking(self, value):
        pass

    def listen(self, backlog):
        pass

    def getsockname(self):
        return ("127.0.0.1", 8000)

    def serve(self, loop):
        self._loop = loop
        return _Accepting(self)

    def offer(self, link) -> bool:
        """A client connects; False if nobody listens."""
        if not self.open:
            return False
        self._waiting.append(link)
        self._network.stirred[self] = None
        return True

    def accept(self):
        if not self._waiting:
            raise BlockingIOError
        link = self._waiting.pop(0)
        link.opened_at = self._network.loop.now
        link.client.accepted = True
        self._network.say(link.number, "accepted")
        return Socket(self._network, link), link.client.address

    def watch(self, callback, args):
        before, self._watcher = self._watcher, callback and (callback, args)
        if callback:
            self._network.stirred[self] = None
        return before is not None

    def state(self, mask):
        self._network.happen()
        return select.POLLIN if self._waiting else 0

    def ready_calls(self):
        if not self._waiting:
            return ()
        if self._watcher is None and self._loop is None:
            return ()
        return (self._accept,)

    def _accept(self):
        if self._watcher is not None:
            callback, args = self._watcher
            callback(*args)
            if self._waiting:
                self._network.stirred[self] = None
        elif self._loop is not None:
            while self._waiting:
                sock, _ = self.accept()
                self._network.connect(sock, self.factory())

    def close(self):
        self.open = False
        waiting, self._waiting = self._waiting, []
        for link in waiting:
            link.refused = link.closed = link.finished = True
            link.client.turned_away()


class _Accepting:
    """What ``create_server`` returns."""

    def __init__(self, sock) -> None:
        self._sock = sock

    def close(self):
        self._sock._loop = None


class Poll:
    """select.poll() for sockets of the simulation."""

    def __init__(self) -> None:
        self._asked = []

    def register(self, sock, mask):
        self._asked.append((sock, mask))

    def poll(self, timeout):
        found = [(0, sock.state(mask)) for sock, mask in self._asked]
        return [one for one in found if one[1]]


class Select:
    """The module ``select``, as far as the product uses it."""

    POLLIN = select.POLLIN
    POLLHUP = select.POLLHUP
    POLLERR = select.POLLERR
    POLLRDHUP = getattr(select, "POLLRDHUP", 0)
    poll = Poll


class System:
    """The module ``os`` as sendfile needs it: descriptors of the simulation, and files that are real."""

    def __init__(self, network) -> None:
        self._network = network
        self.shorter = set()  # real descriptors of files that become shorter

    def dup(self, descriptor):
        return self._network.new_descriptor(self._network.link_of(descriptor))

    def sendfile(self, sock, descriptor, offset, size):
        link = self._network.link_of(sock)
        room = link.room - len(link.outgoing)
        if room <= 0 and not link.reset:
            self._network.happen()
            if not link.reset:
                raise BlockingIOError
        data = os.pread(descriptor, max(1, min(size, room)), offset)
        return link.send(data) if data else 0

    def close(self, descriptor):
        if descriptor >= _FIRST:
            self._network.close(descriptor)
        else:
            with suppress(OSError):
                os.close(descriptor)
