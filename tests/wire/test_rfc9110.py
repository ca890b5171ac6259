"""The semantics of HTTP on the wire, in the order of RFC 9110: raw bytes on real sockets."""

import asyncio
import re
from email.utils import parsedate_to_datetime

import pytest

from sanicish.constants import HTTP_METHODS
from sanicish.response import HTTPResponse, empty, raw, stream, text
from tests.cases.requests import ACCEPTED, REJECTED, chunked, head, sized
from tests.doubles.answers import read_answers
from tests.doubles.wire import Wire, talk
from tests.wire.checks import check_accepted, check_rejected, of_sections

GET = head(b"GET / HTTP/1.1")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("case", of_sections(ACCEPTED, "9110"), ids=lambda case: case.name)
def test_what_the_rfc_allows_is_understood(echo, case):
    check_accepted(echo, case)


@pytest.mark.parametrize("case", of_sections(REJECTED, "9110"), ids=lambda case: case.name)
def test_what_the_rfc_forbids_is_refused(echo, case):
    check_rejected(echo, case)


async def ask(app, serve, request):
    """The one response to one request, read to the end of the connection."""
    method = request.partition(b" ")[0].decode()
    (reply,) = read_answers(await talk(await serve(app), request, half_close=True), method)
    return reply


# 5 Fields


async def test_fields_of_one_name_stay_apart(app, serve):
    @app.get("/")
    async def cookies(request):
        return text("|".join(request.headers.getall("x")), headers={"X": ["1", "2"]})

    address = await serve(app)
    sent = await talk(address, head(b"GET / HTTP/1.1", b"X: a", b"x: b, c", b"Connection: close"))
    assert b"\r\nX: 1\r\nX: 2\r\n" in sent and sent.endswith(b"a|b, c")


# 6.4.1, 15.3.5, 15.3.6, 15.4.5 Answers without content


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD"])
async def test_an_answer_without_content_has_neither_body_nor_coding(app, serve, status, method):
    @app.route("/", methods=HTTP_METHODS)
    async def nothing(request):
        return empty(status)

    answer = await talk(await serve(app), head(method + b" / HTTP/1.1", b"Connection: close"))
    assert answer.endswith(b"\r\n\r\n") and answer.count(b"\r\n\r\n") == 1
    assert b"Transfer-Encoding" not in answer and b"Content-Length" not in answer and b"Content-Type" not in answer


async def test_the_next_answer_follows_an_answer_without_content(app, serve):
    @app.get("/<status:int>")
    async def say(request, status):
        return empty(status) if status != 200 else text("ok")

    requests = b"".join(head(b"GET /%d HTTP/1.1" % status) for status in (204, 304, 205, 200))
    replies = read_answers(await talk(await serve(app), requests, half_close=True))
    assert [(reply.status, reply.body) for reply in replies] == [(204, b""), (304, b""), (205, b""), (200, b"ok")]


async def test_reset_content_says_that_it_is_empty(app, serve):
    @app.get("/")
    async def reset(request):
        return empty(205)

    assert (await ask(app, serve, GET)).headers["content-length"] == "0"


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_stream_has_no_content_where_there_is_none(app, serve, caplog, status):
    @app.get("/")
    async def written(request):
        async def write(response):
            await response.write("not to be seen")

        return stream(write, status=status)

    answer = await talk(await serve(app), head(b"GET / HTTP/1.1", b"Connection: close"))
    assert b"not to be seen" not in answer and b"Transfer-Encoding" not in answer
    assert f"status {status} allows no body" in caplog.text


@pytest.mark.parametrize("status", [204, 304])
async def test_a_body_has_no_content_where_there_is_none(app, serve, caplog, status):
    @app.get("/")
    async def whole(request):
        return text("not to be seen", status=status)

    answer = await talk(await serve(app), head(b"GET / HTTP/1.1", b"Connection: close"))
    assert b"not to be seen" not in answer and f"status {status} allows no body" in caplog.text


# 6.5 Trailers


async def test_trailers_stand_apart_from_the_fields(app, serve):
    @app.post("/", stream=True)
    async def read(request):
        while await request.stream.read() is not None:
            pass
        return text(f"{dict(request.stream.trailers)} {request.headers['host']} {request.headers.get('x-rows')}")

    body = chunked(b"1\r\na\r\n0\r\nX-Rows: 3\r\nHost: evil\r\nAuthorization: no\r\n\r\n")
    assert (await ask(app, serve, body)).body == b"{'x-rows': '3'} a None"


# 6.6.1 Date


async def test_every_answer_has_one_date(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    address = await serve(app)
    for request in (GET, head(b"GET /missing HTTP/1.1"), b"\x00\r\n\r\n"):
        answer = await talk(address, request, half_close=True)
        (date,) = re.findall(rb"\r\nDate: ([^\r]+)\r\n", answer)
        assert parsedate_to_datetime(date.decode()).tzinfo is not None


# 8.6 Content-Length


async def test_head_tells_the_length_and_sends_nothing(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    reply = await ask(app, serve, head(b"HEAD / HTTP/1.1"))
    assert (reply.headers["content-length"], reply.body) == ("5", b"")


async def test_an_empty_answer_says_so(app, serve):
    @app.get("/")
    async def nothing(request):
        return HTTPResponse()

    assert (await ask(app, serve, GET)).headers["content-length"] == "0"


# 9.3.2 HEAD


async def test_head_of_a_stream_has_its_fields_and_no_body_and_the_connection_stays(app, serve):
    @app.get("/")
    async def endless(request):
        async def write(response):
            while True:
                await response.write("x")

        return stream(write, headers={"X": "y"})

    @app.get("/next")
    async def hello(request):
        return text("hello")

    async with Wire(await serve(app)) as wire:
        wire.send(head(b"HEAD / HTTP/1.1") + head(b"GET /next HTTP/1.1"))
        first = await wire.answer("HEAD")
        assert first.headers["x"] == "y" and first.headers["transfer-encoding"] == "chunked" and first.body == b""
        assert (await wire.answer()).body == b"hello"


async def test_head_ends_a_handler_that_writes_by_itself(app, serve, caplog):
    ended = []

    @app.get("/")
    async def endless(request):
        response = await request.respond()
        try:
            while True:
                await response.send("x")
        finally:
            ended.append(True)

    async with Wire(await serve(app)) as wire:
        for _ in range(2):
            wire.send(head(b"HEAD / HTTP/1.1"))
            assert (await wire.answer("HEAD")).body == b""
    assert ended == [True, True] and not caplog.records


async def test_head_does_no_harm_to_writes_that_nobody_awaits(app, serve, caplog):
    @app.get("/")
    async def few(request):
        response = await request.respond()
        for _ in range(3):
            response.send("x")

    async with Wire(await serve(app)) as wire:
        wire.send(head(b"HEAD / HTTP/1.1") + GET)
        assert (await wire.answer("HEAD")).body == b""
        assert (await wire.answer()).body == b"xxx"
    assert not caplog.records


# 9.3.6 CONNECT, 9.3.7 OPTIONS


def test_nothing_behind_a_connect_is_read(echo):
    before = len(echo.handled)
    (reply,) = read_answers(echo.talk(head(b"CONNECT a:1 HTTP/1.1") + head(b"GET /tunnel HTTP/1.1")))
    assert reply.status == 501 and echo.handled[before:] == []


def test_the_asterisk_asks_the_server_itself(echo):
    replies = read_answers(echo.talk(head(b"OPTIONS * HTTP/1.1") * 2), "OPTIONS")
    assert [(reply.status, reply.body) for reply in replies] == [(200, b"")] * 2


# 10.1.1 Expect

EXPECT = head(b"POST / HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 5")


async def test_a_continue_is_sent_when_the_body_is_read(app, serve):
    go = asyncio.Event()

    @app.post("/", stream=True)
    async def read(request):
        await go.wait()
        return text((await request.stream.read()).decode())

    async with Wire(await serve(app)) as wire:
        wire.send(EXPECT)
        await asyncio.sleep(0.02)
        assert not wire.reader._buffer, "not before"
        go.set()
        assert await wire.until(b"\r\n\r\n") == CONTINUE
        wire.send(b"hello")
        assert (await wire.answer("POST")).body == b"hello"


async def test_a_continue_is_sent_for_a_body_that_is_wanted_whole(app, serve):
    @app.post("/")
    async def whole(request):
        return text(request.body.decode())

    async with Wire(await serve(app)) as wire:
        for _ in range(2):
            wire.send(EXPECT)
            assert await wire.until(b"\r\n\r\n") == CONTINUE
            wire.send(b"hello")
            assert (await wire.answer("POST")).body == b"hello"


@pytest.mark.parametrize("path", [b"/", b"/missing"])
async def test_an_answer_without_reading_comes_without_continue_and_closes(app, serve, path):
    @app.post("/", stream=True)
    async def refuse(request):
        return text("no", status=403)

    async with Wire(await serve(app)) as wire:
        wire.send(EXPECT.replace(b" / ", b" %b " % path))
        answer = await wire.answer("POST")
        assert answer.status in (403, 404) and answer.raw.startswith(b"HTTP/1.1 40")
        assert answer.headers["connection"] == "close" and await wire.rest() == b""


async def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(app, serve):
    @app.post("/")
    async def never(request):
        raise AssertionError("not reached")

    app.config.REQUEST_MAX_SIZE = 4
    async with Wire(await serve(app)) as wire:
        wire.send(EXPECT)
        answer = await wire.answer("POST")
        assert answer.status == 413 and answer.raw.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_does_not_wait_gets_no_continue(app, serve):
    @app.post("/")
    async def whole(request):
        return text(request.body.decode())

    async with Wire(await serve(app)) as wire:
        wire.send(EXPECT + b"hello")
        answer = await wire.answer("POST")
        assert answer.raw.startswith(b"HTTP/1.1 200 ") and answer.body == b"hello"


async def test_http_1_0_knows_no_continue(app, serve):
    @app.post("/")
    async def whole(request):
        return text(request.body.decode())

    async with Wire(await serve(app)) as wire:
        wire.send(EXPECT.replace(b"1.1", b"1.0"))
        await asyncio.sleep(0.01)
        wire.send(b"hello")
        assert (await wire.rest()).startswith(b"HTTP/1.1 200 ")


async def test_a_pipelined_expectation_waits_its_turn(app, serve):
    go = asyncio.Event()

    @app.get("/")
    async def slow(request):
        await go.wait()
        return text("slow")

    @app.post("/")
    async def whole(request):
        return text(request.body.decode())

    async with Wire(await serve(app)) as wire:
        wire.send(GET + EXPECT)
        await asyncio.sleep(0.01)
        go.set()
        assert (await wire.answer()).body == b"slow"
        assert await wire.until(b"\r\n\r\n") == CONTINUE
        wire.send(b"hello")
        assert (await wire.answer("POST")).body == b"hello"


# 15 Status codes


async def test_a_method_that_a_path_has_not_gets_405_and_those_it_has(app, serve):
    @app.get("/")
    async def hello(request):
        return text("hello")

    reply = await ask(app, serve, head(b"DELETE / HTTP/1.1"))
    assert reply.status == 405 and set(reply.headers["allow"].split(", ")) >= {"GET", "HEAD"}


@pytest.mark.parametrize("status", [100, 101, 102, 199, 99, 1000, 0])
async def test_a_status_that_is_no_answer_becomes_a_500(app, serve, caplog, status):
    @app.get("/")
    async def wrong(request):
        return text("wrong", status=status)

    @app.get("/stream")
    async def wrong_stream(request):
        async def write(response):
            await response.write("wrong")

        return stream(write, status=status)

    address = await serve(app)
    for path in (b"/", b"/stream"):
        (reply,) = read_answers(await talk(address, head(b"GET %b HTTP/1.1" % path), half_close=True))
        assert reply.status == 500 and b"wrong" not in reply.body


async def test_a_status_nobody_knows_is_sent_as_it_is(app, serve):
    @app.get("/")
    async def odd(request):
        return raw(b"odd", status=799)

    assert (await ask(app, serve, GET)).status == 799


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (head(b"GET /" + b"a" * 9000 + b" HTTP/1.1"), 414),
        (head(b"GET / HTTP/1.1", b"X: " + b"y" * 20_000), 431),
        (head(b"GET / HTTP/1.1", *[b"X: y"] * 101), 431),
        (sized(b"100000001"), 413),
        (head(b"GET / HTTP/2.0"), 505),
        (head(b"BREW / HTTP/1.1"), 501),
    ],
)
def test_every_refusal_has_its_status_a_sentence_and_closes(echo, request_bytes, status):
    (reply,) = read_answers(echo.talk(request_bytes))
    assert (reply.status, reply.headers["connection"]) == (status, "close") and reply.body.strip()


async def test_limits_are_settings(app, serve):
    @app.get("/<rest:path>")
    async def hello(request, rest):
        return text("hello")

    app.config.update({"REQUEST_MAX_HEADER_SIZE": 200, "REQUEST_MAX_HEADERS": 3, "REQUEST_MAX_TARGET_SIZE": 20})
    address = await serve(app)
    for fields, target, status in (
        ([], b"/a", 200),
        ([b"X: y"] * 2, b"/a", 200),
        ([b"X: y"] * 3, b"/a", 431),
        ([b"X: " + b"y" * 200], b"/a", 431),
        ([], b"/" + b"a" * 20, 414),
    ):
        answer = await talk(address, head(b"GET %b HTTP/1.1" % target, *fields), half_close=True)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
