"""Answers compressed on the wire, in raw bytes."""

import asyncio
import os
import zlib

import pytest

from sanicish import Event, Sanic, file, html, json, raw, sse, stream, text
from tests.compression.decoding import ENCODINGS, Decoder, decode
from tests.doubles.answers import read_answers
from tests.doubles.asgi import AsgiServer, scope_of
from tests.doubles.wire import Wire, talk
from tests.waiting import until

BODY = "the same again " * 200
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


async def get(address, *fields, method="GET", path="/", accept="gzip"):
    lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *fields]
    if accept is not None:
        lines.append(f"Accept-Encoding: {accept}")
    raw = await talk(address, "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")
    (answer,) = read_answers(raw, method)
    return answer


async def answer_of(app, serve, response, *fields, **more):
    async def handler(request):
        return response() if callable(response) else response

    app.add_route(handler, "/")
    return await get(await serve(app), *fields, **more)


def pieces(*parts, **options):
    async def write(response):
        for part in parts:
            await response.write(part)

    return lambda: stream(write, **options)


@pytest.fixture
def app(app):
    app.compress()
    return app


# Whole answers


@each_encoding
async def test_a_whole_answer_is_compressed_with_its_length(app, serve, encoding):
    answer = await answer_of(app, serve, text(BODY), accept=encoding)
    assert answer.headers["content-encoding"] == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert int(answer.headers["content-length"]) == len(answer.body) < 200
    assert decode(encoding, answer.body) == BODY.encode()


async def test_a_large_whole_answer_is_compressed_beside_the_loop(app, serve):
    content = "".join(f"{number}\n" for number in range(100_000))
    answer = await answer_of(app, serve, text(content))
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert decode("gzip", answer.body) == content.encode()


async def test_an_application_that_does_not_ask_for_it_compresses_nothing(serve):
    plain = Sanic("plain", register=False, configure_logging=False)
    answer = await answer_of(plain, serve, text(BODY))
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize("accept", [None, "", "identity", "gzip;q=0", "deflate"])
async def test_who_does_not_take_it_gets_it_as_it_is_and_caches_are_told(app, serve, accept):
    answer = await answer_of(app, serve, text(BODY), accept=accept)
    assert answer.body == BODY.encode()
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_what_is_small_stays_as_it_is(app, serve):
    answer = await answer_of(app, serve, text("x" * 1023))
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_a_stream_that_promises_little_stays_as_it_is(app, serve):
    answer = await answer_of(app, serve, pieces("x" * 10, headers={"Content-Length": "10"}))
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-length"] == "10"


@pytest.mark.parametrize(
    ("media_type", "shrinks"),
    [
        ("text/html; charset=utf-8", True),
        ("TEXT/CSV", True),
        ("application/json", True),
        ("application/x-ndjson", True),
        ("application/problem+json", True),
        ("image/svg+xml", True),
        ("application/wasm", True),
        ("image/png", False),
        ("video/mp4", False),
        ("application/zip", False),
        ("application/gzip", False),
        ("application/octet-stream", False),
        ("font/woff2", False),
        ("application/jsonish", False),
        ("text/event-stream", False),
    ],
)
async def test_only_what_shrinks_is_compressed(app, serve, media_type, shrinks):
    answer = await answer_of(app, serve, raw(BODY.encode(), content_type=media_type))
    assert ("content-encoding" in answer.headers) is shrinks
    assert ("vary" in answer.headers) is shrinks


async def test_a_type_of_ones_own(app, serve):
    app.compress(types=["application/x-mine"])
    answer = await answer_of(app, serve, raw(BODY.encode(), content_type="application/x-mine; v=1"))
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Encoding": "br"},
        {"Cache-Control": "public, no-transform"},
        {"Content-Digest": "sha-256=:AAAA:"},
    ],
)
async def test_what_the_application_closed_is_left_alone(app, serve, headers):
    answer = await answer_of(app, serve, text(BODY, headers=headers))
    assert answer.body == BODY.encode()
    assert answer.headers.get("content-encoding") == headers.get("Content-Encoding")
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("before", "after"),
    [("Origin", ["Origin", "Accept-Encoding"]), ("accept-encoding", ["accept-encoding"]), ("*", ["*"])],
)
async def test_vary_keeps_what_it_says(app, serve, before, after):
    async def handler(request):
        return text(BODY, headers={"Vary": before})

    app.add_route(handler, "/")
    address = await serve(app)
    raw = await talk(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n")
    lines = raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert [line.partition(": ")[2] for line in lines if line.lower().startswith("vary:")] == after


@pytest.mark.parametrize(("before", "after"), [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"')])
async def test_a_validator_becomes_weak(app, serve, before, after):
    answer = await answer_of(app, serve, text(BODY, headers={"ETag": before}))
    assert answer.headers["etag"] == after


async def test_a_validator_stays_strong_where_nothing_is_compressed(app, serve):
    answer = await answer_of(app, serve, text(BODY, headers={"ETag": '"a"'}), accept="identity")
    assert answer.headers["etag"] == '"a"'


async def test_a_304_says_what_the_200_would(app, serve):
    answer = await answer_of(app, serve, text("", 304, headers={"ETag": '"a"'}))
    assert (answer.headers["etag"], answer.headers["vary"]) == ('W/"a"', "Accept-Encoding")
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("status", [204, 205])
async def test_an_answer_without_a_body_is_left_alone(app, serve, status):
    answer = await answer_of(app, serve, text("", status))
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize("response", [text(BODY), pieces(BODY)], ids=["whole", "stream"])
async def test_head_is_not_compressed_but_varies(app, serve, response):
    answer = await answer_of(app, serve, response, method="HEAD")
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_the_response_itself_is_not_changed(app, serve):
    response = text(BODY, headers={"ETag": '"a"'})
    first = await answer_of(app, serve, response)
    assert first.headers["etag"] == 'W/"a"'
    assert dict(response.headers) == {"ETag": '"a"'}
    assert response.body == BODY.encode()


async def test_error_pages_are_compressed_too(app, serve):
    @app.exception(ValueError)
    async def page(request, error):
        return html(BODY, 500)

    @app.get("/")
    async def handler(request):
        raise ValueError

    answer = await get(await serve(app))
    assert (answer.status, answer.headers["content-encoding"]) == (500, "gzip")


async def test_a_setting_switches_it_on(serve):
    app = Sanic("plain", {"COMPRESS": "br, gzip"}, register=False, configure_logging=False)
    answer = await answer_of(app, serve, text(BODY), accept="zstd, br, gzip")
    assert answer.headers["content-encoding"] == "br"


# Streams


@each_encoding
async def test_a_stream_is_one_stream_of_the_encoding(app, serve, encoding):
    answer = await answer_of(app, serve, pieces("one ", "", "two ", BODY), accept=encoding)
    assert answer.whole
    assert answer.headers["transfer-encoding"] == "chunked"
    assert decode(encoding, answer.body) == f"one two {BODY}".encode()


@each_encoding
async def test_a_producer_that_pauses_is_read_so_far(app, serve, encoding):
    go_on = asyncio.Event()

    @app.get("/")
    async def handler(request):
        async def write(response):
            await response.write("one")
            await go_on.wait()
            await response.write("two")

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %b\r\n\r\n" % encoding.encode())
        await wire.until(b"\r\n\r\n")
        decoder, seen = Decoder(encoding), b""
        while seen != b"one":
            size = int(await wire.until(b"\r\n"), 16)
            seen += decoder.read(await wire.exactly(size))
            await wire.until(b"\r\n")
        go_on.set()
        while not decoder.whole:
            size = int(await wire.until(b"\r\n"), 16)
            seen += decoder.read(await wire.exactly(size))
            await wire.until(b"\r\n")
        assert seen == b"onetwo"


async def test_a_producer_that_goes_on_is_not_flushed(app, serve):
    """Flushes make it larger: a thousand small pieces without a pause are one."""

    async def write(response):
        for number in range(1000):
            await response.write(f"{number}\n")
            await asyncio.sleep(0)

    answer = await answer_of(app, serve, lambda: stream(write))
    content = b"".join(b"%d\n" % number for number in range(1000))
    assert decode("gzip", answer.body) == content
    assert len(answer.body) < len(zlib.compress(content, 4)) + 100


async def test_a_flush_that_is_asked_for_is_at_once(app, serve):
    go_on = asyncio.Event()

    @app.get("/")
    async def handler(request):
        async def write(response):
            response.write("one")
            await response.flush()
            while not go_on.is_set():  # no pause: something is written in every turn
                await response.write("")
                await asyncio.sleep(0)

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        decoder, seen = Decoder("gzip"), b""
        while seen != b"one":
            size = int(await wire.until(b"\r\n"), 16)
            seen += decoder.read(await wire.exactly(size))
            await wire.until(b"\r\n")
        go_on.set()
        await wire.until(b"0\r\n\r\n")


async def test_events_are_compressed_only_if_asked_for(app, serve):
    def events():
        return sse([Event("x" * 2000)])

    answer = await answer_of(app, serve, events)
    assert "content-encoding" not in answer.headers


async def test_events_that_are_asked_for_arrive_one_by_one(app, serve):
    app.compress("gzip", events=True)
    go_on = asyncio.Event()

    @app.get("/")
    async def handler(request):
        async def events():
            yield Event("one")
            await go_on.wait()

        return sse(events())

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        assert b"Content-Encoding: gzip\r\n" in await wire.until(b"\r\n\r\n")
        decoder, seen = Decoder("gzip"), b""
        while seen != b"data: one\n\n":
            size = int(await wire.until(b"\r\n"), 16)
            seen += decoder.read(await wire.exactly(size))
            await wire.until(b"\r\n")
        go_on.set()
        await wire.until(b"0\r\n\r\n")


async def test_a_large_piece_gives_others_their_turn(app, serve):
    """It is compressed a slice at a time."""
    turns = 0
    done = asyncio.Event()

    async def count():
        nonlocal turns
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)

    content = b"".join(b"%d,%d\n" % (number, number * number) for number in range(200_000))

    async def write(response):
        counter = asyncio.create_task(count())
        await response.write(content)
        done.set()
        await counter

    app.config.FAIRNESS_SLICE = 0.0
    answer = await answer_of(app, serve, lambda: stream(write))
    assert decode("gzip", answer.body) == content
    assert turns >= len(content) // 65_536


async def test_large_pieces_that_are_not_awaited_are_all_sent(app, serve):
    content = b"".join(b"%d,%d\n" % (number, number * number) for number in range(50_000))

    async def write(response):
        response.write(content)
        response.write(b"small")
        await asyncio.sleep(0)
        response.write(content)

    answer = await answer_of(app, serve, lambda: stream(write))
    assert decode("gzip", answer.body) == content + b"small" + content


async def test_what_is_not_awaited_leaves_by_itself(app, serve):
    go_on = asyncio.Event()
    content = b"0123456789\n" * 20_000

    @app.get("/")
    async def handler(request):
        async def write(response):
            response.write(content)
            await go_on.wait()

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        decoder, seen = Decoder("gzip"), b""
        while seen != content:
            size = int(await wire.until(b"\r\n"), 16)
            seen += decoder.read(await wire.exactly(size))
            await wire.until(b"\r\n")
        go_on.set()
        await wire.until(b"0\r\n\r\n")


async def test_what_waits_to_be_compressed_is_bounded(app, serve, caplog):
    app.config.RESPONSE_BUFFER_LIMIT = 200_000
    app.compress()

    async def write(response):
        for _ in range(10):
            response.write(b"x" * 100_000)

    answer = await answer_of(app, serve, lambda: stream(write))
    assert not answer.whole
    assert "WriteBufferFull" in caplog.text


async def test_a_file_is_compressed_as_it_is_read(app, serve, tmp_path):
    content = b"".join(b"%d\n" % number for number in range(200_000))
    (tmp_path / "data.csv").write_bytes(content)

    @app.get("/")
    async def handler(request):
        return await file(tmp_path / "data.csv")

    address = await serve(app)
    answer = await get(address)
    assert decode("gzip", answer.body) == content
    assert answer.headers["etag"].startswith("W/")
    assert "content-length" not in answer.headers
    assert "accept-ranges" not in answer.headers
    part = await get(address, "Range: bytes=0-99999")
    assert (part.status, part.body) == (206, content[:100_000])
    assert "content-encoding" not in part.headers
    assert part.headers["vary"] == "Accept-Encoding"
    same = await get(address, f"If-None-Match: {answer.headers['etag']}")
    assert (same.status, same.headers["etag"]) == (304, answer.headers["etag"])


async def test_a_client_of_http_1_0_gets_it_until_the_close(app, serve):
    @app.get("/")
    async def handler(request):
        return pieces(BODY, "end")()

    raw = await talk(await serve(app), b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert decode("gzip", body) == f"{BODY}end".encode()


# Ends


async def test_a_stream_that_fails_stays_cut(app, serve):
    async def write(response):
        await response.write(BODY)
        raise ValueError

    answer = await answer_of(app, serve, lambda: stream(write))
    assert not answer.whole
    decoder = Decoder("gzip")
    if answer.body:
        decoder.read(answer.body)
    assert not decoder.whole


async def test_a_length_that_was_promised_is_still_kept_to(app, serve, caplog):
    answer = await answer_of(app, serve, pieces(BODY, headers={"Content-Length": str(len(BODY) + 1)}))
    assert not answer.whole
    assert "1 bytes before its Content-Length" in caplog.text


async def test_more_than_was_promised_is_cut(app, serve, caplog):
    answer = await answer_of(app, serve, pieces(BODY, "x", headers={"Content-Length": str(len(BODY))}))
    assert not answer.whole
    assert "ContentLengthMismatch" in caplog.text


async def test_writing_after_the_end_raises(app, serve):
    errors = []

    async def write(response):
        response.write(b"x" * 200_000)
        response.eof()
        try:
            response.write("more")
        except Exception as error:
            errors.append(type(error).__name__)

    answer = await answer_of(app, serve, lambda: stream(write))
    assert decode("gzip", answer.body) == b"x" * 200_000
    assert errors == ["StreamClosed"]


async def test_a_client_that_leaves_ends_the_handler(app, serve):
    ended = asyncio.Event()

    @app.get("/")
    async def handler(request):
        async def write(response):
            try:
                while True:
                    await response.write(b"0123456789" * 50_000)
            finally:
                ended.set()

        return stream(write)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        wire.reset()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_client_that_leaves_while_a_whole_answer_is_compressed(app, serve):
    begun = asyncio.Event()

    @app.get("/")
    async def handler(request):
        begun.set()
        return text("0123456789" * 200_000)

    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
        await begun.wait()
        wire.reset()


async def test_connections_are_kept(app, serve):
    @app.get("/")
    async def handler(request):
        return json(["x"] * 50_000)

    async with Wire(await serve(app)) as wire:
        for _ in range(3):
            wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            answer = await wire.answer()
            assert len(decode("gzip", answer.body)) == 200_001


async def test_a_slow_reader_stops_the_producer(app, serve):
    app.config.RESPONSE_BUFFER_SIZE = 10_000
    written = 0

    @app.get("/")
    async def handler(request):
        async def write(response):
            nonlocal written
            for _ in range(3000):
                await response.write(os.urandom(20_000))
                written += 1

        return stream(write, content_type="text/csv")

    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
        before = -1
        while written > before:
            before = written
            await asyncio.sleep(0.05)
        assert written < 3000


async def test_every_answer_of_an_exchange_has_one_end(app, serve):
    ends = []

    @app.signal("http.lifecycle.complete")
    async def ended(outcome, **told):
        ends.append(str(outcome))

    await answer_of(app, serve, pieces(BODY))
    await until(lambda: ends)
    assert ends == ["completed"]


async def test_an_asgi_application_is_compressed_too(app, serve):
    async def application(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": BODY.encode()})

    app.mount("/", application)
    answer = await get(await serve(app))
    assert decode("gzip", answer.body) == BODY.encode()


@pytest.mark.parametrize("size", [2_000, 200_000])
@pytest.mark.parametrize("streamed", [True, False])
async def test_it_works_under_another_server_as_well(app, size, streamed):
    content = "0123456789" * (size // 10)

    @app.get("/")
    async def handler(request):
        return pieces(content)() if streamed else text(content)

    server = AsgiServer()
    await app(scope_of(headers=[(b"accept-encoding", b"gzip")]), server.receive, server.send)
    assert server.headers[b"content-encoding"] == b"gzip"
    assert decode("gzip", server.body) == content.encode()
    assert server.ended


def test_what_there_is_not_is_refused_when_it_is_said(app):
    with pytest.raises(ValueError, match="deflate"):
        app.compress("deflate")
    with pytest.raises(TypeError):
        app.compress(speed="high")
