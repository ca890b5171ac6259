"""One producer, many clients."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from sanicish import Channel, sse
from tests.doubles.wire import Wire, talk
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BIG = "x" * 65_536


async def listening(stack, address, channel, count, head=GET):
    """So many clients who have been told that they are connected."""
    wires = [await stack.enter_async_context(Wire(address)) for _ in range(count)]
    for wire in wires:
        wire.send(head)
        await wire.until(b"\r\n\r\n")
    await until(lambda: len(channel) == count)
    return wires


async def test_every_client_gets_every_event_in_order(app, serve):
    channel = Channel()
    app.add_route(lambda request: sse(channel), "/")
    async with AsyncExitStack() as stack:
        wires = await listening(stack, await serve(app), channel, 5)
        for number in range(100):
            channel.publish(str(number))
        channel.close()
        for wire in wires:
            raw = await wire.until(b"0\r\n\r\n")
            got = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: ")]
            assert got == [b"%d" % number for number in range(100)]


async def test_a_client_that_leaves_is_forgotten(app, serve):
    channel = Channel()
    app.add_route(lambda request: sse(channel), "/")
    address = await serve(app)
    async with AsyncExitStack() as stack:
        wires = await listening(stack, address, channel, 2)
        wires[0].reset()
        await until(lambda: len(channel) == 1)
        channel.publish("still here")
        await wires[1].until(b"data: still here\n\n")
    await until(lambda: len(channel) == 0)


async def test_a_client_that_comes_back_is_sent_what_it_missed(app, serve):
    channel = Channel(history=10)
    app.add_route(lambda request: sse(channel), "/")
    address = await serve(app)
    for word in ("one", "two", "three"):
        channel.publish(word)
    async with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n\r\n")
        raw = await wire.until(b"id: 3\ndata: three\n\n")
        assert b"id: 2\ndata: two\n\n" in raw and b"data: one" not in raw


@pytest.mark.parametrize(("seen", "expected"), [(None, []), ("1", ["2", "3"]), ("3", []), ("gone", ["1", "2", "3"])])
def test_what_was_missed_is_told_by_the_last_id(seen, expected):
    channel = Channel(history=3)
    for number in range(1, 4):
        channel.publish("x", id=number)
    assert [event.split()[1].decode() for event in channel.missed(seen)] == expected


def test_history_is_no_longer_than_asked():
    channel = Channel(history=2)
    for number in range(5):
        channel.publish(number)
    assert [event.split(b"\n")[1] for event in channel.missed("?")] == [b"data: 3", b"data: 4"]


async def stalled(stack, app, serve, channel):
    """A client that has stopped reading, and has been sent more than sockets hold."""
    app.add_route(lambda request: sse(channel), "/")
    address = await serve(app)
    (slow,) = await listening(stack, address, channel, 1)
    slow.writer.transport.pause_reading()
    return slow, address


async def test_the_oldest_events_of_a_stalled_client_are_dropped(app, serve):
    channel = Channel(limit=10)
    app.config.WRITE_TIMEOUT = None
    async with AsyncExitStack() as stack:
        slow, _ = await stalled(stack, app, serve, channel)
        for number in range(2_000):
            channel.publish(f"{number} {BIG}")
            if channel.dropped > 5:
                break
            await asyncio.sleep(0)
        assert channel.dropped > 5
        channel.publish("the end")
        slow.writer.transport.resume_reading()
        await slow.until(b"data: the end\n\n")


async def test_a_stalled_client_is_disconnected_if_that_is_the_policy(app, serve):
    channel = Channel(limit=10, policy="disconnect")
    app.config.WRITE_TIMEOUT = None
    async with AsyncExitStack() as stack:
        await stalled(stack, app, serve, channel)
        for _ in range(2_000):
            channel.publish(BIG)
            if not len(channel):
                break
            await asyncio.sleep(0)
        assert not len(channel)


async def test_publishing_waits_for_a_stalled_client_if_that_is_the_policy(app, serve):
    channel = Channel(limit=10, policy="wait")
    app.config.WRITE_TIMEOUT = None
    sent = []

    async def publish():
        for number in range(2_000):
            await channel.publish(f"{number} {BIG}")
            sent.append(number)
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        slow, _ = await stalled(stack, app, serve, channel)
        task = asyncio.create_task(publish())
        before = -1
        while len(sent) != before:
            before = len(sent)
            await asyncio.sleep(0.05)
        assert 0 < before < 2_000, "it waits"
        slow.writer.transport.resume_reading()
        await slow.until(b"data: %d x" % (before + 5))
        task.cancel()


@pytest.mark.slow
async def test_a_stalled_client_delays_nobody(app, serve):
    channel = Channel(limit=10)
    app.config.WRITE_TIMEOUT = None
    async with AsyncExitStack() as stack:
        _, address = await stalled(stack, app, serve, channel)
        wire = await stack.enter_async_context(Wire(address))
        wire.send(GET)
        await wire.until(b"\r\n\r\n")
        await until(lambda: len(channel) == 2)
        for number in range(300):
            channel.publish(f"{number} {BIG}")
            await wire.until(b"data: %d x" % number)
        assert channel.dropped > 0, "the other one"


def test_a_closed_channel_takes_no_events():
    channel = Channel()
    channel.close()
    with pytest.raises(RuntimeError):
        channel.publish("late")


def ask(last_event_id=None):
    last = b"" if last_event_id is None else b"Last-Event-ID: %b\r\n" % last_event_id.encode()
    return b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + last + b"\r\n"


def closed(*ids, history=10):
    """A channel that was closed after events with these ids."""
    channel = Channel(history=history)
    for id in ids:
        channel.publish("x", id=id)
    channel.close()
    return channel


@pytest.mark.parametrize(
    ("channel", "last"),
    [
        (closed(), None),
        (closed(), "7"),
        (closed(history=0), None),
        (closed(1, 2, 3), None),
        (closed(1, 2, 3), "3"),
        (closed("a", "b", "b", "b"), "b"),
        (closed("a", "b\r\n"), "b"),
        (closed("a", " b "), "b"),
        (closed("a", "\u00e9\u20ac"), "\u00e9\u20ac"),
        (closed("a", ""), ""),
    ],
)
async def test_whoever_has_seen_the_last_event_of_a_closed_channel_gets_204(app, serve, channel, last):
    app.add_route(lambda request: sse(channel), "/")
    raw = await talk(await serve(app), ask(last))
    assert raw.startswith(b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n")
    assert raw.endswith(b"\r\n\r\n") and b"Content-" not in raw


@pytest.mark.parametrize(("last", "number"), [("1", 2), ("2", 1), ("unknown", 3)])
async def test_whoever_has_not_is_sent_the_rest_first(app, serve, last, number):
    channel = closed(1, 2, 3)
    app.add_route(lambda request: sse(channel), "/")
    address = await serve(app)
    raw = await talk(address, ask(last))
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n") and raw.endswith(b"id: 3\ndata: x\n\n\r\n0\r\n\r\n")
    assert raw.count(b"data: x") == number
    assert (await talk(address, ask("3"))).startswith(b"HTTP/1.1 204 ")


async def test_an_open_channel_never_answers_204(app, serve):
    channel = Channel(history=1)
    app.add_route(lambda request: sse(channel), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        assert (await wire.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_while_the_server_stops_a_closed_channel_is_an_empty_stream(app, serve):
    """On 204 a browser would never arrive back, not even to the server that takes over."""
    channel = closed(1)
    app.add_route(lambda request: sse(channel), "/")
    address = await serve(app)
    app.lifecycle.stopping = True
    raw = await talk(address, ask("1"))
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n") and raw.endswith(b"\r\n\r\n0\r\n\r\n")


async def test_an_id_beyond_ascii_is_found_in_the_history(app, serve):
    channel = Channel(history=3)
    for id in ("\u00e9", "\u20ac", "z"):
        channel.publish(id, id=id)
    channel.close()
    app.add_route(lambda request: sse(channel), "/")
    raw = await talk(await serve(app), ask("\u00e9"))
    assert raw.count(b"data: ") == 2


@pytest.mark.parametrize(("header", "given", "number"), [(None, "2", 1), ("1", "2", 2), (None, "", 0), (None, None, 0)])
async def test_a_page_can_say_in_the_url_what_it_saw_last(app, serve, header, given, number):
    channel = Channel(history=3)
    for _ in range(3):
        channel.publish("x")
    channel.close()
    app.add_route(lambda request: sse(channel, last_event_id=given), "/")
    address = await serve(app)
    app.lifecycle.stopping = True
    raw = await talk(address, ask(header))
    assert raw.count(b"data: x") == number


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError, match="policy"):
        Channel(policy="pray")
