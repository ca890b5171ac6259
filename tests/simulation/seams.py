"""The only module that knows where the product touches clock, kernel, files and threads, and puts the simulation there."""

import importlib
import sys
from contextlib import contextmanager
from time import monotonic
from types import SimpleNamespace

from sanicish.http1.serialize import DateField
from sanicish.server.serve import Server
from tests.simulation.loop import Uvloop
from tests.simulation.network import Select, System

__all__ = ["link_of", "phase_of", "places", "seams", "serve", "stuck", "unread_of"]


class InOrder(dict):
    """A set whose order is that of its additions; that of a real set depends on addresses in memory."""

    def add(self, item):
        self[item] = None

    def remove(self, item):
        del self[item]

    def discard(self, item):
        self.pop(item, None)


class Threads:
    """Threads whose jobs are steps of the simulation: one job runs as a whole, at a moment that a seed decides."""

    def __init__(self, network, most) -> None:
        self.most = most
        self.patience = 5
        self.started = 0
        self._network = network
        self._working = 0
        self._waiting = {}

    def run(self, job) -> bool:
        if self._working >= self.most:
            self._waiting[job] = None
            return False
        self._begin(job)
        return True

    def _begin(self, job):
        self._working += 1
        self._network.after(self._network.random.choice((0.0, 1e-4, 3e-3)), self._do, job)

    def _do(self, job):
        job()
        self._working -= 1
        if self._waiting:
            job = next(iter(self._waiting))
            del self._waiting[job]
            self._begin(job)

    def withdraw(self, job) -> bool:
        return self._waiting.pop(job, job) is None


def _clocked():
    """The modules of the product that look at the monotonic clock."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("sanicish.") and getattr(module, "monotonic", None) is monotonic
    ]


def _replacements(loop, network, disk):
    yield "sanicish.server.serve", "uvloop", SimpleNamespace(Loop=Uvloop, new_event_loop=None)
    yield "sanicish.server.sockets", "select", Select
    yield "sanicish.server.protocol", "select", Select
    yield "sanicish.server.sendfile", "os", System(network)
    yield "sanicish.streams.pulling", "threads", Threads(network, disk.threads)
    yield "sanicish.streams.files", "_is_warm", lambda *where: loop.random.random() >= disk.cold


@contextmanager
def seams(loop, network, disk):
    """The product in a simulated world, as long as the context lasts."""
    before = []

    def put(module, name, value):
        before.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    for module in _clocked():
        put(module, "monotonic", loop.monotonic)
    for name, attribute, value in _replacements(loop, network, disk):
        put(importlib.import_module(name), attribute, value)
    try:
        yield
    finally:
        for module, name, value in reversed(before):
            setattr(module, name, value)


def serve(app, loop) -> Server:
    """A server that has not been started, in this loop."""
    server = Server(app, access_log=True)
    server.connections = InOrder()
    server._arriving = InOrder()
    server.date = DateField(lambda: 1_800_000_000.0 + loop.now)
    return server


def places(server) -> tuple[int, int]:
    """Connections that have a place, and those that were refused one."""
    return server._places._taken, server._places._refused


def link_of(transport):
    """The connection under a transport."""
    return getattr(transport, "_link", None)


def phase_of(link) -> str:
    """What the server's connection waits for, in a word."""
    if link.transport is None:
        return "ACCEPT"
    if link.lost_at is not None:
        return "LOST"
    wire = getattr(link.transport.get_protocol(), "wire", None)
    return "ACCEPT" if wire is None else wire.phase.name


def unread_of(protocol) -> int:
    """Bytes of bodies that arrived on a connection and were not read."""
    return sum(handler.exchange.body.unread for handler in protocol.handlers if handler.exchange is not None)


def stuck(server) -> list[str]:
    """In words, the connections that are open."""
    return [
        f"{one.wire.phase.name}, {one.wire.unsent} unsent, {[handler.exchange.head.path for handler in one.handlers]}"
        for one in server.connections
    ]
