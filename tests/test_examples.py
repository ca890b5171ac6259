"""Every file in examples/ starts and does what it says."""

import importlib
from pathlib import Path

import pytest

from tests.doubles.wire import Wire, talk

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


async def test_file_server(serve, tmp_path):
    (tmp_path / "index.html").write_text("<p>hello")
    (tmp_path / "data.bin").write_bytes(b"x" * 100_000)
    address = await serve(example("file_server").make_app(tmp_path))
    assert body_of(await talk(address, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b"<p>hello"
    assert body_of(await talk(address, b"GET /data.bin HTTP/1.1\r\n" + CLOSE + b"\r\n")) == b"x" * 100_000


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text().splitlines()) < 60


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
