"""Under other servers too, what a handler sets in its context is not seen by the next request of its connection."""

import asyncio
from contextvars import ContextVar

import pytest
import uvloop

from sanicish import Sanic
from sanicish.response import text
from tests.asgi.servers import each_server, served
from tests.doubles.wire import Wire

OWN = ContextVar("own", default="none")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\nExpect: 100-continue\r\n\r\n"


def application(seen):
    app = Sanic("contexts", configure_logging=False, register=False, load_env=False)
    app.config.REQUEST_BUFFER_SIZE = 1_000

    @app.route("/", methods=["GET", "POST"], stream=True)
    async def handler(request):
        seen.append(OWN.get())
        OWN.set("set")
        async for _ in request.stream:
            await asyncio.sleep(0)
        return text("done")

    return app


pytestmark = pytest.mark.slow


@each_server("hypercorn", "hypercorn-http2", "granian-http2")  # the first sends no 100 before it is asked twice
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_no_request_begins_with_what_another_has_set(tmp_path, kind, loop):
    seen = []

    async def run():
        path = tmp_path / "socket"
        async with served(kind, application(seen), path), Wire(str(path)) as wire:
            for _ in range(3):
                wire.send(UPLOAD)
                await wire.until(b"100 Continue\r\n\r\n")
                wire.send(b"x" * 400_000)
                await wire.answer("POST")
                for _ in range(2):
                    wire.send(GET)
                    await wire.answer()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert seen == ["none"] * 9
