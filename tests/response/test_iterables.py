"""Iterables as bodies: each item at once, the loop never blocked, everything closed however it ends."""

import asyncio
import threading

import pytest
from markupsafe import Markup

from sanicish import Response, buffered, text
from sanicish.response.iterables import Body
from tests.doubles.wire import Wire, talk

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def happens(event):
    """Wait for an event of a thread."""
    assert await asyncio.to_thread(event.wait, 10)


def get(app, path):
    return app.test_client.get(path, gather_request=False)


# Each item leaves at once


async def test_async_item_leaves_while_the_generator_waits(app, serve):
    gate = asyncio.Event()

    @app.get("/a")
    async def handler(request):
        yield "one"
        await gate.wait()
        yield "two"

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        assert (await wire.until(b"one\r\n")).endswith(b"\r\n\r\n3\r\none\r\n")
        gate.set()
        assert await wire.until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_sync_item_leaves_while_the_generator_blocks(app, serve):
    gates = [threading.Event() for _ in range(3)]

    @app.get("/a")
    def handler(request):
        for number, gate in enumerate(gates):
            yield f"item {number}"
            gate.wait(10)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        for number, gate in enumerate(gates):
            await wire.until(b"item %d\r\n" % number)
            gate.set()
        assert await wire.until(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_second_item_that_follows_fast_leaves_while_the_generator_blocks(app, serve):
    gate = threading.Event()

    @app.get("/a")
    def handler(request):
        yield "one"
        yield "two"
        gate.wait(10)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"3\r\none\r\n3\r\ntwo\r\n")
        gate.set()
        await wire.until(b"0\r\n\r\n")


async def test_sync_generator_that_blocks_does_not_block_the_loop(app, serve):
    gate = threading.Event()

    @app.get("/a")
    def handler(request):
        yield "one"
        gate.wait(10)

    app.get("/b")(lambda request: text("meanwhile"))
    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(GET)
        await wire.until(b"one\r\n")
        assert b"meanwhile" in await talk(address, b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        gate.set()


def test_sync_generator_runs_in_a_thread_and_an_inline_one_in_the_loop(app):
    def names():
        yield threading.current_thread().name

    app.get("/thread")(lambda request: names())
    app.get("/inline", inline=True)(lambda request: names())
    app.get("/here")(lambda request: threading.current_thread().name)
    assert get(app, "/thread").text.startswith("sanicish-pull")
    assert get(app, "/inline").text == get(app, "/here").text


@pytest.mark.parametrize("inline", [False, True])
def test_every_item_of_a_long_sync_generator_comes_in_order(app, inline):
    @app.get("/a", inline=inline)
    def handler(request):
        return (f"{number}\n" for number in range(20_000))

    assert get(app, "/a").text == "".join(f"{number}\n" for number in range(20_000))


def test_empty_items_do_not_end_a_body(app):
    app.get("/a")(lambda request: iter(["", "a", b"", "b", ""]))
    assert get(app, "/a").text == "ab"


def test_generator_of_nothing_is_an_empty_body(app):
    app.get("/a")(lambda request: iter(()))
    answer = get(app, "/a")
    assert (answer.status, answer.body) == (200, b"")


async def test_sync_generator_waits_for_a_client_that_does_not_read(app, serve):
    made = []

    @app.get("/a")
    def handler(request):
        for number in range(1_000):
            made.append(number)
            yield b"x" * 65_536

    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(GET)
        before = -1
        while before != len(made) or not made:  # until nothing moves any more
            before = len(made)
            await asyncio.sleep(0.05)
        assert len(made) < 900


# Errors


@pytest.mark.parametrize("inline", [False, True])
def test_error_before_the_first_item_is_an_error_page(app, inline):
    @app.get("/a", inline=inline)
    def handler(request):
        yield str(1 / 0)

    @app.get("/b")
    async def later(request):
        yield str(1 / 0)

    assert get(app, "/a").status == get(app, "/b").status == 500


@pytest.mark.parametrize("kind", ["sync", "inline", "async"])
async def test_error_after_the_first_item_cuts_the_answer(app, serve, caplog, kind):
    def sync(request):
        yield "one"
        yield str(1 / 0)

    async def later(request):
        yield "one"
        yield str(1 / 0)

    app.get("/a", inline=kind == "inline")(later if kind == "async" else sync)
    answer = await talk(await serve(app), GET)
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("item", [None, object(), {"a": 1}, ["a"]])
def test_item_of_a_wrong_type_is_refused(app, caplog, item):
    app.get("/a")(lambda request: iter([item]))
    assert get(app, "/a").status == 500
    assert "a body is made of str, bytes-like or numbers" in caplog.text


# Closing


class Closing:
    """Generators that write down when they are closed, and in which thread and task."""

    def __init__(self):
        self.told = []
        self.closed = threading.Event()
        self.task = None

    def sync(self, request):
        try:
            while True:
                yield "x"
        finally:
            self.told.append(threading.current_thread().name)
            self.closed.set()

    async def later(self, request):
        self.task = asyncio.current_task()
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)  # cleaning up may wait
            self.told.append(asyncio.current_task() is self.task)
            self.closed.set()


async def test_async_generator_is_closed_in_its_own_task_when_the_client_leaves(app, serve):
    closing = Closing()
    app.get("/a")(closing.later)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"x\r\n")
        wire.reset()
        await happens(closing.closed)
    assert closing.told == [True]


@pytest.mark.parametrize("inline", [False, True])
async def test_sync_generator_is_closed_when_the_client_leaves(app, serve, inline):
    closing = Closing()
    app.get("/a", inline=inline)(closing.sync)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"x\r\n")
        wire.reset()
        await happens(closing.closed)
    assert closing.told[0].startswith("sanicish-pull") is not inline


async def test_generator_that_blocks_when_the_client_leaves_is_closed_after_its_item(app, serve):
    gate, closed, order = threading.Event(), threading.Event(), []

    @app.get("/a")
    def handler(request):
        try:
            yield "one"
            gate.wait(10)
            order.append("went on")
            yield "two"
            order.append("asked for more")
        finally:
            order.append("closed")
            closed.set()

    done = asyncio.Event()

    @app.on_response
    def watch(request, response):
        response.on_complete(lambda outcome: (order.append(str(outcome)), done.set()))

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"one\r\n")
        wire.reset()
        await asyncio.sleep(0.02)
        gate.set()
        await happens(closed)
        await asyncio.wait_for(done.wait(), 10)
    assert order == ["went on", "closed", "client left"]


class File:
    """An iterator that can be closed, as an open file can."""

    def __init__(self):
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration

    def close(self):
        self.closed += 1


def test_iterator_is_closed_at_its_end(app):
    file = File()
    app.get("/a")(lambda request: file)
    get(app, "/a")
    assert file.closed == 1


async def test_iterator_is_closed_though_nothing_is_asked_of_it_for_head(app, serve):
    file = File()
    app.get("/a")(lambda request: file)
    answer = await talk(await serve(app), HEAD)
    assert b"Transfer-Encoding: chunked\r\n" in answer and answer.endswith(b"\r\n\r\n")
    assert file.closed == 1


def test_iterator_is_closed_when_middleware_replaces_its_response(app):
    file = File()
    app.get("/a")(lambda request: file)
    app.on_response(lambda request, response: text("other"))
    assert get(app, "/a").text == "other"
    assert file.closed == 1


def wrong(response):
    return 5


def sour(response):
    raise OSError


@pytest.mark.parametrize(("middleware", "status"), [(wrong, 500), (sour, 200)])
def test_iterator_is_closed_when_middleware_fails(app, middleware, status):
    file = File()

    @app.get("/a")
    def handler(request):
        return file

    @app.on_response
    def once(request, response):
        return middleware(response) if response.status == 200 else None

    assert get(app, "/a").status == status
    assert file.closed == 1


def test_error_while_closing_is_told_to_the_log(app, caplog):
    class Sour(File):
        def close(self):
            raise OSError("sour")

    app.get("/a")(lambda request: Sour())
    assert get(app, "/a").status == 200
    assert "sour" in caplog.text


# How it ended


async def ended(app, serve, source, meet, **config):
    """How a stream says it ended, when the client does what ``meet`` does."""
    app.config.update(config)
    outcomes, done = [], asyncio.Event()

    @app.get("/a")
    async def handler(request):
        response = Response(source())
        response.on_complete(outcomes.append)
        response.on_complete(lambda outcome: done.set())
        return response

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await meet(wire)
        await asyncio.wait_for(done.wait(), 10)
    return outcomes


async def endless():
    yield "x"
    await asyncio.Event().wait()


async def test_stream_that_came_to_its_end_is_completed(app, serve):
    assert await ended(app, serve, lambda: iter(["x"]), Wire.some) == ["completed"]


async def test_stream_that_raised_is_failed(app, serve):
    async def sour():
        yield "x"
        raise OSError

    assert await ended(app, serve, sour, Wire.rest) == ["failed"]


async def test_stream_whose_place_an_error_page_took_is_failed(app, serve):
    async def sour():
        raise OSError
        yield

    assert await ended(app, serve, sour, Wire.some) == ["failed"]


async def test_stream_whose_client_went_is_told_so(app, serve):
    async def leave(wire):
        await wire.until(b"x\r\n")
        wire.reset()

    assert await ended(app, serve, endless, leave) == ["client left"]


async def test_stream_that_stood_still_too_long_is_timed_out(app, serve):
    assert await ended(app, serve, endless, Wire.rest, STREAM_IDLE_TIMEOUT=0.05) == ["timed out"]


async def test_stream_that_the_server_stopped_is_shut_down(app, serve):
    async def stop(wire):
        await wire.until(b"x\r\n")
        await app._serving.server.stop(0)

    outcome = await ended(app, serve, endless, stop)
    assert outcome == ["shut down"]


async def test_function_may_be_told_of_an_end_that_is_asked_for_while_streaming(app, serve):
    outcomes, done = [], asyncio.Event()

    @app.get("/a")
    async def handler(request):
        response = await request.respond()

        @response.on_complete
        def told(outcome):
            outcomes.append(outcome)
            done.set()

        await response.send("x")

    await talk(await serve(app), b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    await asyncio.wait_for(done.wait(), 10)
    assert outcomes == ["completed"]


def test_coroutine_function_is_refused_as_a_callback():
    async def later(outcome):
        pass

    with pytest.raises(TypeError, match="plain function"):
        Response(iter("a")).on_complete(later)


# Timeouts of a response


async def test_timeout_of_a_response_comes_before_that_of_its_route_and_the_settings(app, serve):
    app.config.update(STREAM_IDLE_TIMEOUT=0.05, RESPONSE_TIMEOUT=0.05)

    @app.get("/a", idle_timeout=0.1)
    async def handler(request):
        async def slow():
            await asyncio.sleep(0.11)
            yield "one"
            await asyncio.sleep(0.11)
            yield "two"

        response = Response(slow())
        response.timeout = None
        return response

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"two\r\n")


async def test_timeout_of_a_route_comes_before_the_settings(app, serve):
    app.config.update(STREAM_IDLE_TIMEOUT=0.05)

    @app.get("/a", idle_timeout=None)
    async def handler(request):
        yield "one"
        await asyncio.sleep(0.15)
        yield "two"

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"two\r\n")


async def test_timeout_that_a_response_is_given_while_it_streams_counts_from_then(app, serve):
    app.config.update(STREAM_IDLE_TIMEOUT=None, RESPONSE_TIMEOUT=0.2)

    @app.get("/a")
    async def handler(request):
        response = await request.respond()
        await response.send("x")
        response.timeout = 0.05
        await asyncio.Event().wait()

    answer = await talk(await serve(app), GET)
    assert answer.endswith(b"x\r\n")


async def test_stream_that_moves_is_never_cut(app, serve):
    app.config.update(RESPONSE_TIMEOUT=0.05, STREAM_IDLE_TIMEOUT=0.1)

    @app.get("/a")
    async def handler(request):
        for _ in range(10):
            yield "x"
            await asyncio.sleep(0.02)

    answer = await talk(await serve(app), b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"0\r\n\r\n") and answer.count(b"x\r\n") == 10


def test_whole_response_takes_a_timeout_too():
    response = text("x")
    response.timeout = None
    assert response.timeout is None


# Joining


@pytest.mark.parametrize("size", [1, 2, 5])
def test_buffered_joins_items_that_are_not_empty(size):
    items = ["a", "", "b", "c", "", "d", "e", "f", "g"]
    groups = list(buffered(items, size))
    assert "".join(groups) == "abcdefg"
    assert all(len(group) == size for group in groups[:-1])


async def test_buffered_joins_async_items_and_bytes():
    async def items():
        for item in (b"a", b"b", b"c"):
            yield item

    assert [group async for group in buffered(items(), 2)] == [b"ab", b"c"]


def test_buffered_escapes_nothing_of_what_it_joins():
    assert list(buffered([Markup("<p>"), "</p>"], 2)) == ["<p></p>"]


async def test_buffered_closes_what_it_reads():
    file = File()
    assert list(buffered(file)) == []
    assert file.closed == 1


class Written:
    """A response that keeps what it is given."""

    def __init__(self):
        self.pieces = []

    async def _done(self):
        pass

    def write(self, data):
        self.pieces.append(data)
        return _Done()


class _Done:
    def __await__(self):
        return iter(())


async def test_joined_items_of_one_turn_are_one_write():
    async def items():
        yield "a"
        yield "b"
        await asyncio.sleep(0)
        yield "c"

    written = Written()
    await Body(items(), joined=True, first=b"[", last=b"]")(written)
    assert written.pieces == [b"[ab", b"c]"]


async def test_joined_items_are_written_when_there_are_many():
    async def items():
        for _ in range(100):
            yield b"x" * 1_000

    written = Written()
    await Body(items(), joined=True)(written)
    assert [len(piece) for piece in written.pieces] == [33_000, 33_000, 33_000, 1_000]


async def test_what_stands_first_and_last_is_written_though_nothing_is_between():
    written = Written()
    await Body([], joined=True, first=b"[", last=b"]")(written)
    assert written.pieces == [b"[]"]


async def test_what_stands_first_waits_for_the_first_item():
    async def sour():
        raise OSError
        yield

    written = Written()
    with pytest.raises(OSError):
        await Body(sour(), joined=True, first=b"[")(written)
    assert written.pieces == []
