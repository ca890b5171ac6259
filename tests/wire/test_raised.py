"""Whatever code of an application raises: what its client, the log and the server see."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import pytest

from sanicish import stream, text
from sanicish.exceptions import NotFound, SanicException
from tests.doubles.asgi import AsgiServer, scope_of
from tests.doubles.wire import Wire, talk
from tests.waiting import until


class Own(BaseException):
    """An exception class of an application that is no ``Exception``."""


KINDS = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("by the code itself"),
    "GeneratorExit": lambda: GeneratorExit("by the code itself"),
    "own": lambda: Own("own"),
    "group": lambda: BaseExceptionGroup("several", [SystemExit(3), ValueError()]),
    "ValueError": lambda: ValueError("as ever"),
}

every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)

ALIVE = b"GET /alive HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@dataclass
class Place:
    """Where something is raised: how an application comes to do that, and what is to be seen then.

    ``status`` is of the response, ``whole`` says whether it comes to its end; ``logged`` how many lines of ERROR there are.
    """

    build: Any
    status: int = 500
    whole: bool = True
    logged: int = 1


def handler(app, make):
    @app.get("/a")
    def handle(request):
        raise make()


def handler_later(app, make):
    @app.get("/a")
    async def handle(request):
        await asyncio.sleep(0)
        raise make()


def request_middleware(app, make):
    ok(app)

    @app.on_request
    async def fail(request):
        if request.path == "/a":
            raise make()


def early_middleware(app, make):
    ok(app)

    @app.on_request(before_body=True)
    def fail(request):
        if request.path == "/a":
            raise make()


def response_middleware(app, make):
    ok(app)

    @app.on_response
    async def fail(request, response):
        if request.path == "/a":
            raise make()


def ok(app):
    app.get("/a")(lambda request: text("ok"))


def async_generator(app, make, begun=False):
    async def pieces():
        if begun:
            yield "begun"
        await asyncio.sleep(0)
        raise make()
        yield

    app.get("/a")(lambda request: pieces())


def sync_generator(app, make, begun=False, **options):
    def pieces():
        if begun:
            yield "begun"
        raise make()
        yield

    app.get("/a", **options)(lambda request: pieces())


def function(app, make, begun=False):
    async def write(response):
        if begun:
            await response.write("begun")
        raise make()

    app.get("/a")(lambda request: stream(write))


def responding(app, make, begun=False):
    @app.get("/a")
    async def handle(request):
        response = await request.respond()
        if begun:
            await response.send("begun")
        raise make()


def begun(build, **options):
    return lambda app, make: build(app, make, begun=True, **options)


def closing(app, make):
    async def pieces():
        try:
            yield "begun"
            yield "more"
        finally:
            raise make()

    app.get("/a")(lambda request: pieces())


def completing(app, make):
    @app.get("/a")
    async def handle(request):
        response = text("ok")

        @response.on_complete
        @response.on_complete
        def fail(outcome):
            raise make()

        return response


def exception_handler(app, make):
    @app.exception(NotFound)
    async def answer(request, error):
        raise make()

    @app.get("/a")
    async def handle(request):
        raise NotFound("nothing")


def reporter(app, make):
    @app.report_exception
    async def report(app, error):
        raise make()

    @app.get("/a")
    async def handle(request):
        raise ValueError


def task(app, make):
    @app.get("/a")
    async def handle(request):
        async def work():
            raise make()

        running = app.add_task(work())
        await asyncio.wait([running])
        await asyncio.sleep(0)
        return text("ok")


def task_that_waits(app, make):
    @app.get("/a")
    async def handle(request):
        async def work():
            await asyncio.sleep(0)
            raise make()

        await asyncio.wait([app.add_task(work)])
        await asyncio.sleep(0)
        return text("ok")


def signal(app, make):
    @app.signal("shop.order.made")
    async def hear(**context):
        raise make()

    @app.get("/a")
    async def handle(request):
        await app.dispatch("shop.order.made")
        return text("ok")


def signal_of_the_end(app, make):
    ok(app)

    @app.signal("http.lifecycle.complete")
    async def hear(request, **context):
        if request.path == "/a":
            raise make()


def hosted(app, make):
    async def other(scope, receive, send):
        raise make()

    app.mount("/a", other)


def notified(app, make):
    """on_disconnect: called at once here, for it is too late to be told; see below for when the client leaves."""

    @app.get("/a")
    async def handle(request):
        @request.on_disconnect
        def fail():
            raise make()

        request._exchange.notify("disconnect")
        return text("ok")


PLACES = {
    "handler": Place(handler),
    "async handler": Place(handler_later),
    "request middleware": Place(request_middleware),
    "request middleware before the body": Place(early_middleware),
    "response middleware": Place(response_middleware, 200),
    "async generator": Place(async_generator),
    "async generator, begun": Place(begun(async_generator), 200, whole=False),
    "async generator, as it is closed": Place(closing, 200, whole=False),
    "sync generator": Place(sync_generator),
    "sync generator, begun": Place(begun(sync_generator), 200, whole=False),
    "sync generator, inline": Place(lambda app, make: sync_generator(app, make, inline=True)),
    "sync generator, inline, begun": Place(begun(sync_generator, inline=True), 200, whole=False),
    "streaming function": Place(function),
    "streaming function, begun": Place(begun(function), 200, whole=False),
    "respond": Place(responding),
    "respond, begun": Place(begun(responding), 200, whole=False),
    "on_complete": Place(completing, 200, logged=2),
    "on_disconnect": Place(notified, 200),
    "exception handler": Place(exception_handler),
    "reporter": Place(reporter, logged=2),
    "task": Place(task, 200),
    "task that waits": Place(task_that_waits, 200),
    "signal": Place(signal, 200),
    "signal of the end": Place(signal_of_the_end, 200),
    "hosted application": Place(hosted),
}


class Other:
    """A stream that is open meanwhile, to see that it goes on."""

    def __init__(self, app) -> None:
        self.go_on = asyncio.Event()

        app.get("/alive")(lambda request: text("alive"))

        @app.get("/other")
        async def other(request):
            async def write(response):
                await response.write("first")
                await self.go_on.wait()
                await response.write("last")

            return stream(write)


def errors_of(caplog):
    return [record for record in caplog.records if record.levelname == "ERROR"]


@every_kind
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_what_is_raised_ends_no_more_than_its_response(app, serve, caplog, place, make):
    place.build(app, make)
    other = Other(app)
    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(b"GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await wire.until(b"first\r\n")
        answer = await talk(address, GET)
        assert answer.startswith(b"HTTP/1.1 %d " % place.status)
        assert (b"Content-Length" in answer or answer.endswith(b"0\r\n\r\n")) is place.whole
        await until(lambda: len(errors_of(caplog)) >= place.logged)
        assert (await talk(address, ALIVE)).endswith(b"alive")
        other.go_on.set()
        assert (await wire.rest()).endswith(b"last\r\n0\r\n\r\n")
    logged = errors_of(caplog)
    assert len(logged) == place.logged
    assert all(record.exc_info for record in logged)
    assert type(make()).__name__ in caplog.text


@every_kind
async def test_it_is_reported_and_has_exception_handlers(app, serve, make):
    reported = []
    app.report_exception(lambda app, error: reported.append(type(error)))
    kind = type(make())
    app.exception(kind)(lambda request, error: text(f"caught {type(error).__name__}", 418))
    handler(app, make)
    answer = await talk(await serve(app), GET)
    assert answer.startswith(b"HTTP/1.1 418 ")
    assert answer.endswith(f"caught {kind.__name__}".encode())
    assert reported == [kind]


@every_kind
async def test_failure_of_a_task_is_reported_as_it_was_raised(app, serve, make):
    reported = asyncio.Queue()
    app.report_exception(lambda app, error: reported.put_nowait(type(error)))
    task(app, make)
    await talk(await serve(app), GET)
    async with asyncio.timeout(10):
        assert await reported.get() is type(make())


@every_kind
async def test_listener_that_fails_at_the_stop_keeps_no_other_from_running(app, make, caplog):
    ran = []
    for event in ("before_server_stop", "after_server_stop"):

        async def fail(app):
            raise make()

        app.listener(event)(lambda app, event=event: ran.append(event))
        app.listener(event)(fail)
    server = await app.create_server(port=0, access_log=False)
    server.close()
    await server.wait_closed()
    assert ran == ["before_server_stop", "after_server_stop"]
    assert len(errors_of(caplog)) == 2


@every_kind
async def test_function_that_fails_as_the_client_leaves(app, serve, make, caplog):
    waiting, cleaned = asyncio.Event(), asyncio.Event()

    @app.get("/a")
    async def handle(request):
        @request.on_disconnect
        def fail():
            raise make()

        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    address = await serve(app)
    async with asyncio.timeout(10), Wire(address) as wire:
        wire.send(GET)
        await waiting.wait()
        wire.reset()
        await cleaned.wait()
    assert len(errors_of(caplog)) == 1
    assert (await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 404 ")


@every_kind
async def test_under_asgi(app, make, caplog):
    @app.get("/")
    async def handle(request):
        raise make()

    server = AsgiServer()
    async with asyncio.timeout(10):
        await app(scope_of(), server.receive, server.send)
    assert server.status == 500
    assert server.ended
    assert len(errors_of(caplog)) == 1


# CancelledError that nobody has asked for


@pytest.mark.parametrize("listened", [False, True])
async def test_cancellation_that_the_handler_raises_itself(app, serve, listened):
    if listened:
        app.exception(asyncio.CancelledError)(lambda request, error: text("caught", 418))

    @app.get("/a")
    async def handle(request):
        raise asyncio.CancelledError

    answer = await talk(await serve(app), GET)
    assert answer.startswith(b"HTTP/1.1 418 " if listened else b"HTTP/1.1 500 ")


@pytest.mark.parametrize("wait", [False, True])
async def test_cancellation_that_was_asked_for_has_no_exception_handler(app, serve, wait):
    asked, cleaned = [], asyncio.Event()
    app.exception(asyncio.CancelledError, BaseException)(lambda request, error: asked.append(error))
    waiting = asyncio.Event()

    @app.get("/a")
    async def handle(request):
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            if wait:
                with contextlib.suppress(asyncio.CancelledError):
                    raise asyncio.CancelledError
            cleaned.set()

    async with asyncio.timeout(10), Wire(await serve(app)) as wire:
        wire.send(GET)
        await waiting.wait()
        wire.reset()
        await cleaned.wait()
        await until(lambda: not app.connections)
    assert asked == []


# Exceptions whose class has more to say


class Told(SanicException):
    """Its message is a property, complete only after the constructor."""

    status_code = 418

    def __init__(self, what, first):
        if first:
            self.what = what
        super().__init__()
        self.what = what

    @property
    def message(self):
        return f"no {self.what}"


@pytest.mark.parametrize("first", [False, True])
async def test_message_may_be_a_property(app, serve, first):
    @app.get("/a")
    async def handle(request):
        raise Told("tea", first)

    answer = await talk(await serve(app), GET)
    assert answer.startswith(b"HTTP/1.1 418 ")
    assert (b"no tea" in answer) is first


class Dumb(SanicException):
    """It cannot say what it is."""

    def __str__(self):
        raise ValueError


async def test_exception_that_cannot_say_what_it_is_gives_its_page(app, serve, caplog):
    @app.get("/a")
    async def handle(request):
        raise Dumb(status_code=500)

    answer = await talk(await serve(app), GET)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.rstrip().endswith(b"Dumb")
