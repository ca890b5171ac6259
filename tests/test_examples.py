"""Every file in examples/ starts and does what it says."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sanicish import stream
from tests.doubles.wire import PATIENCE, Wire, talk

EXAMPLES = Path(__file__).parent.parent / "examples"
CLOSE = b"Host: a\r\nConnection: close\r\n"


def example(name):
    return importlib.import_module(f"examples.{name}")


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def unchunked(body):
    data = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        data, body = data + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return data


async def test_hello(serve):
    address = await serve(example("hello").app)
    assert body_of(await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b"Hello, world!"
    assert body_of(await talk(address, b"GET /greet/ann HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b'{"hello":"ann"}'


async def test_upload_to_disk(serve, tmp_path):
    module = example("upload_to_disk")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    content = bytes(range(256)) * 1000
    head = b"PUT /files/copy.bin HTTP/1.1\r\n" + CLOSE + b"Content-Length: %d\r\n\r\n" % len(content)
    answer = await talk(address, head + content)
    assert answer.startswith(b"HTTP/1.1 201 Created\r\n")
    assert (tmp_path / "copy.bin").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["copy.bin"]


async def test_a_cut_upload_leaves_no_file(serve, tmp_path):
    module = example("upload_to_disk")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    await talk(address, b"PUT /files/cut.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", half_close=True)
    assert list(tmp_path.iterdir()) == []


async def test_echo_both_ways(serve):
    address = await serve(example("echo_both_ways").app)
    async with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await wire.until(b"3\r\nONE\r\n")
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.until(b"3\r\nTWO\r\n0\r\n\r\n")


async def test_clock(serve):
    module = example("clock")
    module.app.ctx.seconds = 0
    address = await serve(module.app)
    async with Wire(address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            await wire.until(b"\n\r\n")


async def test_count_to_a_million(serve):
    address = await serve(example("count_to_a_million").app)
    answer = await talk(address, b"GET /5000 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert unchunked(body_of(answer)).split() == [str(number).encode() for number in range(1, 5001)]


async def test_csv_from_postgres(serve, database):
    module = example("csv_from_postgres")
    module.app.ctx.dsn = database
    address = await serve(module.app)
    answer = await talk(address, b"GET /squares.csv HTTP/1.1\r\n" + CLOSE + b"\r\n")
    rows = unchunked(body_of(answer)).decode().splitlines()
    assert rows[0] == "n,square"
    assert rows[-1] == "1000,1000000"
    assert len(rows) == 1001
    answer = await talk(address, b"GET /squares.json?above=998 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert json.loads(unchunked(body_of(answer))) == [{"n": 999, "square": 998001}, {"n": 1000, "square": 1000000}]


def put(path, body, *fields):
    head = b"".join(b"%b\r\n" % field for field in fields)
    return b"PUT %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path, CLOSE, head, len(body), body)


async def test_copy_upload(serve, database):
    module = example("copy_upload")
    module.app.ctx.dsn = database
    address = await serve(module.app)
    table = b'id,name\n1,Ann\n2,"Bob, the second"\n'
    answer = await talk(address, put(b"/people.csv", table))
    assert answer.startswith(b"HTTP/1.1 201 ") and body_of(answer) == b'{"rows":2}'
    answer = await talk(address, b"GET /people.csv HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert unchunked(body_of(answer)) == table


async def test_copy_upload_takes_all_or_nothing(serve, database):
    module = example("copy_upload")
    module.app.ctx.dsn = database
    address = await serve(module.app)
    answer = await talk(address, put(b"/people.csv", b"id,name\n1,Ann\ntwo,Bob\n"))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"line 3" in answer
    answer = await talk(address, b"GET /people.csv HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert unchunked(body_of(answer)) == b"id,name\n"


async def test_chat(serve):
    address = await serve(example("chat").app)
    page = await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert b'new EventSource("heard")' in page
    async with Wire(address) as ann, Wire(address) as bob:
        for wire in (ann, bob):
            wire.send(b"GET /heard HTTP/1.1\r\nHost: a\r\n\r\n")
            await wire.until(b"\r\n\r\n")
        form = b"name=ann&text=%3Cb%3Ehello"
        typed = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%b" % (len(form), form)
        said = await talk(address, b"POST /say HTTP/1.1\r\n" + CLOSE + typed)
        assert said.startswith(b"HTTP/1.1 204 ")
        for wire in (ann, bob):
            await wire.until(b'id: 1\ndata: {"name":"ann","text":"<b>hello"}\n\n')
    async with Wire(address) as late:
        late.send(b"GET /heard HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 0\r\n\r\n")
        await late.until(b"hello")


async def serve_behind_proxy(serve, upstream):
    module = example("proxy")
    module.app.ctx.upstream = (await serve(upstream))[:2]
    return await serve(module.app)


async def test_proxy_passes_on_an_upload_and_its_answer_while_they_come(serve):
    address = await serve_behind_proxy(serve, example("echo_both_ways").app)
    async with Wire(address) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await wire.until(b"3\r\nONE\r\n")
        wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.until(b"3\r\nTWO\r\n0\r\n\r\n")


async def test_proxy_passes_on_heads(serve):
    address = await serve_behind_proxy(serve, example("hello").app)
    for method, body in ((b"GET", b'{"hello":"ann"}'), (b"HEAD", b"")):
        answer = await talk(address, method + b" /greet/ann HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert b"content-type: application/json\r\n" in answer.lower() and b"content-length: 15\r\n" in answer.lower()
        assert body_of(answer) == body


async def test_proxy_answers_502_when_its_upstream_is_away(serve, unused_tcp_port):
    module = example("proxy")
    module.app.ctx.upstream = "127.0.0.1", unused_tcp_port
    answer = await talk(await serve(module.app), b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")


async def test_proxy_is_no_faster_than_its_client(serve, app):
    sent = []

    @app.get("/")
    async def large(request):
        async def write(response):
            for number in range(4_096):
                await response.write(bytes(65_536))
                sent.append(number)

        return stream(write)

    async with Wire(await serve_behind_proxy(serve, app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        before = -1
        while len(sent) != before or not sent:
            before = len(sent)
            for _ in range(1_000):  # turns of the loop that everything here runs in
                await asyncio.sleep(0)
        assert len(sent) < 2_048


async def test_proxy_cuts_what_its_upstream_cuts(serve, app):
    @app.get("/")
    async def failing(request):
        async def write(response):
            await response.write("half")
            raise ValueError("no more")

        return stream(write)

    answer = await talk(await serve_behind_proxy(serve, app), b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert answer.endswith(b"half\r\n")


async def test_proxy_never_makes_half_an_upload_whole(serve, app):
    ended = asyncio.Queue()

    @app.post("/", stream=True)
    async def upload(request):
        try:
            async for _ in request.stream:
                pass
            ended.put_nowait("whole")
        except BaseException:
            ended.put_nowait("cut")
            raise

    address = await serve_behind_proxy(serve, app)
    await talk(address, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", half_close=True)
    assert await asyncio.wait_for(ended.get(), PATIENCE) == "cut"


COMPLETION = b'POST /completions HTTP/1.1\r\n%bContent-Length: 23\r\n\r\n{"prompt":"who is it?"}'


async def test_token_stream(serve):
    module = example("token_stream")
    module.app.ctx.seconds = 0
    answer = await talk(await serve(module.app), COMPLETION % CLOSE)
    said = [b'data: {"token":"%b"}\n\n' % word for word in (b"it?", b"is", b"who")]
    assert unchunked(body_of(answer)) == b"".join(said) + b"data: [DONE]\n\n"


async def test_token_stream_stops_thinking_when_its_reader_leaves(serve):
    module = example("token_stream")
    module.app.ctx.seconds = 3_600
    address = await serve(module.app)

    async def until_at_work(count):
        async with asyncio.timeout(PATIENCE):
            while (
                body_of(await talk(address, b"GET /at-work HTTP/1.1\r\n" + CLOSE + b"\r\n"))
                != b'{"at_work":%d}' % count
            ):
                pass

    async with Wire(address) as wire:
        wire.send(COMPLETION % b"Host: a\r\n")
        await wire.until(b"\r\n\r\n")
        await until_at_work(1)
    await until_at_work(0)


async def test_token_stream_wants_a_prompt(serve):
    address = await serve(example("token_stream").app)
    answer = await talk(address, b"POST /completions HTTP/1.1\r\n" + CLOSE + b"Content-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_resumable_upload_goes_on_where_it_was_cut(serve, tmp_path):
    module = example("resumable_upload")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    await talk(address, b"PUT /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234", half_close=True)
    assert b"upload-offset: 5\r\n" in (await talk(address, b"HEAD /a.bin HTTP/1.1\r\n" + CLOSE + b"\r\n")).lower()
    assert not (tmp_path / "a.bin").exists()
    answer = await talk(address, put(b"/a.bin", b"56789", b"Content-Range: bytes 5-9/10"))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


async def test_resumable_upload_does_not_go_on_elsewhere(serve, tmp_path):
    module = example("resumable_upload")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    answer = await talk(address, put(b"/a.bin", b"89", b"Content-Range: bytes 8-9/10"))
    assert answer.startswith(b"HTTP/1.1 409 ") and b"Upload-Offset: 0\r\n" in answer


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ("bytes 0-4/5", 413),
        ("bytes 0-4/10", 413),
        ("bytes 0-6/5", 400),
        ("bytes 6-0/7", 400),
        ("bytes 0-6/*", 400),
        ("items 0-6/7", 400),
        (f"bytes 0-{'9' * 5_000}/{'9' * 5_001}", 400),
    ],
)
async def test_resumable_upload_of_other_bytes_than_it_says_is_refused(serve, tmp_path, told, status):
    module = example("resumable_upload")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    answer = await talk(address, put(b"/a.bin", b"0123456", b"Content-Range: " + told.encode()))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert not (tmp_path / "a.bin").exists()
    answer = await talk(address, put(b"/a.bin", b"0123456", b"Content-Range: bytes 0-6/7"))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (tmp_path / "a.bin").read_bytes() == b"0123456"


async def test_chunked_resumable_upload_of_more_than_it_says_is_cut_there(serve, tmp_path):
    module = example("resumable_upload")
    module.app.ctx.folder = tmp_path
    address = await serve(module.app)
    head = b"PUT /a.bin HTTP/1.1\r\n" + CLOSE + b"Transfer-Encoding: chunked\r\nContent-Range: bytes 0-4/10\r\n\r\n"
    assert (await talk(address, head + b"5\r\n01234\r\n2\r\n56\r\n0\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
    told = (await talk(address, b"HEAD /a.bin HTTP/1.1\r\n" + CLOSE + b"\r\n")).lower().partition(b"upload-offset: ")[2]
    offset = int(told.split()[0])  # 0 or 5, as the chunks arrived
    rest = b"0123456789"[offset:]
    answer = await talk(address, put(b"/a.bin", rest, b"Content-Range: bytes %d-9/10" % offset))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789"


async def test_file_server(serve, tmp_path):
    (tmp_path / "index.html").write_text("<p>hello")
    (tmp_path / "data.bin").write_bytes(b"x" * 100_000)
    address = await serve(example("file_server").make_app(tmp_path))
    assert body_of(await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b"<p>hello"
    assert body_of(await talk(address, b"GET /data.bin HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b"x" * 100_000


every_example = pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[!_]*.py")), ids=lambda path: path.stem)


@every_example
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < 60


@every_example
def test_an_example_says_how_to_try_it(path):
    assert f"python examples/{path.name}" in path.read_text() and "http://127.0.0.1:8000/" in path.read_text()


# On a free port instead of 8000; the rest is as the user runs it.
ALONE = """
import functools, runpy, sys, sanicish
sanicish.Sanic.run = functools.partialmethod(sanicish.Sanic.run, port=0)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@every_example
def test_an_example_runs_alone(path, postgres, tmp_path):
    command = [sys.executable, "-W", "error", "-c", ALONE, str(path)]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={"DSN": postgres.at("test")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        first = process.stdout.readline()
        process.send_signal(2)
        assert "http://127.0.0.1:" in first, first + process.stdout.read()
        assert process.wait(PATIENCE) == 0


def test_every_example_is_on_the_list():
    listed = (EXAMPLES / "README.md").read_text()
    assert [path.name for path in EXAMPLES.glob("[!_]*.py") if f"({path.name})" not in listed] == []


def test_every_example_is_tested():
    tested = Path(__file__).read_text()
    untested = [path.stem for path in EXAMPLES.glob("[!_]*.py") if f'"{path.stem}"' not in tested]
    assert untested == []


async def test_generators(serve):
    module = example("generators")
    module.app.ctx.seconds = 0
    address = await serve(module.app)
    answer = await talk(address, b"GET /countdown?from=2 HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert unchunked(body_of(answer)) == b"2\n1\n/countdown is over\n"
    assert (await talk(address, b"GET /countdown HTTP/1.1\r\n" + CLOSE + b"\r\n")).startswith(b"HTTP/1.1 400 ")
    answer = await talk(address, b"GET /squares.csv HTTP/1.1\r\n" + CLOSE + b"\r\n")
    lines = unchunked(body_of(answer)).splitlines()
    assert (lines[0], lines[-1], len(lines)) == (b"n,square", b"999,998001", 1001)
