"""An application as ASGI sees it, both ends turned by hand."""

import asyncio
from json import loads
from types import SimpleNamespace

import pytest

from sanicish import json, stream, text
from sanicish.asgi.application import answer_asgi
from sanicish.exceptions import (
    ClientDisconnected,
    ContentLengthMismatch,
    RequestAborted,
    ResponseError,
    StreamClosed,
    WriteBufferFull,
)
from tests.doubles.asgi import AsgiServer, scope_of

CONTENT = b"text/plain; charset=utf-8"


async def call(app, scope, *messages):
    server = AsgiServer(*messages)
    await app(scope, server.receive, server.send)
    return server


async def test_a_whole_answer_is_a_head_and_a_body(app):
    @app.get("/")
    async def handler(request):
        return text("hello", headers={"X-A": "1"})

    server = await call(app, scope_of())
    assert server.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", CONTENT), (b"x-a", b"1"), (b"content-length", b"5")],
        },
        {"type": "http.response.body", "body": b"hello", "more_body": False},
    ]


async def test_head_has_the_length_and_no_body(app):
    @app.get("/")
    async def handler(request):
        return text("hello")

    server = await call(app, scope_of("HEAD"))
    assert server.headers[b"content-length"] == b"5"
    assert server.body == b""
    assert server.ended


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, None), (205, b"0")])
async def test_an_answer_that_has_no_body_has_no_length_of_one(app, status, length):
    @app.get("/")
    async def handler(request):
        return text("", status)

    server = await call(app, scope_of())
    assert server.headers.get(b"content-length") == length
    assert b"content-type" not in server.headers or status == 205
    assert server.ended


async def test_a_body_that_the_status_forbids_is_dropped_and_said(app, caplog):
    @app.get("/")
    async def handler(request):
        return text("too much", 204)

    server = await call(app, scope_of())
    assert server.body == b""
    assert "status 204 allows no body: 8 bytes" in caplog.text


async def test_what_is_written_in_one_turn_is_one_message(app):
    @app.get("/")
    async def handler(request):
        async def write(response):
            response.write("a")
            response.write("b")
            await response.flush()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await response.write("c")

        return stream(write)

    server = await call(app, scope_of())
    assert [message["body"] for message in server.sent[1:]] == [b"ab", b"c"]
    assert b"content-length" not in server.headers


async def test_the_head_alone_leaves_when_it_is_flushed(app):
    go_on = asyncio.Event()

    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.flush()
            await go_on.wait()

        return stream(write)

    server = AsgiServer()
    task = asyncio.create_task(app(scope_of(), server.receive, server.send))
    await server.until(2)
    assert server.sent[1] == {"type": "http.response.body", "body": b"", "more_body": True}
    go_on.set()
    await task
    assert server.ended


async def test_the_head_is_held_so_that_an_early_failure_is_an_error_page(app):
    @app.get("/")
    async def handler(request):
        async def write(response):
            await asyncio.sleep(0)
            raise ValueError

        return stream(write)

    server = await call(app, scope_of())
    assert server.status == 500
    assert server.ended


async def test_a_failure_after_the_head_comes_out_and_nothing_ends_cleanly(app):
    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("begun")
            raise ValueError

        return stream(write)

    server = AsgiServer()
    with pytest.raises(ResponseError, match="GET / was cut: failed"):
        await app(scope_of(), server.receive, server.send)
    assert server.body == b"begun"
    assert not server.ended


@pytest.mark.parametrize("data", ["ab", "abcd"])
async def test_a_length_that_is_not_kept_to_is_cut(app, data):
    errors = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            try:
                await response.write("a")
                await response.write(data[1:])
                await response.eof()
            except ContentLengthMismatch as error:
                errors.append(error)
                raise

        return stream(write, headers={"Content-Length": "3"})

    server = AsgiServer()
    with pytest.raises(ResponseError, match="cut"):
        await app(scope_of(), server.receive, server.send)
    assert len(errors) == 1
    assert not server.ended


async def test_writing_after_the_end_raises(app):
    errors = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.eof()
            with pytest.raises(StreamClosed):
                await response.write("x")
            errors.append(1)

        return stream(write)

    server = await call(app, scope_of())
    assert errors
    assert server.ended


async def test_an_awaited_write_waits_while_the_server_does(app):
    app.config.RESPONSE_BUFFER_SIZE = 1000
    written = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            for number in range(10):
                await response.write(b"x" * 900)
                written.append(number)

        return stream(write)

    server = AsgiServer()
    server.room.clear()
    task = asyncio.create_task(app(scope_of(), server.receive, server.send))
    await server.until(1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(written) < 3
    server.room.set()
    await task
    assert server.body == b"x" * 9000


async def test_writing_without_awaiting_is_bounded(app):
    app.config.update(RESPONSE_BUFFER_SIZE=1000, RESPONSE_BUFFER_LIMIT=5000)
    errors = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            try:
                for _ in range(10):
                    response.write(b"x" * 900)
            except WriteBufferFull as error:
                errors.append(error)
                raise

        return stream(write)

    server = AsgiServer()
    with pytest.raises(ResponseError):
        await app(scope_of(), server.receive, server.send)
    assert errors


# The request


async def test_the_body_is_read_as_it_comes(app):
    seen = []

    @app.post("/", stream=True)
    async def handler(request):
        async for piece in request.stream:
            seen.append(piece)
            if len(seen) == 1:
                server.feed(b"two", more=True)
                server.feed()
        return text("read")

    server = AsgiServer({"type": "http.request", "body": b"one", "more_body": True})
    await app(scope_of("POST", body=True), server.receive, server.send)
    assert seen == [b"one", b"two"]
    assert server.body == b"read"


async def test_a_body_of_no_announced_length_is_read_on_http_2(app):
    @app.post("/")
    async def handler(request):
        return text(request.body.decode() + "!")

    server = await call(app, scope_of("POST", http_version="2"), {"type": "http.request", "body": b"x"})
    assert server.body == b"x!"


async def test_no_more_is_received_than_the_handler_reads(app):
    app.config.REQUEST_BUFFER_SIZE = 1000
    go_on = asyncio.Event()

    @app.post("/", stream=True)
    async def handler(request):
        await go_on.wait()
        return text(str(len(await request.stream.read_all())))

    server = AsgiServer(*[{"type": "http.request", "body": b"x" * 600, "more_body": True}] * 10)
    server.feed()
    task = asyncio.create_task(app(scope_of("POST", body=True), server.receive, server.send))
    for _ in range(40):
        await asyncio.sleep(0)
    assert server.received == 2
    go_on.set()
    await task
    assert server.body == b"6000"


async def test_nothing_is_received_before_the_body_is_wanted_from_a_client_that_waits(app):
    """The first receive() is what sends 100 Continue."""

    @app.post("/", stream=True)
    async def handler(request):
        return text("no", 403)

    scope = scope_of("POST", headers=[(b"expect", b"100-continue"), (b"content-length", b"5")])
    server = await call(app, scope, {"type": "http.request", "body": b"hello"})
    assert server.status == 403
    assert server.received == 0


async def test_a_client_that_waits_gets_its_body_read(app):
    @app.post("/")
    async def handler(request):
        return text(request.body.decode())

    scope = scope_of("POST", headers=[(b"expect", b"100-continue"), (b"content-length", b"5")])
    server = await call(app, scope, {"type": "http.request", "body": b"hello"})
    assert server.body == b"hello"


async def test_a_body_above_the_limit_is_refused(app):
    app.config.REQUEST_MAX_SIZE = 4

    @app.post("/")
    async def handler(request):
        return text("read")

    server = await call(app, scope_of("POST", body=True), {"type": "http.request", "body": b"hello"})
    assert server.status == 413


@pytest.mark.parametrize(
    "end",
    [{"type": "http.disconnect"}, {"type": "http.request", "body": b"", "more_body": False}],
    ids=["left", "short"],
)
async def test_a_cut_body_is_never_taken_for_whole(app, end):
    seen = []

    @app.post("/", stream=True)
    async def handler(request):
        try:
            while True:
                seen.append(await request.stream.read())
        except RequestAborted as error:
            seen.append(error)
            raise

    scope = scope_of("POST", headers=[(b"content-length", b"9")])
    server = AsgiServer({"type": "http.request", "body": b"half", "more_body": True}, end)
    try:
        await app(scope, server.receive, server.send)
    except ResponseError:
        assert end["type"] == "http.request"  # the client is there, and sees a cut
    assert seen[0] == b"half"
    assert isinstance(seen[1], RequestAborted)
    assert not server.ended


# Clients that leave


async def leaving(app, reached):
    server = AsgiServer()
    task = asyncio.create_task(app(scope_of(), server.receive, server.send))
    await reached.wait()
    server.leave()
    async with asyncio.timeout(10):
        await task
    return server


async def test_the_handler_is_cancelled_when_the_client_leaves(app):
    reached, ends = asyncio.Event(), []

    @app.get("/")
    async def handler(request):
        reached.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append((request.cancel_reason, request.is_disconnected))
            raise

    server = await leaving(app, reached)
    assert ends == [("disconnect", True)]
    assert server.sent == []


async def test_a_shielded_handler_runs_to_its_end(app):
    reached, ends = asyncio.Event(), []

    @app.get("/", shield=True)
    async def handler(request):
        reached.set()
        await request.disconnected()
        await asyncio.sleep(0)
        ends.append("done")
        return text("for nobody")

    await leaving(app, reached)
    assert ends == ["done"]


async def test_a_write_tells_that_the_client_is_gone(app):
    """A server that announces ASGI 2.4 says so by OSError."""
    ends = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            try:
                while True:
                    await response.write("x")
                    await asyncio.sleep(0)
            except (ClientDisconnected, asyncio.CancelledError) as error:
                ends.append(type(error))
                raise

        return stream(write)

    server = AsgiServer()
    server.gone = True
    async with asyncio.timeout(10):
        await app(scope_of(), server.receive, server.send)
    assert len(ends) == 1


async def test_a_server_that_cancels_the_call_cancels_the_handler(app):
    reached, ends = asyncio.Event(), []

    @app.get("/")
    async def handler(request):
        reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append(request.cancel_reason)

    server = AsgiServer()
    task = asyncio.create_task(app(scope_of(), server.receive, server.send))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["shutdown"]


async def test_a_send_that_fails_stops_the_handler_and_comes_out(app):
    @app.get("/")
    async def handler(request):
        async def write(response):
            while True:
                await response.write("x")
                await asyncio.sleep(0)

        return stream(write)

    async def send(message):
        raise RuntimeError("not so")

    server = AsgiServer()
    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError, match="not so"):
            await app(scope_of(), server.receive, send)


async def test_the_end_of_an_answer_is_told(app):
    ends = []

    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("x")

        response = stream(write)
        response.on_complete(lambda outcome: ends.append(str(outcome)))
        return response

    await call(app, scope_of())
    assert ends == ["completed"]


# The head


@pytest.mark.parametrize(
    ("path", "root", "raw", "seen"),
    [
        ("/a/b", "", b"/a/b", "/a/b"),
        ("/api/a", "/api", b"/api/a", "/a"),
        ("/api", "/api", b"/api", "/"),
        ("/apix", "/api", b"/apix", "/apix"),
        ("/a b", "", None, "/a%20b"),
        ("/api/a b", "/api", b"/api/a%20b", "/a%20b"),
        ("/é/a/b", "/é", b"/%c3%a9/a%2Fb", "/a/b"),
        ("/x", "", b"/x?q=1", "/x"),
    ],
)
async def test_the_path_is_what_lies_below_the_mount(app, path, root, raw, seen):
    @app.get("/<rest:path>")
    async def handler(request, rest):
        return text(request.path)

    @app.get("/")
    async def index(request):
        return text(request.path)

    server = await call(app, scope_of(path=path, root_path=root, raw_path=raw))
    assert server.body.decode() == seen


async def test_the_request_knows_who_asks_for_what(app):
    @app.get("/")
    async def handler(request):
        info = request.conn_info
        return json([request.version, request.url, request.args, request.ip, request.port, info.server_port, info.ssl])

    scope = scope_of(query_string=b"a=1", scheme="https", http_version="2", headers=[(b"content-length", b"0")])
    server = await call(app, scope)
    assert server.body == b'["2","https://a/?a=1",{"a":["1"]},"192.0.2.1",1234,80,true]'


@pytest.mark.parametrize(
    ("client", "server", "seen"),
    [
        (("192.0.2.1", "1234"), ("192.0.2.2", "80"), ["192.0.2.1", 1234, "192.0.2.2", 80]),
        (["::1", 1234], ["::1", 80], ["::1", 1234, "::1", 80]),
        (None, ("/run/s", None), ["", 0, "/run/s", 0]),
        (("", ""), None, ["", 0, "", 0]),
    ],
)
async def test_ports_are_numbers_however_the_server_gives_them(app, client, server, seen):
    @app.get("/")
    async def handler(request):
        info = request.conn_info
        return json([request.ip, request.port, info.server, info.server_port])

    assert loads((await call(app, scope_of(client=client, server=server))).body) == seen


async def test_fields_of_the_connection_stay_with_the_server(app):
    @app.get("/")
    async def handler(request):
        return text("", headers={"Keep-Alive": "timeout=5", "Transfer-Encoding": "chunked", "Connection": "close"})

    server = await call(app, scope_of(http_version="2", headers=[(b"content-length", b"0")]))
    assert set(server.headers) == {b"content-type", b"content-length"}
    server = await call(app, scope_of())
    assert server.headers[b"connection"] == b"close"


async def test_every_cookie_is_a_field_of_its_own(app):
    @app.get("/")
    async def handler(request):
        response = text("")
        response.add_cookie("a", "1")
        response.add_cookie("b", "2")
        return response

    server = await call(app, scope_of())
    assert [name for name, _ in server.sent[0]["headers"]].count(b"set-cookie") == 2


# Life


async def live(app, *, stop=True):
    sent, gate = [], asyncio.Event()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive():
        message = messages.pop(0)
        if message["type"] == "lifespan.shutdown":
            await gate.wait()
        return message

    async def send(message):
        sent.append(message)
        if stop:
            gate.set()

    await app({"type": "lifespan"}, receive, send)
    return sent


async def test_listeners_run_when_the_server_starts_and_stops(app):
    events = []
    for event in ("before_server_start", "after_server_start", "before_server_stop", "after_server_stop"):
        app.register_listener(lambda app, event=event: events.append((event, app.is_stopping)), event)
    sent = await live(app)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert events == [
        ("before_server_start", False),
        ("after_server_start", False),
        ("before_server_stop", True),
        ("after_server_stop", True),
    ]
    assert not app.is_running


async def test_a_start_that_fails_is_told_and_undone(app):
    ends = []

    @app.before_server_start
    async def start(app):
        raise ValueError("no database")

    app.after_server_stop(lambda app: ends.append("closed"))
    assert await live(app) == [{"type": "lifespan.startup.failed", "message": "ValueError: no database"}]
    assert ends == ["closed"]


async def test_tasks_run_beside_the_server(app):
    done = asyncio.Event()

    async def task():
        done.set()

    app.add_task(task())
    app.after_server_start(lambda app: done.wait())
    await live(app)
    assert done.is_set()


async def test_websockets_are_refused(app):
    server = await call(app, {"type": "websocket"}, {"type": "websocket.connect"})
    assert server.sent == [{"type": "websocket.close"}]


async def test_an_unknown_scope_raises(app):
    with pytest.raises(RuntimeError, match="'telnet'"):
        await app({"type": "telnet"}, None, None)


async def test_an_answer_that_nobody_made_comes_out(app):
    async def handle(exchange):
        pass

    app = SimpleNamespace(config=app.config, handle=handle)
    server = AsgiServer()
    with pytest.raises(ResponseError):
        await answer_asgi(app, scope_of(), server.receive, server.send)
    assert server.sent == []


HINTS = {"extensions": {"http.response.early_hint": {}}}


@pytest.mark.parametrize(("scope", "sent"), [(HINTS, True), ({}, False)])
async def test_hints_are_sent_where_the_server_takes_them(app, scope, sent):
    told = []

    @app.get("/")
    async def handler(request):
        told.append(await request.inform(103, {"Link": "</style.css>; rel=preload"}))
        return text("hello")

    server = await call(app, scope_of(**scope))
    hint = {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]}
    assert told == [sent]
    assert [message for message in server.sent if message["type"] == hint["type"]] == [hint] * sent
    assert server.sent[sent]["type"] == "http.response.start"
    assert server.sent[-1]["body"] == b"hello"


async def test_hints_leave_before_there_is_a_response(app):
    @app.get("/")
    async def handler(request):
        await request.inform(103, {"Link": "</style.css>; rel=preload"})
        await request.disconnected()

    server = AsgiServer()
    task = asyncio.create_task(app(scope_of(**HINTS), server.receive, server.send))
    await server.until(1)
    assert server.sent[0]["type"] == "http.response.early_hint"
    server.leave()
    await task


@pytest.mark.parametrize("status", [100, 102])
async def test_other_interim_responses_are_the_servers(app, status):
    told = []

    @app.get("/")
    async def handler(request):
        told.append(await request.inform(status, {}))
        return text("hello")

    server = await call(app, scope_of(**HINTS))
    assert told == [False]
    assert server.sent[0]["type"] == "http.response.start"
