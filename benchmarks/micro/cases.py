"""The hot path in pieces: each case gives a function that does its work ``times`` times."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import cycle as cycle_of
from itertools import islice
from typing import Any, cast

import httptools
import uvloop

from benchmarks.micro.heads import api_heads, browser_heads
from sanicish import Sanic, log
from sanicish.config import Config
from sanicish.exchange import RequestHead
from sanicish.http1.exchange import Http1Exchange
from sanicish.http1.framing import Chunked
from sanicish.http1.parser import RequestParser
from sanicish.http1.serialize import DateField, serialize_head
from sanicish.log.queue import flush as flush_log
from sanicish.request import Request
from sanicish.response import json, stream, text
from sanicish.router import Route, Router
from sanicish.server.protocol import HttpProtocol
from sanicish.server.serve import Server
from sanicish.streams.incoming import EMPTY, RequestStream

__all__ = ["CASES", "Repeat"]

Repeat = Callable[[int], None]

SHORT = b"GET /plain HTTP/1.1\r\nHost: bench\r\n\r\n"
BROWSER = (
    b"GET /items/17?full=yes HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://example.org/items\r\nCookie: session=0123456789abcdef\r\n\r\n"
)
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
PIECE = b"x" * 100


class Nobody:
    """Hears what the parser says and does nothing."""

    def on_head(self, head: Any) -> None: ...

    def on_data(self, data: bytes) -> None: ...

    def on_end(self, trailers: Any) -> None: ...


class Transport:
    """Takes everything at once, and remembers the last of it."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, data: bytes) -> None:
        self.last = data

    def writelines(self, pieces: Any) -> None:
        self.last = b"".join(pieces)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


@contextmanager
def parse(*heads: bytes) -> Iterator[Repeat]:
    parser = RequestParser(Nobody(), Config(load_env=False).limits())

    def repeat(times: int) -> None:
        for head in islice(cycle_of(heads), times):
            parser.feed(head)

    yield repeat


class Callbacks:
    """The least that a Python program hears from httptools."""

    def on_url(self, url: bytes) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_headers_complete(self) -> None: ...

    def on_message_complete(self) -> None: ...


@contextmanager
def parse_by_httptools(*heads: bytes) -> Iterator[Repeat]:
    parser = httptools.HttpRequestParser(Callbacks())

    def repeat(times: int) -> None:
        for head in islice(cycle_of(heads), times):
            parser.feed_data(head)

    yield repeat


@contextmanager
def frame() -> Iterator[Repeat]:
    framing = Chunked()

    def repeat(times: int) -> None:
        for _ in range(times):
            out: list[bytes] = []
            for _ in range(100):
                framing.frame(PIECE, out)
            b"".join(out)

    yield repeat


@contextmanager
def serialize() -> Iterator[Repeat]:
    date = DateField(lambda: 1e9)

    def repeat(times: int) -> None:
        for _ in range(times):
            serialize_head(200, None, "application/json", b"Content-Length: 1234\r\n", date.line(), b"")

    yield repeat


@contextmanager
def route(*paths: str) -> Iterator[Repeat]:
    router = Router()
    for number in range(25):
        router.add(Route(f"/static{number}/page", "GET", print))
        router.add(Route(f"/items{number}/<id:int>", "GET", print))
        router.add(Route(f"/shops{number}/<shop:int>/items/<id:int>", "GET", print))

    def repeat(times: int) -> None:
        for path in islice(cycle_of(paths), times):
            router.match("GET", path, None)

    yield repeat


@contextmanager
def read() -> Iterator[Repeat]:
    async def through() -> None:
        stream = RequestStream(high=1 << 20)
        for _ in range(100):
            stream.feed(PIECE * 25)
        stream.feed_eof()
        async for _ in stream:
            pass

    def repeat(times: int) -> None:
        for _ in range(times):
            _finish(through())

    yield repeat


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


@contextmanager
def running(access_log: bool = False) -> Iterator[tuple[asyncio.Runner, Server]]:
    """A server of a small application, without sockets."""
    app = Sanic("micro", configure_logging=False, register=False, load_env=False)

    @app.get("/plain")
    async def plain(request: Any) -> Any:
        return text("Hello, World!")

    @app.get("/items/<id:int>")
    async def item(request: Any, id: int) -> Any:
        return text(request.args.get("full"))

    @app.get("/json/<id:int>")
    async def some_json(request: Any, id: int) -> Any:
        return json({"id": id, "full": request.args.get("full"), "name": "item"})

    @app.get("/writes")
    async def writes(request: Any) -> Any:
        async def write(response: Any) -> None:
            for _ in range(100):
                await response.write(PIECE)

        return stream(write)

    @app.post("/upload", stream=True)
    async def upload(request: Any) -> Any:
        size = 0
        async for data in request.stream:
            size += len(data)
        return text(size)

    async def start() -> Server:
        return Server(app, access_log=access_log)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, open(os.devnull, "w") as nowhere:
        if access_log:
            log.configure()
            cast(Any, log.access_logger.handlers[0]).setStream(nowhere)
        yield runner, runner.run(start())
        flush_log()


def connect(server: Server) -> tuple[HttpProtocol, Transport]:
    protocol, transport = HttpProtocol(server), Transport()
    protocol.connection_made(transport)
    return protocol, transport


@contextmanager
def objects() -> Iterator[Repeat]:
    """What is made for a request before anybody looks at it."""
    with running() as (_, server):
        protocol, _ = connect(server)
        conn, connection = protocol.conn, protocol.wire
        head = _head()

        def repeat(times: int) -> None:
            for _ in range(times):
                Request(Http1Exchange(head, EMPTY, conn, connection), server.app)

        yield repeat


@contextmanager
def call() -> Iterator[Repeat]:
    async def handler(request: Any) -> Any:
        return text("Hello, World!")

    async def through(times: int) -> None:
        for _ in range(times):
            await handler(None)

    yield lambda times: _finish(through(times))


@contextmanager
def send() -> Iterator[Repeat]:
    """A whole answer, from the exchange to the transport."""
    with running() as (_, server):
        protocol, _ = connect(server)
        conn, connection = protocol.conn, protocol.wire
        head, answer = _head(), text("Hello, World!")

        def repeat(times: int) -> None:
            for _ in range(times):
                answer.send_to(Http1Exchange(head, EMPTY, conn, connection))

        yield repeat


@contextmanager
def tasks() -> Iterator[Repeat]:
    """Sixty-four tasks that do nothing, and the turn of the loop in which they do it."""

    async def nothing() -> None:
        pass

    async def through(times: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(times // 64 + 1):
            for _ in range(64):
                asyncio.Task(nothing(), loop=loop, name="handler")
            await asyncio.sleep(0)

    with running() as (runner, _):
        yield lambda times: runner.run(through(times))


def _head() -> RequestHead:
    heads: list[RequestHead] = []

    class Keep(Nobody):
        def on_head(self, head: Any) -> None:
            heads.append(head)

    RequestParser(Keep(), Config(load_env=False).limits()).feed(SHORT)
    return heads[0]


@contextmanager
def cycle(*requests: bytes, end: bytes, access_log: bool = False) -> Iterator[Repeat]:
    """Bytes in, answer out, up to what it must end with: the whole server without sockets."""

    async def answer(times: int) -> None:
        protocol, transport = connect(server)
        for request in islice(cycle_of(requests), times):
            protocol.data_received(request)
            turns = 0
            while not transport.last.endswith(end):
                await asyncio.sleep(0)
                turns += 1
                if turns > 1000:
                    raise AssertionError(f"another answer: {transport.last!r}")
            transport.last = b""
        protocol.connection_lost(None)

    with running(access_log) as (runner, server):
        yield lambda times: runner.run(answer(times))


API, BROWSERS = api_heads(), browser_heads()

CASES = {
    "parse heads of 5 fields": parse(*API),
    "the same by httptools, with callbacks": parse_by_httptools(*API),
    "parse heads of 11 fields": parse(*BROWSERS),
    "the same by httptools, with callbacks, 11": parse_by_httptools(*BROWSERS),
    "parse a short head, all alike": parse(SHORT),
    "parse a browser's head, all alike": parse(BROWSER),
    "frame and join 100 chunks": frame(),
    "serialize a head": serialize(),
    "route a static path (of 75)": route("/static7/page"),
    "route paths with a number": route(*(f"/items7/{number}" for number in range(2_000))),
    "route paths with two numbers": route(*(f"/shops7/{number}/items/5" for number in range(2_000))),
    "feed and read 100 pieces": read(),
    "make exchange and request": objects(),
    "call a handler that returns text()": call(),
    "send a whole answer": send(),
    "a Task, in a turn of 64": tasks(),
    "cycle: JSON, parameter, query, 5 fields": cycle(*(head.replace(b"/items", b"/json") for head in API), end=b"}"),
    "cycle: browsers' GET, parameter, query": cycle(*BROWSERS, end=b"yes"),
    "cycle: plain GET, all alike": cycle(SHORT, end=b"Hello, World!"),
    "cycle: plain GET, all alike, access line": cycle(SHORT, end=b"Hello, World!", access_log=True),
    "cycle: browser's GET, all alike": cycle(BROWSER, end=b"yes"),
    "cycle: 100 writes": cycle(SHORT.replace(b"/plain", b"/writes"), end=b"0\r\n\r\n"),
    "cycle: POST of 1 KiB, streamed": cycle(UPLOAD, end=b"1024"),
}
