"""Sync iterators in threads: batches, order, ends, and threads that keep nobody waiting."""

import asyncio
import os
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from sanicish.exceptions import ServiceUnavailable
from sanicish.streams import pulling
from sanicish.streams.pulling import Pull, pulls_of_the_gone
from sanicish.streams.threads import Threads


async def drained(pull):
    batches = []
    while batch := await pull.batch():
        batches.append(batch)
    return batches


def blocks(count, size):
    for _ in range(count):
        yield b"x" * size


async def test_batch_ends_by_bytes():
    batches = await drained(Pull(blocks(100, 10_000), bytes))
    assert sum(map(len, batches)) == 100
    assert max(map(len, batches)) <= 7


async def test_items_come_in_order_through_any_number_of_batches():
    pieces = [piece for batch in await drained(Pull(range(50_000), lambda n: b"%d" % n)) for piece in batch]
    assert pieces == [b"%d" % n for n in range(50_000)]


async def test_batch_of_empty_items_ends_too():
    batches = await drained(Pull(blocks(5_000, 0), bytes))
    assert max(map(len, batches)) < 5_000


async def test_nothing_is_pulled_before_it_is_wanted():
    asked = []
    pull = Pull((asked.append(n) for n in range(3)), bytes)
    await asyncio.sleep(0.01)
    assert asked == []
    await pull.close()
    assert asked == []


async def test_error_comes_after_all_that_was_made_before_it():
    def sour():
        yield b"a"
        yield b"b"
        raise OSError("sour")

    pull = Pull(sour(), bytes)
    pieces = await pull.batch()
    if len(pieces) == 1:  # the thread was not faster than the loop
        pieces += await pull.batch()
    assert pieces == [b"a", b"b"]
    with pytest.raises(OSError, match="sour"):
        await drained(pull)


async def test_error_of_iter_is_told():
    class Sour:
        def __iter__(self):
            raise OSError("sour")

    with pytest.raises(OSError, match="sour"):
        await Pull(Sour(), bytes).batch()


async def test_end_is_told_as_often_as_it_is_asked_for():
    pull = Pull(blocks(1, 1), bytes)
    assert await pull.batch() == [b"x"]
    assert await pull.batch() == []
    assert await pull.batch() == []
    await pull.close()


async def test_batches_run_in_one_context_that_is_the_callers_copy():
    name = ContextVar("name", default="outside")

    def names():
        for number in range(3):
            yield name.get().encode()
            name.set(f"{number}")
            yield b"x" * 70_000  # a batch of its own

    name.set("caller")
    pieces = [piece[:9] for batch in await drained(Pull(names(), bytes)) for piece in batch]
    assert pieces[::2] == [b"caller", b"0", b"1"]
    assert name.get() == "caller"


async def test_close_waits_for_the_item_that_is_being_made():
    started, gate, order = threading.Event(), threading.Event(), []

    def slow():
        try:
            started.set()
            gate.wait(10)
            order.append("made")
            yield b"x"
        finally:
            order.append("closed")

    pull = Pull(slow(), bytes)
    asking = asyncio.create_task(pull.batch())
    await asyncio.to_thread(started.wait, 10)
    asking.cancel()
    closing = asyncio.create_task(pull.close())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await asyncio.wait_for(closing, 10)
    assert order == ["made", "closed"]


async def test_many_streams_that_block_run_side_by_side():
    meeting = threading.Barrier(20, timeout=10)

    def meet():
        meeting.wait()
        yield b"met"

    assert await asyncio.gather(*(drained(Pull(meet(), bytes)) for _ in range(20))) == [[[b"met"]]] * 20


async def test_more_streams_than_threads_come_to_their_end():
    streams = [drained(Pull(blocks(3, 50_000), bytes)) for _ in range(200)]
    for batches in await asyncio.gather(*streams):
        assert sum(map(len, batches)) == 3


ENDS = """
import asyncio, threading
from sanicish.streams.pulling import Pull

started = threading.Event()

def stuck():
    started.set()
    threading.Event().wait()
    yield

async def main():
    asking = asyncio.create_task(Pull(stuck(), bytes).batch())
    await asyncio.to_thread(started.wait)
    asking.cancel()

asyncio.run(main())
"""


def test_process_ends_though_a_generator_blocks_for_ever():
    subprocess.run([sys.executable, "-c", ENDS], check=True, timeout=30)


FORKS = """
import asyncio, os
from sanicish.streams.pulling import Pull

async def pull():
    return await Pull(iter([b"x"]), bytes).batch()

assert asyncio.run(pull()) == [b"x"]
child = os.fork()
if not child:
    os._exit(0 if asyncio.run(asyncio.wait_for(pull(), 10)) == [b"x"] else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_process_has_threads_of_its_own():
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=30)


class Lingering(Pull):
    """Its first thread does not leave before a second one has begun."""

    second = None

    def _pull_batch(self):
        if self.second is not None:
            self.second.set()
        return super()._pull_batch()

    def _tell(self, act, *values):
        first = act == self._paused and self.second is None
        if first:
            self.second = threading.Event()
        super()._tell(act, *values)
        if first:
            self.second.wait(2)


async def test_next_batch_may_begin_in_another_thread_before_the_last_one_has_left():
    """The two once met in the context of the stream, where only one thread may be."""
    batches = await asyncio.wait_for(drained(Lingering(blocks(3, 70_000), bytes)), 1)
    assert len(batches) == 3


# All threads are busy


@pytest.fixture
def one_thread(monkeypatch):
    """A single thread, which streams wait a twentieth of a second for."""
    own = Threads(most=1, patience=0.05)
    monkeypatch.setattr(pulling, "threads", own)
    monkeypatch.setattr(pulling, "_said", {})
    monkeypatch.setattr(pulling, "_LEAVE_SECONDS", 0.05)
    return own


class Blocking:
    """A generator that blocks until the test lets it go, at the latest when that is over."""

    def __init__(self):
        self.begun, self.go, self.closed = threading.Event(), threading.Event(), threading.Event()

    def items(self):
        try:
            self.begun.set()
            assert self.go.wait(10)
            yield b"x"
        finally:
            self.closed.set()


@pytest.fixture
async def blocked(one_thread):
    """What holds the one thread."""
    blocking = Blocking()
    pull = Pull(blocking.items(), bytes)
    asking = asyncio.create_task(pull.batch())
    assert await asyncio.to_thread(blocking.begun.wait, 10)
    yield blocking, pull, asking
    blocking.go.set()
    await asyncio.gather(asking, return_exceptions=True)
    await pull.close()


async def test_stream_that_gets_no_thread_is_refused_and_the_log_names_what_blocks(blocked, caplog):
    asked = []
    pull = Pull((asked.append(n) for n in range(3)), bytes)
    with pytest.raises(ServiceUnavailable, match="all threads for streams are busy") as caught:
        await pull.batch()
    assert (caught.value.headers, caught.value.quiet) == ({"Retry-After": "5"}, True)
    await pull.close()
    assert asked == []
    place = f"test_pulling.py:{Blocking.items.__code__.co_firstlineno + 3} in Blocking.items (1)"
    [line] = [record.message for record in caplog.records]
    assert "a stream was refused with 503" in line and "all 1 (SYNC_THREADS) are busy" in line and place in line


async def test_many_refusals_are_one_line(blocked, caplog):
    pulls = [Pull(blocks(1, 1), bytes) for _ in range(20)]
    found = await asyncio.gather(*(pull.batch() for pull in pulls), return_exceptions=True)
    assert {type(error) for error in found} == {ServiceUnavailable}
    assert len(caplog.records) == 1


async def test_stream_that_was_refused_waits_for_no_thread(blocked, one_thread):
    with pytest.raises(ServiceUnavailable):
        await Pull(blocks(1, 1), bytes).batch()
    assert one_thread._waiting == {}


async def test_stream_waits_for_ever_if_that_is_asked_for(blocked, one_thread):
    one_thread.patience = None
    asking = asyncio.create_task(drained(Pull(blocks(1, 1), bytes)))
    await asyncio.sleep(0.1)
    assert not asking.done()
    blocked[0].go.set()
    assert await asyncio.wait_for(asking, 10) == [[b"x"]]


async def test_stream_that_waits_for_its_first_thread_is_closed_at_once(blocked, one_thread):
    pull = Pull(blocks(1, 1), bytes)
    asking = asyncio.create_task(pull.batch())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait_for(pull.close(), 10)
    assert one_thread._waiting == {}


async def test_stream_that_has_begun_waits_until_a_thread_is_free(one_thread):
    pull = Pull(blocks(2, 70_000), bytes)
    first = await pull.batch()
    blocking = Blocking()
    other = Pull(blocking.items(), bytes)
    asking = asyncio.create_task(other.batch())
    assert await asyncio.to_thread(blocking.begun.wait, 10)
    rest = asyncio.create_task(drained(pull))
    await asyncio.sleep(0.1)
    assert not rest.done()
    blocking.go.set()
    batches = await asyncio.wait_for(rest, 10)
    assert sum(map(len, [first, *batches])) == 2
    await asking
    await other.close()


async def test_generator_that_blocks_is_left_to_its_thread_and_named(blocked, caplog):
    blocking, pull, asking = blocked
    asking.cancel()
    await asyncio.wait_for(pull.close(), 10)
    assert not blocking.closed.is_set()
    assert pulls_of_the_gone() == [pull]
    [line] = [record.message for record in caplog.records]
    place = f"test_pulling.py:{Blocking.items.__code__.co_firstlineno + 3} in Blocking.items"
    assert "a sync generator blocks at " in line and f"{place} although its client has left" in line
    assert "hold 1 of 1 threads" in line
    blocking.go.set()
    assert await asyncio.to_thread(blocking.closed.wait, 10)
    while pulls_of_the_gone():  # its thread is on its way back
        await asyncio.sleep(0.001)
    assert await asyncio.wait_for(drained(Pull(blocks(1, 1), bytes)), 10) == [[b"x"]]
