"""Interim responses on the wire (RFC 9110 15.2, RFC 8297)."""

import pytest

from sanicish.exceptions import ResponseError, StreamClosed
from sanicish.response import stream, text
from tests.doubles.wire import Wire, talk

LINK = {"Link": "</style.css>; rel=preload; as=style"}
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
BROWSER = "Sec-Fetch-Mode: navigate"


async def ask(address, *fields, version="1.1"):
    lines = [f"GET / HTTP/{version}", "Host: a", "Connection: close", *fields, "", ""]
    return await talk(address, "\r\n".join(lines).encode())


@pytest.fixture
def sent(app):
    """What ``inform`` has returned."""
    found = []

    @app.get("/")
    async def handler(request):
        found.append(await request.inform(103, LINK))
        return text("hello")

    return found


async def test_hints_arrive_before_the_response(app, serve, sent):
    data = await ask(await serve(app), BROWSER)
    assert data.startswith(HINTS + b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"\r\n\r\nhello")
    assert sent == [True]


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [BROWSER, "X-Forwarded-For: 192.0.2.1"],
        [BROWSER, "Via: 1.1 varnish"],
        [BROWSER, "Forwarded: for=192.0.2.1"],
        [BROWSER, "X-Real-IP: 192.0.2.1"],
    ],
)
async def test_only_browsers_without_a_proxy_get_hints(app, serve, sent, fields):
    data = await ask(await serve(app), *fields)
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent == [False]


async def test_a_client_of_http_1_0_gets_no_hints(app, serve, sent):
    data = await ask(await serve(app), BROWSER, version="1.0")
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent == [False]


async def test_several_links_are_several_fields(app, serve):
    @app.get("/")
    async def handler(request):
        await request.inform(103, [("Link", "</a>; rel=preload"), ("Link", "</b>; rel=preload")])
        return text("hello")

    data = await ask(await serve(app), BROWSER)
    assert data.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>; rel=preload\r\n\r\n")


async def test_hints_do_not_wait_for_the_response(app, serve):

    @app.get("/")
    async def handler(request):
        await request.inform(103, LINK)
        await request.disconnected()

    async with Wire(await serve(app)) as wire:
        wire.send(f"GET / HTTP/1.1\r\nHost: a\r\n{BROWSER}\r\n\r\n".encode())
        assert await wire.until(b"\r\n\r\n") == HINTS


async def test_once_the_response_has_started_there_is_no_interim_one(app, serve):
    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("a")
            with pytest.raises(StreamClosed):
                await request.inform(103, LINK)
            await response.write("b")

        return stream(write)

    data = await ask(await serve(app), BROWSER)
    assert b"103" not in data
    assert data.endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")


@pytest.mark.parametrize("status", [101, 99, 200, 404, "103"])
async def test_a_status_that_is_not_interim_is_refused(app, serve, status):
    @app.get("/")
    async def handler(request):
        with pytest.raises(ResponseError):
            await request.inform(status, LINK)
        return text("hello")

    assert (await ask(await serve(app), BROWSER)).endswith(b"hello")


async def test_100_is_sent_to_those_who_wait_for_it_and_once(app, serve):
    @app.post("/", stream=True)
    async def handler(request):
        found = [await request.inform(100, {}) for _ in range(2)]
        body = await request.stream.read_all()
        return text(f"{found} {body.decode()}")

    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n"

    async with Wire(await serve(app)) as wire:
        wire.send(head + b"Expect: 100-continue\r\n\r\n")
        assert await wire.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"hi")
        assert (await wire.rest()).endswith(b"[True, False] hi")
