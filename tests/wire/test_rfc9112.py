"""HTTP/1.1 on the wire, in the order of RFC 9112: raw bytes on real sockets."""

import asyncio

import pytest

from sanicish.response import empty, stream, text
from tests.cases.requests import ACCEPTED, REJECTED, chunked, head, sized
from tests.cases.splits import NEXT
from tests.doubles.answers import read_answers
from tests.doubles.wire import Wire, talk
from tests.waiting import until
from tests.wire.checks import check_accepted, check_rejected, of_sections

GET = head(b"GET / HTTP/1.1")
CLOSING = head(b"GET / HTTP/1.1", b"Connection: close")


@pytest.mark.parametrize("case", of_sections(ACCEPTED, "9112", "3986"), ids=lambda case: case.name)
def test_what_the_rfc_allows_is_understood(echo, case):
    check_accepted(echo, case)


@pytest.mark.parametrize("case", of_sections(REJECTED, "9112", "3986", "9113"), ids=lambda case: case.name)
def test_what_the_rfc_forbids_is_refused(echo, case):
    check_rejected(echo, case)


# 2.2 Message parsing


async def test_a_head_may_come_as_slowly_as_it_likes(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    async with Wire(await serve(app)) as wire:
        for byte in GET:
            wire.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await wire.answer()).body == b"hello"


# 4 Status line


def test_the_status_line_names_the_version_of_the_server(echo):
    assert echo.talk(head(b"GET / HTTP/1.0")).startswith(b"HTTP/1.1 200 OK\r\n")


# 6 Message body: the framing of responses


async def streaming(app, serve, **options):
    @app.get("/")
    async def two(request):
        async def write(response):
            await response.write("he")
            await response.write("llo")

        return stream(write, **options)

    return await serve(app)


async def test_a_stream_is_chunked_in_http_1_1(app, serve):
    raw = await talk(await streaming(app, serve), CLOSING)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in raw and raw.endswith(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
    assert b"Content-Length" not in raw


async def test_a_stream_to_http_1_0_ends_with_the_connection(app, serve):
    raw = await talk(await streaming(app, serve), head(b"GET / HTTP/1.0"))
    assert raw.endswith(b"\r\n\r\nhello") and b"Transfer-Encoding" not in raw and b"Content-Length" not in raw
    assert b"\r\nConnection: close\r\n" in raw


async def test_a_stream_to_http_1_0_closes_although_the_client_would_stay(app, serve):
    address = await streaming(app, serve)
    raw = await talk(address, head(b"GET / HTTP/1.0", b"Connection: keep-alive"))
    assert raw.endswith(b"\r\n\r\nhello") and b"\r\nConnection: close\r\n" in raw


async def test_a_stream_that_is_not_chunked_ends_with_the_connection(app, serve):
    raw = await talk(await streaming(app, serve, chunked=False), GET)
    assert raw.endswith(b"\r\n\r\nhello") and b"\r\nConnection: close\r\n" in raw


@pytest.mark.parametrize("options", [{}, {"chunked": False}])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_stream_of_known_length_has_it_and_keeps_the_connection(app, serve, options, version):
    address = await streaming(app, serve, headers={"Content-Length": "5"}, **options)
    async with Wire(address) as wire:
        for _ in range(2):
            wire.send(head(b"GET / HTTP/" + version, b"Connection: keep-alive"))
            answer = await wire.answer()
            assert answer.raw.endswith(b"\r\n\r\nhello") and answer.headers["content-length"] == "5"
            assert "transfer-encoding" not in answer.headers


async def test_chunks_that_were_asked_for_replace_a_length(app, serve):
    raw = await talk(await streaming(app, serve, headers={"Content-Length": "5"}, chunked=True), CLOSING)
    assert raw.endswith(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n") and b"Content-Length" not in raw


async def test_a_large_body_in_small_chunks_arrives_whole(app, serve):
    @app.get("/")
    async def many(request):
        async def write(response):
            for number in range(20_000):
                await response.write(f"{number},")

        return stream(write)

    (reply,) = read_answers(await talk(await serve(app), CLOSING))
    assert reply.whole and reply.body == b"".join(b"%d," % number for number in range(20_000))


# 7 Transfer codings


async def test_a_chunked_body_of_a_megabyte_arrives_whole(app, serve):
    @app.post("/")
    async def size(request):
        return text(f"{len(request.body)} {sum(request.body)}")

    body = bytes(range(256)) * 4096
    raw = chunked(*(b"%x\r\n%b\r\n" % (1000, body[i : i + 1000]) for i in range(0, 1_048_000, 1000)), b"0\r\n\r\n")
    async with Wire(await serve(app)) as wire:
        wire.send(raw)
        assert (await wire.answer()).body == b"1048000 %d" % sum(body[:1_048_000])


# 9.3 Persistence


def test_a_connection_stays_by_default(echo):
    assert [reply.status for reply in read_answers(echo.talk(GET * 3))] == [200] * 3


def test_http_1_0_stays_if_asked_and_says_so(echo):
    replies = read_answers(echo.talk(head(b"GET / HTTP/1.0", b"Connection: keep-alive") * 2 + CLOSING))
    assert [reply.headers.get("connection") for reply in replies] == ["keep-alive", "keep-alive", "close"]


@pytest.mark.parametrize("raw", [CLOSING, head(b"GET / HTTP/1.0")])
async def test_the_server_closes_when_it_said_so(app, serve, raw):
    @app.get("/")
    async def hello(request):
        return text("hello")

    async with Wire(await serve(app)) as wire:
        wire.send(raw)
        assert b"\r\nConnection: close\r\n" in await wire.rest()


async def test_without_keep_alive_every_answer_closes(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    app.config.KEEP_ALIVE = False
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        assert b"\r\nConnection: close\r\n" in await wire.rest()


async def test_the_application_may_close(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello", headers={"Connection": "close"})

    async with Wire(await serve(app)) as wire:
        wire.send(GET + GET)
        raw = await wire.rest()
    assert raw.count(b"HTTP/1.1 ") == raw.count(b"Connection: close") == 1


# 9.3.2 Pipelining


async def test_pipelined_requests_are_answered_in_order(app, serve):
    @app.get("/<number:int>")
    async def say(request, number):
        await asyncio.sleep(0.001 * (20 - number))
        return text(str(number))

    requests = b"".join(head(b"GET /%d HTTP/1.1" % number) for number in range(20))
    replies = read_answers(await talk(await serve(app), requests, half_close=True))
    assert [reply.body for reply in replies] == [b"%d" % number for number in range(20)]


async def test_the_second_request_waits_for_the_first_answer(app, serve):
    started, go = [], asyncio.Event()

    @app.get("/<name>")
    async def wait(request, name):
        started.append(name)
        if name == "1":
            await go.wait()
        return text(name)

    async with Wire(await serve(app)) as wire:
        wire.send(head(b"GET /1 HTTP/1.1") + head(b"GET /2 HTTP/1.1"))
        await until(lambda: started)
        await asyncio.sleep(0.01)
        assert started == ["1"]
        go.set()
        assert [(await wire.answer()).body for _ in range(2)] == [b"1", b"2"]


async def test_pipelined_bodies_are_told_apart(app, serve):
    @app.post("/")
    async def echo(request):
        return text(request.body.decode())

    raw = chunked(b"3\r\none\r\n0\r\n\r\n") + sized(b"3", b"two") + chunked(b"0\r\n\r\n") + sized(b"4", b"four")
    replies = read_answers(await talk(await serve(app), raw, half_close=True), "POST")
    assert [reply.body for reply in replies] == [b"one", b"two", b"", b"four"]


async def test_an_error_in_a_pipeline_waits_its_turn_and_closes(app, serve):
    @app.get("/")
    async def slow(request):
        async def write(response):
            for _ in range(5):
                await response.write("x")
                await asyncio.sleep(0.001)

        return stream(write)

    replies = read_answers(await talk(await serve(app), GET + b"\x00\r\n\r\n" + GET))
    assert [(reply.status, reply.whole) for reply in replies] == [(200, True), (400, True)]
    assert replies[0].body == b"xxxxx" and replies[1].headers["connection"] == "close"


async def test_a_thousand_pipelined_requests_are_answered(app, serve):
    @app.get("/")
    async def hello(request):
        return empty()

    replies = read_answers(await talk(await serve(app), GET * 999 + CLOSING))
    assert [reply.status for reply in replies] == [204] * 1000


def test_nothing_is_answered_behind_a_request_that_closes(echo):
    before = len(echo.handled)
    assert len(read_answers(echo.talk(CLOSING + NEXT))) == 1
    assert echo.handled[before:] == ["/"]


# 9.5 Failures and timeouts


async def test_a_head_that_does_not_end_in_time_gets_408(app, serve):
    app.config.REQUEST_TIMEOUT = 0.05
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\n")
        raw = await wire.rest()
    assert raw.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and b"\r\nConnection: close\r\n" in raw


async def test_a_client_that_says_nothing_is_closed_without_a_word(app, serve):
    app.config.REQUEST_TIMEOUT = 0.05
    async with Wire(await serve(app)) as wire:
        assert await wire.rest() == b""


async def test_an_idle_connection_is_closed_without_a_word(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    app.config.KEEP_ALIVE_TIMEOUT = 0.05
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.answer()
        assert await wire.rest() == b""


# 9.6 Tear-down


@pytest.mark.parametrize("raw", [sized(b"50000000"), head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked")])
async def test_an_answer_arrives_although_the_client_is_still_sending(app, serve, raw):
    """A plain close would reset it away."""

    @app.post("/", stream=True)
    async def refuse(request):
        return text("no", status=403)

    async with Wire(await serve(app)) as wire:
        wire.send(raw)
        for _ in range(50):
            wire.send(b"ffff\r\n" + b"x" * 65_535 + b"\r\n")
        reply = (await wire.answer("POST")).raw
        await wire.rest()
    assert reply.startswith(b"HTTP/1.1 403 ")


async def test_a_413_arrives_although_the_client_is_still_sending(app, serve):
    @app.post("/")
    async def never(request):
        raise AssertionError("not reached")

    app.config.REQUEST_MAX_SIZE = 1000
    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"3000000"))
        wire.send(b"x" * 3_000_000)
        answer = await wire.answer("POST")
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await wire.rest() == b""


async def test_a_413_arrives_for_a_chunked_body_that_grows_too_large(app, serve):
    @app.post("/")
    async def never(request):
        raise AssertionError("not reached")

    app.config.REQUEST_MAX_SIZE = 100_000
    async with Wire(await serve(app)) as wire:
        wire.send(chunked(b"ffff\r\n" + b"x" * 65_535 + b"\r\n"))
        for _ in range(40):
            wire.send(b"ffff\r\n" + b"x" * 65_535 + b"\r\n")
        answer = await wire.answer("POST")
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await wire.rest() == b""


async def test_a_small_rest_of_a_body_is_swallowed_and_the_connection_stays(app, serve):
    @app.post("/", stream=True)
    async def refuse(request):
        return text("no", status=403)

    @app.get("/")
    async def hello(request):
        return text("hello")

    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"30000", b"x" * 10_000))
        assert (await wire.answer("POST")).status == 403
        wire.send(b"x" * 20_000 + GET)
        assert (await wire.answer()).body == b"hello"


async def test_a_rest_that_never_comes_is_not_waited_for(app, serve):
    @app.post("/", stream=True)
    async def refuse(request):
        return text("no", status=403)

    app.config.LINGER_TIMEOUT = 0.05
    async with Wire(await serve(app)) as wire:
        wire.send(sized(b"30000", b"x"))
        assert (await wire.answer("POST")).status == 403
        assert await wire.rest() == b""


async def send_for_ever(wire):
    while True:
        wire.send(b"x")
        await wire.writer.drain()
        await asyncio.sleep(0.01)


async def test_a_client_that_does_not_leave_is_left(app, serve):
    app.config.update({"LINGER_TIMEOUT": 0.05, "LINGER_TOTAL_TIMEOUT": 0.2})
    async with Wire(await serve(app)) as wire:
        wire.send(b"\x00\r\n\r\n")
        assert (await wire.answer()).status == 400
        with pytest.raises(ConnectionError):  # the server has closed its side altogether
            await send_for_ever(wire)
