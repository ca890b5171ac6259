"""Clients that leave Starlette's streams on our server: each is ended at once, and none is an error."""

import asyncio
import gc

import pytest

pytest.importorskip("starlette")

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from tests.doubles.wire import PATIENCE, Wire, talk

pytestmark = pytest.mark.lazy_tasks  # the task groups of anyio 4.16 do not work with eager ones

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
LEAVE = {"close": lambda wire: wire.writer.close(), "half-close": Wire.half_close, "reset": Wire.reset}


async def within(awaitable):
    async with asyncio.timeout(PATIENCE):
        return await awaitable


class Idle:
    """A stream that sends one piece and then waits for something else than its client."""

    def __init__(self):
        self.events = []
        self.ended = asyncio.Event()

    async def __aiter__(self):
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            self.events.append("ended")
            self.ended.set()


@pytest.fixture
def outcomes(app):
    ends = asyncio.Queue()

    @app.signal("http.lifecycle.complete")
    async def end(outcome, **told):
        ends.put_nowait(str(outcome))

    return ends


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.fixture
def hosting(app, serve):
    async def host(endpoint, **options):
        options["routes"] = [Route("/", endpoint, methods=["GET", "POST"])]
        app.mount("/", Starlette(**options))
        return await serve(app)

    return host


async def pass_through(request, call_next):
    return await call_next(request)


WRAPPED = {
    "bare": [],
    "middleware": [Middleware(BaseHTTPMiddleware, dispatch=pass_through)],
    "gzip": [Middleware(GZipMiddleware)],
}


@pytest.mark.parametrize("middleware", list(WRAPPED.values()), ids=list(WRAPPED))
@pytest.mark.parametrize("leave", list(LEAVE.values()), ids=list(LEAVE))
@pytest.mark.parametrize("request_", [GET, POST], ids=["get", "post"])
async def test_an_idle_stream_is_ended(hosting, outcomes, caplog, request_, leave, middleware):
    idle = Idle()

    async def endpoint(request):
        await request.body()
        return StreamingResponse(idle)

    async with Wire(await hosting(endpoint, middleware=middleware)) as wire:
        wire.send(request_)
        await wire.until(b"begun\r\n")
        leave(wire)
        await within(idle.ended.wait())
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


@pytest.mark.parametrize("leave", list(LEAVE.values()), ids=list(LEAVE))
async def test_an_idle_stream_whose_request_body_was_not_read_is_ended(hosting, outcomes, caplog, leave):
    idle = Idle()

    async def endpoint(request):
        return StreamingResponse(idle)

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(POST)
        await wire.until(b"begun\r\n")
        leave(wire)
        await within(idle.ended.wait())
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


async def test_a_background_task_of_a_stream_runs_when_its_client_has_left(hosting, outcomes, caplog):
    """So it does on other servers, and what a stream has cost is written down by one."""
    idle = Idle()

    async def endpoint(request):
        await request.json()
        return StreamingResponse(idle, background=BackgroundTask(idle.events.append, "background"))

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        await wire.until(b"begun\r\n")
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert idle.events == ["ended", "background"]
    assert errors(caplog) == []


@pytest.mark.parametrize("middleware", list(WRAPPED.values()), ids=list(WRAPPED))
@pytest.mark.parametrize("waits", [False, True])
async def test_a_stream_that_sends_fast_is_ended_without_an_error(hosting, outcomes, caplog, middleware, waits):
    ended = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield b"more" * 1000
                if waits:
                    await asyncio.sleep(0)
        finally:
            ended.set()

    async def endpoint(request):
        return StreamingResponse(pieces())

    async with Wire(await hosting(endpoint, middleware=middleware)) as wire:
        wire.send(GET)
        await wire.until(b"more")
        wire.reset()
        assert await within(outcomes.get()) == "client left"
        gc.collect()  # one that is cancelled in its yield is left to it by Starlette
        await within(ended.wait())
    assert errors(caplog) == []


@pytest.mark.parametrize("middleware", list(WRAPPED.values()), ids=list(WRAPPED))
async def test_head_of_an_idle_stream_ends_it(hosting, outcomes, caplog, middleware):
    idle = Idle()

    async def endpoint(request):
        return StreamingResponse(idle, background=BackgroundTask(idle.events.append, "background"))

    answer = await talk(
        await hosting(endpoint, middleware=middleware), b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")
    await within(idle.ended.wait())
    assert await within(outcomes.get()) == "completed"
    assert errors(caplog) == []


async def test_an_endpoint_that_works_is_not_interrupted(hosting, outcomes, caplog):
    begun, go_on, seen = asyncio.Event(), asyncio.Event(), []

    async def endpoint(request):
        begun.set()
        await go_on.wait()
        seen.append("paid")
        return PlainTextResponse("thanks")

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(POST)
        await begun.wait()
        wire.reset()
        await asyncio.sleep(0.05)
        go_on.set()
        assert await within(outcomes.get()) == "client left"
    assert seen == ["paid"]
    assert errors(caplog) == []


async def test_a_cut_upload_is_no_error(hosting, outcomes, caplog):
    begun = asyncio.Event()

    async def endpoint(request):
        async for _ in request.stream():
            begun.set()

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await begun.wait()
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


async def test_a_stream_that_fails_is_logged_once(hosting, outcomes, caplog):
    async def pieces():
        yield b"begun"
        raise ValueError("secret")

    async def endpoint(request):
        return StreamingResponse(pieces())

    answer = await talk(await hosting(endpoint), GET)
    assert answer.endswith(b"5\r\nbegun\r\n")
    assert await within(outcomes.get()) == "failed"
    assert len(errors(caplog)) == caplog.text.count("\nValueError: secret") == 1


async def test_a_stream_that_fails_in_a_middleware_is_logged_once(hosting, outcomes, caplog):
    """It is ended cleanly all the same: the middleware has sent the end before it raises."""

    async def pieces():
        yield b"begun"
        raise ValueError("secret")

    async def endpoint(request):
        return StreamingResponse(pieces())

    await talk(await hosting(endpoint, middleware=WRAPPED["middleware"]), CLOSE)
    assert await within(outcomes.get()) == "completed"
    assert len(errors(caplog)) == 1
