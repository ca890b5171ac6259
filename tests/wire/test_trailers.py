"""Fields behind the body of a response (RFC 9110 section 6.5, RFC 9112 section 7.1.2)."""

import asyncio

import pytest

from sanicish import HTTPResponse, stream
from sanicish.headers import Trailers
from tests.cases.requests import head
from tests.doubles.asgi import AsgiServer, scope_of
from tests.doubles.wire import talk

ASKS = b"TE: trailers"
CLOSING = head(b"GET / HTTP/1.1", b"Connection: close", ASKS)


def counted(**options):
    """A stream of two pieces that says behind them how many they were."""

    async def write(response):
        for count, piece in enumerate(("one", "two"), 1):
            await response.write(piece)
            response.trailers["X-Count"] = count

    return stream(write, **options)


async def raw_answer(app, serve, response, request=CLOSING):
    async def handler(request):
        return response() if callable(response) else response

    app.add_route(handler, "/")
    return await talk(await serve(app), request)


async def test_they_leave_behind_the_last_chunk(app, serve):
    raw = await raw_answer(app, serve, counted())
    assert raw.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nX-Count: 2\r\n\r\n")
    assert b"Trailer:" not in raw


def announced():
    response = counted()
    response.trailers["X-Count"] = ""
    return response


@pytest.mark.parametrize(
    "fields",
    [(), (b"TE: gzip",), (b"TE:",), (b"TE: gzip;q=0.5, xtrailers",), (b"TE: trailer",), (b"X-TE: trailers",)],
    ids=repr,
)
async def test_a_client_that_does_not_ask_gets_none(app, serve, fields):
    raw = await raw_answer(app, serve, announced, head(b"GET / HTTP/1.1", b"Connection: close", *fields))
    assert raw.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert b"Trailer:" not in raw


@pytest.mark.parametrize(
    "fields",
    [(b"TE: trailers",), (b"te: Trailers",), (b"TE: gzip;q=0.5, trailers",), (b"TE: gzip", b"TE: trailers ,")],
    ids=repr,
)
async def test_a_client_asks_by_te(app, serve, fields):
    raw = await raw_answer(app, serve, announced, head(b"GET / HTTP/1.1", b"Connection: close, TE", *fields))
    assert b"\r\nTrailer: X-Count\r\n" in raw
    assert raw.endswith(b"0\r\nX-Count: 2\r\n\r\n")


async def test_a_handler_can_send_them_to_everybody(app, serve):
    response = announced()
    response.trailers.always = True
    raw = await raw_answer(app, serve, response, head(b"GET / HTTP/1.1", b"Connection: close"))
    assert b"\r\nTrailer: X-Count\r\n" in raw
    assert raw.endswith(b"0\r\nX-Count: 2\r\n\r\n")


async def test_each_request_of_a_connection_asks_for_itself(app, serve):
    plain, closing = head(b"GET / HTTP/1.1"), head(b"GET / HTTP/1.1", b"Connection: close")
    raw = await raw_answer(
        app, serve, counted, head(b"GET / HTTP/1.1", ASKS) + plain + head(b"GET / HTTP/1.1", ASKS) + closing
    )
    assert raw.count(b"two\r\n0\r\nX-Count: 2\r\n\r\n") == 2
    assert raw.count(b"two\r\n0\r\n\r\n") == 2


async def test_a_name_may_stand_there_twice(app, serve):
    async def write(response):
        await response.write("x")
        response.trailers.add("Server-Timing", "db;dur=1")
        response.trailers.add("Server-Timing", "app;dur=2")

    raw = await raw_answer(app, serve, stream(write))
    assert raw.endswith(b"0\r\nServer-Timing: db;dur=1\r\nServer-Timing: app;dur=2\r\n\r\n")


async def test_those_set_before_the_first_data_are_announced(app, serve):
    response = counted()
    response.trailers["X-Count"] = ""
    response.trailers["X-More"] = "yes"
    raw = await raw_answer(app, serve, response)
    assert b"\r\nTrailer: X-Count, X-More\r\n" in raw
    assert raw.endswith(b"0\r\nX-Count: 2\r\nX-More: yes\r\n\r\n")


async def test_what_the_application_announces_itself_is_not_announced_twice(app, serve):
    response = counted(headers={"Trailer": "X-Count"})
    response.trailers["X-Count"] = ""
    raw = await raw_answer(app, serve, response)
    assert raw.count(b"Trailer:") == 1


@pytest.mark.parametrize(
    ("request_line", "options", "end"),
    [
        (b"GET / HTTP/1.1", {"headers": {"Content-Length": "6"}}, b"\r\n\r\nonetwo"),
        (b"GET / HTTP/1.0", {}, b"\r\n\r\nonetwo"),
        (b"HEAD / HTTP/1.1", {}, b"\r\n\r\n"),
    ],
    ids=["fixed length", "until close", "HEAD"],
)
async def test_an_answer_that_is_not_chunked_leaves_them_out(app, serve, request_line, options, end):
    response = counted(**options)
    response.trailers["X-Early"] = "1"
    raw = await raw_answer(app, serve, response, head(request_line, b"Connection: close", ASKS))
    assert raw.endswith(end)
    assert b"X-Count" not in raw
    assert b"X-Early" not in raw


async def test_a_stream_that_fails_is_cut_without_them(app, serve, caplog):
    async def write(response):
        response.trailers["X-Count"] = 1
        await response.write("one")
        raise RuntimeError("broken")

    raw = await raw_answer(app, serve, stream(write))
    assert raw.endswith(b"3\r\none\r\n")


async def test_the_page_of_an_error_has_none_of_the_stream_it_stands_for(app, serve, caplog):
    async def write(response):
        response.trailers["X-Count"] = 1
        raise RuntimeError("broken")

    @app.exception(RuntimeError)
    async def answer(request, error):
        async def write(response):
            await response.write("sorry")

        return stream(write, 500)

    raw = await raw_answer(app, serve, stream(write))
    assert raw.endswith(b"5\r\nsorry\r\n0\r\n\r\n")


async def test_an_answer_begun_by_respond_has_them_too(app, serve):
    @app.get("/")
    async def handler(request):
        response = await request.respond()
        await response.send("x")
        response.trailers["X-Count"] = 1
        await response.eof()

    assert (await talk(await serve(app), CLOSING)).endswith(b"1\r\nx\r\n0\r\nX-Count: 1\r\n\r\n")


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "Host", "Set-Cookie", "Content-Type", "Trailer", "Location", "Vary"]
)
@pytest.mark.parametrize("how", ["set", "add", "setdefault"])
def test_what_must_be_known_before_the_body_is_refused(name, how):
    trailers = Trailers()
    with pytest.raises(ValueError, match="has to be known before the body"):
        trailers.__setitem__(name, "1") if how == "set" else getattr(trailers, how)(name, "1")
    assert not trailers


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\n\n", "a\0"])
def test_they_carry_no_line_break(value):
    with pytest.raises(ValueError, match="cannot be sent"):
        Trailers()["X-Count"] = value


@pytest.mark.parametrize("kept", [True, False], ids=["held", "asked for late"])
async def test_one_set_after_the_end_is_an_error(app, serve, kept):
    told = asyncio.get_running_loop().create_future()

    async def write(response):
        trailers = response.trailers if kept else None
        await response.write("x")
        await response.eof()
        try:
            (response.trailers if trailers is None else trailers)["X-Count"] = 1
        except RuntimeError as error:
            told.set_result(str(error))

    await raw_answer(app, serve, stream(write))
    assert "this response has ended" in await told


async def test_a_compressed_stream_has_them(app, serve):
    app.compress()
    request = head(b"GET / HTTP/1.1", b"Connection: close", b"Accept-Encoding: gzip", ASKS)
    raw = await raw_answer(app, serve, counted(), request)
    assert b"\r\nContent-Encoding: gzip\r\n" in raw
    assert raw.endswith(b"\r\n0\r\nX-Count: 2\r\n\r\n")


async def test_a_whole_answer_has_none(app, serve):
    assert not hasattr(HTTPResponse(), "trailers")


async def test_under_the_servers_of_others_they_are_left_out(app):
    @app.get("/")
    async def handler(request):
        return counted()

    server = AsgiServer()
    await app(scope_of(), server.receive, server.send)
    assert b"X-Count" not in repr(server.sent).encode()
    assert server.sent[-1]["more_body"] is False


async def test_the_test_client_tells_them_apart_from_headers(app):
    @app.get("/")
    async def handler(request):
        return counted()

    async with app.test_client() as client:
        response = await client.get("/", headers={"TE": "trailers"})
        assert (response.trailers["X-Count"], "X-Count" in response.headers) == ("2", False)
