"""An application may set ``asyncio.eager_task_factory``: a handler then runs, and may end, as its task is created."""

import asyncio
import sys

import pytest

from sanicish.response import text
from tests.cases.requests import head
from tests.doubles.wire import Wire, talk

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12")

CLOSING = head(b"GET / HTTP/1.1", b"Connection: close")


def eager(loop, coroutine, context=None, name=None, **options):
    return asyncio.eager_task_factory(loop, coroutine, context=context, name=name)


@pytest.fixture
def app(app):
    @app.before_server_start
    def begin(app):
        asyncio.get_running_loop().set_task_factory(eager)

    @app.route("/", methods=["GET", "POST"])
    async def handler(request):
        return text("done")

    return app


async def test_no_connection_is_left(app):
    server = await app.create_server(port=0, access_log=False)
    address = server.sockets[0].getsockname()
    for _ in range(20):
        assert b" 200 OK" in await talk(address, CLOSING)
    async with asyncio.timeout(10):
        while server.connections:
            await asyncio.sleep(0.001)
    server.close()
    await server.wait_closed()


async def test_pipelined_requests_need_no_stack(app, serve):
    raw = head(b"GET / HTTP/1.1") * 3_000 + CLOSING
    assert (await talk(await serve(app), raw)).count(b" 200 OK") == 3_001


async def test_a_handler_that_is_not_done_at_once_can_still_be_cancelled(app, serve):
    cancelled = asyncio.Event()

    @app.get("/long")
    async def long(request):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(head(b"GET / HTTP/1.1"))
        await wire.answer()
        wire.send(head(b"GET / HTTP/1.1") + head(b"GET /long HTTP/1.1"))
        await wire.answer()
        wire.reset()
        async with asyncio.timeout(10):
            await cancelled.wait()


async def test_a_listener_that_asks_for_the_stop_again_stops_once(app, serve):
    stops = []

    @app.before_server_stop
    def stop(app):
        stops.append("before")
        app.stop()

    @app.after_server_stop
    def stopped(app):
        stops.append("after")

    server = await app.create_server(port=0, access_log=False)
    server.close()
    await server.wait_closed()
    assert stops == ["before", "after"]
