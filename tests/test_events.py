"""Server-sent events on the wire."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish import Event, sse
from sanicish.events import encode_event
from tests.doubles.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_events(raw: str) -> list[dict[str, str]]:
    """What a browser understands (WHATWG HTML 9.2.6), the events that it tells somebody about."""
    events, fields = [], {}
    for line in raw.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if "data" in fields:
                events.append(fields)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = fields[name] + "\n" + value if name == "data" and name in fields else value
    return events


# One event


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event("one"), b"data: one\n\n"),
        (Event("one\ntwo\r\nthree\rfour"), b"data: one\ndata: two\ndata: three\ndata: four\n\n"),
        (Event(""), b"data: \n\n"),
        (Event({"a": [1, None]}), b'data: {"a":[1,null]}\n\n'),
        (Event(b"raw"), b"data: raw\n\n"),
        (Event("x", event="tick", id=7, retry=1500), b"event: tick\nid: 7\nretry: 1500\ndata: x\n\n"),
        (Event(comment="hello\nyou"), b": hello\n: you\n\n"),
        (Event("x", event="a\nb", id="1\r\n2\0"), b"event: ab\nid: 12\ndata: x\n\n"),
        (Event(), b""),
        ("text", b"data: text\n\n"),
        (3, b"data: 3\n\n"),
    ],
)
def test_an_event_stands_on_the_wire_as_the_standard_has_it(event, expected):
    assert encode_event(event) == expected


@given(st.text(), st.text(), st.text())
def test_nothing_that_is_sent_ends_an_event_or_begins_another(data, name, id):
    raw = Event(data, event=name, id=id).encode().decode()
    (event,) = read_events(raw)
    assert event["data"] == data.replace("\r\n", "\n").replace("\r", "\n")


# Streams of them


async def test_the_head_leaves_before_the_first_event(app, serve):
    gate = asyncio.Event()

    async def events():
        await gate.wait()
        yield "one"

    app.add_route(lambda request: sse(events()), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        head = (await wire.until(b"\r\n\r\n")).lower()
        assert b"content-type: text/event-stream; charset=utf-8\r\n" in head
        assert b"cache-control: no-store\r\n" in head and b"x-accel-buffering: no\r\n" in head
        gate.set()
        await wire.until(chunk(b"data: one\n\n") + b"0\r\n\r\n")


async def test_each_event_leaves_at_once(app, serve):
    step = asyncio.Queue()

    async def events():
        while (word := await step.get()) is not None:
            yield word

    app.add_route(lambda request: sse(events()), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        for word in ("one", "two"):
            step.put_nowait(word)
            await wire.until(chunk(b"data: %b\n\n" % word.encode()))
        step.put_nowait(None)
        await wire.until(b"0\r\n\r\n")


async def test_a_callback_sends_events_and_knows_what_its_client_saw_last(app, serve):
    async def send(events):
        await events.send({"seen": events.last_event_id}, event="hello", id=8)

    app.add_route(lambda request: sse(send), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 7\r\n\r\n")
        await wire.until(b'event: hello\nid: 8\ndata: {"seen":"7"}\n\n')


async def test_a_plain_iterable_is_a_source(app, serve):
    app.add_route(lambda request: sse(["a", "b"]), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        assert b"data: a\n\n" in await wire.until(b"data: b\n\n")


async def test_a_comment_is_sent_while_there_are_no_events(app, serve):
    async def events():
        yield "one"
        await asyncio.Event().wait()

    app.add_route(lambda request: sse(events(), ping=0.02), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b": ping\n\n")
        await wire.until(b": ping\n\n")
        assert wire.seen.count(b"data: one\n\n") == 1


async def test_a_client_that_leaves_ends_the_events(app, serve):
    ended = asyncio.Event()

    async def events():
        try:
            while True:
                yield "tick"
                await asyncio.Event().wait()
        finally:
            ended.set()

    app.add_route(lambda request: sse(events()), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"data: tick\n\n")
    async with asyncio.timeout(5):
        await ended.wait()


async def test_a_failure_before_the_source_is_asked_is_a_page_and_later_a_cut(app, serve):
    async def events():
        yield "one"
        raise ZeroDivisionError

    app.add_route(lambda request: sse(events()), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        raw = await wire.rest()
    assert raw.endswith(b"data: one\n\n\r\n"), "cut, without the last chunk"


async def test_head_asks_no_source(app, serve):
    async def events():
        raise AssertionError("asked")
        yield

    app.add_route(lambda request: sse(events()), "/")
    async with Wire(await serve(app)) as wire:
        wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await wire.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_is_no_source_is_refused_where_it_is_given():
    with pytest.raises(TypeError, match="iterable, a channel or a function"):
        sse(3)
