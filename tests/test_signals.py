"""Signals: who is told what happened."""

import asyncio

import pytest

from sanicish import Blueprint, stream, text
from sanicish.exceptions import InvalidSignal
from tests.doubles.wire import Wire

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


async def within(awaitable):
    async with asyncio.timeout(5):
        return await awaitable


@pytest.fixture
def told(app):
    """What the signals about exchanges say."""
    seen = asyncio.Queue()

    for event in ("http.lifecycle.complete", "http.stream.completed", "http.stream.aborted"):

        @app.signal(event)
        async def tell(request, outcome, status, bytes_sent, event=event):
            seen.put_nowait((event.split(".")[1:], request.path, str(outcome), status, bytes_sent))

    return seen


async def test_the_end_of_an_exchange_is_told(app, serve, told):
    app.get("/a")(lambda request: text("abc"))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /a HTTP/1.1\r\n" + CLOSE)
        await wire.rest()
    assert await within(told.get()) == (["lifecycle", "complete"], "/a", "completed", 200, 3)
    assert told.empty()


@pytest.mark.parametrize(
    ("fails", "event", "outcome"), [(False, "completed", "completed"), (True, "aborted", "failed")]
)
async def test_every_stream_ends_in_one_signal(app, serve, told, fails, event, outcome):
    @app.get("/")
    async def pieces(request):
        async def write(response):
            await response.write("abc")
            if fails:
                raise ZeroDivisionError

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + CLOSE)
        await wire.rest()
    assert {tuple((await within(told.get()))[0]) for _ in range(2)} == {("lifecycle", "complete"), ("stream", event)}
    assert told.empty()


async def test_a_client_that_leaves_is_told_as_such(app, serve, told):
    @app.get("/")
    async def endless(request):
        async def write(response):
            await response.write("abc")
            await asyncio.Event().wait()

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + CLOSE)
        await wire.until(b"abc\r\n")
        wire.reset()
        assert (await within(told.get()))[2] == "client left"


async def test_the_life_of_the_server_is_told(app):
    seen = []
    for event in ("server.init.before", "server.init.after", "server.shutdown.before", "server.shutdown.after"):
        app.signal(event)(lambda app, event=event: seen.append(event))
    server = await app.create_server("127.0.0.1", 0)
    assert seen == ["server.init.before", "server.init.after"]
    server.close()
    await server.wait_closed()
    assert seen[2:] == ["server.shutdown.before", "server.shutdown.after"]


async def test_a_signal_of_your_own_is_waited_for(app):
    waiting = asyncio.create_task(app.event("orders.book.sold", timeout=5))
    await asyncio.sleep(0)
    await app.dispatch("orders.book.sold", context={"number": 3})
    assert await waiting == {"number": 3}
    with pytest.raises(TimeoutError):
        await app.event("orders.book.sold", timeout=0)


async def test_a_handler_that_fails_keeps_nobody_else_from_being_told(app, caplog):
    seen = []
    app.signal("a.b.c")(lambda: 1 / 0)
    app.signal("a.b.c")(lambda: seen.append(1))
    await app.dispatch("a.b.c")
    assert seen == [1] and "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("event", ["one", "one.two", "http.unknown.event", "server.a.b", "a.b.c.d", "A.b.c"])
def test_a_signal_that_does_not_exist_is_refused(app, event):
    with pytest.raises(InvalidSignal):
        app.add_signal(print, event)


async def test_a_blueprint_brings_its_signals(app):
    seen, blueprint = [], Blueprint("b")
    blueprint.signal("a.b.c")(lambda: seen.append(1))
    app.blueprint(blueprint)
    await app.dispatch("a.b.c")
    assert seen == [1]


async def test_a_request_is_told_of_before_its_middleware(app, serve):
    order = []
    app.on_request(lambda request: order.append("middleware"))
    app.signal("http.lifecycle.request")(lambda request: order.append(request.path))
    app.get("/a")(lambda request: text("abc"))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /a HTTP/1.1\r\n" + CLOSE)
        await wire.rest()
    assert order == ["/a", "middleware"]


@pytest.mark.parametrize("respond", [False, True], ids=["returned", "respond()"])
async def test_a_response_is_told_of_while_its_head_can_be_seen(app, serve, respond):
    told = []
    app.on_response(lambda request, response: response.headers.update({"X-Last": "yes"}))

    @app.signal("http.lifecycle.response")
    async def see(request, response):
        told.append((request.path, response.status, response.headers["X-Last"]))

    @app.get("/")
    async def handler(request):
        if not respond:
            return text("abc", 202)
        await (await request.respond(status=202)).eof()
        return None

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + CLOSE)
        await wire.rest()
    assert told == [("/", 202, "yes")]


@pytest.mark.parametrize("cut", [False, True], ids=["before the head", "behind it"])
async def test_an_exception_is_told_of_and_answered_as_ever(app, serve, cut, caplog):
    told = []
    app.signal("http.lifecycle.exception")(lambda request, exception: told.append((request.path, repr(exception))))
    app.signal("server.exception.report")(lambda exception: told.append(repr(exception)))

    @app.get("/")
    async def fails(request):
        async def write(response):
            if cut:
                await response.write("abc")
            raise ZeroDivisionError

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\n" + CLOSE)
        answer = await wire.rest()
    assert told == [("/", "ZeroDivisionError()"), "ZeroDivisionError()"]
    assert answer.startswith(b"HTTP/1.1 200" if cut else b"HTTP/1.1 500")


@pytest.mark.parametrize("name", ["report_exception", "catch_exception"])
async def test_exceptions_are_reported_with_the_application(app, serve, name, caplog):
    told = []

    @getattr(app, name)
    async def report(its_app, error):
        told.append((its_app, str(error)))

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /nowhere HTTP/1.1\r\n" + CLOSE)
        await wire.rest()
    assert told == [(app, "Requested URL /nowhere not found")]


async def test_a_task_that_fails_is_reported(app, serve, caplog):
    told = asyncio.get_running_loop().create_future()
    app.report_exception(lambda app, error: told.set_result(error))

    async def fails():
        raise ZeroDivisionError

    await serve(app)
    app.add_task(fails())
    assert isinstance(await within(told), ZeroDivisionError)


async def test_a_reporter_that_fails_changes_no_answer(app, serve, caplog):
    @app.report_exception
    async def report(app, error):
        raise KeyError

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /nowhere HTTP/1.1\r\n" + CLOSE)
        assert (await wire.rest()).startswith(b"HTTP/1.1 404")
    assert "a handler of the signal server.exception.report failed" in caplog.text
