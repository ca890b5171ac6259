"""Decorators that await what they are given until it is not awaitable come to their end."""

import asyncio
from functools import wraps
from inspect import isawaitable
from pathlib import Path

import pytest

import sanicish
from sanicish import (
    HTTPResponse,
    Response,
    Sanic,
    StreamingHTTPResponse,
    html,
    json,
    make_response,
    redirect,
    stream,
    stream_template_string,
    text,
)
from sanicish.response.awaitable import awaitable_once
from tests.doubles.wire import Wire, talk

ENOUGH = 3  # a coroutine that makes something that may be awaited once


async def plain(value):
    """What the loops of such decorators come to; fails where they would go on for ever."""
    for _ in range(ENOUGH):
        if not isawaitable(value):
            return value
        value = await value
    raise AssertionError(f"{value!r} is awaitable however often it was awaited")


def greedy(handler):
    """As sanic-cors and sanic-restplus do."""

    @wraps(handler)
    async def handle(*args, **values):
        return await plain(handler(*args, **values))

    return handle


class Own(HTTPResponse):
    """A response class of an application."""


class Sparse(HTTPResponse):
    """One without a dictionary."""

    __slots__ = ("note",)


def pieces():
    yield "streamed"


RESPONSES = {
    "text": lambda: text("x"),
    "json": lambda: json({}),
    "html": lambda: html("x"),
    "redirect": lambda: redirect("/"),
    "HTTPResponse": lambda: HTTPResponse("x"),
    "StreamingHTTPResponse": lambda: StreamingHTTPResponse(None),
    "stream": lambda: stream(lambda response: response.write("x")),
    "Response": lambda: Response("x"),
    "Response of a generator": lambda: Response(pieces()),
}


@pytest.mark.parametrize("make", RESPONSES.values(), ids=RESPONSES)
def test_response_is_not_awaitable(make):
    assert not isawaitable(make())


@pytest.mark.parametrize("body", ["x", {}, pieces, lambda: text("x"), lambda: Own("x"), lambda: Sparse("x"), stream])
async def test_what_make_response_gives_may_be_awaited_once(body):
    value = (body(print) if body is stream else body()) if callable(body) else body
    made = make_response(value)
    kind = next(one for one in (Own, Sparse, HTTPResponse, StreamingHTTPResponse) if isinstance(made, one))
    made.headers["A"] = "1"
    assert isawaitable(made)
    response = await made
    assert response is made
    assert not isawaitable(response)
    assert type(response) is kind
    assert response.headers["A"] == "1"


async def test_making_a_response_twice_takes_one_await():
    made = make_response(make_response("x"))
    assert not isawaitable(await made)


async def test_value_that_is_awaitable_is_left_alone():
    made = awaitable_once(awaitable_once(Own("x")))
    assert type(await made) is Own


def page():
    return stream_template_string("{{ 1 }}")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_template_may_be_awaited_once(app, serve, asynchronous):
    app.jinja_options["enable_async"] = asynchronous
    seen = []

    @app.get("/a")
    async def handler(request):
        made = page()
        assert isawaitable(made)
        seen.append(await plain(made))
        return seen[0]

    answer = await talk(await serve(app), b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert not isawaitable(seen[0])
    assert answer.startswith(b"HTTP/1.1 200")


RETURNED = {
    **RESPONSES,
    "make_response": lambda: make_response("x"),
    "make_response of a stream": lambda: make_response(pieces()),
    "template": page,
}
RETURNED.pop("StreamingHTTPResponse")


@pytest.mark.parametrize("make", RETURNED.values(), ids=RETURNED)
@pytest.mark.parametrize("decorate", [greedy, lambda handler: handler], ids=["greedy", "plain"])
def test_handler_may_be_decorated_by_such_a_loop(app, make, decorate):
    app.get("/a")(decorate(lambda request: make()))
    app.on_response(lambda request, response: make_response(response) and None)
    answer = app.test_client.get("/a", gather_request=False, allow_redirects=False)
    assert answer.status in (200, 302)


# What awaiting our other objects gives


WRITES = {
    "write": lambda response: response.write("x"),
    "write nothing": lambda response: response.write(""),
    "write much": lambda response: response.write(b"x" * 300_000),
    "send": lambda response: response.send("x"),
    "write_json": lambda response: response.write_json({}),
    "write_row": lambda response: response.write_row([1]),
    "flush": lambda response: response.flush(),
    "eof": lambda response: response.eof(),
    "end by send": lambda response: response.send(),
    "end by send with data": lambda response: response.send("x", True),
}


@pytest.mark.parametrize("act", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_awaiting_a_write_ends(app, serve, act, debug, coding):
    ended = []
    app.compress("gzip")

    @app.get("/a")
    async def handler(request):
        response = await plain(request.respond())
        ended.append(await plain(act(response)))
        await plain(response.eof())

    head = f"GET /a HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n"
    await talk(await serve(app, debug=debug), head.encode())
    assert ended == [None]


async def test_awaiting_what_the_application_gives_ends(app):
    assert await plain(app.update_template_context({})) is None
    server = await app.create_server(port=0, access_log=False, asyncio_server_kwargs={"start_serving": False})
    assert await plain(server) is None
    server.close()
    await server.wait_closed()


async def test_awaiting_a_write_to_nobody_ends_by_its_error(app, serve):
    ended = asyncio.Event()

    @app.get("/a", stream=True)
    async def handler(request):
        response = await request.respond()
        await response.write("x")
        try:
            while True:
                await plain(response.write(b"x" * 100_000))
        finally:
            ended.set()

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"x")
        wire.reset()
        async with asyncio.timeout(10):
            await ended.wait()


def test_every_class_that_can_be_awaited_is_looked_at_here():
    root = Path(sanicish.__file__).parent
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if "def __await__" in path.read_text("utf-8")}
    assert found == {
        "response/awaitable.py",
        "streams/flow.py",
        "compression/exchange.py",
        "debug/watched.py",
        "server/embedded.py",
    }
    assert not hasattr(Sanic, "__await__")
