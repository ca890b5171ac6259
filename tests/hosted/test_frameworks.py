"""Frameworks on our server: what their streams, uploads and background work do, and above all how each of them ends."""

import asyncio
from importlib import import_module
from importlib.util import find_spec

import pytest

from tests.doubles.wire import PATIENCE, Wire, talk

FRAMEWORKS = {
    name: import_module(f"tests.hosted.{name}_app")
    for name in ("starlette", "fastapi", "django", "quart", "litestar")
    if find_spec(name) is not None
}
ON_ANYIO = ("starlette", "fastapi", "litestar")  # whose task groups, of anyio 4.16, do not work with eager tasks
CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"
GET = b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /idle HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"
LEAVE = {"close": lambda wire: wire.writer.close(), "half-close": Wire.half_close, "reset": Wire.reset}


async def within(awaitable):
    async with asyncio.timeout(PATIENCE):
        return await awaitable


class Trial:
    """What the application of each framework does, and a record of it."""

    def __init__(self, file):
        self.file = file
        self.events = []
        self.ended = asyncio.Event()
        self.read = asyncio.Queue()  # sizes of the pieces of an upload
        self.total = 0
        self.go_on = asyncio.Event()
        self.patience = PATIENCE  # seconds that a framework waits for its own background tasks

    def event(self, name):
        self.events.append(name)

    async def idle(self):
        """A stream that sends one piece and then waits for something else than its client."""
        try:
            yield b"begun"
            await asyncio.Event().wait()
        finally:
            self.ended.set()

    async def failing(self):
        yield b"begun"
        await asyncio.sleep(0)
        raise ValueError("secret")

    def piece(self, data):
        self.total += len(data)
        if data:
            self.read.put_nowait(len(data))

    def received(self):
        self.event("complete")
        return str(self.total)

    async def later(self):
        try:
            await self.go_on.wait()
            self.event("later")
        finally:
            self.ended.set()


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def errors(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def each_framework(*without):
    names = [name for name in FRAMEWORKS if name not in without]
    marked = [pytest.param(name, marks=pytest.mark.lazy_tasks) if name in ON_ANYIO else name for name in names]
    return pytest.mark.parametrize("framework", marked)


@pytest.fixture
def trial(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"\x00\xff" * 50_000)
    return Trial(path)


@pytest.fixture
def outcomes(app):
    """How the exchanges of the application end, in order."""
    ends = asyncio.Queue()

    @app.signal("http.lifecycle.complete")
    async def end(outcome, **context):
        ends.put_nowait(str(outcome))

    return ends


@pytest.fixture
async def address(app, serve, framework, trial):
    app.mount("/", FRAMEWORKS[framework].make(trial))
    return await serve(app)


@each_framework()
@pytest.mark.parametrize(
    ("request_", "leave"),
    [(GET, "close"), (GET, "half-close"), (GET, "reset"), (POST, "reset")],
    ids=["close", "half-close", "reset", "reset-post"],
)
async def test_an_idle_stream_is_ended_when_its_client_leaves(address, trial, outcomes, caplog, request_, leave):
    async with Wire(address) as wire:
        wire.send(request_)
        await wire.until(b"begun\r\n")
        LEAVE[leave](wire)
        await within(trial.ended.wait())
        assert await within(outcomes.get()) == "client left"
    assert errors(caplog) == []


@each_framework()
async def test_an_idle_stream_is_ended_by_a_stop(app, framework, trial, outcomes, caplog):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0
    app.mount("/", FRAMEWORKS[framework].make(trial))
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        server.close()
        await within(server.wait_closed())
        assert await wire.rest() == b""
    assert trial.ended.is_set()
    assert await within(outcomes.get()) == "shut down"
    assert errors(caplog) == []


@each_framework()
async def test_an_idle_stream_is_ended_by_a_timeout(app, serve, framework, trial, outcomes, caplog):
    app.mount("/", FRAMEWORKS[framework].make(trial), idle_timeout=0.05)
    async with Wire(await serve(app)) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        assert await wire.rest() == b""
        await within(trial.ended.wait())
        assert await within(outcomes.get()) == "timed out"
    assert errors(caplog) == []


@each_framework()
async def test_an_upload_that_waits_is_ended_by_a_stop(app, framework, trial, caplog):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0
    app.mount("/", FRAMEWORKS[framework].make(trial))
    before = asyncio.all_tasks()
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        await wire.until(b"100 Continue\r\n\r\n")
        wire.send(b"half")
        if framework != "django":
            assert await within(trial.read.get()) == 4
        server.close()
        await within(server.wait_closed())
        await wire.rest()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before  # none is left
    assert "complete" not in trial.events
    assert errors(caplog) == []


@pytest.mark.lazy_tasks
@pytest.mark.skipif("fastapi" not in FRAMEWORKS, reason="fastapi is not installed")
@pytest.mark.parametrize("framework", ["fastapi"])
async def test_a_dependency_of_a_stream_is_released_when_its_client_leaves(address, trial, outcomes, caplog):
    async with Wire(address) as wire:
        wire.send(GET)
        await wire.until(b"begun\r\n")
        assert trial.events == ["startup"]
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert trial.events == ["startup", "released"]
    assert errors(caplog) == []


@each_framework()
async def test_head_of_an_idle_stream_ends(address, trial, outcomes, caplog):
    async with Wire(address) as wire:
        for _ in range(2):  # on one connection
            wire.send(b"HEAD /idle HTTP/1.1\r\nHost: a\r\n\r\n")
            assert status_of(await wire.until(b"\r\n\r\n")) == 200
            assert await within(outcomes.get()) == "completed"
    assert errors(caplog) == []


@each_framework()
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Django leaves the request's body to the collector
async def test_a_stream_that_fails_is_cut_and_logged_once(address, outcomes, caplog):
    async with Wire(address) as wire:
        wire.send(b"GET /failing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await wire.rest()).endswith(b"5\r\nbegun\r\n")
        assert await within(outcomes.get()) == "failed"
    assert len(errors(caplog)) == 1
    assert "ValueError: secret\n" in caplog.text
    caplog.clear()  # with the frames of the traceback


@each_framework("django")  # which receives all of a body before it calls a view
async def test_an_upload_is_read_in_pieces(address, trial, caplog):
    async with Wire(address) as wire:
        wire.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            wire.send(b"5\r\nhello\r\n")
            assert await within(trial.read.get()) == 5
        wire.send(b"0\r\n\r\n")
        answer = await wire.rest()
    assert (status_of(answer), answer.endswith(b"15")) == (200, True)
    assert errors(caplog) == []


@each_framework()
async def test_a_large_upload_arrives(address, trial, caplog):
    body = b"x" * 3_000_000
    answer = await talk(address, b"POST /upload HTTP/1.1\r\nContent-Length: 3000000\r\n" + CLOSE + body)
    assert (status_of(answer), answer.endswith(b"3000000")) == (200, True)
    assert errors(caplog) == []


@each_framework()
async def test_an_upload_that_is_cut_is_no_error(address, framework, trial, outcomes, caplog):
    async with Wire(address) as wire:
        wire.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        await wire.until(b"100 Continue\r\n\r\n")  # the body is being received
        wire.send(b"half")
        if framework != "django":
            assert await within(trial.read.get()) == 4
        wire.reset()
        assert await within(outcomes.get()) == "client left"
    assert "complete" not in trial.events
    assert errors(caplog) == []


@each_framework()
async def test_an_upload_that_is_too_large_is_a_413_and_no_error(app, serve, framework, trial, caplog):
    app.mount("/", FRAMEWORKS[framework].make(trial), max_body_size=5)
    async with Wire(await serve(app)) as wire:
        wire.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        await wire.until(b"100 Continue\r\n\r\n")
        wire.send(b"6\r\nsix456\r\n0\r\n\r\n")
        assert (await wire.answer("POST")).status == 413
    assert "complete" not in trial.events
    assert errors(caplog) == []


@each_framework()
async def test_a_header_beyond_ascii_is_sent(address, caplog):
    answer = await talk(address, b"GET /named HTTP/1.1\r\n" + CLOSE)
    assert status_of(answer) == 200
    assert b"\xe9.bin\r\n" in answer or b"\xc3\xa9.bin\r\n" in answer
    assert errors(caplog) == []


@each_framework()
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous iterators")  # Django's FileResponse
async def test_a_file_whose_name_is_beyond_ascii_is_sent(address, trial, caplog):
    answer = await talk(address, b"GET /sent HTTP/1.1\r\n" + CLOSE)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == 200
    assert b"%C3%A9.bin" in head or 'filename="é.bin"'.encode() in head
    assert body == trial.file.read_bytes()
    assert errors(caplog) == []


@each_framework("django")  # it has none
async def test_background_work_holds_nobody_up(address, trial, caplog):
    async with Wire(address) as wire:
        for _ in range(2):  # on one connection
            wire.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await wire.answer()).body == b"now"
        assert trial.events[-1:] != ["later"]
        trial.go_on.set()
        await within(trial.ended.wait())
    assert errors(caplog) == []


@each_framework("django")  # which knows nothing of lifespan
@pytest.mark.parametrize("finishes", [True, False])
async def test_a_server_that_stops_waits_for_background_work(app, framework, trial, caplog, finishes):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = trial.patience = PATIENCE if finishes else 0
    app.mount("/", FRAMEWORKS[framework].make(trial))
    server = await app.create_server(port=0, access_log=False)
    await talk(server.sockets[0].getsockname(), b"GET /later HTTP/1.1\r\n" + CLOSE)
    if finishes:
        asyncio.get_running_loop().call_later(0.02, trial.go_on.set)
    server.close()
    await within(server.wait_closed())
    assert trial.events == ["startup", *(["later"] if finishes else []), "shutdown"]
    assert errors(caplog) == []


@each_framework()
async def test_it_knows_the_path_that_it_is_mounted_at(app, serve, framework, trial, caplog):
    app.mount("/below", FRAMEWORKS[framework].make(trial))
    address = await serve(app)
    here = await talk(address, b"GET /below/here HTTP/1.1\r\n" + CLOSE)
    assert here.endswith(b"/below/here")
    hello = await talk(address, b"GET /below/hello?name=%C3%A9 HTTP/1.1\r\n" + CLOSE)
    assert hello.endswith("hello é".encode())
    assert errors(caplog) == []
