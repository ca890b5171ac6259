"""Streams on the wire, in both directions: what a handler reads and writes, and which bytes that is."""

import asyncio
from decimal import Decimal

import pytest

from sanicish.exceptions import PayloadTooLarge, StreamBusy, StreamClosed, WriteBufferFull
from sanicish.response import stream, text
from tests.cases.requests import chunked, head, sized
from tests.doubles.answers import read_answers
from tests.doubles.wire import Wire, talk
from tests.waiting import until

GET = head(b"GET / HTTP/1.1")
CLOSING = head(b"GET / HTTP/1.1", b"Connection: close")
POST = head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")
HEAD_OF_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def reading(app, read):
    """A streaming route whose answer is what ``read(stream)`` gives."""

    @app.post("/", stream=True)
    async def handler(request):
        return text(repr(await read(request.stream)))

    return app


async def answer(address, raw):
    (reply,) = read_answers(await talk(address, raw, half_close=False), "POST")
    return reply


async def ask(app, serve, raw):
    """The body of the response to one request."""
    async with Wire(await serve(app)) as wire:
        wire.send(raw)
        return (await wire.answer("POST")).body.decode()


# Request streams


async def all_pieces(body):
    return b"".join([piece async for piece in body])


@pytest.mark.parametrize("raw", [sized(b"5", b"hello"), chunked(chunk(b"he"), chunk(b"llo"), b"0\r\n\r\n")])
async def test_a_body_is_read_piece_by_piece(app, serve, raw):
    assert await ask(reading(app, all_pieces), serve, raw) == "b'hello'"


@pytest.mark.parametrize("raw", [head(b"POST / HTTP/1.1"), sized(b"0"), chunked(b"0\r\n\r\n")])
async def test_an_empty_body_is_none_for_ever(app, serve, raw):
    async def read(body):
        return [await body.read() for _ in range(3)]

    assert await ask(reading(app, read), serve, raw) == "[None, None, None]"


async def test_a_piece_is_there_before_the_next_one_is_sent(app, serve):
    got = []

    async def read(body):
        async for piece in body:
            got.append(piece)  # noqa: PERF401
        return len(got)

    async with Wire(await serve(reading(app, read))) as wire:
        wire.send(POST)
        for number in range(5):
            wire.send(chunk(b"%d" % number))
            await until(lambda number=number: len(got) == number + 1)
        wire.send(b"0\r\n\r\n")
        assert (await wire.answer("POST")).body == b"5" and got == [b"0", b"1", b"2", b"3", b"4"]


async def test_lines_and_exact_bytes(app, serve):
    async def read(body):
        return [await body.readline(), await body.readexactly(3), await body.read(2), await body.read_all()]

    raw = chunked(*(chunk(bytes([byte])) for byte in b"one\ntwothree"), b"0\r\n\r\n")
    assert await ask(reading(app, read), serve, raw) == "[b'one\\n', b'two', b'th', b'ree']"


async def test_a_second_reader_is_refused_and_the_first_one_gets_everything(app, serve):
    async def read(body):
        first = asyncio.ensure_future(body.read())
        await asyncio.sleep(0)
        with pytest.raises(StreamBusy):
            await body.read()
        return await first

    async with Wire(await serve(reading(app, read))) as wire:
        wire.send(POST)
        await asyncio.sleep(0.01)
        wire.send(chunk(b"hello") + b"0\r\n\r\n")
        assert (await wire.answer("POST")).body == b"b'hello'"


async def test_the_socket_is_not_read_while_nobody_reads_the_body(app, serve):
    go, seen = asyncio.Event(), []

    @app.post("/", stream=True)
    async def slow(request):
        seen.append(request.stream)
        await go.wait()
        return text(str(len(await all_pieces(request.stream))))

    total = 20_000_000
    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"%d" % total))
        wire.send(b"x" * total)
        await until(lambda: seen and seen[0].received)
        await asyncio.sleep(0.05)
        assert seen[0].unread == seen[0].received <= 65_536 + 262_144, "the mark, and what one read brings"
        go.set()
        assert (await wire.answer("POST")).body == b"%d" % total


async def test_a_large_body_that_nobody_read_does_not_keep_the_next_request_from_its_answer(app, serve):
    @app.post("/", stream=True)
    async def ignore(request):
        return text("not wanted")

    async with Wire(await serve(app)) as wire:
        for _ in range(3):
            wire.send(sized(b"100000", b"x" * 100_000))
            assert (await wire.answer("POST")).body == b"not wanted"


async def test_a_streamed_body_has_no_limit_of_its_own(app, serve):
    async def read(body):
        return len(await all_pieces(body))

    app.config.REQUEST_MAX_SIZE = 10
    assert await ask(reading(app, read), serve, sized(b"1000", b"x" * 1000)) == "1000"


@pytest.mark.parametrize(
    "raw",
    [
        sized(b"11", b"x" * 11),
        chunked(chunk(b"x" * 11), b"0\r\n\r\n"),
        chunked(chunk(b"x" * 6), chunk(b"x" * 6), b"0\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("where", ["route", "settings"])
async def test_a_streamed_body_has_the_limit_it_was_given(app, serve, raw, where):
    """Also when all of it came in one packet with its head."""

    @app.post("/", stream=True, **({"max_body_size": 10} if where == "route" else {}))
    async def handler(request):
        return text(str(len(await all_pieces(request.stream))))

    if where == "settings":
        app.config.REQUEST_STREAM_MAX_SIZE = 10
    async with Wire(await serve(app)) as wire:
        wire.send(raw)
        reply = await wire.answer("POST")
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert await wire.rest() == b""


async def test_a_limit_is_kept_to_the_byte(app, serve):
    @app.post("/", stream=True, max_body_size=10)
    async def handler(request):
        return text(str(len(await all_pieces(request.stream))))

    assert await ask(app, serve, chunked(chunk(b"x" * 10), b"0\r\n\r\n")) == "10"


async def test_a_limit_may_be_answered_by_the_handler(app, serve):
    @app.post("/", stream=True, max_body_size=10)
    async def handler(request):
        try:
            await all_pieces(request.stream)
        except PayloadTooLarge:
            return text("too much", status=413)

    async with Wire(await serve(app)) as wire:
        wire.send(POST)
        await asyncio.sleep(0.01)
        wire.send(chunk(b"x" * 11))
        assert (await wire.answer("POST")).body == b"too much"


async def test_a_body_may_be_answered_while_it_comes(app, serve):
    """Full duplex, chunk by chunk."""

    @app.post("/", stream=True)
    async def echo(request):
        async def write(response):
            async for piece in request.stream:
                await response.write(piece.upper())

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(POST)
        for word in (b"one", b"two", b"three"):
            wire.send(chunk(word))
            await wire.until(chunk(word.upper()))
        wire.send(b"0\r\n\r\n" + CLOSING)
        await wire.until(b"0\r\n\r\n")
        assert (await wire.rest()).startswith(b"HTTP/1.1 405 "), "and the connection goes on"


async def test_a_large_echo_does_not_wait_for_itself(app, serve):
    """Reader and writer of one handler hold each other up only as far as the buffers reach."""

    @app.post("/", stream=True)
    async def echo(request):
        async def write(response):
            async for piece in request.stream:
                await response.write(piece)

        return stream(write)

    body = bytes(range(256)) * 8192
    async with Wire(await serve(app)) as wire:
        wire.send(head(b"POST / HTTP/1.1", b"Connection: close", b"Content-Length: %d" % len(body)) + body)
        (reply,) = read_answers(await wire.rest(), "POST")
    assert reply.whole and reply.body == body


# Response streams


def writing(app, write, **options):
    """A route whose answer ``write(response)`` writes."""

    @app.get("/")
    async def handler(request):
        return stream(write, **options)

    return app


async def body_of(app, serve, request=CLOSING):
    """The body of one response, as it stands on the wire."""
    return (await talk(await serve(app), request)).partition(b"\r\n\r\n")[2]


async def test_the_head_leaves_with_the_first_data(app, serve):
    go = asyncio.Event()

    async def write(response):
        await go.wait()
        await response.write("a")

    async with Wire(await serve(writing(app, write))) as wire:
        wire.send(GET)
        await asyncio.sleep(0.02)
        assert not wire.reader._buffer
        go.set()
        assert (await wire.until(b"\r\n\r\n")).startswith(HEAD_OF_STREAM)
        assert await wire.until(b"0\r\n\r\n") == b"1\r\na\r\n0\r\n\r\n"


@pytest.mark.parametrize("push", [lambda response: response.flush(), lambda response: response.write("")])
async def test_a_flush_and_an_empty_write_send_the_head(app, serve, push):
    go = asyncio.Event()

    async def write(response):
        await push(response)
        await go.wait()

    async with Wire(await serve(writing(app, write))) as wire:
        wire.send(GET)
        await wire.until(b"\r\n\r\n")
        go.set()
        assert await wire.until(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_each_write_is_a_chunk_on_the_wire_at_once(app, serve):
    go = asyncio.Event()

    async def write(response):
        for number in range(3):
            await response.write(str(number))
            go.clear()
            await go.wait()

    async with Wire(await serve(writing(app, write))) as wire:
        wire.send(GET)
        await wire.until(b"\r\n\r\n")
        for number in range(3):
            assert await wire.exactly(6) == b"1\r\n%d\r\n" % number
            go.set()
        assert await wire.until(b"0\r\n\r\n") == b"0\r\n\r\n"


async def test_writes_need_not_be_awaited(app, serve):
    async def write(response):
        response.write("a")
        response.write("b")

    assert await body_of(writing(app, write), serve) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ("h\xe9", b"h\xc3\xa9"),
        (b"\xff\x00", b"\xff\x00"),
        (bytearray(b"xy"), b"xy"),
        (memoryview(b"xyz")[1:], b"yz"),
        (0, b"0"),
        (-12, b"-12"),
        (1.5, b"1.5"),
        (Decimal("1.10"), b"1.10"),
    ],
)
async def test_what_can_be_written(app, serve, data, sent):
    async def write(response):
        await response.write(data)

    assert await body_of(writing(app, write), serve) == chunk(sent) + b"0\r\n\r\n"


@pytest.mark.parametrize("data", [None, [1], {"a": 1}, (1,), object(), 1j])
async def test_what_cannot_be_written_is_an_error_before_a_byte_leaves(app, serve, caplog, data):
    async def write(response):
        await response.write(data)

    raw = await talk(await serve(writing(app, write)), CLOSING)
    assert raw.startswith(b"HTTP/1.1 500 ") and raw.count(b"HTTP/1.1 ") == 1


async def test_a_buffer_may_be_used_again_after_the_write(app, serve):
    async def write(response):
        buffer = bytearray(b"one")
        response.write(buffer)
        buffer[:] = b"two"
        response.write(buffer)

    assert await body_of(writing(app, write), serve) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_an_empty_write_ends_nothing(app, serve):
    async def write(response):
        for data in ("a", "", b"", "b"):
            await response.write(data)

    assert await body_of(writing(app, write), serve) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


async def test_a_stream_without_a_write_is_an_empty_body(app, serve):
    async def write(response):
        pass

    assert await body_of(writing(app, write), serve) == b"0\r\n\r\n"


@pytest.mark.slow
@pytest.mark.parametrize("request_", [GET, CLOSING], ids=["keep-alive", "close"])
@pytest.mark.parametrize("leave", [None, Wire.half_close, Wire.reset])
async def test_a_handler_that_goes_on_after_the_end_is_not_cancelled(app, serve, request_, leave):
    app.config.update(RESPONSE_TIMEOUT=0.01, STREAM_IDLE_TIMEOUT=0.01, WRITE_TIMEOUT=0.01)
    done = asyncio.Event()

    async def write(response):
        await response.write("a")
        await response.eof()
        await asyncio.sleep(0.2)  # several rounds of the sweep
        done.set()

    async with Wire(await serve(writing(app, write))) as wire:
        wire.send(request_)
        await wire.answer()
        if leave is not None:
            leave(wire)
        async with asyncio.timeout(10):
            await done.wait()


async def test_a_write_after_the_end_raises_and_sends_nothing(app, serve):
    raised = []

    async def write(response):
        await response.write("a")
        await response.eof()
        for late in ("b", ""):
            try:
                await response.write(late)
            except StreamClosed:
                raised.append(late)

    async with Wire(await serve(writing(app, write))) as wire:
        for _ in range(2):
            wire.send(GET)
            assert (await wire.answer()).raw.endswith(b"\r\n\r\n1\r\na\r\n0\r\n\r\n")
    assert raised == ["b", ""] * 2


async def test_the_end_may_be_said_twice(app, serve):
    async def write(response):
        await response.eof()
        await response.eof()

    assert await body_of(writing(app, write), serve) == b"0\r\n\r\n"


async def test_headers_cannot_change_once_they_have_left(app, serve):
    raised = []

    async def write(response):
        response.headers["X"] = "y"
        await response.write("a")
        try:
            response.headers["X"] = "z"
        except RuntimeError:
            raised.append(True)

    raw = await talk(await serve(writing(app, write)), CLOSING)
    assert b"\r\nX: y\r\n" in raw and raised


async def test_a_writer_waits_while_its_client_does_not_read(app, serve):
    written = []

    async def write(response):
        for _ in range(1000):
            await response.write(b"x" * 65_536)
            written.append(65_536)

    app.config.WRITE_TIMEOUT = None
    async with Wire(await serve(writing(app, write))) as wire:
        wire.writer.transport.pause_reading()
        wire.send(GET)
        sizes = [0, -1]
        while sizes[-1] != sizes[-2]:
            await asyncio.sleep(0.05)
            sizes.append(sum(written))
        assert 0 < sizes[-1] < 40_000_000, "what the kernel takes, and not what there is"


@pytest.mark.slow
async def test_who_asks_and_does_not_read_is_answered_no_further(app):
    app.get("/")(lambda request: text("x" * 10_000))
    server = await app.create_server(port=0, access_log=False)
    count = 4_000
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.reader._limit = 1_024  # the client takes no more than this
        wire.send(GET)
        size = len((await wire.answer()).raw)
        wire.send(GET * count)
        await until(lambda: any(one.flow.paused and one.flow.holding for one in server.connections))
        (connection,) = server.connections
        assert connection.wire.unsent <= 65_536 + 11_000
        missing = size * count
        async with asyncio.timeout(20):
            while missing:
                missing -= len(await wire.reader.read(65_536))
    await server.close()


async def test_a_writer_that_does_not_await_is_stopped_at_the_limit(app, serve):
    raised = []

    async def write(response):
        try:
            for _ in range(1000):
                response.write(b"x" * 65_536)
        except WriteBufferFull as error:
            raised.append(error)
            raise

    app.config.RESPONSE_BUFFER_LIMIT = 1_000_000
    async with Wire(await serve(writing(app, write))) as wire:
        wire.send(GET)
        raw = await wire.rest()
    assert raised and not read_answers(raw)[0].whole


async def test_other_requests_are_answered_while_one_handler_writes_without_end(app, serve):
    """Awaiting a write that has room never gives the loop away by itself."""
    done = asyncio.Event()

    async def write(response):
        while not done.is_set():
            await response.write("x")

    @app.get("/other")
    async def other(request):
        return text("other")

    address = await serve(writing(app, write))
    async with Wire(address) as busy, Wire(address) as wire:
        busy.send(GET)
        await busy.until(b"\r\n\r\n")
        draining = asyncio.ensure_future(busy.rest())
        for _ in range(5):
            wire.send(head(b"GET /other HTTP/1.1"))
            assert (await wire.answer()).body == b"other"
        done.set()
        busy.half_close()
        await draining


async def test_a_timed_write_is_an_awaitable_like_any_other(app, serve):
    async def write(response):
        await asyncio.wait_for(response.write("a"), 5)
        await asyncio.gather(response.write("b"), response.write("c"))

    assert await body_of(writing(app, write), serve) == b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
