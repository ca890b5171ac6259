"""Whatever came before it on its connection, an exchange begins with the context of the server."""

import asyncio
from contextvars import ContextVar, copy_context

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from sanicish import Sanic
from sanicish.exceptions import SanicException
from sanicish.response import text
from tests.doubles.wire import Wire

STARTED = ContextVar("started")
OWN = ContextVar("own", default="none")

KINDS = ("plain", "read", "hosted", "written", "sync", "task", "left", "broken")
STREAMS = ("read", "written", "left")
BODIES = (0, 10, 70_000, 200_000)


class Looking(Sanic):
    """An application whose every handler sets a variable; it looks at the context before any of them."""

    def __init__(self):
        super().__init__("contexts", configure_logging=False, register=False, load_env=False)
        self.begun = []
        self.later = []
        self.config.REQUEST_BUFFER_SIZE = 10_000
        self.config.RESPONSE_BUFFER_SIZE = 10_000
        self.register_listener(self.begin, "before_server_start")
        for kind in KINDS:
            if kind != "hosted":
                self.add_route(getattr(self, kind), f"/{kind}/<n:int>", methods=["POST"], stream=kind in STREAMS)
        self.mount("/hosted", self.application)

    def begin(self, app):
        STARTED.set("started")

    def handle(self, exchange):
        self.begun.append({var: value for var, value in copy_context().items() if var in (STARTED, OWN)})
        return super().handle(exchange)

    async def plain(self, request, n):
        OWN.set(n)
        return text("")

    async def read(self, request, n):
        OWN.set(n)
        async for _ in request.stream:
            await asyncio.sleep(0)
        return text("")

    async def application(self, scope, receive, send):
        OWN.set("hosted")
        while (await receive()).get("more_body"):
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
        await send({"type": "http.response.body"})

    async def written(self, request, n):
        OWN.set(n)
        await request.stream.read()  # or the rest of a large body would end the connection
        response = await request.respond()
        response.on_complete(lambda outcome: self.later.append((OWN.get(), n)))
        for _ in range(20):
            await response.write(b"x" * 20_000)
            await request.stream.read()
        await request.stream.read_all()
        await response.eof()

    def sync(self, request, n):
        OWN.set(n)
        for _ in range(3):
            self.later.append((OWN.get(), n))
            yield "x"

    async def task(self, request, n):
        OWN.set(n)
        self.add_task(self.work(n))
        return text("")

    async def work(self, n):
        await asyncio.sleep(0)
        self.later.append((OWN.get(), n))
        OWN.set("work")

    async def left(self, request, n):
        OWN.set(n)
        request.on_disconnect(lambda: self.later.append((OWN.get(), n)))
        await request.receive_body()
        return text("")

    async def broken(self, request, n):
        OWN.set(n)
        raise SanicException("broken")


async def run(app, raw, size):
    """Send all of it on one connection, so many bytes at a time, and wait for every response."""
    server = await app.create_server(port=0, access_log=False)
    try:
        async with Wire(server.sockets[0].getsockname()) as wire:
            for pos in range(0, len(raw), size):
                wire.send(raw[pos : pos + size])
                await asyncio.sleep(0)
            await wire.rest()
    finally:
        server.close()
        await server.wait_closed()


exchanges = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(BODIES)), min_size=2, max_size=8)


@pytest.mark.slow
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@given(exchanges, st.sampled_from((3_000, 65_536, 10_000_000)))
def test_every_exchange_begins_with_the_context_of_the_server(loop, sent, size):
    app = Looking()
    heads = [
        b"POST /%b/%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (kind.encode(), n, body)
        for n, (kind, body) in enumerate(sent)
    ]
    heads[-1] += b"Connection: close\r\n"  # a client that ends its side gets few moments, too few on a busy machine
    raw = b"".join(head + b"\r\n" + b"x" * body for head, (_, body) in zip(heads, sent, strict=True))
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run(app, raw, size))
    assert len(app.begun) == len(sent)
    assert all(one == {STARTED: "started"} for one in app.begun)
    assert all(found == own for found, own in app.later)
