"""What a handler can learn while it works: that its client has left, that the server is about to stop."""

import asyncio

import pytest

from sanicish import stream, text
from sanicish.exceptions import RequestCancelled
from tests.doubles.wire import Wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def within(awaitable):
    async with asyncio.timeout(5):
        return await awaitable


async def test_a_function_is_called_when_the_client_leaves(app, serve):
    started, left = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def work(request):
        request.on_disconnect(left.set)
        started.set()
        await asyncio.Event().wait()

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await within(started.wait())
        assert not left.is_set()
        wire.reset()
        await within(left.wait())


async def test_a_handler_can_catch_its_cancellation_by_the_name_sanic_gave_it(app, serve):
    started, caught = asyncio.Event(), asyncio.Queue()

    @app.get("/")
    async def work(request):
        started.set()
        try:
            await asyncio.Event().wait()
        except RequestCancelled:
            caught.put_nowait(request.cancel_reason)
            raise

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await within(started.wait())
        wire.reset()
        assert await within(caught.get()) == "disconnect"


@pytest.mark.parametrize("leave", [Wire.reset, Wire.half_close, lambda wire: wire.writer.close()])
async def test_a_shielded_handler_sees_that_its_client_has_left(app, serve, leave):
    started, seen = asyncio.Event(), asyncio.Queue()

    @app.get("/", shield=True)
    async def work(request):
        seen.put_nowait(request.is_disconnected)
        started.set()
        await request.disconnected()
        seen.put_nowait(request.is_disconnected)
        late = []
        request.on_disconnect(lambda: late.append("at once"))
        seen.put_nowait(late)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await within(started.wait())
        leave(wire)
        assert [await within(seen.get()) for _ in range(3)] == [False, True, ["at once"]]


async def test_nobody_is_told_of_a_client_that_has_its_answer(app, serve):
    told = []

    @app.get("/")
    async def work(request):
        request.on_disconnect(lambda: told.append("left"))
        return text("whole")

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await wire.rest()
    await asyncio.sleep(0)
    assert told == []


async def test_a_function_that_fails_keeps_nobody_else_from_being_told(app, serve, caplog):
    left = asyncio.Event()

    @app.get("/")
    async def work(request):
        request.on_disconnect(lambda: 1 / 0)
        request.on_disconnect(left.set)
        started.set()
        await asyncio.Event().wait()

    started = asyncio.Event()
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await within(started.wait())
        wire.reset()
        await within(left.wait())
    assert "ZeroDivisionError" in caplog.text


async def test_a_coroutine_function_is_refused_where_it_is_given(app, serve):
    async def later():
        pass

    @app.get("/")
    async def work(request):
        with pytest.raises(TypeError, match="plain function"):
            request.on_disconnect(later)
        return text("refused")

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"refused")


async def test_a_stream_says_goodbye_when_the_server_stops(app):
    @app.get("/")
    async def clock(request):
        async def write(response):
            await response.write("tick")
            await request.shutdown()
            await response.write("goodbye")

        return stream(write)

    server = await app.create_server("127.0.0.1", 0, access_log=False)
    async with Wire(("127.0.0.1", server.port)) as wire:
        wire.send(GET)
        await wire.until(b"tick\r\n")
        server.close()
        await wire.until(b"goodbye\r\n0\r\n\r\n")
    await within(server.wait_closed())


async def test_an_endless_stream_is_cancelled_after_the_grace(app):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.05
    reasons = []

    @app.get("/")
    async def clock(request):
        async def write(response):
            try:
                await response.write("tick")
                await asyncio.Event().wait()
            finally:
                reasons.append(request.cancel_reason)

        return stream(write)

    server = await app.create_server("127.0.0.1", 0, access_log=False)
    async with Wire(("127.0.0.1", server.port)) as wire:
        wire.send(GET)
        await wire.until(b"tick\r\n")
        server.close()
        assert not (await wire.rest()).endswith(b"0\r\n\r\n"), "cut, and not ended"
    await within(server.wait_closed())
    assert reasons == ["shutdown"]
