"""``response.on_complete``: called exactly once for every response that was made, whatever became of it."""

import asyncio

import pytest

from sanicish import HTTPResponse, html, json, make_response, stream, text
from sanicish.asgi.exchange import AsgiExchange
from sanicish.response.completion import Completion
from tests.doubles.asgi import AsgiServer, scope_of
from tests.doubles.wire import Wire


async def a_write(response):
    await response.write("streamed")


def pieces():
    yield "streamed"


KINDS = {
    "text": lambda: text("whole"),
    "json": lambda: json({}),
    "stream": lambda: stream(a_write),
    "generator": lambda: make_response(pieces()),
    "with a header": lambda: html("x", headers={"A": "1"}),
}

every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


class Outcomes:
    """How often, and with what, each response was completed."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.some = asyncio.Event()

    def of(self, response):
        response.on_complete(self._add)
        return response

    def _add(self, outcome):
        self.seen.append(str(outcome))
        self.some.set()


async def ask(app, method="GET", path="/a", **options):
    """One request; gives all that the client saw, once the server has stopped."""
    server = await app.create_server(port=0, access_log=False, **options)
    try:
        async with Wire(server.sockets[0].getsockname()) as wire:
            wire.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            return await wire.rest()
    finally:
        server.close()
        await server.wait_closed()


@every_kind
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("debug", [False, True])
async def test_sent(app, make, method, debug):
    outcomes = Outcomes()

    @app.route("/a", methods=["GET", "HEAD"])
    async def handler(request):
        return outcomes.of(make())

    assert (await ask(app, method, debug=debug)).startswith(b"HTTP/1.1 200 ")
    assert outcomes.seen == ["completed"]


@pytest.mark.parametrize("status", [204, 205, 304])
@every_kind
async def test_without_a_body(app, make, status):
    outcomes = Outcomes()

    @app.get("/a")
    async def handler(request):
        response = outcomes.of(make())
        response.status = status
        return response

    await ask(app)
    assert outcomes.seen == ["completed"]


@every_kind
async def test_compressed(app, make):
    outcomes = Outcomes()
    app.compress("gzip", min_size=0)
    app.get("/a")(lambda request: outcomes.of(make()))
    await ask(app)
    assert outcomes.seen == ["completed"]


@every_kind
async def test_replaced_by_middleware(app, make):
    first, second = Outcomes(), Outcomes()
    app.get("/a")(lambda request: first.of(make()))
    app.on_response(lambda request, response: second.of(text("another")))
    assert (await ask(app)).endswith(b"another")
    assert (first.seen, second.seen) == (["failed"], ["completed"])


@every_kind
async def test_made_before_the_server_and_replaced(app, make):
    outcomes = Outcomes()
    response = outcomes.of(make())
    app.get("/a")(lambda request: response)
    app.on_response(lambda request, response: text("another"))
    await ask(app)
    assert outcomes.seen == ["failed"]


@every_kind
async def test_made_before_the_server_and_sent(app, make):
    outcomes = Outcomes()
    response = outcomes.of(make())
    app.get("/a")(lambda request: response)
    await ask(app)
    assert outcomes.seen == ["completed"]


@every_kind
async def test_never_returned(app, make):
    first, second = Outcomes(), Outcomes()

    @app.get("/a")
    async def handler(request):
        first.of(make())
        return second.of(text("this one"))

    await ask(app)
    assert (first.seen, second.seen) == (["failed"], ["completed"])


@every_kind
async def test_handler_fails_afterwards(app, make):
    outcomes = Outcomes()

    @app.get("/a")
    async def handler(request):
        outcomes.of(make())
        raise ValueError

    assert (await ask(app)).startswith(b"HTTP/1.1 500 ")
    assert outcomes.seen == ["failed"]


@every_kind
async def test_middleware_returns_what_is_no_response(app, make):
    outcomes = Outcomes()
    app.get("/a")(lambda request: outcomes.of(make()))
    app.on_response(lambda request, response: 5 if response.status == 200 else None)
    assert (await ask(app)).startswith(b"HTTP/1.1 500 ")
    assert outcomes.seen == ["failed"]


@every_kind
async def test_head_that_cannot_be_sent(app, make):
    outcomes = Outcomes()

    @app.get("/a")
    async def handler(request):
        response = outcomes.of(make())
        response.headers["A"] = "1"
        response.status = 99
        return response

    assert (await ask(app)).startswith(b"HTTP/1.1 500 ")
    assert outcomes.seen == ["failed"]


async def test_of_an_exception_handler_and_of_middleware_before_the_handler(app):
    outcomes = Outcomes()
    app.exception(ValueError)(lambda request, error: outcomes.of(text("sorry", 400)))
    app.on_request(lambda request: outcomes.of(text("early")) if request.path == "/early" else None)

    @app.get("/a")
    async def handler(request):
        raise ValueError

    await ask(app)
    await ask(app, path="/early")
    assert outcomes.seen == ["completed", "completed"]


@pytest.mark.parametrize("begun", [False, True])
async def test_stream_that_fails(app, begun):
    outcomes = Outcomes()

    async def write(response):
        if begun:
            await response.write("x")
        raise ValueError

    app.get("/a")(lambda request: outcomes.of(stream(write)))
    await ask(app)
    assert outcomes.seen == ["failed"]


@pytest.mark.parametrize("ended", [False, True])
async def test_respond(app, ended):
    given, begun = Outcomes(), Outcomes()

    @app.get("/a")
    async def handler(request):
        response = begun.of(await request.respond(given.of(text("x"))))
        if not ended:
            raise ValueError
        await response.eof()

    await ask(app)
    assert given.seen == begun.seen == ["completed" if ended else "failed"]


@every_kind
async def test_timed_out(app, make):
    outcomes = Outcomes()
    app.config.RESPONSE_TIMEOUT = 0.1

    @app.get("/a")
    async def handler(request):
        outcomes.of(make())
        await asyncio.Event().wait()

    assert (await ask(app)).startswith(b"HTTP/1.1 503 ")
    assert outcomes.seen == ["timed out"]


@pytest.mark.parametrize("begun", [False, True])
async def test_client_left(app, begun):
    outcomes, waiting = Outcomes(), asyncio.Event()

    async def write(response):
        if begun:
            await response.write("x")
        waiting.set()
        await asyncio.Event().wait()

    app.get("/a")(lambda request: outcomes.of(stream(write)))
    server = await app.create_server(port=0, access_log=False)
    async with asyncio.timeout(10), Wire(server.sockets[0].getsockname()) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await waiting.wait()
        wire.reset()
        await outcomes.some.wait()
    server.close()
    await server.wait_closed()
    assert outcomes.seen == ["client left"]


@pytest.mark.parametrize("begun", [False, True])
async def test_shut_down(app, begun):
    outcomes, waiting = Outcomes(), asyncio.Event()
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.01

    async def write(response):
        if begun:
            await response.write("x")
        waiting.set()
        await asyncio.Event().wait()

    app.get("/a")(lambda request: outcomes.of(stream(write)))
    server = await app.create_server(port=0, access_log=False)
    async with asyncio.timeout(10), Wire(server.sockets[0].getsockname()) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        await waiting.wait()
        server.close()
        await server.wait_closed()
    assert outcomes.seen == ["shut down"]


async def hosted(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"].endswith("/stream"):
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


@pytest.mark.parametrize("path", ["/m/whole", "/m/stream"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_hosted(app, path, method):
    outcomes = Outcomes()
    app.mount("/m", hosted)
    app.on_response(lambda request, response: outcomes.of(response) and None)
    assert (await ask(app, method, path=path)).startswith(b"HTTP/1.1 200 ")
    assert outcomes.seen == ["completed"]


@every_kind
@pytest.mark.parametrize("fate", ["completed", "failed"])
async def test_under_asgi(app, make, fate):
    outcomes = Outcomes()
    app.get("/")(lambda request: outcomes.of(make()))
    if fate == "failed":
        app.on_response(lambda request, response: text("another"))
    server = AsgiServer()
    async with asyncio.timeout(10):
        await app(scope_of(), server.receive, server.send)
    assert server.ended
    assert outcomes.seen == [fate]


# When it is asked


@pytest.mark.parametrize("make", [lambda: text("x"), lambda: stream(a_write)], ids=["whole", "stream"])
async def test_asked_after_the_end_it_is_called_at_once(app, make):
    outcomes, over = Outcomes(), asyncio.Event()

    @app.get("/a")
    async def handler(request):
        response = make()
        app.add_task(later(response))
        return response

    async def later(response):
        await over.wait()
        outcomes.of(response)

    server = await app.create_server(port=0, access_log=False)
    async with asyncio.timeout(10), Wire(server.sockets[0].getsockname()) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await wire.rest()
        over.set()
        await outcomes.some.wait()
    server.close()
    await server.wait_closed()
    assert outcomes.seen == ["completed"]


async def test_whole_response_that_is_sent_again_is_asked_about_again(app):
    outcomes = Outcomes()
    kept = text("kept")
    app.get("/a")(lambda request: outcomes.of(kept))
    for count in (1, 2, 3):
        await ask(app)
        assert outcomes.seen == ["completed"] * count


async def test_function_that_fails_keeps_no_other_from_being_called(app, caplog):
    outcomes = Outcomes()

    @app.get("/a")
    async def handler(request):
        response = text("x")
        response.on_complete(lambda outcome: 1 / 0)
        return outcomes.of(response)

    assert (await ask(app)).endswith(b"x")
    assert outcomes.seen == ["completed"]
    assert "ZeroDivisionError" in caplog.text


def test_response_that_belongs_to_no_request_is_not_completed():
    outcomes = []
    HTTPResponse("x").on_complete(outcomes.append)
    assert outcomes == []


def test_coroutine_function_is_refused():
    async def later(outcome):
        pass

    with pytest.raises(TypeError, match="plain function"):
        text("x").on_complete(later)


async def test_completion_follows_the_last_exchange():
    def exchange():
        return AsgiExchange(None, None, None, None, lambda: None, 1, 1)

    one, two, completion, seen = exchange(), exchange(), Completion(), []
    completion.add(seen.append)
    for follow in (one, two, two):
        completion.follow(follow)
    one.over()
    assert seen == []
    two.over()
    two.over()
    assert seen == ["failed"]
