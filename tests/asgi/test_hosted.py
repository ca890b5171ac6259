"""ASGI applications of others on our server, in raw bytes."""

import asyncio
import logging
from contextvars import ContextVar

import pytest

from sanicish import Blueprint, stream, text
from sanicish.hosted import is_asgi, mount
from sanicish.log import error_logger
from tests.doubles.wire import Wire, talk
from tests.waiting import until

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


async def answering(send, body=b"hello", status=200, headers=((b"content-type", b"text/plain"),)):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def only_http(function):
    """An application that knows nothing of lifespan."""

    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await function(scope, receive, send)

    return application


async def test_a_whole_body_has_its_length(app, serve, caplog):
    @only_http
    async def application(scope, receive, send):
        await answering(send)

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nContent-Length: 5\r\n")
    assert body_of(answer) == b"hello"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("size", [4, 6])
async def test_a_whole_body_that_is_not_what_was_promised_is_a_500(app, serve, caplog, size):
    @only_http
    async def application(scope, receive, send):
        await answering(send, b"x" * size, headers=[(b"content-length", b"5")])

    app.mount("/", application)
    assert (await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 500 ")
    assert f"{size} bytes where Content-Length promised 5" in caplog.text


async def test_pieces_are_chunks_and_leave_at_once(app, serve):
    go_on = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"two"})

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"3\r\none\r\n")
        go_on.set()
        await wire.until(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_the_head_leaves_with_an_empty_piece(app, serve):
    go_on = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body"})

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        go_on.set()
        await wire.until(b"0\r\n\r\n")


# Errors


async def test_a_failure_before_the_body_is_our_error_page(app, serve):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        raise ValueError("secret")

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer


@pytest.mark.parametrize("length", [[], [(b"content-length", b"9")]])
async def test_a_failure_in_the_body_cuts_the_answer(app, serve, caplog, length):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise ValueError("secret")

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"begun" if length else b"5\r\nbegun\r\n")
    assert "it was cut" in caplog.text


async def test_an_application_that_returns_too_early_is_cut(app, serve, caplog):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"5\r\nbegun\r\n")
    assert "returned before its response was complete" in caplog.text


async def test_an_application_that_returns_nothing_is_a_500(app, serve, caplog):
    @only_http
    async def application(scope, receive, send):
        pass

    app.mount("/", application)
    assert (await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 500 ")
    assert "returned without a response" in caplog.text


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([{"type": "http.response.body"}], "before http.response.start"),
        ([{"type": "http.response.start", "status": 200}] * 2, "started twice"),
        ([{"type": "http.response.trailers"}], "not a message"),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nb")]}], "header x"),
    ],
)
async def test_a_message_that_has_no_place_raises_where_it_is_sent(app, serve, messages, said):
    errors = []

    @only_http
    async def application(scope, receive, send):
        try:
            for message in messages:
                await send(message)
        except (RuntimeError, ValueError) as error:
            errors.append(str(error))
            raise

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert said in errors[0]


async def test_a_message_after_the_end_raises(app, serve):
    errors, done = [], asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await answering(send)
        with pytest.raises(RuntimeError, match="after the response was complete") as error:
            await send({"type": "http.response.body", "body": b"more"})
        errors.append(error)
        done.set()

    app.mount("/", application)
    assert body_of(await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)) == b"hello"
    await done.wait()
    assert errors


# The request


async def test_the_body_comes_piece_by_piece(app, serve):
    seen = []

    @only_http
    async def application(scope, receive, send):
        while not seen or seen[-1]["more_body"]:
            seen.append(await receive())
        await answering(send)

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await until(lambda: seen)
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.answer("POST")
    assert seen == [
        {"type": "http.request", "body": b"one", "more_body": True},
        {"type": "http.request", "body": b"two", "more_body": False},
    ]


async def test_a_request_without_a_body_is_one_empty_message(app, serve):
    seen = []

    @only_http
    async def application(scope, receive, send):
        seen.append(await receive())
        await answering(send)
        seen.append(await receive())

    app.mount("/", application)
    await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]


async def test_nobody_is_told_to_go_on_before_the_body_is_received(app, serve):
    go_on = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await go_on.wait()
        await answering(send, (await receive())["body"])

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        await asyncio.sleep(0.01)
        assert wire.reader._buffer == b""
        go_on.set()
        await wire.until(b"100 Continue\r\n\r\n")
        wire.send(b"ok")
        assert (await wire.answer("POST")).body == b"ok"


async def test_a_cut_body_is_a_disconnect_and_never_an_end(app, serve):
    seen, done = [], asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        while not seen or seen[-1]["type"] != "http.disconnect":
            seen.append(await receive())
        done.set()

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await until(lambda: seen)
        wire.reset()
    async with asyncio.timeout(10):
        await done.wait()
    assert seen == [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]


async def test_the_scope_tells_all_there_is(app, serve):
    seen = []

    @only_http
    async def application(scope, receive, send):
        seen.append(scope)
        await answering(send)

    app.mount("/", application)
    host, port = await serve(app)
    await talk((host, port), b"PUT /a%2Fb/%C3%A9?x=%20 HTTP/1.1\r\nX-A: 1\r\n" + CLOSE)
    (scope,) = seen
    assert scope.pop("client")[0] == "127.0.0.1"
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": "/a/b/é",
        "raw_path": b"/a%2Fb/%C3%A9",
        "query_string": b"x=%20",
        "root_path": "",
        "headers": [(b"x-a", b"1"), (b"host", b"a"), (b"connection", b"close")],
        "server": (host, port),
        "state": {},
        "extensions": {"http.response.early_hint": {}, "http.response.pathsend": {}},
    }


@pytest.mark.parametrize(
    ("target", "root", "path"),
    [
        ("/sub", "/sub", "/sub"),
        ("/sub/", "/sub", "/sub/"),
        ("/sub/a/b", "/sub", "/sub/a/b"),
        ("/sub//a", "/sub", "/sub//a"),
        ("/%73ub/%61", "/sub", "/sub/a"),
    ],
)
async def test_a_mount_knows_its_root(app, serve, target, root, path):
    seen = []

    @only_http
    async def application(scope, receive, send):
        seen.append((scope["root_path"], scope["path"]))
        await answering(send)

    app.mount("/sub/", application)
    await talk(await serve(app), b"GET %b HTTP/1.1\r\n%b" % (target.encode(), CLOSE))
    assert seen == [(root, path)]


@pytest.mark.parametrize("method", ["GET", "QUERY", "PROPFIND", "TRACE", "DELETE"])
async def test_an_application_answers_every_method(app, serve, method):
    app.mount("/", only_http(lambda scope, receive, send: answering(send, scope["method"].encode())))
    answer = await talk(await serve(app), method.encode() + b" / HTTP/1.1\r\n" + CLOSE)
    assert body_of(answer) == method.encode()


async def test_a_mount_may_have_parameters(app, serve):
    seen = []

    @only_http
    async def application(scope, receive, send):
        seen.append(scope["root_path"])
        await answering(send)

    app.mount("/<tenant>/api", application)
    await talk(await serve(app), b"GET /a%20b/api/x HTTP/1.1\r\n" + CLOSE)
    assert seen == ["/a b/api"]


async def test_routes_stand_beside_a_mount(app, serve):
    app.mount("/", only_http(lambda scope, receive, send: answering(send, b"theirs")))

    @app.get("/ours")
    async def handler(request):
        return text("ours")

    address = await serve(app)
    assert body_of(await talk(address, b"GET /ours HTTP/1.1\r\n" + CLOSE)) == b"ours"
    assert body_of(await talk(address, b"GET /other HTTP/1.1\r\n" + CLOSE)) == b"theirs"


async def test_a_blueprint_mounts_too(app, serve):
    seen = []

    async def application(scope, receive, send):
        seen.append((scope["type"], scope.get("root_path")))
        if scope["type"] == "http":
            await answering(send)
        else:
            raise NotImplementedError

    blueprint = Blueprint("b", url_prefix="/b")
    mount(blueprint, "/sub", application, "theirs", {})
    app.blueprint(blueprint)
    await talk(await serve(app), b"GET /b/sub/x HTTP/1.1\r\n" + CLOSE)
    assert seen == [("lifespan", None), ("http", "/b/sub")]


async def test_response_middleware_sees_the_head(app, serve):
    @app.on_response
    async def middleware(request, response):
        response.headers["X-Seen"] = response.headers["content-type"]

    app.mount("/", only_http(lambda scope, receive, send: answering(send)))
    assert b"X-Seen: text/plain\r\n" in await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)


# Ends


async def test_head_is_answered_with_the_head_and_makes_no_body(app, serve):
    told = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"for ever", "more_body": True})
        except OSError:
            told.set()
            raise

    app.mount("/", application)
    address = await serve(app)
    answer = await talk(address, b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert answer.endswith(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in answer
    async with asyncio.timeout(10):
        await told.wait()


async def test_send_raises_once_the_client_is_gone(app, serve, caplog):
    told = asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
        except OSError:
            told.set()
            raise ValueError("what it makes of that is its own affair") from None

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"xxx")
        wire.reset()
    async with asyncio.timeout(10):
        await told.wait()
    assert "own affair" not in caplog.text


async def test_receive_tells_that_the_client_left(app, serve):
    begun, seen, done = asyncio.Event(), [], asyncio.Event()

    @only_http
    async def application(scope, receive, send):
        seen.append(await receive())
        begun.set()
        seen.append(await receive())
        done.set()

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        wire.reset()
    async with asyncio.timeout(10):
        await done.wait()
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]


async def test_two_may_wait_for_the_client_at_once(app, serve):
    begun, seen = asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        await receive()

        async def wait():
            seen.append((await receive())["type"])

        tasks = [asyncio.create_task(wait()) for _ in range(2)]
        begun.set()
        await asyncio.wait(tasks)

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await begun.wait()
        wire.reset()
    await until(lambda: len(seen) >= 2)
    assert seen == ["http.disconnect"] * 2


async def test_what_comes_after_the_answer_holds_nobody_up(app, serve):
    go_on, ends = asyncio.Event(), []

    @only_http
    async def application(scope, receive, send):
        await answering(send)
        await go_on.wait()
        ends.append(scope["path"])

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        for path in (b"/a", b"/b"):
            wire.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
            assert (await wire.answer()).body == b"hello"
        assert ends == []
        go_on.set()
        await until(lambda: len(ends) >= 2)


async def test_a_failure_after_the_answer_is_logged(app, serve, caplog):
    @only_http
    async def application(scope, receive, send):
        await answering(send)
        raise ValueError("too late")

    app.mount("/", application)
    assert body_of(await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)) == b"hello"
    assert "failed after its response" in caplog.text


async def test_a_slow_reader_stops_the_application(app, serve):
    app.config.RESPONSE_BUFFER_SIZE = 10_000
    sent = 0

    @only_http
    async def application(scope, receive, send):
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    app.mount("/", application)
    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        before = -1
        while sent > before:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 400
        wire.writer.transport.resume_reading()
        await wire.exactly(200 * 65_536)


async def test_a_path_is_sent_as_a_file(app, serve, tmp_path):
    content = bytes(range(256)) * 1000
    (tmp_path / "data").write_bytes(content)

    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "data")})

    app.mount("/", application)
    address = await serve(app)
    answer = await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE)
    assert b"Content-Length: 256000\r\n" in answer
    assert body_of(answer) == content
    answer = await talk(address, b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert b"Content-Length: 256000\r\n" in answer
    assert body_of(answer) == b""


async def test_a_path_of_nothing_is_a_404(app, serve, tmp_path):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "none")})

    app.mount("/", application)
    assert (await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 404 ")


async def test_an_answer_that_is_too_late_is_a_503(app, serve):
    app.config.RESPONSE_TIMEOUT = 0.05
    ends = []

    @only_http
    async def application(scope, receive, send):
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    app.mount("/", application)
    assert (await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 503 ")
    assert ends == ["cancelled"]


# Lifespan


def living(events, *, failing=None):
    async def application(scope, receive, send):
        if scope["type"] != "lifespan":
            await answering(send, repr(scope["state"]).encode())
            return
        for event in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{event}"}
            events.append(event)
            if event == failing:
                await send({"type": f"lifespan.{event}.failed", "message": "no database"})
                raise RuntimeError("no database")
            scope["state"]["pool"] = 1
            await send({"type": f"lifespan.{event}.complete"})

    return application


async def test_a_mounted_application_lives_as_long_as_the_server(app):
    events = []
    app.mount("/", living(events))
    server = await app.create_server(port=0)
    assert events == ["startup"]
    assert body_of(await talk(server.sockets[0].getsockname(), b"GET / HTTP/1.1\r\n" + CLOSE)) == b"{'pool': 1}"
    server.close()
    await server.wait_closed()
    assert events == ["startup", "shutdown"]


async def test_an_application_that_cannot_start_stops_the_server(app):
    app.mount("/", living([], failing="startup"))
    with pytest.raises(Exception, match="could not start: no database"):
        await app.create_server(port=0)


async def test_an_application_that_cannot_stop_is_logged(app, caplog):
    app.mount("/", living([], failing="shutdown"))
    server = await app.create_server(port=0)
    server.close()
    await server.wait_closed()
    assert "could not stop: no database" in caplog.text


async def test_an_application_that_waits_for_more_after_its_shutdown_is_cancelled(app):
    app.config.STREAM_CLEANUP_TIMEOUT = 0.05

    async def application(scope, receive, send):
        while True:
            await send({"type": f"{(await receive())['type']}.complete"})

    app.mount("/", application)
    server = await app.create_server(port=0)
    server.close()
    async with asyncio.timeout(10):
        await server.wait_closed()


async def test_our_own_applications_are_mounted_as_well(app, serve):
    inner = type(app)("inner", register=False, configure_logging=False)

    @inner.post("/<name>", stream=True)
    async def handler(request, name):
        async def write(response):
            async for piece in request.stream:
                await response.write(piece.upper())
            await response.write(name)

        return stream(write)

    app.mount("/inner", inner)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /inner/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await wire.until(b"ONE\r\n")
        wire.send(b"0\r\n\r\n")
        await wire.until(b"x\r\n0\r\n\r\n")


# Work after the response


def working(events, go_on):
    """Answers, and works on until ``go_on`` is set."""

    async def application(scope, receive, send):
        if scope["type"] == "http":
            await answering(send)
            try:
                await go_on.wait()
                events.append("done")
            finally:
                events.append("ended")
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    return application


async def test_a_server_that_stops_waits_for_work_after_the_response(app):
    events, go_on = [], asyncio.Event()
    app.mount("/", working(events, go_on))
    server = await app.create_server(port=0, access_log=False)
    await talk(server.sockets[0].getsockname(), b"GET / HTTP/1.1\r\n" + CLOSE)
    server.close()
    await asyncio.sleep(0.05)
    assert events == []
    go_on.set()
    await server.wait_closed()
    assert events == ["done", "ended", "shutdown"]


async def test_work_after_the_response_is_cancelled_when_the_grace_is_over(app):
    events = []
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.05
    app.mount("/", working(events, asyncio.Event()))
    server = await app.create_server(port=0, access_log=False)
    await talk(server.sockets[0].getsockname(), b"GET / HTTP/1.1\r\n" + CLOSE)
    server.close()
    await server.wait_closed()
    assert events == ["ended", "shutdown"]


async def test_a_failure_after_the_response_is_reported(app, serve):
    reported = asyncio.Queue()
    app.report_exception(lambda app, exception: reported.put_nowait(exception))

    @only_http
    async def application(scope, receive, send):
        await answering(send)
        await asyncio.sleep(0.01)
        raise ValueError("too late")

    app.mount("/", application)
    await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    async with asyncio.timeout(10):
        assert str(await reported.get()) == "too late"


number = ContextVar("number", default=0)


@pytest.fixture
def numbers():
    """What ``number`` is whenever an error is logged."""
    seen = asyncio.Queue()

    class Seeing(logging.Handler):
        def emit(self, record):
            seen.put_nowait(number.get())

    handler = Seeing()
    error_logger.addHandler(handler)
    yield seen
    error_logger.removeHandler(handler)


@pytest.mark.parametrize("when", ["before", "in", "after", "long after"])
async def test_a_failure_is_logged_in_the_context_of_the_application(app, serve, numbers, when):
    """By it trackers of errors see that they have this one already, and lines of the log get their id."""

    @only_http
    async def application(scope, receive, send):
        assert number.get() == 0
        number.set(7)
        if when != "before":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello", "more_body": when == "in"})
        if when == "long after":
            await asyncio.sleep(0.01)
        raise ValueError("secret")

    app.mount("/", application)
    address = await serve(app)
    for _ in range(2):
        await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE)
        async with asyncio.timeout(10):
            assert await numbers.get() == 7


async def test_a_cleanup_that_fails_is_logged_in_the_context_of_the_application(app, serve, numbers):
    app.config.RESPONSE_TIMEOUT = 0.05

    @only_http
    async def application(scope, receive, send):
        try:
            await asyncio.Event().wait()
        finally:
            number.set(7)
            raise ValueError("secret")

    app.mount("/", application)
    await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    async with asyncio.timeout(10):
        assert await numbers.get() == 7


# Our own applications


@pytest.fixture
def inner(app):
    return type(app)("inner", register=False, configure_logging=False)


def wrapped(application):
    """As in middleware of ASGI."""

    async def around(scope, receive, send):
        try:
            await application(scope, receive, send)
        except ZeroDivisionError:
            raise

    return around


def grouped(application):
    """As in middleware that runs its application in a task group."""

    async def around(scope, receive, send):
        async with asyncio.TaskGroup() as group:
            group.create_task(application(scope, receive, send))

    return around


@pytest.mark.parametrize("around", [wrapped, grouped, lambda application: application])
async def test_a_stream_of_our_own_that_fails_is_reported_once(app, inner, serve, caplog, around):
    reported = []
    for one in (app, inner):
        one.report_exception(lambda app, exception: reported.append(app.name))

    @inner.get("/")
    async def handler(request):
        async def write(response):
            await response.write("begun")
            await asyncio.sleep(0)
            raise ValueError("secret")

        return stream(write)

    app.mount("/", around(inner))
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"5\r\nbegun\r\n")
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "GET / failed after its response had begun; it was cut"
    ]
    assert reported == ["inner"]


# Bytes beyond ASCII

BEYOND = [b"inline; filename*=UTF-8''%C3%A9; filename=\"\xc3\xa9.bin\"", b"caf\xe9", b"\x80\xff"]


@pytest.mark.parametrize("value", BEYOND)
@pytest.mark.parametrize("more", [False, True])
async def test_a_header_beyond_ascii_is_sent_as_its_bytes(app, serve, caplog, value, more):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Name", b" %b " % value)]})
        await send({"type": "http.response.body", "body": b"hello", "more_body": more})
        if more:
            await send({"type": "http.response.body"})

    app.mount("/", application)
    app.compress("gzip")

    @app.on_response
    async def middleware(request, response):
        response.headers["X-Seen"] = "yes"

    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nX-Name: %b\r\n" % value in answer
    assert b"\r\nX-Seen: yes\r\n" in answer


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"\0", b"\x7f", b"\xe9\r"])
async def test_a_header_that_splits_the_response_is_refused(app, serve, value):
    @only_http
    async def application(scope, receive, send):
        await answering(send, headers=[(b"x-name", value)])

    app.mount("/", application)
    answer = await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"x-name" not in answer


# Looking like one


class Callable:
    async def __call__(self, scope, receive, send): ...


async def three(scope, receive, send): ...


async def two(scope, receive): ...


def plain(scope, receive, send): ...


@pytest.mark.parametrize(
    ("found", "answer"),
    [(three, True), (Callable(), True), (two, False), (plain, False), (Callable, False), (None, False), ("x", False)],
)
def test_what_looks_like_an_application(found, answer):
    assert is_asgi(found) is answer


async def test_early_hints_are_sent_to_browsers(app, serve):
    @only_http
    async def application(scope, receive, send):
        assert "http.response.early_hint" in scope["extensions"]
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await answering(send)

    app.mount("/", application)
    address = await serve(app)
    answer = await talk(address, b"GET / HTTP/1.1\r\nSec-Fetch-Mode: navigate\r\n" + CLOSE)
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n"
    assert answer.startswith(hints + b"HTTP/1.1 200 OK\r\n")
    assert (await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_early_hints_after_the_start_are_out_of_place(app, serve, caplog):
    @only_http
    async def application(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.early_hint", "links": []})

    app.mount("/", application)
    assert (await talk(await serve(app), b"GET / HTTP/1.1\r\n" + CLOSE)).startswith(b"HTTP/1.1 500 ")
