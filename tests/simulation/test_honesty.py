"""The same script on a real loop with real sockets and on a simulated one: a protocol sees the same events."""

import asyncio
import socket
import struct
from random import Random

import pytest
import uvloop

from tests.simulation.loop import LOOPS
from tests.simulation.network import ListeningSocket, Network

REAL = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
MUCH = 20_000_000  # bytes, more than any kernel takes
TURNS = 20  # of the loop, after which all that a step leads to has happened: the loopback delivers at once


class Recorder(asyncio.Protocol):
    """Notes what it is called with."""

    def __init__(self, loop, stays=False, fails=False):
        self.loop = loop
        self.stays = stays
        self.fails = fails
        self.events = []

    def note(self, *words):
        self.events.append(words)

    def connection_made(self, transport):
        self.transport = transport
        self.note("made")

    def data_received(self, data):
        self.note("data", bytes(data))
        if self.fails:
            raise ValueError

    def eof_received(self):
        self.note("eof")
        return self.stays

    def pause_writing(self):
        self.note("pause")

    def resume_writing(self):
        self.note("resume")

    @property
    def lost(self):
        return any(one[0] == "lost" for one in self.events)

    def connection_lost(self, error):
        self.note("lost", type(error).__name__)

    # What scripts do

    def write(self, count=10):
        try:
            self.transport.write(b"x" * count)
        except RuntimeError:
            self.note("refused")
        self.note("written", self.transport.is_closing())

    def write_much(self):
        self.write(MUCH)

    def close(self):
        self.loop.call_soon(self.note, "before")
        self.transport.close()
        self.loop.call_soon(self.note, "behind")

    def abort(self):
        try:
            self.transport.abort()
        except AttributeError:
            self.note("asyncio's transport has no loop any more")

    def half_close(self):
        self.transport.write_eof()

    def pause(self):
        self.transport.pause_reading()

    def resume(self):
        self.transport.resume_reading()
        self.loop.call_soon(self.note, "behind")

    def no_buffer(self):
        self.transport.set_write_buffer_limits(high=0)

    def idle(self):
        pass


FAILING = "a protocol that fails"

# What the client does ("send" and bytes, fin, rst, take), and what the protocol does.
SCRIPTS = {
    "a client that ends": ["send hello", "fin"],
    "a client that resets": ["send hello", "rst"],
    "a client that resets behind its end": ["fin", "rst", "write"],
    "a half-closed client is answered": ["send hello", "fin", "write", "close"],
    "nobody notices a reset while reading is paused": ["pause", "send hello", "rst", "idle", "write", "write"],
    "nobody notices an end while reading is paused": ["pause", "send hello", "fin", "idle", "resume"],
    "data that waited": ["pause", "send hello", "resume"],
    "a write that is too much": ["write_much", "take", "write"],
    "a close that waits for the client": ["write_much", "close", "idle", "take"],
    "an abort drops what waits": ["write_much", "abort"],
    "a close at once": ["close", "write", "idle", "write"],
    "a close twice": ["close", "close"],
    "an abort behind a close that waits": ["write_much", "close", "abort"],
    "a reset while a write waits": ["write_much", "rst"],
    "a reset while a write waits and reading is paused": ["pause", "write_much", "rst"],
    "a half-close of ours": ["half_close", "send hello", "fin"],
    "an end while a write waits": ["write_much", "fin", "take"],
    "no room for what waits": ["no_buffer", "write_much", "take"],
    "reading that is paused twice": ["pause", "pause", "send hello", "resume", "resume"],
    "bytes behind a close": ["close", "send hello"],
    "an abort behind a close that has ended": ["write_much", "close", "take", "abort"],
    FAILING: ["send hello"],
}
STAYS = {"a half-closed client is answered", "a client that resets behind its end", "a half-close of ours"}


class RealClient:
    """A socket that does what it is told at once."""

    def __init__(self, address):
        self.sock = socket.create_connection(address)
        self.sock.setblocking(False)

    def send(self, data):
        self.sock.send(data)

    def fin(self):
        self.sock.shutdown(socket.SHUT_WR)

    def rst(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def take(self) -> bool:
        """Take all there is; whether there may be more."""
        try:
            return bool(self.sock.recv(MUCH))
        except OSError:
            return False


def on_real_sockets(name, steps):
    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        made = []

        def factory():
            made.append(Recorder(loop, name in STAYS, name == FAILING))
            return made[0]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        client = RealClient(server.sockets[0].getsockname())
        while not (made and made[0].events):
            await asyncio.sleep(0)
        protocol = made[0]

        async def settle():
            for _ in range(TURNS):
                await asyncio.sleep(0)

        for step in steps:
            what, _, data = step.partition(" ")
            if what == "take":
                async with asyncio.timeout(20):
                    while client.take() or (not protocol.lost and protocol.transport.get_write_buffer_size()):
                        await asyncio.sleep(0)
            elif hasattr(client, what):
                getattr(client, what)(*([data.encode()] if data else []))
            else:
                loop.call_soon(getattr(protocol, what))
            await settle()
        client.sock.close()
        if not protocol.lost:
            protocol.transport.abort()
        server.close()
        await server.wait_closed()
        await settle()
        return protocol.events

    return run


class SimulatedClient:
    """The same on the network of the simulation."""

    latency = 0.0
    address = ("127.0.0.1", 1)
    accepted = False

    def __init__(self, network):
        self.link = network.link(0, "tcp", 100_000, self)

    def stir(self):
        pass

    def turned_away(self):
        pass

    def send(self, data):
        self.link.arrive(data)

    def fin(self):
        self.link.arrive_end()

    def rst(self):
        self.link.arrive_reset()

    def take(self) -> bool:
        return bool(self.link.take(MUCH))


def on_simulated_sockets(name, steps, flavour):
    random = Random(1)
    network = Network(random)
    loop = LOOPS[flavour](random, network)
    protocol = Recorder(loop, name in STAYS, name == FAILING)
    listening = ListeningSocket(network)
    listening.factory = lambda: protocol
    listening.serve(loop)
    client = SimulatedClient(network)
    listening.offer(client.link)

    def settle():
        loop.run_until(lambda: False, loop.now + 10)

    settle()
    for step in steps:
        what, _, data = step.partition(" ")
        if what == "take":
            while client.take():
                settle()
        elif hasattr(client, what):
            getattr(client, what)(*([data.encode()] if data else []))
        else:
            loop.call_soon(getattr(protocol, what))
        settle()
    if not protocol.lost:
        protocol.transport.abort()
    settle()
    return protocol.events


@pytest.mark.parametrize("flavour", sorted(REAL))
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_protocol_sees_the_same_events(name, flavour):
    with asyncio.Runner(loop_factory=REAL[flavour]) as runner:
        real = runner.run(on_real_sockets(name, SCRIPTS[name])())
    assert on_simulated_sockets(name, SCRIPTS[name], flavour) == real
