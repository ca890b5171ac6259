"""The test client that streams."""

import asyncio

import pytest

from sanicish import sse, stream, text
from sanicish.response import json as as_json


def clock(app, gate=None):
    """An endless stream; tells when it was left."""
    left = asyncio.Event()

    @app.get("/clock")
    async def tick(request):
        async def write(response):
            try:
                number = 0
                while True:
                    await response.write(str(number))
                    number += 1
                    await asyncio.sleep(0.001)
            finally:
                left.set()

        return stream(write)

    return left


async def test_an_answer_is_collected(app):
    app.get("/<name>")(lambda request, name: text(f"{name} {request.args.get('q')}", headers={"X-A": "1"}))
    response = await app.test_client().get("/ann", query_string={"q": "b c"})
    assert (response.status_code, await response.get_data(as_text=True), response.headers["x-a"]) == (
        200,
        "ann b c",
        "1",
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"data": "text"}, "text"),
        ({"data": b"\x00"}, "\x00"),
        ({"json": {"a": 1}}, '{"a": 1}'),
        ({"form": {"a": "b c"}}, "a=b+c"),
    ],
)
async def test_a_body_is_sent(app, options, expected):
    app.post("/")(lambda request: text(request.body.decode()))
    assert (await app.test_client().post("/", **options)).text == expected


async def test_one_server_serves_all_requests_of_a_block(app):
    starts = []
    app.before_server_start(lambda app: starts.append(1))
    app.get("/")(lambda request: text("a"))
    async with app.test_client() as client:
        for _ in range(3):
            assert (await client.get("/")).text == "a"
    assert starts == [1]
    await app.test_client().get("/")
    assert starts == [1, 1]


async def test_cookies_are_kept(app):
    @app.get("/set")
    async def set_cookie(request):
        response = text("")
        response.add_cookie("a", "1", secure=False)
        return response

    app.get("/get")(lambda request: text(request.cookies.get("a", "none")))
    client = app.test_client()
    assert (await client.get("/get")).text == "none"
    await client.get("/set")
    assert (await client.get("/get")).text == "1"


async def test_redirects_are_followed_when_asked(app):
    app.post("/a")(lambda request: text("", 303, {"Location": "/b?x=1"}))
    app.get("/b")(lambda request: text(f"{request.method} {request.args.get('x')}"))
    client = app.test_client()
    assert (await client.post("/a", data="x")).status == 303
    response = await client.post("/a", data="x", follow_redirects=True)
    assert (response.text, len(response.history)) == ("GET 1", 1)


async def test_chunks_are_received_as_they_were_sent(app):
    step = asyncio.Queue()

    @app.get("/")
    async def pieces(request):
        async def write(response):
            while (piece := await step.get()) is not None:
                await response.write(piece)

        return stream(write)

    async with app.test_client().request("/") as connection:
        assert connection.status_code is None
        for piece in (b"one", b"x" * 100_000, b"three"):
            step.put_nowait(piece)
            assert await connection.receive() == piece
        assert (connection.status_code, connection.complete) == (200, False)
        step.put_nowait(None)
        assert await connection.receive() == b""
        assert (await connection.as_response()).chunks == [b"one", b"x" * 100_000, b"three"]


async def test_both_directions_are_driven_apart(app):
    @app.post("/", stream=True)
    async def echo(request):
        return stream(request.stream.pipe)

    async with app.test_client().request("/", method="POST") as connection:
        await connection.send(b"one")
        assert await connection.receive() == b"one"
        await connection.send("two")
        assert await connection.receive() == b"two"
        await connection.send_complete()
        assert [chunk async for chunk in connection] == []


async def test_a_length_may_be_announced(app):
    app.post("/")(lambda request: text(f"{request.headers['content-length']} {request.body.decode()}"))
    async with app.test_client().request("/", method="POST", headers={"Content-Length": "6"}) as connection:
        await connection.send(b"one")
        await connection.send(b"two")
        assert (await connection.as_response()).text == "6 onetwo"


async def test_an_endless_stream_is_left(app):
    left = clock(app)
    async with app.test_client().request("/clock") as connection:
        assert [await connection.receive() for _ in range(3)] == [b"0", b"1", b"2"]
        await connection.disconnect()
        async with asyncio.timeout(5):
            await left.wait()


async def test_leaving_the_block_leaves_the_server(app):
    left = clock(app)
    async with app.test_client() as client:
        async with client.request("/clock") as connection:
            await connection.receive()
        async with asyncio.timeout(5):
            await left.wait()


async def test_a_reset_is_felt(app):
    left = clock(app)
    async with app.test_client().request("/clock") as connection:
        await connection.receive()
        await connection.reset()
        async with asyncio.timeout(5):
            await left.wait()
        with pytest.raises(ConnectionError):
            [piece async for piece in connection]


async def test_a_half_closed_connection_is_answered(app):
    app.get("/")(lambda request: text("still here"))
    async with app.test_client().request("/") as connection:
        connection.half_close()
        assert (await connection.as_response()).text == "still here"


async def test_a_paused_client_makes_the_writer_wait(app):
    written = []

    @app.get("/")
    async def much(request):
        async def write(response):
            for _ in range(1_000):
                await response.write(b"x" * 65_536)
                written.append(1)

        return stream(write)

    app.config.WRITE_TIMEOUT = None
    async with app.test_client().request("/", small_buffer=True) as connection:
        await connection.headers_received()
        connection.pause()
        before = -1
        while len(written) != before:
            before = len(written)
            await asyncio.sleep(0.02)
        assert before < 1_000
        connection.resume()
        while len(written) == before:
            assert await connection.receive()


async def test_a_client_reads_at_a_rate(app):
    app.get("/")(lambda request: text("x" * 30_000))
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with app.test_client().request("/", rate=300_000) as connection:
        assert len((await connection.as_response()).body) == 30_000
    assert loop.time() - began > 0.02


async def test_an_answer_that_is_cut_is_no_answer(app):
    @app.get("/")
    async def cut(request):
        async def write(response):
            await response.write("half")
            raise ZeroDivisionError

        return stream(write)

    async with app.test_client().request("/") as connection:
        assert await connection.receive() == b"half"
        with pytest.raises(ConnectionError):
            await connection.receive()
        assert not connection.complete
    with pytest.raises(ConnectionError):
        await app.test_client().get("/")


async def test_nothing_waits_for_ever(app):
    @app.get("/")
    async def hang(request):
        await asyncio.Event().wait()

    async with app.test_client(timeout=0.05).request("/") as connection:
        with pytest.raises(TimeoutError):
            await connection.receive()


async def test_events_are_chunks(app):
    async def events():
        yield "one"
        yield {"two": 2}

    app.get("/")(lambda request: sse(events()))
    async with app.test_client().request("/") as connection:
        assert [chunk async for chunk in connection] == [b"data: one\n\n", b'data: {"two":2}\n\n']


async def test_head_has_no_body(app):
    app.get("/")(lambda request: text("abc"))
    response = await app.test_client().head("/")
    assert (response.headers["content-length"], response.body) == ("3", b"")


async def test_json_is_read(app):
    app.get("/")(lambda request: as_json({"a": [1]}))
    assert await (await app.test_client().get("/")).get_json() == {"a": [1]}
