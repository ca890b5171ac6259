"""A request stream never loses, doubles or reorders, whoever is faster, however it is read, and wherever it is cut."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.exceptions import BadRequest, RequestAborted
from sanicish.streams.incoming import RequestStream

HIGH = 50

pieces = st.lists(
    st.integers(1, 40).map(lambda n: bytes(range(n))) | st.just(b"x" * 3000) | st.just(b"\n"), max_size=20
)
# What the reader does next: read, read(n), readexactly(n), a line, or be cancelled while it waits.
moves = st.lists(
    st.tuples(st.sampled_from(["read", "exactly", "cancelled"]), st.integers(1, 60))
    | st.sampled_from([("read", None), ("line", None), ("all", None)]),
    min_size=1,
    max_size=8,
)
pauses = st.lists(st.integers(0, 2), min_size=1, max_size=8)


class Brakes:
    """Holds back the one that feeds, as a transport does."""

    def __init__(self):
        self.free = asyncio.Event()
        self.free.set()

    def hold(self, reason):
        assert self.free.is_set(), "held twice"
        self.free.clear()

    def release(self, reason):
        assert not self.free.is_set(), "released without a hold"
        self.free.set()


async def feed(body, brakes, sent, pauses, cut, bounded):
    for number, piece in enumerate(sent):
        for _ in range(pauses[number % len(pauses)]):
            await asyncio.sleep(0)
        await brakes.free.wait()
        body.feed(piece)
        most = HIGH + 2 * max(map(len, sent))
        assert not bounded or body.unread <= most, (
            "more than the mark, the piece its reader was woken for, and one more"
        )
    if cut:
        body.fail(RequestAborted("cut"))
    else:
        body.feed_eof()


async def read_one(body, move, n):
    if move == "exactly":
        return await body.readexactly(n)
    if move == "line":
        return await body.readline() or None
    if move == "all":
        return await body.read_all() or None
    return await body.read(n)


async def read(body, moves, pauses):
    """All that is read, until the end or the cut, with the moves taken in turn."""
    got, number = b"", 0
    while True:
        move, n = moves[number % len(moves)]
        for _ in range(pauses[-(number % len(pauses))]):
            await asyncio.sleep(0)
        number += 1
        if move == "cancelled":
            task = asyncio.ensure_future(body.readexactly(n))
            await asyncio.sleep(0)
            if not task.done():
                task.cancel()
            try:
                got += await task
            except asyncio.CancelledError:
                await asyncio.sleep(0)
            except (BadRequest, RequestAborted):
                pass
            continue
        try:
            piece = await read_one(body, move, n)
        except BadRequest:  # fewer than asked for: they are still there
            piece = await body.read()
        except RequestAborted:
            if not body.unread:
                return got, "cut"
            piece = await body.read()
        if piece is None:
            return got, "end"
        got += piece


@pytest.mark.slow
@given(
    sent=pieces,
    moves=moves.filter(lambda moves: any(move[0] != "cancelled" for move in moves)),
    pauses=pauses,
    cut=st.booleans(),
)
def test_what_is_read_is_what_was_sent(sent, moves, pauses, cut):
    bounded = all(move[0] == "read" for move in moves)  # the others may put back what they took

    async def both():
        brakes = Brakes()
        body = RequestStream(brakes, 1, HIGH)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(feed(body, brakes, sent, pauses, cut, bounded))
            reading = tasks.create_task(read(body, moves, pauses))
        for _ in range(2):  # for ever
            if cut:
                with pytest.raises(RequestAborted):
                    await body.read()
            else:
                assert await body.read() is None
        return reading.result()

    assert asyncio.run(both()) == (b"".join(sent), "cut" if cut else "end")
