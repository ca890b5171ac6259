"""Starlette on our server: all that it streams, in both directions, over a real socket."""

import asyncio
import zlib

import httpx2
import pytest

starlette = pytest.importorskip("starlette")

from sse_starlette import EventSourceResponse  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.background import BackgroundTask, BackgroundTasks  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: E402
from starlette.middleware.gzip import GZipMiddleware  # noqa: E402
from starlette.requests import ClientDisconnect  # noqa: E402
from starlette.responses import (  # noqa: E402
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route  # noqa: E402
from starlette.staticfiles import StaticFiles  # noqa: E402

from tests.doubles.wire import PATIENCE, Wire, talk  # noqa: E402
from tests.waiting import until  # noqa: E402

pytestmark = pytest.mark.lazy_tasks  # the task groups of anyio 4.16 do not work with eager ones

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def hosting(app, serve):
    """Serve the endpoint, or the routes, by Starlette; gives the address."""

    async def host(endpoint=None, *, at="/", methods=("GET", "POST"), **options):
        if endpoint is not None:
            options["routes"] = [Route("/{rest:path}", endpoint, methods=list(methods))]
        app.mount(at, Starlette(**options))
        return await serve(app)

    yield host
    # Starlette closes a file after the last message; 1.0 leaves it open if it is cancelled in that.
    working = [task for task in asyncio.all_tasks() if task.get_name().startswith(("asgi GET", "asgi HEAD"))]
    if working:
        await asyncio.wait(working, timeout=PATIENCE)


def client_of(address):
    return httpx2.AsyncClient(base_url=f"http://{address[0]}:{address[1]}", timeout=PATIENCE)


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


# Answers


async def test_a_streaming_response_of_an_async_generator(hosting):
    async def numbers():
        for number in range(5):
            yield f"{number}\n"
            await asyncio.sleep(0)

    async def endpoint(request):
        return StreamingResponse(numbers(), media_type="text/plain")

    async with client_of(await hosting(endpoint)) as client:
        answer = await client.get("/")
    assert answer.text == "0\n1\n2\n3\n4\n"
    assert answer.headers["transfer-encoding"] == "chunked"


async def test_a_streaming_response_of_an_iterator_runs_in_threads(hosting):
    async def endpoint(request):
        return StreamingResponse(iter([b"a", "b", b"c"]), media_type="text/plain")

    async with client_of(await hosting(endpoint)) as client:
        assert (await client.get("/")).text == "abc"


async def test_pieces_arrive_as_they_are_made(hosting):
    seen = asyncio.Event()

    async def pieces():
        yield b"one"
        async with asyncio.timeout(PATIENCE):
            await seen.wait()
        yield b"two"

    async def endpoint(request):
        return StreamingResponse(pieces())

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"3\r\none\r\n")
        seen.set()
        await wire.until(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_a_streaming_response_with_a_length_keeps_to_it(hosting):
    async def endpoint(request):
        return StreamingResponse(iter([b"abc", b"de"]), headers={"Content-Length": "5"})

    answer = await talk(await hosting(endpoint), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert b"content-length: 5\r\n" in answer.lower()
    assert body_of(answer) == b"abcde"


async def test_a_generator_that_fails_cuts_the_answer(hosting):
    async def pieces():
        yield b"begun"
        raise ValueError("secret")

    async def endpoint(request):
        return StreamingResponse(pieces())

    answer = await talk(await hosting(endpoint), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"5\r\nbegun\r\n")


async def test_an_endpoint_that_fails_is_starlettes_page(hosting):
    async def endpoint(request):
        raise ValueError("secret")

    answer = await talk(await hosting(endpoint), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert (status_of(answer), body_of(answer)) == (500, b"Internal Server Error")


async def test_a_generator_is_ended_when_the_client_leaves(hosting):
    ended = asyncio.Event()

    async def pieces():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async def endpoint(request):
        return StreamingResponse(pieces())

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"xxx")
        wire.reset()
    async with asyncio.timeout(PATIENCE):
        await ended.wait()


async def test_background_tasks_run_behind_the_answer_and_hold_nobody_up(hosting):
    go_on, done = asyncio.Event(), []

    async def wait():
        await go_on.wait()
        done.append("waited")

    async def endpoint(request):
        tasks = BackgroundTasks()
        tasks.add_task(wait)
        tasks.add_task(done.append, "second")
        return PlainTextResponse("now", background=tasks)

    async with client_of(await hosting(endpoint)) as client:
        for _ in range(2):  # on one connection
            assert (await client.get("/")).text == "now"
        assert done == []
        go_on.set()
        await until(lambda: len(done) >= 4)
    assert done[-1] == "second"


async def test_a_background_task_runs_behind_a_stream(hosting):
    done = asyncio.Event()

    async def endpoint(request):
        return StreamingResponse(iter([b"a"]), background=BackgroundTask(done.set))

    async with client_of(await hosting(endpoint)) as client:
        assert (await client.get("/")).content == b"a"
        await done.wait()


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body(hosting, status):
    async def endpoint(request):
        return Response(status_code=status)

    answer = await talk(await hosting(endpoint), b"GET / HTTP/1.1\r\n" + CLOSE)
    assert status_of(answer) == status
    assert body_of(answer) == b""


async def test_head_of_a_stream_is_its_head(hosting):
    async def numbers():
        while True:
            yield b"for ever"
            await asyncio.sleep(0)

    async def endpoint(request):
        return StreamingResponse(numbers())

    answer = await talk(await hosting(endpoint), b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert status_of(answer) == 200
    assert body_of(answer) == b""


async def test_cookies_and_redirects(hosting):
    async def endpoint(request):
        response = RedirectResponse("/there")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    async with client_of(await hosting(endpoint)) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/there")
    assert len(answer.headers.get_list("set-cookie")) == 2


# Files


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


async def test_a_file(hosting, data):
    async def endpoint(request):
        return FileResponse(data, filename="mine.txt")

    address = await hosting(endpoint)
    async with client_of(address) as client:
        answer = await client.get("/")
        head = await client.head("/")
    assert answer.content == data.read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="mine.txt"'
    assert {**answer.headers, "date": ""} == {**head.headers, "date": ""}


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=255990-", 206, slice(255_990, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=999999-", 416, slice(0)),
    ],
)
async def test_a_part_of_a_file(hosting, data, asked, status, content):
    async def endpoint(request):
        return FileResponse(data)

    async with client_of(await hosting(endpoint)) as client:
        answer = await client.get("/", headers={"Range": asked})
    assert answer.status_code == status
    assert answer.content == data.read_bytes()[content]


async def test_several_parts_of_a_file(hosting, data):
    async def endpoint(request):
        return FileResponse(data)

    async with client_of(await hosting(endpoint)) as client:
        answer = await client.get("/", headers={"Range": "bytes=0-1,100-101"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert len(answer.content) == int(answer.headers["content-length"])


async def test_static_files_and_their_conditions(hosting, data, tmp_path):
    address = await hosting(routes=[Mount("/static", StaticFiles(directory=tmp_path))])
    async with client_of(address) as client:
        answer = await client.get("/static/data.txt")
        same = await client.get("/static/data.txt", headers={"If-None-Match": answer.headers["etag"]})
        none = await client.get("/static/none.txt")
    assert answer.content == data.read_bytes()
    assert (same.status_code, none.status_code) == (304, 404)


# Requests


async def test_a_body_is_streamed(hosting):
    sizes = []

    async def endpoint(request):
        sizes.extend([len(piece) async for piece in request.stream()])
        return PlainTextResponse(str(sum(sizes)))

    async def body():
        for _ in range(20):
            yield b"x" * 100_000

    async with client_of(await hosting(endpoint)) as client:
        assert (await client.post("/", content=body())).text == "2000000"
    assert len(sizes) > 20


async def test_an_echo_reads_and_writes_at_once(hosting):
    """The hard one: elsewhere the watcher for disconnects eats the body."""

    async def endpoint(request):
        return StreamingResponse(request.stream())

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await wire.until(b"3\r\none\r\n")
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.until(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_a_body_of_json(hosting):
    async def endpoint(request):
        return JSONResponse(await request.json())

    async with client_of(await hosting(endpoint)) as client:
        assert (await client.post("/", json={"a": [1]})).json() == {"a": [1]}


async def test_a_cut_body_raises_client_disconnect(hosting):
    seen, done = [], asyncio.Event()

    async def endpoint(request):
        nonlocal seen
        try:
            async for piece in request.stream():
                seen += [piece]
        except ClientDisconnect:
            seen.append("disconnect")
            raise
        finally:
            done.set()

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        await until(lambda: seen)
        wire.reset()
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert seen == [b"half", "disconnect"]


async def test_is_disconnected_tells(hosting):
    seen, begun, done = [], asyncio.Event(), asyncio.Event()

    async def endpoint(request):
        await request.body()
        seen.append(await request.is_disconnected())
        begun.set()
        while not await request.is_disconnected():
            await asyncio.sleep(0.001)
        seen.append(True)
        done.set()
        return PlainTextResponse("for nobody")

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        await begun.wait()
        wire.reset()
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    assert seen == [False, True]


async def test_the_request_knows_its_address_under_a_mount(hosting):
    async def endpoint(request):
        return JSONResponse([str(request.url), request.url.path, str(request.url_for("there", rest="x"))])

    routes = [Mount("/inner", routes=[Route("/{rest:path}", endpoint, name="there")])]
    host, port = await hosting(routes=[Mount("/", routes=routes)], at="/outer")
    async with client_of((host, port)) as client:
        url, path, other = (await client.get("/outer/inner/a?b=1")).json()
    assert (url, path) == (f"http://{host}:{port}/outer/inner/a?b=1", "/outer/inner/a")
    assert other.startswith(f"http://{host}:{port}/outer") or "inner" in other


# What wraps them


async def test_middleware_of_starlette_streams(hosting):
    seen = asyncio.Event()

    async def dispatch(request, call_next):
        response = await call_next(request)
        response.headers["X-Seen"] = "yes"
        return response

    async def pieces():
        yield b"one"
        async with asyncio.timeout(PATIENCE):
            await seen.wait()
        yield b"two"

    async def endpoint(request):
        return StreamingResponse(pieces())

    address = await hosting(endpoint, middleware=[Middleware(BaseHTTPMiddleware, dispatch=dispatch)])
    async with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"x-seen: yes" in await wire.until(b"3\r\none\r\n")
        seen.set()
        await wire.until(b"3\r\ntwo\r\n0\r\n\r\n")


async def test_gzip_of_starlette(hosting):
    async def endpoint(request):
        return StreamingResponse(iter([b"x" * 1000] * 10))

    address = await hosting(endpoint, middleware=[Middleware(GZipMiddleware)])
    async with client_of(address) as client, client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert zlib.decompress(raw, 31) == b"x" * 10_000


async def test_server_sent_events(hosting):
    ended = asyncio.Event()

    async def events():
        try:
            for number in range(1000):
                yield {"event": "tick", "data": str(number)}
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async def endpoint(request):
        return EventSourceResponse(events())

    async with Wire(await hosting(endpoint)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"content-type: text/event-stream" in await wire.until(b"\r\n\r\n")
        await wire.until(b"data: 0\r\n\r\n")
        await wire.until(b"data: 1\r\n\r\n")
        wire.reset()
    async with asyncio.timeout(PATIENCE):
        await ended.wait()


async def test_lifespan_gives_its_state_to_requests(hosting):
    events = []

    class Life:
        def __init__(self, app):
            pass

        async def __aenter__(self):
            events.append("start")
            return {"pool": "open"}

        async def __aexit__(self, *error):
            events.append("stop")

    async def endpoint(request):
        return PlainTextResponse(request.state.pool)

    async with client_of(await hosting(endpoint, lifespan=Life)) as client:
        assert (await client.get("/")).text == "open"
    assert events == ["start"]
