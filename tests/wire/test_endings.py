"""How exchanges, connections and servers end: errors, clients that leave, timeouts, shutdown. Raw bytes, real sockets."""

import asyncio
import contextlib
import logging
import random
import select
import socket

import pytest

from sanicish.exceptions import ClientDisconnected, RequestAborted, RequestTimeout
from sanicish.response import file, file_stream, stream, text
from tests.cases.requests import chunked, head, sized
from tests.doubles.answers import read_answers
from tests.doubles.wire import Wire, talk
from tests.waiting import until

GET = head(b"GET / HTTP/1.1")
CLOSING = head(b"GET / HTTP/1.1", b"Connection: close")
OLD = head(b"GET / HTTP/1.0")
POST = head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")


class Witness:
    """Sees how a handler ended: ``with witness(request):`` around its work."""

    def __init__(self):
        self.entered = asyncio.Event()
        self.left = asyncio.Event()
        self.error = self.reason = None

    @contextlib.contextmanager
    def __call__(self, request):
        self.entered.set()
        try:
            yield
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.reason = request.cancel_reason
            self.left.set()

    async def wait_left(self):
        async with asyncio.timeout(10):
            await self.left.wait()

    @property
    def cancelled(self):
        return isinstance(self.error, asyncio.CancelledError)


@pytest.fixture
async def witness():
    return Witness()


def idle_routes(app, witness):
    """Four handlers that do nothing for ever: before a response, within a stream, within a generator, reading."""

    @app.get("/plain")
    async def plain(request):
        with witness(request):
            await asyncio.Event().wait()

    @app.get("/stream")
    async def streaming(request):
        async def write(response):
            with witness(request):
                await response.write("a")
                await asyncio.Event().wait()

        return stream(write)

    @app.post("/read", stream=True)
    async def read(request):
        with witness(request):
            while await request.stream.read() is not None:
                pass

    @app.post("/late", stream=True)
    async def late(request):
        with witness(request):
            await asyncio.Event().wait()

    return app


@pytest.fixture
async def server(app):
    """The application as a server that the test stops."""
    made = await app.create_server(port=0, access_log=False, return_asyncio_server=True)
    yield made
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0
    app.config.STREAM_CLEANUP_TIMEOUT = 1
    await made.close()


# Errors of the handler


async def test_an_error_before_the_head_is_a_real_error_page(app, serve, caplog):
    @app.get("/")
    async def fail(request):
        async def write(response):
            raise ZeroDivisionError("secret")

        return stream(write)

    raw = await talk(await serve(app), CLOSING)
    assert raw.startswith(b"HTTP/1.1 500 ") and raw.count(b"HTTP/1.1 ") == 1 and b"secret" not in raw
    assert "secret" in caplog.text


async def test_a_connection_goes_on_after_an_error_page(app, serve, caplog):
    @app.get("/")
    async def fail(request):
        raise ZeroDivisionError

    async with Wire(await serve(app)) as wire:
        for _ in range(2):
            wire.send(GET)
            assert (await wire.answer()).status == 500


async def test_an_error_after_the_head_closes_without_an_end_and_without_a_second_head(app, serve, caplog):
    @app.get("/")
    async def fail(request):
        async def write(response):
            await response.write("a")
            raise ZeroDivisionError("secret")

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(GET + GET)
        raw = await wire.rest()
    assert raw.endswith(b"\r\n\r\n1\r\na\r\n") and raw.count(b"HTTP/1.1 ") == 1 and b"secret" not in raw
    assert len(caplog.records) == 1 and "it was cut" in caplog.text


async def test_an_error_in_a_body_that_ends_with_the_connection_resets_it(app, serve, caplog):
    """A plain close would make the rest look whole."""

    @app.get("/")
    async def fail(request):
        async def write(response):
            await response.write("a")
            await response.flush()
            await asyncio.sleep(0.01)
            raise ZeroDivisionError

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(OLD)
        assert await wire.until(b"\r\n\r\na")
        with pytest.raises(ConnectionResetError):
            await wire.some()


async def test_a_body_that_ends_with_a_unix_socket_cannot_be_cut_and_the_log_says_so(app, serve, caplog, tmp_path):
    @app.get("/")
    async def fail(request):
        async def write(response):
            await response.write("a")
            await response.flush()
            raise ZeroDivisionError

        return stream(write)

    address = await serve(app, unix=str(tmp_path / "s"))
    assert (await talk(address, OLD)).endswith(b"\r\n\r\na")
    await until(lambda: "proxy_http_version 1.1" in caplog.text)
    caplog.clear()
    assert (await talk(address, CLOSING)).endswith(b"\r\n1\r\na\r\n")
    assert "proxy_http_version 1.1" not in caplog.text


@pytest.mark.parametrize(("version", "field"), [("1.0", b"Content-Length: 5"), ("1.1", b"Transfer-Encoding: chunked")])
async def test_a_streamed_file_has_a_length_where_there_are_no_chunks(app, serve, tmp_path, version, field):
    (tmp_path / "five").write_bytes(b"12345")

    @app.get("/")
    async def download(request):
        return await file_stream(tmp_path / "five")

    raw = await talk(await serve(app), head(b"GET / HTTP/%b" % version.encode(), b"Connection: close"))
    assert field in raw and b"12345" in raw


async def test_a_body_that_is_too_short_is_cut(app, serve, caplog):
    @app.get("/")
    async def short(request):
        async def write(response):
            await response.write("hell")

        return stream(write, headers={"Content-Length": "5"})

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        raw = await wire.rest()
    assert raw.endswith(b"\r\n\r\nhell") and "Content-Length" in caplog.text


async def test_a_body_that_is_too_long_is_cut_before_the_surplus(app, serve, caplog):
    @app.get("/")
    async def long(request):
        async def write(response):
            await response.write("hell")
            await response.write("o world")

        return stream(write, headers={"Content-Length": "5"})

    async with Wire(await serve(app)) as wire:
        wire.send(GET + GET)
        raw = await wire.rest()
    assert raw.endswith(b"\r\n\r\nhell") and "Content-Length" in caplog.text


async def test_a_handler_that_is_cut_with_an_unread_body_closes(app, serve, caplog):
    @app.post("/", stream=True)
    async def fail(request):
        async def write(response):
            await response.write("a")
            raise ZeroDivisionError

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"100000", b"x" * 50_000))
        raw = await wire.rest()
    assert not raw.endswith(b"0\r\n\r\n") and raw.count(b"HTTP/1.1 ") <= 1


async def test_a_broken_body_is_400_to_a_handler_that_reads(app, serve):
    @app.post("/", stream=True)
    async def read(request):
        return text(str(await request.stream.read_all()))

    async with Wire(await serve(app)) as wire:
        wire.send(POST + b"5\r\nhello\r\n")
        await asyncio.sleep(0.01)
        wire.send(b"x\r\n")
        reply = await wire.answer("POST")
        assert (reply.status, reply.headers["connection"]) == (400, "close") and await wire.rest() == b""


# Clients that leave


@pytest.mark.parametrize("leave", [lambda wire: wire.writer.close(), lambda wire: wire.reset()], ids=["close", "reset"])
@pytest.mark.parametrize("path", [b"/plain", b"/stream"])
async def test_a_client_that_leaves_cancels_an_idle_handler(app, serve, witness, path, leave):
    async with Wire(await serve(idle_routes(app, witness))) as wire:
        wire.send(head(b"GET %b HTTP/1.1" % path))
        await witness.entered.wait()
        leave(wire)
        await witness.wait_left()
    assert witness.cancelled and witness.reason == "disconnect"


@pytest.mark.parametrize("leave", [lambda wire: wire.writer.close(), lambda wire: wire.reset()], ids=["close", "reset"])
async def test_a_client_that_leaves_ends_a_handler_that_writes(app, serve, witness, leave, caplog):
    @app.get("/")
    async def endless(request):
        async def write(response):
            with witness(request):
                while True:
                    await response.write("x" * 1000)

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"x")
        leave(wire)
        await witness.wait_left()
    assert isinstance(witness.error, asyncio.CancelledError | ClientDisconnected)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_client_that_leaves_wakes_a_writer_that_waits_for_it(app, serve, witness):
    @app.get("/")
    async def endless(request):
        async def write(response):
            with witness(request):
                while True:
                    await response.write(b"x" * 1_000_000)

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(GET)
        await asyncio.sleep(0.05)
        assert not witness.left.is_set()
        wire.reset()
        await witness.wait_left()


async def test_generators_and_finally_are_cleaned_up(app, serve):
    order, done = [], asyncio.Event()

    @app.get("/")
    async def cursor(request):
        async def rows():
            try:
                while True:
                    yield "row"
                    await asyncio.sleep(0.001)
            finally:
                await asyncio.sleep(0)
                order.append("generator")

        async def write(response):
            try:
                async with contextlib.aclosing(rows()) as source:
                    async for row in source:
                        await response.write(row)
            finally:
                order.append("handler")
                done.set()

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"row")
        wire.reset()
        async with asyncio.timeout(10):
            await done.wait()
    assert order == ["generator", "handler"]


@pytest.mark.parametrize("leave", [lambda wire: wire.half_close(), lambda wire: wire.reset()], ids=["FIN", "reset"])
async def test_a_cut_upload_raises_after_all_that_came(app, serve, witness, leave):
    got = []

    @app.post("/", stream=True)
    async def read(request):
        with witness(request):
            async for piece in request.stream:
                got.append(piece)  # noqa: PERF401

    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"100000", b"x" * 5000))
        await witness.entered.wait()
        await until(lambda: sum(map(len, got)) >= 5000)
        leave(wire)
        await witness.wait_left()
    assert isinstance(witness.error, RequestAborted) and b"".join(got) == b"x" * 5000


async def test_a_cut_upload_is_never_taken_for_a_whole_one(app, serve):
    called = []

    @app.post("/")
    async def whole(request):
        called.append(request.body)
        return text("ok")

    address = await serve(app)
    for raw in (sized(b"10", b"hello"), chunked(b"5\r\nhello\r\n"), chunked(b"5\r\nhello\r\n0\r\n")):
        assert await talk(address, raw, half_close=True) == b""
    assert called == []


async def test_a_cut_upload_cancels_a_handler_that_does_not_read(app, serve, witness):
    async with Wire(await serve(idle_routes(app, witness))) as wire:
        wire.send(head(b"POST /late HTTP/1.1", b"Content-Length: 10") + b"hello")
        await witness.entered.wait()
        wire.reset()
        await witness.wait_left()
    assert witness.cancelled and witness.reason == "disconnect"


async def test_a_client_that_left_just_before_a_write_is_noticed_although_nothing_more_is_written(app, serve, witness):
    """It answers that write by a reset, which neither a read nor a write tells of: both loops read no more after its FIN."""
    more = asyncio.Event()

    @app.get("/")
    async def burst(request):
        async def write(response):
            with witness(request):
                await response.write("a")
                await more.wait()
                await response.write("b")
                await asyncio.Event().wait()

        return stream(write)

    app.config.KEEP_ALIVE_TIMEOUT = 0.2  # so that it is looked often
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"a\r\n")
        (protocol,) = app._serving.server.connections
        wire.writer.close()
        await until(lambda: protocol.wire.peer_ended)
        more.set()
        await witness.wait_left()
    assert witness.cancelled and witness.reason == "disconnect"


@pytest.mark.slow
async def test_a_client_that_half_closes_and_resets_while_a_file_is_sent_leaves_nothing_behind(app, server, tmp_path):
    """After its FIN neither loop reads, and the kernel alone writes: only that writing fails."""
    large = tmp_path / "large"
    with large.open("wb") as opened:
        opened.truncate(50_000_000)
    outcomes = []

    @app.get("/")
    async def download(request):
        response = await file(large)
        response.on_complete(outcomes.append)
        return response

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET)
        await wire.some()
        wire.half_close()
        await asyncio.sleep(0.1)  # longer than it is given to show that it is still there
        wire.reset()
        await until(lambda: not server.connections)
    assert outcomes == ["client left"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "leave", [lambda wire: wire.writer.transport.abort(), lambda wire: wire.reset()], ids=["close", "reset"]
)
@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_a_client_that_leaves_is_noticed_although_its_body_is_not_read(
    app, serve, witness, leave, kind, tmp_path
):
    """Reading is held, so no read tells of it."""
    address = await serve(idle_routes(app, witness), **({"unix": str(tmp_path / "s")} if kind == "unix" else {}))
    async with Wire(address) as wire:
        wire.send(head(b"POST /late HTTP/1.1", b"Content-Length: 200000") + b"x" * 200_000)
        await witness.entered.wait()
        await wire.writer.drain()
        await asyncio.sleep(0.05)
        leave(wire)
        await witness.wait_left()
    assert witness.cancelled and witness.reason == "disconnect"


async def test_all_that_came_is_read_although_the_client_has_left(app, serve, witness):
    go, got = asyncio.Event(), []

    @app.post("/", stream=True)
    async def read(request):
        with witness(request):
            got.append(await request.stream.read(10))
            await go.wait()
            async for piece in request.stream:
                got.append(piece)  # noqa: PERF401

    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"999999", b"x" * 200_000))
        await witness.entered.wait()
        await wire.writer.drain()
        await asyncio.sleep(0.05)
        wire.half_close()
        await asyncio.sleep(0.05)
        go.set()
        await witness.wait_left()
    assert isinstance(witness.error, RequestAborted) and len(b"".join(got)) == 200_000


async def test_a_shielded_route_runs_to_its_end(app, serve):
    entered, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @app.post("/", shield=True)
    async def pay(request):
        entered.set()
        await go.wait()
        done.set()
        return text("paid")

    async with Wire(await serve(app)) as wire:
        wire.send(head(b"POST / HTTP/1.1"))
        await entered.wait()
        wire.reset()
        await asyncio.sleep(0.02)
        go.set()
        async with asyncio.timeout(10):
            await done.wait()


async def test_every_end_has_its_name(app, serve):
    outcomes, go = [], asyncio.Event()

    @app.get("/<how>")
    async def end(request, how):
        request._exchange.when_over(lambda exchange: (outcomes.append(str(exchange.outcome)), go.set()))

        async def write(response):
            await response.write("a")
            if how == "fail":
                raise ZeroDivisionError
            if how == "wait":
                await asyncio.Event().wait()

        return stream(write)

    app.config.STREAM_IDLE_TIMEOUT = None
    address = await serve(app)
    for how in (b"end", b"fail", b"wait"):
        go.clear()
        async with Wire(address) as wire:
            wire.send(head(b"GET /%b HTTP/1.1" % how))
            await wire.until(b"a\r\n")
            if how == b"wait":
                wire.reset()
            async with asyncio.timeout(10):
                await go.wait()
    assert outcomes == ["completed", "failed", "client left"]


@pytest.mark.slow
async def test_a_storm_of_clients_that_leave_at_any_moment_leaves_nothing_behind(app, server, caplog):
    @app.get("/stream/<awaited:int>")
    async def streaming(request, awaited):
        async def write(response):
            for number in range(60):
                writing = response.write(b"x" * (10, 1000, 20_000, 200_000)[number % 4])
                if awaited:
                    await writing

        return stream(write)

    @app.get("/whole")
    async def whole(request):
        return text("x" * 1_000_000)

    @app.post("/echo", stream=True)
    async def echo(request):
        async def write(response):
            async for piece in request.stream:
                await response.write(piece)

        return stream(write)

    requests = [
        head(b"GET /stream/0 HTTP/1.1"),
        head(b"GET /stream/1 HTTP/1.1"),
        head(b"GET /stream/1 HTTP/1.0"),
        head(b"GET /whole HTTP/1.1"),
        head(b"POST /echo HTTP/1.1", b"Content-Length: 100000") + b"x" * 100_000,
        head(b"POST /echo HTTP/1.1", b"Content-Length: 100000") + b"x" * 100,
        b"\x00\r\n\r\n",
    ]
    address = server.sockets[0].getsockname()

    async def client(number):
        dice = random.Random(number)
        async with Wire(address) as wire:
            wire.send(b"".join(dice.choices(requests, k=dice.randint(1, 3))))
            with contextlib.suppress(OSError, TimeoutError):
                for _ in range(dice.randint(0, 6)):
                    async with asyncio.timeout(0.05):
                        await wire.reader.read(dice.choice([10, 70_000]))
                if dice.random() < 0.3:
                    wire.half_close()
                    await asyncio.sleep(dice.random() / 10)
                if dice.random() < 0.5:
                    wire.reset()

    for start in range(0, 300, 50):
        await asyncio.gather(*[client(number) for number in range(start, start + 50)])
    await until(lambda: not server.connections)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# Clients that end their side


async def test_a_half_closed_client_gets_its_answer(app, serve):
    @app.get("/")
    async def hello(request):
        await asyncio.sleep(0.005)
        return text("hello")

    assert (await talk(await serve(app), GET, half_close=True)).endswith(b"hello")


async def test_a_half_closed_client_gets_all_its_answers(app, serve):
    @app.get("/")
    async def hello(request):
        await asyncio.sleep(0.001)
        return text("hello")

    replies = read_answers(await talk(await serve(app), GET * 5, half_close=True))
    assert [reply.body for reply in replies] == [b"hello"] * 5


async def test_a_half_closed_client_gets_a_long_stream_to_its_end(app, serve):
    """What it is sent after its FIN is not answered by a reset: it is still there."""

    @app.get("/")
    async def count(request):
        async def write(response):
            for number in range(20):
                await response.write(f"{number},")
                await asyncio.sleep(0.01)

        return stream(write)

    (reply,) = read_answers(await talk(await serve(app), GET, half_close=True))
    assert reply.whole and reply.body.endswith(b",19,")


async def test_a_client_that_has_gone_does_not_get_a_long_stream(app, serve, witness):
    @app.get("/")
    async def count(request):
        async def write(response):
            with witness(request):
                while True:
                    await response.write("x")
                    await asyncio.sleep(0.005)

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"x")
        wire.writer.close()
        await witness.wait_left()
    assert witness.cancelled or isinstance(witness.error, ClientDisconnected)


@pytest.mark.slow
async def test_a_route_may_wait_for_half_closed_clients(app, serve):
    @app.get("/", half_close=True)
    async def slow(request):
        await asyncio.sleep(0.3)
        return text("late")

    assert (await talk(await serve(app), GET, half_close=True)).endswith(b"late")


# Timeouts


async def test_an_answer_that_does_not_begin_in_time_is_503(app, serve, witness):
    app.config.RESPONSE_TIMEOUT = 0.05
    async with Wire(await serve(idle_routes(app, witness))) as wire:
        wire.send(head(b"GET /plain HTTP/1.1"))
        assert (await wire.answer()).status == 503
    assert witness.cancelled and witness.reason == "timeout"


async def test_a_stream_that_has_begun_may_take_longer(app, serve):
    @app.get("/")
    async def slow(request):
        async def write(response):
            await response.write("a")
            await asyncio.sleep(0.15)
            await response.write("b")

        return stream(write)

    app.config.RESPONSE_TIMEOUT = 0.05
    (reply,) = read_answers(await talk(await serve(app), CLOSING))
    assert reply.whole and reply.body == b"ab"


async def test_a_silent_stream_is_cut_if_that_was_asked_for(app, serve, witness):
    app.config.STREAM_IDLE_TIMEOUT = 0.05
    async with Wire(await serve(idle_routes(app, witness))) as wire:
        wire.send(head(b"GET /stream HTTP/1.1"))
        raw = await wire.rest()
    assert raw.endswith(b"1\r\na\r\n") and witness.reason == "timeout"


@pytest.mark.parametrize("path", [b"/read", b"/whole"])
async def test_a_body_that_stops_coming_is_408(app, serve, witness, path):
    @app.post("/whole")
    async def whole(request):
        raise AssertionError("not reached")

    app.config.REQUEST_IDLE_TIMEOUT = 0.05
    async with Wire(await serve(idle_routes(app, witness))) as wire:
        wire.send(head(b"POST %b HTTP/1.1" % path, b"Content-Length: 10") + b"hello")
        reply = await wire.answer("POST")
        assert (reply.status, reply.headers["connection"]) == (408, "close") and await wire.rest() == b""
    if path == b"/read":
        assert isinstance(witness.error, RequestTimeout)


async def test_a_slow_steady_upload_is_not_cut(app, serve):
    @app.post("/")
    async def whole(request):
        return text(str(len(request.body)))

    app.config.update({"REQUEST_IDLE_TIMEOUT": 0.1, "RESPONSE_TIMEOUT": 0.1, "REQUEST_TIMEOUT": 0.1})
    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"20"))
        for _ in range(20):
            wire.send(b"x")
            await asyncio.sleep(0.01)
        assert (await wire.answer("POST")).body == b"20"


def slow_socket(address):
    """A client with a small window."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(address)
    sock.setblocking(False)
    return sock


async def take_all(sock):
    """Take what was sent until the end."""
    while await asyncio.get_running_loop().sock_recv(sock, 1_000_000):
        pass


@pytest.mark.slow
async def test_a_slow_steady_download_is_not_cut(app, serve):
    """The client takes bytes from the kernel long before the kernel asks us for more."""

    @app.get("/")
    async def large(request):
        async def write(response):
            await response.write(b"x" * 20_000_000)

        return stream(write, headers={"Content-Length": "20000000"})

    app.config.WRITE_TIMEOUT = 0.2
    loop = asyncio.get_running_loop()
    with slow_socket(await serve(app)) as sock:
        await loop.sock_sendall(sock, GET)
        got = 0
        for _ in range(60):
            got += len(await loop.sock_recv(sock, 4096))
            await asyncio.sleep(0.015)
        assert got > 0
        while data := await loop.sock_recv(sock, 1_000_000):
            got += len(data)
            if got > 20_000_000:
                break
        assert got > 20_000_000


async def test_a_client_that_takes_nothing_is_reset(app, serve, witness):
    @app.get("/")
    async def large(request):
        async def write(response):
            with witness(request):
                while True:
                    await response.write(b"x" * 1_000_000)

        return stream(write)

    app.config.WRITE_TIMEOUT = 0.1
    loop = asyncio.get_running_loop()
    with slow_socket(await serve(app)) as sock:
        await loop.sock_sendall(sock, GET)
        await witness.wait_left()
        with pytest.raises(ConnectionResetError):
            await take_all(sock)
    assert witness.reason == "timeout"


async def until_reset(sock):
    """Wait for a reset, as the kernel tells of it before anything is read."""
    poll = select.poll()
    poll.register(sock, 0)
    await until(lambda: poll.poll(0))


@pytest.mark.slow
async def test_a_whole_answer_that_is_not_taken_is_reset_too(app, serve):
    @app.get("/")
    async def large(request):
        return text("x" * 20_000_000)

    app.config.update({"WRITE_TIMEOUT": 0.1, "GRACEFUL_TCP_CLOSE_TIMEOUT": 0.1})
    loop = asyncio.get_running_loop()
    address = await serve(app)
    for request in (GET, CLOSING):
        with slow_socket(address) as sock:
            await loop.sock_sendall(sock, request)
            await until_reset(sock)
            with pytest.raises(ConnectionResetError):
                await take_all(sock)


async def test_a_route_may_have_clocks_of_its_own(app, serve):
    @app.get("/short", timeout=0.05)
    async def short(request):
        await asyncio.Event().wait()

    @app.get("/long", timeout=None)
    async def long(request):
        await asyncio.sleep(0.15)
        return text("long")

    app.config.RESPONSE_TIMEOUT = 0.1
    address = await serve(app)
    async with Wire(address) as wire:
        wire.send(head(b"GET /short HTTP/1.1") + head(b"GET /long HTTP/1.1"))
        assert (await wire.answer()).status == 503
        assert (await wire.answer()).body == b"long"


# Shutdown


async def test_shutdown_lets_a_stream_come_to_its_end(app, server):
    go = asyncio.Event()

    @app.get("/")
    async def count(request):
        async def write(response):
            await response.write("a")
            await go.wait()
            await response.write("b")

        return stream(write)

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET)
        await wire.until(b"a\r\n")
        closing = server.close()
        await asyncio.sleep(0.02)
        assert not closing.done()
        go.set()
        assert await wire.rest() == b"1\r\nb\r\n0\r\n\r\n"
        await closing


async def test_answers_say_close_during_shutdown(app, server):
    entered, go = asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def wait(request):
        entered.set()
        await go.wait()
        return text("late")

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET)
        await entered.wait()
        closing = server.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        go.set()
        raw = await wire.rest()
        assert b"\r\nConnection: close\r\n" in raw and raw.endswith(b"late")
        await closing


async def test_an_upload_in_progress_is_finished(app, server):
    entered = asyncio.Event()

    @app.post("/", stream=True)
    async def read(request):
        entered.set()
        return text((await request.stream.read_all()).decode())

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(sized(b"10", b"hello"))
        await entered.wait()
        closing = server.close()
        await asyncio.sleep(0.01)
        wire.send(b"world")
        assert (await wire.rest()).endswith(b"helloworld")
        await closing


async def test_an_endless_stream_is_cut_without_an_end_when_the_grace_is_over(app, server, witness):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.05
    idle_routes(app, witness)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(head(b"GET /stream HTTP/1.1"))
        await wire.until(b"a\r\n")
        closing = server.close()
        assert await wire.rest() == b""
        await closing
    assert witness.cancelled and witness.reason == "shutdown"


async def test_idle_connections_are_closed_at_once(app, server):
    @app.get("/")
    async def hello(request):
        return text("hello")

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET)
        await wire.answer()
        await server.close()
        assert await wire.rest() == b""


@pytest.mark.parametrize("path", [b"/plain", b"/stream"])
async def test_what_a_second_signal_cuts_was_shut_down(app, server, witness, path):
    outcomes = []

    @app.signal("http.lifecycle.complete")
    async def tell(request, outcome, **context):
        outcomes.append(outcome)

    idle_routes(app, witness)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(head(b"GET %b HTTP/1.1" % path))
        await witness.entered.wait()
        server.server.abort()
        await witness.wait_left()
        await until(lambda: outcomes)
    assert witness.cancelled and witness.reason == "shutdown" and outcomes == ["shut down"]


@pytest.mark.slow
async def test_half_a_head_is_not_waited_for(app, server):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET[:10])
        await asyncio.sleep(0.01)
        await server.close()
        assert await wire.rest() == b""
