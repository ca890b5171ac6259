"""app.streams(): what is open now, and what it waits for."""

import asyncio
import queue
import threading

import pytest

from sanicish import Channel, answering, sse, stream, text
from sanicish.live.open_exchanges import OpenStream
from sanicish.streams import pulling
from sanicish.streams.threads import Threads
from tests.doubles.wire import Wire
from tests.waiting import until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def waiting(app, for_what):
    """The one open stream, once it waits for that."""
    return await until(lambda: next((one for one in app.streams() if one.waits_for == for_what), None))


def test_before_there_is_a_server_nothing_is_open(app):
    assert app.streams() == []


async def test_a_connection_that_is_idle_is_no_stream(app, serve):
    app.get("/")(lambda request: text("a"))
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.answer()
        assert len(app.connections) == 1 and app.streams() == []


async def test_what_is_told_of_a_stream(app, serve):
    go_on = asyncio.Event()

    @app.post("/up/<name>", name="up", stream=True)
    async def up(request, name):
        response = await request.respond()
        await response.send(b"x" * 1000)
        await go_on.wait()

    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /up/a?b=1 HTTP/1.1\r\nHost: a\r\nX-Request-ID: abc\r\nContent-Length: 9\r\n\r\nhello")
        await wire.until(b"x" * 1000)
        (told,) = app.streams()
        assert told._replace(age=0, rate=0, peer="", where="") == OpenStream(
            "test.up", "POST", "/up/a?b=1", "", 0, 5, 1000, 0, 0, "handler", "", "abc"
        )
        assert told.peer == "{}:{}".format(*wire.writer.get_extra_info("sockname"))
        assert 0 < told.age < 5 and told.rate == pytest.approx(1005 / told.age, rel=0.01)
        go_on.set()
        await until(lambda: not app.streams())


async def test_the_oldest_come_first_and_at_most_so_many(app, serve):
    go_on = asyncio.Event()

    @app.get("/<name>")
    async def wait(request, name):
        await go_on.wait()
        return text("")

    address = await serve(app)
    async with Wire(address) as first, Wire(address) as second:
        for wire, name in ((first, b"1"), (second, b"2")):
            wire.send(b"GET /" + name + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            await until(lambda name=name: [one for one in app.streams() if one.path == f"/{name.decode()}"])
        assert [one.path for one in app.streams()] == ["/1", "/2"]
        assert [one.path for one in app.streams(1)] == ["/1"]
        go_on.set()
        await first.answer()
        await second.answer()


async def test_a_route_is_found_by_its_host_too(app, serve):
    go_on = asyncio.Event()

    async def wait(request):
        await go_on.wait()
        return text("")

    app.add_route(wait, "/", host="a", name="of_a")
    app.add_route(wait, "/", host="b", name="of_b")
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n")
        await until(lambda: [one for one in app.streams() if one.route.endswith("of_b")])
        go_on.set()
        await wire.answer()


async def test_the_client_that_a_trusted_proxy_names_is_the_peer(app, serve):
    app.config.REAL_IP_HEADER = "X-Real-IP"
    go_on = asyncio.Event()

    @app.get("/")
    async def wait(request):
        await go_on.wait()
        return text("")

    async with Wire(await serve(app)) as wire:
        wire.send(GET[:-2] + b"X-Real-IP: 203.0.113.9\r\n\r\n")
        assert (await waiting(app, "handler")).peer == "203.0.113.9"
        go_on.set()
        await wire.answer()


async def test_what_has_no_route_is_shown_while_middleware_works(app, serve):
    go_on = asyncio.Event()

    @app.on_request
    async def wait(request):
        await go_on.wait()

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        assert (await waiting(app, "handler")).route == ""
        go_on.set()
        await wire.until(b"404 Not Found")


async def test_a_handler_sees_itself(app, serve):
    app.get("/")(lambda request: text(app.streams()[0].path))

    @app.get("/async")
    async def itself(request):
        return text(app.streams()[0].waits_for)

    address = await serve(app)
    for path, told in ((b"/", b"/"), (b"/async", b"handler")):
        async with Wire(address) as wire:
            wire.send(GET.replace(b"/", path, 1))
            assert (await wire.answer()).body == told


# What is waited for


async def test_a_client_that_does_not_send(app, serve):
    @app.post("/", stream=True)
    async def up(request):
        await request.stream.read_all()

    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello")
        told = await waiting(app, "client to send")
        assert told.bytes_in == 5 and told.where.endswith(" up")


async def test_a_client_that_does_not_read(app, serve):
    @app.get("/")
    async def down(request):
        async def write(response):
            while True:
                await response.write(bytes(65_536))

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        told = await waiting(app, "client to read")
        assert told.unsent > 0 and told.bytes_out > told.unsent and told.where.endswith(" write")


async def test_a_file_whose_client_does_not_read(app, serve, tmp_path):
    (tmp_path / "large").write_bytes(bytes(64 << 20))
    app.static("/", tmp_path / "large")
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        told = await waiting(app, "client to read")
        assert 0 < told.bytes_out < 64 << 20


async def test_a_handler_that_waits_is_shown_with_its_place(app, serve):
    never = asyncio.Event()

    async def inner():
        await never.wait()

    @app.get("/")
    async def outer(request):
        await asyncio.create_task(inner())

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        place = f"test_open_exchanges.py:{inner.__code__.co_firstlineno + 1} inner"
        told = await until(lambda: next((one for one in app.streams() if one.where == place), None))
        assert told.waits_for == "handler"


async def test_the_place_inside_an_async_generator(app, serve):
    never = asyncio.Event()

    @app.get("/")
    async def rows(request):
        yield "a"
        await never.wait()

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"a\r\n")
        assert (await waiting(app, "handler")).where.endswith(" rows")


async def test_a_sync_generator_that_blocks(app, serve):
    go_on = threading.Event()

    @app.get("/")
    def rows(request):
        yield "a"
        go_on.wait(5)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"a\r\n")
        try:
            told = await waiting(app, "sync generator")
            assert told.where == f"test_open_exchanges.py:{rows.__code__.co_firstlineno + 3} rows"
        finally:
            go_on.set()
        await wire.until(b"0\r\n\r\n")


async def test_a_client_of_a_channel(app, serve):
    channel = Channel()
    app.get("/")(lambda request: sse(channel))
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await waiting(app, "event")


async def test_a_handler_that_cleans_up(app, serve):
    go_on = asyncio.Event()

    @app.get("/")
    async def slow_to_go(request):
        try:
            await asyncio.Event().wait()
        finally:
            await go_on.wait()

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await waiting(app, "handler")
        wire.reset()
        await waiting(app, "clean-up")
        go_on.set()
        await until(lambda: not app.streams())


async def test_threads_that_block_for_clients_that_have_left(app, serve, monkeypatch):
    own = Threads()
    monkeypatch.setattr(pulling, "threads", own)
    monkeypatch.setattr(answering, "threads", own)
    monkeypatch.setattr(pulling, "_LEAVE_SECONDS", 0.05)
    app.config.SYNC_THREADS, app.config.SYNC_THREAD_TIMEOUT = 3, 0.05
    events = queue.Queue()

    @app.get("/events", name="events")
    def listen(request):
        while True:
            yield events.get()

    app.get("/count")(lambda request: iter("abc"))
    place = f"test_open_exchanges.py:{listen.__code__.co_firstlineno + 3} listen"
    address = await serve(app)
    for number in range(3):
        async with Wire(address) as wire:
            wire.send(GET.replace(b"/", b"/events?%d" % number, 1))
            await until(lambda: [one.where for one in app.streams()] == [place] * (number + 1))
            wire.reset()
        await until(lambda: [one.waits_for for one in app.streams()] == ["blocked thread"] * (number + 1))
    assert [one.path for one in app.streams()] == [f"/events?{number}" for number in range(3)]
    assert [one.path for one in app.streams(2)] == ["/events?0", "/events?1"]
    assert {one.route for one in app.streams()} == {"test.events"}
    async with Wire(address) as wire:
        wire.send(GET.replace(b"/", b"/count", 1))
        answer = await wire.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert b"all threads for streams are busy" in answer.body
        for _ in range(3):
            events.put("x")
        await until(lambda: app.streams() == [])
        wire.send(GET.replace(b"/", b"/count", 1))
        assert (await wire.answer()).body == b"abc"
