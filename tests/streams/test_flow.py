"""Stop and go, both ways."""

import asyncio
from contextvars import ContextVar

import pytest

from sanicish.exceptions import ClientDisconnected
from sanicish.streams.flow import HOLD_BODY, HOLD_PIPELINE, READY, STOP, FlowControl, Turn, wake_at_once
from tests.doubles.loop import called_by_the_loop
from tests.doubles.transport import MemoryTransport


def step(awaitable):
    """Drive an awaitable by hand until it would wait; True if it has ended."""
    try:
        next(awaitable.__await__())
    except StopIteration:
        return True
    return False


@pytest.fixture
def transport():
    return MemoryTransport()


async def waiting(coroutine):
    """A task that has come to where it waits."""
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


class Loop:
    """Calls what it was asked to call when it turns."""

    def __init__(self):
        self.soon = []

    def call_soon(self, function):
        self.soon.append(function)

    def turn(self):
        soon, self.soon = self.soon, []
        for function in soon:
            function()


@pytest.fixture
def flow(transport):
    return FlowControl(transport, Turn(lambda function: asyncio.get_running_loop().call_soon(function), 1e9))


# Reading (the transport of the tests fails when it is paused or resumed twice)


def test_a_hold_stops_reading(flow, transport):
    flow.hold(HOLD_BODY)
    assert transport.reading_paused and flow.holding == HOLD_BODY


def test_a_release_goes_on_reading(flow, transport):
    flow.hold(HOLD_BODY)
    flow.release(HOLD_BODY)
    assert not transport.reading_paused and not flow.holding


def test_reading_goes_on_when_the_last_hold_is_released(flow, transport):
    flow.hold(HOLD_BODY)
    flow.hold(HOLD_PIPELINE)
    flow.release(HOLD_BODY)
    assert transport.reading_paused
    flow.release(HOLD_PIPELINE)
    assert not transport.reading_paused


def test_holding_twice_for_one_reason_is_holding_once(flow, transport):
    flow.hold(HOLD_BODY)
    flow.hold(HOLD_BODY)
    flow.release(HOLD_BODY)
    assert not transport.reading_paused


def test_releasing_what_is_not_held_does_nothing(flow, transport):
    flow.release(HOLD_BODY)
    flow.hold(HOLD_PIPELINE)
    flow.release(HOLD_BODY)
    assert transport.reading_paused


def test_a_lost_transport_is_not_touched(flow, transport):
    flow.hold(HOLD_BODY)
    flow.connection_lost()
    flow.release(HOLD_BODY)
    flow.hold(HOLD_PIPELINE)
    assert transport.reading_paused, "as it was when the connection was lost"


# Writing


async def test_a_writer_waits_while_the_transport_is_full(flow):
    flow.pause_writing()
    writer = asyncio.ensure_future(asyncio.wait_for(flow, None))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not writer.done()
    flow.resume_writing()
    await writer


async def test_every_writer_is_woken(flow):
    async def write():
        await flow

    flow.pause_writing()
    writers = [asyncio.ensure_future(write()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flow.resume_writing()
    await asyncio.gather(*writers)


async def test_a_writer_waits_again_when_the_room_is_gone_before_its_turn(flow):
    async def write():
        await flow

    flow.pause_writing()
    writer = asyncio.ensure_future(write())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flow.resume_writing()
    flow.pause_writing()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not writer.done()
    flow.resume_writing()
    await writer


async def test_a_lost_connection_wakes_its_writers_with_an_error(flow):
    async def write():
        await flow

    flow.pause_writing()
    writer = asyncio.ensure_future(write())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flow.connection_lost()
    with pytest.raises(ClientDisconnected):
        await writer


async def test_whoever_writes_to_a_lost_connection_is_told(flow):
    flow.connection_lost()
    with pytest.raises(ClientDisconnected):
        await flow


async def test_a_cancelled_writer_does_not_disturb_the_others(flow):
    async def write():
        await flow

    flow.pause_writing()
    gone, stays = asyncio.ensure_future(write()), asyncio.ensure_future(write())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    flow.resume_writing()
    await stays
    assert gone.cancelled()


def test_how_often_there_was_room_again_is_counted(flow):
    for _ in range(3):
        flow.pause_writing()
        flow.resume_writing()
    assert flow.resumed == 3


# Turns


@pytest.fixture
def now(monkeypatch):
    """The clock that slices are measured with, as a list of one."""
    now = [1000.0]
    monkeypatch.setattr("sanicish.streams.flow.monotonic", lambda: now[0])
    return now


class Writers:
    """Connections in one turn of a loop; each write takes half a millisecond, and each slice lasts two."""

    def __init__(self, now, count):
        self.now = now
        self.loop = Loop()
        self.turn = Turn(self.loop.call_soon, 0.002)
        self.flows = [FlowControl(MemoryTransport(), self.turn) for _ in range(count)]
        self.written = []

    async def write(self, number, times=1_000):
        for _ in range(times):
            self.written.append(number)
            self.now[0] += 0.0005
            if self.flows[number].must_wait:
                await self.flows[number]

    async def next(self):
        """Who writes, in order, in the next turn."""
        self.written.clear()
        await called_by_the_loop(self.loop.turn)
        return list(self.written)


async def test_the_first_writer_of_a_turn_need_not_wait(flow):
    assert flow.must_wait, "no slice has begun"
    assert step(flow)
    assert not flow.must_wait


async def test_whoever_writes_when_the_slice_is_over_waits_for_the_next_turn(now):
    writers = Writers(now, 1)
    task = await waiting(writers.write(0))
    assert len(writers.written) == 6, "a slice begins with the first await"
    assert await writers.next() == [0] * 5
    task.cancel()


async def test_all_writers_share_one_slice(now):
    writers = Writers(now, 3)
    tasks = [await waiting(writers.write(number)) for number in range(3)]
    assert writers.written == [0] * 6 + [1, 2], "one write each is all that those get who come late"
    assert [await writers.next() for _ in range(4)] == [[0] * 5, [1] * 5, [2] * 5, [0] * 5]
    for task in tasks:
        task.cancel()


async def test_writers_that_have_little_to_write_go_on_in_one_turn(now):
    writers = Writers(now, 4)
    hog = await waiting(writers.write(0, times=6))
    light = [await waiting(writers.write(number, times=2)) for number in (1, 2, 3)]
    assert await writers.next() == [1, 2, 3]
    await asyncio.gather(hog, *light)


async def test_a_writer_whose_client_has_room_again_waits_for_its_turn_too(now):
    writers = Writers(now, 2)
    hog = await waiting(writers.write(0))
    for flow in writers.flows:
        flow.pause_writing()
    stalled = await waiting(writers.write(1))
    writers.flows[1].resume_writing()
    await asyncio.sleep(0)
    assert writers.written.count(1) == 1
    writers.flows[0].resume_writing()
    assert [await writers.next() for _ in range(2)] == [[0] * 5, [1] * 5]
    hog.cancel()
    stalled.cancel()


async def test_a_slice_begins_anew_when_a_turn_had_no_writers(now):
    writers = Writers(now, 1)
    await writers.write(0, times=2)
    assert await writers.next() == []
    now[0] += 1
    assert step(writers.flows[0])
    assert not writers.flows[0].must_wait


async def test_a_writer_that_was_cancelled_takes_no_turn(now):
    writers = Writers(now, 3)
    gone, *others = [await waiting(writers.write(number)) for number in range(3)]
    gone.cancel()
    await asyncio.sleep(0)
    assert await writers.next() == [1] * 5
    for task in others:
        task.cancel()


@pytest.mark.parametrize("trouble", ["pause_writing", "connection_lost"])
async def test_trouble_must_wait_whatever_the_slice(flow, trouble):
    await flow
    getattr(flow, trouble)()
    assert flow.must_wait


# What is awaited when nothing is


def test_ready_is_done_at_once_as_often_as_one_likes():
    assert step(READY) and step(READY)


def test_stop_ends_the_handler():
    with pytest.raises(asyncio.CancelledError):
        step(STOP)


# Waking at once


async def test_a_task_goes_on_before_the_call_that_wakes_it_returns():
    waiter, told = asyncio.get_running_loop().create_future(), []

    async def wait():
        await waiter
        told.append(asyncio.current_task())

    def wake():
        wake_at_once(waiter)
        return list(told)

    task = await waiting(wait())
    assert await called_by_the_loop(wake) == [task]
    await task


async def test_a_task_that_is_woken_keeps_its_context():
    waiter, variable = asyncio.get_running_loop().create_future(), ContextVar("variable", default="loop")

    async def wait():
        variable.set("task")
        await waiter
        return variable.get()

    task = await waiting(wait())
    await called_by_the_loop(lambda: wake_at_once(waiter))
    assert (await task, variable.get()) == ("task", "loop")


async def test_inside_of_a_task_another_goes_on_in_the_next_turn():
    waiter = asyncio.get_running_loop().create_future()
    task = await waiting(asyncio.wait_for(waiter, 5))
    wake_at_once(waiter)
    assert not task.done()
    await task


async def test_several_that_wait_for_one_future_all_go_on():
    waiter = asyncio.get_running_loop().create_future()
    tasks = [await waiting(asyncio.wait([waiter])) for _ in range(2)]
    await called_by_the_loop(lambda: wake_at_once(waiter))
    await asyncio.gather(*tasks)


async def test_what_a_woken_task_raises_is_its_own():
    waiter = asyncio.get_running_loop().create_future()

    async def wait():
        await waiter
        raise RuntimeError("of the task")

    task = await waiting(wait())
    await called_by_the_loop(lambda: wake_at_once(waiter))
    with pytest.raises(RuntimeError, match="of the task"):
        await task


def test_an_exit_in_a_woken_task_ends_the_loop_and_not_the_caller():
    returned = []

    async def main():
        waiter = asyncio.get_running_loop().create_future()

        async def leave():
            await waiter
            raise SystemExit(3)

        await waiting(leave())
        await called_by_the_loop(lambda: returned.append(wake_at_once(waiter)))
        await asyncio.Event().wait()

    with pytest.raises(SystemExit, match="3"):
        asyncio.run(main())
    assert returned == [None]
