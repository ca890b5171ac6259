"""Every exchange begins with the context variables that the server was started with, and keeps its own to itself."""

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from sanicish import Sanic
from sanicish.response import text
from tests.doubles.wire import Wire, talk

STARTED = ContextVar("started")  # set by the start
OWN = ContextVar("own", default="none")  # set by handlers

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000


class Looking(Sanic):
    """An application that looks at the context in which each exchange begins."""

    def __init__(self, factory=None):
        super().__init__("contexts", configure_logging=False, register=False, load_env=False)
        self.begun = []
        self.factory = factory
        self.register_listener(self.begin, "before_server_start")
        self.register_listener(self.look, "after_server_start")
        self.add_route(self.get, "/<number:int>", methods=["GET"])
        self.add_route(self.post, "/<number:int>", methods=["POST"], stream=True, name="post")

    def begin(self, app):
        STARTED.set("before")
        if self.factory is not None:
            asyncio.get_running_loop().set_task_factory(self.factory)

    def look(self, app):
        self.server_context = copy_context()

    def handle(self, exchange):
        self.begun.append(copy_context())
        return super().handle(exchange)

    async def get(self, request, number):
        OWN.set(f"get {number}")
        await asyncio.sleep(0)
        return text("got")

    async def post(self, request, number):
        OWN.set(f"post {number}")
        async for _ in request.stream:
            await asyncio.sleep(0)
        return text("taken")

    def assert_own(self, count):
        assert [dict(one) for one in self.begun] == [dict(self.server_context)] * count
        assert all(one[STARTED] == "before" for one in self.begun)


def own_factory(loop, coroutine, context=None, **options):
    return asyncio.Task(coroutine, loop=loop, context=context)


FACTORIES = {"no factory": None, "a factory": own_factory}


@pytest.mark.parametrize("factory", FACTORIES.values(), ids=FACTORIES)
async def test_what_a_handler_sets_is_not_seen_by_the_request_behind_it(serve, factory):
    app = Looking(factory)
    raw = GET % 1 + UPLOAD % 2 + UPLOAD % 3 + GET % 4 + GET % 5
    assert (await talk(await serve(app), raw, half_close=True)).count(b" 200 OK") == 5
    app.assert_own(5)


async def test_what_is_sent_after_reading_had_paused_begins_a_context_of_its_own(serve):
    app = Looking()
    app.config.REQUEST_BUFFER_SIZE = 1_000
    async with Wire(await serve(app)) as wire:
        for number in range(4):
            wire.send(UPLOAD % number)
            await wire.answer("POST")
    app.assert_own(4)


async def test_callbacks_of_a_request_see_its_context(app, serve):
    seen, done = [], asyncio.Event()

    @app.get("/<number:int>")
    async def handler(request, number):
        OWN.set(number)
        request.on_disconnect(lambda: seen.append(("left", OWN.get())))
        response = await request.respond()
        response.on_complete(lambda outcome: (seen.append(("ended", OWN.get())), done.set()))
        await response.write(b"x" * number)
        await response.flush()
        if number == 3:
            await asyncio.Event().wait()
        await response.eof()

    async with Wire(await serve(app)) as wire:
        wire.send(GET % 1 + GET % 2 + GET % 3)
        await wire.until(b"xxx")
        done.clear()
        wire.reset()
        async with asyncio.timeout(10):
            await done.wait()
    assert seen == [("ended", 1), ("ended", 2), ("left", 3), ("ended", 3)]


async def test_tasks_of_a_handler_have_its_context(app, serve):
    seen, done = [], asyncio.Event()

    async def work(number):
        await asyncio.sleep(0)
        seen.append((number, OWN.get()))
        OWN.set("work")
        if number == 2:
            done.set()

    @app.get("/<number:int>")
    async def handler(request, number):
        seen.append(OWN.get())
        OWN.set(number)
        app.add_task(work(number))
        return text("")

    await talk(await serve(app), GET % 1 + GET % 2, half_close=True)
    async with asyncio.timeout(10):
        await done.wait()
    assert sorted(seen, key=str) == [(1, 1), (2, 2), "none", "none"]


async def test_who_asks_for_the_stop_does_not_lend_it_a_context(app):
    seen = []

    @app.before_server_start
    def begin(app):
        STARTED.set("before")

    @app.after_server_stop
    def end(app):
        seen.append((STARTED.get(), OWN.get()))

    @app.get("/<number:int>")
    def handler(request, number):
        OWN.set(number)
        app.stop()
        return text("")

    server = await app.create_server(port=0, access_log=False)
    await talk(server.sockets[0].getsockname(), GET % 1)
    await server.wait_closed()
    assert seen == [("before", "none")]
