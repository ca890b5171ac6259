"""Middleware: when it runs, in which order, what it sees and what it may do."""

import asyncio

import pytest

from sanicish.response import HTTPResponse, stream, text
from tests.doubles.wire import Wire, talk


@pytest.fixture
def client(app):
    @app.get("/a")
    async def a(request):
        return text("a")

    return app.test_client


def noting(order, word):
    """A middleware that writes a word down, sync."""
    return lambda *seen: order.append(word)


def noting_later(order, word):
    """The same, async."""

    async def note(*seen):
        await asyncio.sleep(0)
        order.append(word)

    return note


# Order


@pytest.mark.parametrize("kind", [noting, noting_later])
def test_requests_pass_in_order_and_responses_in_reverse(app, client, kind):
    order = []
    for number in (1, 2):
        app.on_request(kind(order, f"in {number}"))
        app.on_response(kind(order, f"out {number}"))
    app.on_request(kind(order, "before body"), before_body=True)
    client.get("/a")
    assert order == ["before body", "in 1", "in 2", "out 2", "out 1"]


def test_handler_runs_between_the_two(app):
    order = []
    app.on_request(noting(order, "in"))
    app.on_response(noting(order, "out"))

    @app.get("/a")
    async def a(request):
        order.append("handler")
        return text("a")

    app.test_client.get("/a")
    assert order == ["in", "handler", "out"]


# Answers before the handler


@pytest.mark.parametrize("before_body", [False, True])
@pytest.mark.parametrize("path", ["/admin/7", "/%61dmin/7", "/%61dmin/%37"])
def test_middleware_sees_the_path_that_was_matched(app, path, before_body):
    @app.on_request(before_body=before_body)
    def guard(request):
        return text("stopped", 403) if request.path.startswith("/admin/") else None

    app.get("/admin/<number:int>")(lambda request, number: pytest.fail("it was stopped"))
    assert app.test_client.get(path)[1].status == 403


@pytest.mark.parametrize("path", ["/a%20b", "/%7Ea", "/%61"])
def test_path_whose_value_is_escaped_stays_as_it_was_sent(app, path):
    app.get("/<name>")(lambda request, name: text(f"{request.path} {name}"))
    assert app.test_client.get(path)[1].text == f"{path} {path[1:]}"


@pytest.mark.parametrize("before_body", [False, True])
def test_request_middleware_may_answer_instead_of_the_handler(app, before_body):
    order = []
    app.on_request(lambda request: text("stopped", 403), before_body=before_body)
    app.on_request(noting(order, "later"))
    app.on_response(noting(order, "out"))

    @app.get("/a")
    async def a(request):
        order.append("handler")

    response = app.test_client.get("/a")[1]
    assert (response.status, response.text) == (403, "stopped")
    assert order == ["out"]


def test_async_request_middleware_may_answer(app, client):
    @app.on_request
    async def stop(request):
        return text("stopped")

    assert client.get("/a")[1].text == "stopped"


def test_request_middleware_may_answer_with_a_stream(app, client):
    @app.on_request
    async def stop(request):
        return stream(lambda response: response.write("streamed"))

    assert client.get("/a")[1].text == "streamed"


def test_what_request_middleware_returns_must_be_a_response(app, client, caplog):
    app.on_request(lambda request: 5)
    assert client.get("/a")[1].status == 500
    assert "Invalid response type int" in caplog.text


def test_empty_response_of_request_middleware_is_an_answer(app, client):
    app.on_request(lambda request: HTTPResponse(status=204))
    assert client.get("/a")[1].status == 204


# What request middleware sees


def test_request_middleware_sees_the_route(app):
    seen = []
    app.on_request(lambda request: seen.append((request.endpoint, request.uri_template, request.match_info)))

    @app.get("/<id:int>", name="item")
    async def item(request, id):
        return text("")

    app.test_client.get("/7")
    assert seen == [("test.item", "/<id:int>", {"id": 7})]


@pytest.mark.parametrize("before_body", [False, True])
def test_middleware_before_the_body_sees_the_route_too(app, client, before_body):
    seen = []
    app.on_request(lambda request: seen.append(request.endpoint), before_body=before_body)
    client.get("/a")
    assert seen == ["test.a"]


def test_request_middleware_sees_the_body_of_a_buffered_route(app):
    seen = []
    app.on_request(lambda request: seen.append(request.body))

    @app.post("/a")
    async def a(request):
        return text("")

    app.test_client.post("/a", data=b"body")
    assert seen == [b"body"]


def test_request_middleware_sees_the_unread_stream_of_a_streaming_route(app):
    app.on_request(lambda request: setattr(request.ctx, "at_end", request.stream.at_end))

    @app.post("/a", stream=True)
    async def a(request):
        return text(f"{request.ctx.at_end} {await request.stream.read()!r}")

    assert app.test_client.post("/a", data=b"body")[1].text == "False b'body'"


async def test_middleware_before_the_body_runs_before_a_byte_of_it_is_asked_for(app, serve):
    """RFC 9110 10.1.1: 100 Continue invites the body, so it must not have been sent yet."""
    app.on_request(lambda request: text("refused", 401), before_body=True)

    @app.post("/a")
    async def a(request):
        return text("")

    answer = await talk(
        await serve(app), b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answer


async def test_request_middleware_of_a_buffered_route_runs_after_the_body_was_asked_for(app, serve):
    app.on_request(lambda request: text(f"refused {request.body!r}", 401))

    @app.post("/a")
    async def a(request):
        return text("")

    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"hi")
        assert (await wire.answer()).body == b"refused b'hi'"


def test_body_that_nobody_may_send_is_not_read_when_middleware_before_it_answers(app):
    app.config.REQUEST_MAX_SIZE = 3
    app.on_request(lambda request: text("refused", 401), before_body=True)
    app.post("/a")(lambda request: text(""))
    assert app.test_client.post("/a", data=b"too large")[1].status == 401


def test_context_set_by_middleware_reaches_the_handler(app):
    @app.on_request
    async def login(request):
        request.ctx.user = "bob"
        request["key"] = "old style"

    @app.get("/a")
    async def a(request):
        return text(f"{request.ctx.user} {request['key']}")

    assert app.test_client.get("/a")[1].text == "bob old style"


# Requests that no handler answers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/a", 405), ("GET", "/fails", 500)],
)
def test_middleware_runs_for_errors_too(app, client, method, path, status):
    order = []
    app.on_request(noting(order, "before body"), before_body=True)
    app.on_request(noting(order, "in"))
    app.on_response(noting(order, "out"))

    @app.get("/fails")
    async def fails(request):
        raise ValueError

    assert client.request(method, path)[1].status == status
    assert order == ["before body", "in", "out"]


def test_middleware_may_answer_for_a_path_that_no_route_has(app, client):
    app.on_request(lambda request: text("caught") if request.route is None else None)
    assert client.get("/nothing")[1].text == "caught"
    assert client.get("/a")[1].text == "a"


def test_response_middleware_runs_for_a_body_that_is_too_large(app):
    app.config.REQUEST_MAX_SIZE = 3
    app.on_response(lambda request, response: response.headers.update({"X-Seen": str(response.status)}))
    app.post("/a")(lambda request: text(""))
    assert app.test_client.post("/a", data=b"too large")[1].headers["X-Seen"] == "413"


# Responses


@pytest.mark.parametrize("later", [False, True])
def test_response_middleware_may_change_a_response(app, client, later):
    def mark(request, response):
        response.headers["X-Path"] = request.path
        response.status = 201

    async def mark_later(request, response):
        mark(request, response)

    app.on_response(mark_later if later else mark)
    response = client.get("/a")[1]
    assert (response.status, response.headers["X-Path"]) == (201, "/a")


def test_response_middleware_may_replace_a_response_and_the_next_sees_the_new_one(app, client):
    seen = []
    app.on_response(lambda request, response: seen.append(response.body))
    app.on_response(lambda request, response: text("replaced"))
    assert client.get("/a")[1].text == "replaced"
    assert seen == [b"replaced"]


def test_response_middleware_may_replace_a_response_by_a_stream(app, client):
    app.on_response(lambda request, response: stream(lambda out: out.write("streamed")))
    assert client.get("/a")[1].text == "streamed"


def test_what_response_middleware_returns_must_be_a_response(app, client, caplog):
    @app.on_response
    def wrong(request, response):
        return 5

    assert client.get("/a")[1].status == 500
    assert "Invalid response type int from wrong" in caplog.text


async def test_response_middleware_runs_before_the_head_of_a_stream_and_buffers_nothing(app, serve):
    gate = asyncio.Event()

    @app.on_response
    async def mark(request, response):
        response.headers["X-Marked"] = "yes"
        response.cookies["seen"] = "1"

    @app.get("/a")
    async def a(request):
        async def write(response):
            await response.write("one")
            await gate.wait()
            await response.write("two")

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await wire.until(b"\r\n\r\n")
        assert b"X-Marked: yes\r\n" in head
        assert b"Set-Cookie: seen=1" in head
        assert await wire.until(b"one\r\n") == b"3\r\none\r\n"
        gate.set()
        assert await wire.until(b"0\r\n\r\n") == b"3\r\ntwo\r\n0\r\n\r\n"


def test_response_middleware_runs_once_for_respond(app):
    order = []
    app.on_response(noting(order, "out"))
    app.on_response(lambda request, response: response.headers.update({"X-Out": "yes"}))

    @app.get("/a")
    async def a(request):
        response = await request.respond()
        await response.send("a")
        await response.eof()

    response = app.test_client.get("/a")[1]
    assert (response.text, response.headers["X-Out"], order) == ("a", "yes", ["out"])


# Middleware that fails


@pytest.mark.parametrize("before_body", [False, True])
def test_request_middleware_that_fails_is_answered_by_the_exception_handler(app, client, before_body):
    @app.on_request(before_body=before_body)
    async def fail(request):
        raise ValueError("broken")

    app.exception(ValueError)(lambda request, error: text(f"caught {error}"))
    assert client.get("/a")[1].text == "caught broken"


def length(request, response):
    """Of a stream there is none: AttributeError."""
    len(response.body)


async def length_later(request, response):
    await asyncio.sleep(0)
    length(request, response)


async def until(response):
    """Writes a stream of its own."""
    await response.write("streamed")


WAYS = {
    "stream": lambda request: stream(until),
    "generator": lambda request: iter(["streamed"]),
}


@pytest.mark.parametrize("middleware", [length, length_later])
@pytest.mark.parametrize("handler", WAYS.values(), ids=WAYS)
def test_response_middleware_that_fails_is_logged_and_the_response_is_sent(app, client, caplog, middleware, handler):
    reported, order = [], []
    app.report_exception(lambda app, error: reported.append(type(error)))
    app.on_response(noting(order, "next"))
    app.on_response(middleware)
    app.get("/stream")(handler)
    response = client.get("/stream")[1]
    assert (response.status, response.text) == (200, "streamed")
    assert [record.exc_info[0] for record in caplog.records if record.levelname == "ERROR"] == [AttributeError]
    assert f"the response middleware {middleware.__name__} failed" in caplog.text
    assert (reported, order) == ([AttributeError], ["next"])


def test_response_middleware_that_fails_does_not_keep_respond_from_answering(app, client, caplog):
    app.on_response(length)

    @app.get("/respond")
    async def respond(request):
        response = await request.respond()
        await response.send("a")

    response = client.get("/respond")[1]
    assert (response.status, response.text) == (200, "a")
    assert caplog.text.count("length failed") == 1


def test_response_middleware_that_fails_keeps_what_was_changed_before(app, client):
    def change(request, response):
        response.headers["X-Changed"] = "yes"
        raise ValueError

    app.on_response(change)
    app.on_response(lambda request, response: text("replaced"))
    response = client.get("/a")[1]
    assert (response.text, response.headers["X-Changed"]) == ("replaced", "yes")


def test_response_middleware_that_fails_for_streams_passes_others(app, client, caplog):
    app.on_response(length)
    assert client.get("/nothing")[1].status == 404
    assert client.get("/a")[1].text == "a"
    assert "failed" not in caplog.text


@pytest.mark.parametrize("later", [False, True])
def test_response_middleware_that_is_cancelled_by_itself_gives_503(app, client, later):
    """As in Sanic."""

    def cancelled(request, response):
        raise asyncio.CancelledError

    async def cancelled_later(request, response):
        await asyncio.sleep(0)
        cancelled(request, response)

    app.on_response(cancelled_later if later else cancelled)
    assert client.get("/a")[1].status == 503


async def test_response_middleware_runs_once_for_respond_and_a_timeout(app, serve):
    app.config.RESPONSE_TIMEOUT = 0.1
    seen = []
    app.on_response(lambda request, response: seen.append(response.status))

    @app.get("/respond")
    async def respond(request):
        await request.respond()
        await asyncio.Event().wait()

    @app.get("/wait")
    async def wait(request):
        await asyncio.Event().wait()

    address = await serve(app)
    for path, expected in (("respond", [200]), ("wait", [503])):
        seen.clear()
        answer = await talk(address, f"GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert seen == expected


# False values


FALSE = [False, 0, "", b"", None, [], {}, ()]


@pytest.mark.parametrize("value", FALSE, ids=repr)
@pytest.mark.parametrize("later", [False, True])
def test_false_value_of_middleware_is_none(app, client, caplog, value, later):
    async def give(*seen):
        return value

    plain = lambda *seen: value  # noqa: E731
    function = give if later else plain
    app.on_request(function, before_body=True)
    app.on_request(function)
    app.on_response(function)
    response = client.get("/a")[1]
    assert (response.status, response.text) == (200, "a")
    assert client.get("/nothing")[1].status == 404
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
