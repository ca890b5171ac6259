"""A request body as it arrives, between two marks."""

import asyncio

import pytest

from sanicish.exceptions import BadRequest, PayloadTooLarge, RequestAborted, StreamBusy
from sanicish.streams.incoming import EMPTY, RequestStream, StreamBuffer
from tests.doubles.loop import called_by_the_loop

HOLD = 4


class Brakes:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def hold(self, reason):
        self.told.append(("hold", reason))

    def release(self, reason):
        self.told.append(("release", reason))


def stream(*pieces, end=True, **options):
    body = RequestStream(**options)
    for piece in pieces:
        body.feed(piece)
    if end:
        body.feed_eof()
    return body


def waiting(coroutine):
    return asyncio.ensure_future(coroutine)


async def turn():
    for _ in range(3):
        await asyncio.sleep(0)


# read


async def test_pieces_come_as_they_came():
    large = [b"a" * 5000, b"b" * 5000]
    body = stream(*large)
    assert [await body.read(), await body.read()] == large


async def test_none_is_the_end_for_ever():
    body = stream(b"a")
    assert [await body.read() for _ in range(4)] == [b"a", None, None, None]


async def test_get_is_read():
    assert await stream(b"a").get() == b"a"


async def test_a_reader_waits_for_the_next_piece():
    body = stream(end=False)
    reader = waiting(body.read())
    await turn()
    assert body.waiting and not reader.done()
    body.feed(b"a")
    assert await reader == b"a"


async def test_a_reader_waits_for_the_end():
    body = stream(end=False)
    reader = waiting(body.read())
    await turn()
    body.feed_eof()
    assert await reader is None


async def test_at_most_so_many_bytes():
    body = stream(b"abcde")
    assert [await body.read(2) for _ in range(4)] == [b"ab", b"cd", b"e", None]


@pytest.mark.parametrize("n", [0, -1])
async def test_no_bytes_cannot_be_asked_for(n):
    body = stream(b"a")
    with pytest.raises(ValueError, match="positive"):
        await body.read(n)
    assert await body.read() == b"a"


async def test_small_pieces_are_gathered():
    """A client that sends one-byte chunks costs bytes, not objects."""
    body = stream(*[b"a"] * 1000)
    assert [await body.read(), await body.read(), await body.read()] == [b"a", b"a" * 999, None]


async def test_small_pieces_stay_before_a_large_one():
    body = stream(b"a", b"b", b"c" * 5000, b"d")
    assert b"".join([piece async for piece in body]) == b"ab" + b"c" * 5000 + b"d"


async def test_a_piece_is_passed_on_uncopied():
    piece = b"a" * 10
    assert await stream(piece).read() is piece


async def test_async_for_ends_with_the_body():
    assert [piece async for piece in stream(b"a" * 3000, b"b" * 3000)] == [b"a" * 3000, b"b" * 3000]


async def test_async_for_may_be_left_and_entered_again():
    body = stream(b"a" * 3000, b"b" * 3000)
    async for piece in body:
        assert piece == b"a" * 3000
        break
    assert [piece async for piece in body] == [b"b" * 3000]


# One reader


async def test_a_second_reader_at_the_same_time_is_refused():
    body = stream(end=False)
    first = waiting(body.read())
    await turn()
    for second in (body.read(), body.readline(), body.readexactly(1), body.read_all()):
        with pytest.raises(StreamBusy):
            await second
    body.feed(b"a")
    assert await first == b"a"


async def test_a_second_reader_takes_nothing_from_the_first_one_that_was_just_woken():
    body = stream(end=False)
    first = waiting(body.read())
    await turn()
    body.feed(b"a")
    with pytest.raises(StreamBusy):
        await body.read()
    assert await first == b"a"


async def test_one_reader_after_another_is_fine():
    body = stream(b"ab", end=False)
    assert await body.read(1) == b"a"
    assert await waiting(body.read()) == b"b"


async def test_a_cancelled_reader_loses_nothing():
    body = stream(end=False)
    reader = waiting(body.read())
    await turn()
    body.feed(b"a")
    reader.cancel()
    await turn()
    assert reader.cancelled() and await body.read() == b"a"


# readexactly and readline


async def test_exactly_so_many_bytes_across_pieces():
    body = stream(b"a" * 3000, b"b" * 3000)
    assert await body.readexactly(4000) == b"a" * 3000 + b"b" * 1000
    assert await body.read() == b"b" * 2000


async def test_exactly_no_bytes():
    assert await stream(b"a").readexactly(0) == b""


async def test_a_body_that_ends_too_early_for_exactly_loses_nothing():
    body = stream(b"abc")
    with pytest.raises(BadRequest, match="2 bytes too early"):
        await body.readexactly(5)
    assert await body.read() == b"abc"


@pytest.mark.parametrize("read", [lambda body: body.readexactly(9), lambda body: body.readline()])
async def test_a_cancelled_reader_of_more_than_one_piece_loses_nothing(read):
    body = stream(b"0" + b"a" * 2, end=False)
    assert await body.read(1) == b"0"
    reader = waiting(read(body))
    await turn()
    body.feed(b"b" * 3)
    await turn()
    reader.cancel()
    await turn()
    body.feed_eof()
    assert b"".join([piece async for piece in body]) == b"aabbb"


async def test_lines_keep_their_end():
    body = stream(b"a\nb", b"c\n\nd")
    assert [await body.readline() for _ in range(5)] == [b"a\n", b"bc\n", b"\n", b"d", b""]


async def test_a_line_may_lie_across_large_pieces():
    body = stream(b"a" * 3000, b"b" * 3000 + b"\nc")
    assert await body.readline() == b"a" * 3000 + b"b" * 3000 + b"\n"
    assert await body.readline() == b"c"


async def test_a_line_that_is_too_long_is_refused_and_stays():
    body = stream(b"a" * 100 + b"\nb")
    with pytest.raises(PayloadTooLarge):
        await body.readline(limit=50)
    assert await body.readline() == b"a" * 100 + b"\n"


async def test_a_line_as_long_as_its_limit_is_taken():
    assert await stream(b"abc\n").readline(limit=4) == b"abc\n"


# read_all


async def test_all_of_a_body():
    assert await stream(b"a" * 3000, b"b" * 3000).read_all() == b"a" * 3000 + b"b" * 3000


async def test_all_of_nothing():
    assert await stream().read_all() == b""


async def test_all_that_is_left():
    body = stream(b"abc")
    await body.read(1)
    assert await body.read_all() == b"bc"


async def test_all_that_comes_later():
    body = stream(b"a", end=False)
    reader = waiting(body.read_all())
    await turn()
    body.feed(b"b")
    body.feed_eof()
    assert await reader == b"ab"


async def test_all_of_a_body_that_turns_out_to_be_nothing():
    body = stream(end=False)
    reader = waiting(body.read_all())
    await turn()
    body.feed_eof()
    assert await reader == b""


async def test_all_of_a_body_that_is_cut_can_still_be_read():
    body = stream(b"a", end=False)
    reader = waiting(body.read_all())
    await turn()
    body.feed(b"b")
    body.fail(RequestAborted("gone"))
    with pytest.raises(RequestAborted):
        await reader
    assert [await body.read(), await body.read()] == [b"a", b"b"]


@pytest.mark.parametrize("end", [True, False])
async def test_all_that_has_come_already_is_held_against_the_limit(end):
    """A body that came in one packet with its head must not slip through."""
    body = stream(b"abcdef", end=end)
    with pytest.raises(PayloadTooLarge):
        await body.read_all(limit=5)


async def test_a_body_that_was_begun_is_held_against_the_limit_as_a_whole():
    body = stream(b"abcdef")
    await body.read(4)
    with pytest.raises(PayloadTooLarge):
        await body.read_all(limit=5)


async def test_a_body_as_large_as_its_limit_is_taken():
    assert await stream(b"abcde").read_all(limit=5) == b"abcde"


async def test_the_smaller_of_two_limits_counts():
    body = stream(end=False, max_size=3)
    reader = waiting(body.read_all(limit=100))
    await turn()
    body.feed(b"abcd")
    with pytest.raises(PayloadTooLarge):
        await reader


# Limits


async def test_an_announced_body_that_is_too_large_is_refused_before_it_comes():
    body = stream(end=False, total=10)
    with pytest.raises(PayloadTooLarge):
        body.limit(9)


async def test_an_announced_body_as_large_as_its_limit_is_taken():
    stream(end=False, total=10).limit(10)


async def test_no_limit_lifts_one():
    body = stream(end=False, max_size=1)
    body.limit(None)
    body.feed(b"abc")
    assert await body.read() == b"abc"


async def test_a_body_that_grows_too_large_is_refused():
    body = stream(b"abc", end=False, max_size=5)
    body.feed(b"def")
    for _ in range(2):
        with pytest.raises(PayloadTooLarge):
            await body.read()


async def test_a_body_that_grew_too_large_never_looks_whole():
    body = stream(b"abcdef", max_size=5)
    with pytest.raises(PayloadTooLarge):
        await body.read()
    assert body.failed and not body.complete


async def test_a_reader_that_waits_is_told_of_a_body_that_grows_too_large():
    body = stream(end=False, max_size=1)
    reader = waiting(body.read())
    await turn()
    body.feed(b"ab")
    with pytest.raises(PayloadTooLarge):
        await reader


# Cut bodies


async def test_a_cut_body_raises_after_all_that_came():
    body = stream(b"a" * 3000, b"b", end=False)
    body.fail(RequestAborted("gone"))
    assert [await body.read(), await body.read()] == [b"a" * 3000, b"b"]
    for _ in range(2):
        with pytest.raises(RequestAborted):
            await body.read()


async def test_a_reader_that_waits_is_told_of_a_cut():
    body = stream(end=False)
    reader = waiting(body.read())
    await turn()
    body.fail(RequestAborted("gone"))
    with pytest.raises(RequestAborted):
        await reader


async def test_a_cut_within_exactly_loses_nothing():
    body = stream(b"abc", end=False)
    body.fail(RequestAborted("gone"))
    with pytest.raises(RequestAborted):
        await body.readexactly(5)
    assert await body.read() == b"abc"


async def test_a_cut_body_does_not_go_on():
    body = stream(b"a", end=False)
    body.fail(RequestAborted("gone"))
    body.feed(b"b")
    body.feed_eof()
    assert await body.read() == b"a"
    with pytest.raises(RequestAborted):
        await body.read()


async def test_a_body_that_has_ended_cannot_be_cut():
    body = stream(b"a")
    body.fail(RequestAborted("gone"))
    assert [await body.read(), await body.read()] == [b"a", None]


async def test_the_first_reason_stays():
    body = stream(end=False)
    body.fail(RequestAborted("first"))
    body.fail(BadRequest("second"))
    with pytest.raises(RequestAborted, match="first"):
        await body.read()


# Marks


def test_reading_is_held_above_the_mark_and_not_at_it():
    brakes = Brakes()
    body = stream(b"a" * 10, end=False, brakes=brakes, hold=HOLD, high=10)
    assert brakes.told == []
    body.feed(b"a")
    body.feed(b"a")
    assert brakes.told == [("hold", HOLD)]


async def test_reading_goes_on_at_half_the_mark():
    brakes = Brakes()
    body = stream(b"a" * 11, end=False, brakes=brakes, hold=HOLD, high=10)
    await body.read(5)
    assert brakes.told == [("hold", HOLD)]
    await body.read(1)
    assert brakes.told == [("hold", HOLD), ("release", HOLD)]


async def test_many_small_pieces_are_held_by_their_bytes():
    brakes = Brakes()
    stream(*[b"a"] * 11, end=False, brakes=brakes, hold=HOLD, high=10)
    assert brakes.told == [("hold", HOLD)]


def test_a_discarded_body_holds_nothing():
    brakes = Brakes()
    body = stream(b"a" * 11, end=False, brakes=brakes, hold=HOLD, high=10)
    body.discard()
    body.feed(b"a" * 100)
    assert brakes.told == [("hold", HOLD), ("release", HOLD)] and body.unread == 0


def test_a_refused_body_holds_nothing():
    brakes = Brakes()
    body = stream(b"a" * 11, end=False, brakes=brakes, hold=HOLD, high=10, max_size=20)
    body.feed(b"a" * 100)
    assert brakes.told == [("hold", HOLD), ("release", HOLD)] and body.unread == 0


# What it tells


async def test_whoever_waits_first_is_announced_once():
    calls = []
    body = stream(end=False, on_wanted=lambda: calls.append(1))
    for _ in range(2):
        reader = waiting(body.read())
        await turn()
        body.feed(b"a")
        await reader
    assert calls == [1] and body.wanted


async def test_who_need_not_wait_is_not_announced():
    calls = []
    body = stream(b"a", end=False, on_wanted=lambda: calls.append(1))
    await body.read()
    assert calls == [] and body.wanted


async def test_it_counts_what_came_and_what_was_announced():
    body = stream(b"abc", end=False, total=5)
    await body.read(1)
    assert (body.received, body.total, body.unread) == (3, 5, 2)


async def test_complete_is_not_read():
    body = stream(b"a")
    assert body.complete and not body.at_end
    await body.read()
    assert body.at_end


async def test_wanting_all_is_told():
    body = stream(b"a")
    assert not body.whole
    await body.read_all()
    assert body.whole


# The body of requests that have none


async def test_the_empty_body_has_ended():
    assert [await EMPTY.read(), await EMPTY.read_all(1), await EMPTY.readline()] == [None, b"", b""]
    assert EMPTY.complete and EMPTY.at_end and not EMPTY.failed and not EMPTY.waiting


async def test_the_empty_body_is_not_changed_by_limits_and_cuts():
    EMPTY.limit(0)
    EMPTY.fail(RequestAborted("gone"))
    assert await EMPTY.read() is None and not EMPTY.failed


def test_the_empty_body_shares_no_trailers():
    with pytest.raises(RuntimeError):
        EMPTY.trailers["a"] = "b"


async def test_a_body_that_comes_as_soon_as_it_is_wanted_is_read():
    body = RequestStream(on_wanted=lambda: (body.feed(b"x"), body.feed_eof()))
    async with asyncio.timeout(10):
        assert [piece async for piece in body] == [b"x"]


def test_nothing_is_put_into_the_empty_body():
    for change in (lambda: EMPTY.feed(b"x"), lambda: EMPTY.put(b"x"), EMPTY.feed_eof, EMPTY.discard):
        with pytest.raises(AttributeError, match="this request has no body"):
            change()
    EMPTY.limit(-1)
    with pytest.raises(AttributeError):
        EMPTY.fields = ((b"a", b"b"),)
    assert EMPTY.at_end and not EMPTY.unread and not EMPTY.failed and EMPTY.fields == ()


def test_its_old_name():
    assert StreamBuffer is RequestStream


async def test_a_reader_has_what_came_in_one_read_before_reading_is_stopped():
    """So a body that is read as it comes never stops and starts the socket."""
    brakes, got = Brakes(), []
    body = stream(end=False, brakes=brakes, hold=HOLD, high=100)

    async def read():
        async for piece in body:
            got.append(len(piece))  # noqa: PERF401 - as they come

    task = asyncio.create_task(read())
    await asyncio.sleep(0)

    def one_read():
        for _ in range(4):
            body.put(b"x" * 3000)
        body.deliver()
        return len(got)

    assert await called_by_the_loop(one_read) == 4
    assert brakes.told == []
    body.feed_eof()
    await task
