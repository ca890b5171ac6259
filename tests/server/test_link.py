"""What a worker says to its supervisor, and is told by it."""

import asyncio
import socket

import pytest

from sanicish.server import link as room
from sanicish.server.link import Link, memory


class Served:
    """A server that only remembers what it was asked."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.asked, self.forced = asyncio.Event(), asyncio.Event()
        self.drain = None
        self.made_way = False

    def yield_to_successor(self):
        self.made_way = True
        self.ask_to_stop()

    def ask_to_stop(self, *, drain=False):
        self.drain = drain
        self.asked.set()

    interrupt = ask_to_stop


@pytest.fixture
def line():
    """Both ends: the supervisor's, and a worker's link."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, Link(theirs)


def test_memory_is_what_the_process_holds():
    before = memory()
    held = bytearray(b"x" * 50_000_000)
    assert before > 1_000_000 and memory() - before > 40_000_000
    del held


@pytest.mark.parametrize(("limit", "said"), [(1, b"s"), (10**15, b"")])
async def test_worker_that_holds_too_much_asks_to_be_replaced(line, limit, said):
    ours, link = line
    link._check_memory(asyncio.get_running_loop(), limit)
    try:
        assert ours.recv(10) == said
    except BlockingIOError:
        assert said == b""


async def test_worker_asks_to_be_replaced_after_so_many_requests_and_again_after_as_many_more(line):
    ours, link = line
    handler = link.with_max_requests(lambda exchange: exchange, {"MAX_REQUESTS": 3})
    for _ in range(2):
        assert handler("exchange") == "exchange"
    with pytest.raises(BlockingIOError):
        ours.recv(10)
    for _ in range(4):
        handler("exchange")
    assert ours.recv(10) == b"ss"


def test_without_a_limit_the_handler_stays_as_it_is(line):
    _, link = line

    def handler(exchange):
        return exchange

    assert link.with_max_requests(handler, {"MAX_REQUESTS": None}) is handler


@pytest.mark.parametrize(("word", "drain", "forced"), [(b"l", False, False), (b"d", True, False), (b"f", False, True)])
async def test_worker_stops_in_the_way_it_is_told_to(line, word, drain, forced, monkeypatch):
    ours, link = line
    monkeypatch.setattr(room, "end_soon", lambda file: None)  # which would end the tests
    server = Served()
    ours.send(word)
    link._listen(server)
    assert server.asked.is_set()
    assert (server.drain, server.forced.is_set()) == (drain, forced)


async def test_worker_that_is_replaced_makes_way(line):
    ours, link = line
    server = Served()
    ours.send(b"m")
    link._listen(server)
    assert server.made_way and server.drain is False


async def test_worker_that_is_an_orphan_stops_without_a_drain(line):
    ours, link = line
    server = Served()
    server.loop.add_reader(link.line, lambda: None)
    ours.close()
    link._listen(server)
    assert server.drain is False and not server.loop.remove_reader(link.line)
