"""Pieces leave together when they come fast, and by themselves when they do not."""

import asyncio

import pytest

from sanicish.postgres.joining import Joined
from sanicish.streams.flow import READY
from tests.doubles.wire import PATIENCE


class Written:
    """What was written, and who waits for the client."""

    def __init__(self):
        self.pieces = []
        self.came = asyncio.Event()
        self.answer = READY

    def write(self, data):
        self.pieces.append(data)
        self.came.set()
        return self.answer


async def test_small_pieces_wait_for_the_end():
    written = Written()
    joined = Joined(written.write)
    await joined.add(b"a")
    await joined.add(b"b")
    assert written.pieces == []
    await joined.end()
    assert written.pieces == [b"ab"]


async def test_enough_leaves_at_once():
    written = Written()
    joined = Joined(written.write)
    await joined.add(b"a" * 20_000)
    await joined.add(b"b" * 20_000)
    assert written.pieces == [b"a" * 20_000 + b"b" * 20_000]
    await joined.end()
    assert len(written.pieces) == 1


async def test_a_piece_after_which_none_comes_leaves_too():
    written = Written()
    joined = Joined(written.write)
    await joined.add(b"a")
    async with asyncio.timeout(PATIENCE):
        await written.came.wait()
    assert written.pieces == [b"a"]


async def test_a_slow_client_is_waited_for_by_whoever_adds_next():
    written = Written()
    written.answer = asyncio.get_running_loop().create_future()
    joined = Joined(written.write)
    await joined.add(b"a")
    async with asyncio.timeout(PATIENCE):
        await written.came.wait()
    adding = asyncio.create_task(joined.add(b"b"))
    await asyncio.sleep(0)
    assert not adding.done()
    written.answer.set_result(None)
    await adding


async def test_a_write_that_fails_later_is_told_to_whoever_adds_next():
    failed = asyncio.Event()

    def write(data):
        failed.set()
        raise ValueError(data)

    joined = Joined(write)
    await joined.add(b"a")
    async with asyncio.timeout(PATIENCE):
        await failed.wait()
    with pytest.raises(ValueError, match="a"):
        await joined.add(b"b")
    with pytest.raises(ValueError, match="a"):
        await joined.end()


async def test_what_was_dropped_is_not_written():
    written = Written()
    joined = Joined(written.write)
    await joined.add(b"a")
    joined.drop()
    await joined.end()
    assert written.pieces == []
