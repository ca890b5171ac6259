"""One request that two readers could take for two, and one response that could be taken for two (RFC 9112 section 11).

``/smuggled`` is what the attacker hides. Wherever it hides, no handler may see it.
"""

import pytest

from sanicish import text
from sanicish.response import empty, redirect, stream
from tests.cases.requests import head
from tests.cases.splits import WAYS, split
from tests.doubles.answers import read_answers
from tests.doubles.wire import talk

HIDDEN = head(b"GET /smuggled HTTP/1.1")
POST = b"POST /front HTTP/1.1"
LENGTH = b"Content-Length: %d" % len(HIDDEN)
CHUNKS = b"0\r\n\r\n" + HIDDEN
AS_A_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)

# The hidden request is body by one reading, a request by another; we either read it as body or refuse the whole.
AMBIGUOUS = {
    "CL.TE": head(POST, b"Content-Length: %d" % len(CHUNKS), b"Transfer-Encoding: chunked") + CHUNKS,
    "TE.CL": head(POST, b"Transfer-Encoding: chunked", b"Content-Length: 4") + AS_A_CHUNK,
    "a coding in 8 bit": head(POST, LENGTH, b"Transfer-Encoding: chunked\xa0") + HIDDEN,
    "a coding after VT": head(POST, LENGTH, b"Transfer-Encoding: \x0bchunked") + HIDDEN,
    "a coding behind a blank": head(POST, LENGTH, b"Transfer-Encoding : chunked") + HIDDEN,
    "a coding on a folded line": head(POST, LENGTH, b"Transfer-Encoding:\r\n chunked") + HIDDEN,
    "a coding before a bare CR": head(POST, LENGTH, b"X: y\rTransfer-Encoding: chunked") + HIDDEN,
    "a coding before a bare LF": head(POST, LENGTH, b"X: y\nTransfer-Encoding: chunked") + HIDDEN,
    "a coding with an underscore": head(POST, LENGTH, b"Transfer_Encoding: chunked") + HIDDEN,
    "two codings": head(POST, b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKS,
    "an unknown coding before chunked": head(POST, b"Transfer-Encoding: x, chunked") + CHUNKS,
    "an empty coding before chunked": head(POST, b"Transfer-Encoding: ,chunked") + CHUNKS,
    "a coding in HTTP/1.0": head(b"POST /front HTTP/1.0", b"Transfer-Encoding: chunked", b"Connection: keep-alive") + CHUNKS,
    "two lengths": head(POST, LENGTH, b"Content-Length: 0") + HIDDEN,
    "a list of lengths": head(POST, LENGTH + b", 0") + HIDDEN,
    "a length with a sign": head(POST, b"Content-Length: +0") + HIDDEN,
    "a length with an underscore": head(POST, b"Content-Length: 0_0") + HIDDEN,
    "a length in hexadecimal": head(POST, b"Content-Length: 0x0") + HIDDEN,
    "a length behind a blank": head(POST, b"Content-Length : 0") + HIDDEN,
    "a length that wraps at 64 bits": head(POST, b"Content-Length: 18446744073709551616") + HIDDEN,
    "a chunk that wraps at 64 bits": head(POST, b"Transfer-Encoding: chunked") + b"10000000000000000\r\n" + HIDDEN,
    "a chunk size ended by LF": head(POST, b"Transfer-Encoding: chunked") + b"0\n\r\n" + HIDDEN,
    "a chunk without its end": head(POST, b"Transfer-Encoding: chunked") + b"1\r\na" + CHUNKS,
    "an extension with LF": head(POST, b"Transfer-Encoding: chunked") + b"2;\nxx\r\n" + CHUNKS,
    "an extension with CR": head(POST, b"Transfer-Encoding: chunked") + b"2;\rxx\r\n" + CHUNKS,
    "a request line within a request line": b"GET /front HTTP/1.1 \r\n" + HIDDEN,
    "fields without a version": b"GET /front\r\n" + HIDDEN,
    "a request before its own head ends": b"GET /front HTTP/1.1\r\n" + HIDDEN,
    "HTTP/0.9": b"GET /front\r\n\r\n" + HIDDEN,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "CONNECT": head(b"CONNECT a:1 HTTP/1.1") + HIDDEN,
    "no Host": head(b"GET /front HTTP/1.1", host=b"") + HIDDEN,
    "two Hosts": head(b"GET /front HTTP/1.1", b"Host: b") + HIDDEN,
    "close": head(b"GET /front HTTP/1.1", b"Connection: close") + HIDDEN,
    "an unknown expectation": head(POST, b"Expect: x", b"Content-Length: 0") + HIDDEN,
    # Nothing is ambiguous about these, but a parser can lose its place in them.
    "a body": head(POST, LENGTH) + HIDDEN,
    "a chunk": head(POST, b"Transfer-Encoding: chunked") + AS_A_CHUNK,
    "a body of GET": head(b"GET /front HTTP/1.1", LENGTH) + HIDDEN,
    "a body of HEAD": head(b"HEAD /front HTTP/1.1", LENGTH) + HIDDEN,
    "a body behind an upgrade": head(POST, b"Connection: Upgrade", b"Upgrade: h2c", LENGTH) + HIDDEN,
    "a chunk behind an upgrade": head(POST, b"Connection: Upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked") + AS_A_CHUNK,
    "a body behind an expectation": head(POST, b"Expect: 100-continue", LENGTH) + HIDDEN,
    "a trailer": head(POST, b"Transfer-Encoding: chunked") + b"0\r\nX: " + HIDDEN.replace(b"\r\n", b" ") + b"\r\n\r\n",
    "an extension": head(POST, b"Transfer-Encoding: chunked") + b"0;" + HIDDEN.replace(b"\r\n", b" ") + b"\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS[:3])
@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_hidden_request_is_never_handled(echo, raw, way):
    before = len(echo.handled)
    echo.talk(*split(raw, way))
    assert "/smuggled" not in echo.handled[before:]


async def test_a_body_that_nobody_reads_is_not_taken_for_a_request(app, serve):
    handled = []

    @app.post("/front", stream=True)
    async def ignore(request):
        handled.append("/front")
        return text("ok")

    @app.get("/smuggled")
    async def smuggled(request):
        handled.append("/smuggled")
        return text("no")

    address = await serve(app)
    for raw in (
        head(POST, LENGTH) + HIDDEN,
        head(POST, b"Transfer-Encoding: chunked") + AS_A_CHUNK,
        head(POST, b"Content-Length: 1000000") + HIDDEN,
        head(POST, b"Expect: 100-continue", LENGTH) + HIDDEN,
        head(POST, b"Connection: Upgrade", b"Upgrade: x", LENGTH) + HIDDEN,
    ):
        await talk(address, raw, half_close=True)
    assert handled == ["/front"] * 5


async def test_a_body_that_is_refused_is_not_taken_for_a_request(app, serve):
    handled = []

    @app.post("/front")
    async def never(request):
        handled.append("/front")

    @app.get("/smuggled")
    async def smuggled(request):
        handled.append("/smuggled")
        return text("no")

    app.config.REQUEST_MAX_SIZE = 10
    address = await serve(app)
    for raw in (head(POST, LENGTH) + HIDDEN, head(POST, b"Transfer-Encoding: chunked") + AS_A_CHUNK):
        replies = read_answers(await talk(address, raw + HIDDEN, half_close=True))
        assert [reply.status for reply in replies] == [413]
    assert handled == []


# Answers

EVIL = "x\r\nSet-Cookie: evil=1\r\n\r\nHTTP/1.1 200 OK\r\n"
WAYS_TO_SPLIT = {
    "a header": lambda: text("", headers={"X": EVIL}),
    "a header with LF alone": lambda: text("", headers={"X": "x\nSet-Cookie: evil=1"}),
    "a header with CR alone": lambda: text("", headers={"X": "x\rSet-Cookie: evil=1"}),
    "a header with NUL": lambda: text("", headers={"X": "x\0Set-Cookie: evil=1"}),
    "a header in bytes": lambda: text("", headers={"X": EVIL.encode()}),
    "the name of a header": lambda: text("", headers={"X: y\r\nSet-Cookie": "evil=1"}),
    "a header that is added": lambda: _added(EVIL),
    "a content type": lambda: text("", content_type=EVIL),
    "a content type that is set": lambda: _typed(EVIL),
    "a content type of a stream": lambda: stream(_nothing, content_type=EVIL),
    "a header of a stream": lambda: stream(_nothing, headers={"X": EVIL}),
    "a redirect": lambda: redirect("/" + EVIL),
    "a cookie": lambda: _cookie("c", EVIL),
    "the name of a cookie": lambda: _cookie(EVIL, "c"),
    "the path of a cookie": lambda: _cookie("c", "d", path=EVIL),
    "the domain of a cookie": lambda: _cookie("c", "d", domain=EVIL),
}


async def _nothing(response):
    pass


def _added(value):
    response = empty(200)
    response.headers.add("X", value)
    return response


def _typed(value):
    response = empty(200)
    response.content_type = value
    return response


def _cookie(name, value, **attributes):
    response = empty(200)
    response.add_cookie(name, value, **attributes)
    return response


@pytest.mark.parametrize("make", WAYS_TO_SPLIT.values(), ids=WAYS_TO_SPLIT)
async def test_an_answer_cannot_be_split(app, serve, caplog, make):
    @app.get("/")
    async def reflect(request):
        return make()

    raw = await talk(await serve(app), head(b"GET / HTTP/1.1", b"Connection: close"))
    lines, _, _ = raw.partition(b"\r\n\r\n")
    assert b"\nHTTP/1.1 " not in raw and len(read_answers(raw)) == 1
    assert not any(line.lower().startswith(b"set-cookie: evil") for line in lines.split(b"\r\n"))
    assert b"\n" not in lines.replace(b"\r\n", b"") and b"\r" not in lines.replace(b"\r\n", b"")


@pytest.mark.parametrize("name", ["Content-Length", "Transfer-Encoding"])
@pytest.mark.parametrize("value", ["7", "chunked", "gzip", "0, 5", "-1"])
@pytest.mark.parametrize("kind", ["whole", "stream"])
async def test_an_application_cannot_send_fields_in_conflict(app, serve, caplog, name, value, kind):
    @app.get("/")
    async def conflict(request):
        async def write(response):
            await response.write("hello")

        return text("hello", headers={name: value}) if kind == "whole" else stream(write, headers={name: value})

    raw = await talk(await serve(app), head(b"GET / HTTP/1.1", b"Connection: close"))
    lines = raw.partition(b"\r\n\r\n")[0].lower()
    assert lines.count(b"content-length:") + lines.count(b"transfer-encoding:") == 1
    (reply,) = read_answers(raw)
    if reply.status == 200 and reply.whole:
        assert reply.body == b"hello"
