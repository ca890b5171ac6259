"""What is measured: for each scenario what it asks of a server, how it is driven and checked, and in which unit."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any

from benchmarks.client import Asker, Body, Listener, NotOffered, Staller, Transfer, Wrong, request
from benchmarks.process import Process, waited

__all__ = ["FULL", "SCENARIOS", "SMOKE", "Measure", "Scale", "Scenario", "csv", "file_block", "wrk"]

MIB = 1 << 20
PIECE = 65_536


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``seconds`` is how long a request is repeated."""

    seconds: float = 1.0
    large: int = 256 * MIB
    echo: int = 64 * MIB
    items: int = 200_000
    greedy: int = 2_000_000
    rows: int = 100_000
    clients: int = 1_000
    events: int = 100
    few: int = 50
    many: int = 1_000
    endless: int = 1024 * MIB
    idle: int = 5_000
    stall: float = 2.0  # seconds that clients stall
    most_memory: int = 2048  # MiB that stalled clients may cost before a server is stopped


FULL = Scale()
SMOKE = Scale(
    seconds=0.05,
    large=2 * MIB,
    echo=MIB,
    items=1_000,
    greedy=20_000,
    rows=2_000,
    clients=20,
    events=5,
    few=5,
    many=20,
    endless=64 * MIB,
    idle=50,
    stall=0.1,
)


@dataclass(frozen=True)
class Measure:
    """What one run gave; ``cpu`` is seconds of the server's CPU for one unit.

    ``server`` and ``client`` are how much of the time either ran or waited for its core, of 1: where the server did
    not, its limit was not measured.
    """

    value: float
    cpu: float | None = None
    server: float | None = None
    client: float | None = None
    note: str = ""
    series: tuple[tuple[float, float], ...] = ()  # seconds, MiB
    details: dict[str, float] = field(default_factory=dict)


class Watch:
    """Measures from its making to ``stop``: time, and the CPU of both sides."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._before = self._look()

    def _look(self) -> tuple[float, ...]:
        own = waited(Path("/proc/thread-self"))
        return perf_counter(), self._process.cpu(), self._process.waited(), process_time(), own

    def stop(self, units: float) -> Measure:
        pairs = zip(self._look(), self._before, strict=True)
        seconds, cpu, cpu_waited, own, own_waited = (after - before for after, before in pairs)
        busy, own_busy = (cpu + cpu_waited) / seconds, (own + own_waited) / seconds
        return Measure(units / seconds, cpu / units, min(1.0, busy), min(1.0, own_busy))


@asynccontextmanager
async def connected(process: Process, make: Callable[[], Any], count: int, **buffers: int) -> AsyncIterator[list[Any]]:
    """So many clients, each on a connection; their sockets' buffers may be made small."""
    loop = asyncio.get_running_loop()
    clients: list[Any] = []

    async def connect() -> Any:
        sock = socket.socket()
        sock.setblocking(False)
        for option, size in buffers.items():
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), size)
        await loop.sock_connect(sock, ("127.0.0.1", process.port))
        return (await loop.create_connection(make, sock=sock))[1]

    try:
        while len(clients) < count:
            clients += await asyncio.gather(*(connect() for _ in range(min(100, count - len(clients)))))
        yield clients
    finally:
        for client in clients:
            client.transport.abort()


# One small request after another


async def ask(
    process: Process,
    scale: Scale,
    questions: list[tuple[bytes, tuple[Body, ...]]],
    connections: int = 64,
    depth: int = 1,
) -> Measure:
    """Requests per second; each connection asks one of the questions again and again."""
    asked = iter(range(connections))

    def make() -> Asker:
        return Asker(*questions[next(asked) % len(questions)], depth)

    async with connected(process, make, connections) as clients:
        watch = Watch(process)
        for client in clients:
            client.ask()
        await asyncio.wait([client.over for client in clients], timeout=scale.seconds, return_when="FIRST_EXCEPTION")
        answers = sum(client.answers for client in clients)
        measure = watch.stop(answers) if answers else None
        for client in clients:
            client.stop()
        await asyncio.gather(*(client.over for client in clients))
        return measure or watch.stop(sum(client.answers for client in clients))


async def plain(process: Process, scale: Scale, depth: int = 1) -> Measure:
    return await ask(process, scale, [(request("GET", "/plain"), (Body(b"Hello, World!"),))], depth=depth)


async def as_json(process: Process, scale: Scale) -> Measure:
    questions = []
    for number in range(8):
        value = {"id": 1000 + number, "q": "word" * number or "none"}
        short = json.dumps(value, separators=(",", ":"))
        spellings = [Body(text.encode()) for text in (short, short + "\n", json.dumps(value))]
        questions.append((request("GET", f"/json/{value['id']}?q={value['q']}"), tuple(spellings)))
    return await ask(process, scale, questions)


async def writes(process: Process, scale: Scale) -> Measure:
    return await ask(process, scale, [(request("GET", "/stream/100/100"), (Body(line(100), 10_000),))])


async def post(process: Process, scale: Scale) -> Measure:
    asked = request("POST", "/upload", "Content-Length: 1024") + b"x" * 1024
    return await ask(process, scale, [(asked, (Body(b"1024"),))])


async def small_file(process: Process, scale: Scale) -> Measure:
    return await ask(process, scale, [(request("GET", "/file/small"), (Body(file_block()[:10_240]),))])


async def wrk(process: Process, scale: Scale) -> str:
    """The same plain GET by a client that is not ours, and does not look at the answers."""
    url = f"http://127.0.0.1:{process.port}/plain"
    seconds = max(1, round(scale.seconds))
    command = ("wrk", "-t1", "-c64", f"-d{seconds}s", url)
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told = (await running.communicate())[0].decode()
    return next((line.strip() for line in told.splitlines() if line.startswith("Requests/sec")), "nothing")


# Large requests and answers


async def transfer(
    process: Process,
    scale: Scale,
    head: bytes,
    body: Body,
    units: float,
    connections: int = 1,
    upload: Iterable[bytes] = (),
) -> Measure:
    """Units per second, of which one exchange carries so many; only whole exchanges count."""

    async def again(client: Transfer) -> int:
        done = 0
        while not done or perf_counter() < end:
            await client.exchange(head, body, upload=upload)
            done += 1
        return done

    async with connected(process, Transfer, connections) as clients:
        end = perf_counter() + scale.seconds
        watch = Watch(process)
        done = await asyncio.gather(*map(again, clients))
        return watch.stop(sum(done) * units)


def line(size: int) -> bytes:
    return b"x" * (size - 1) + b"\n"


@cache
def file_block() -> bytes:
    """What the files repeat: a prime number of bytes, so that no piece of a file looks like another."""
    return Random(9112).randbytes(1_048_573)


@cache
def csv(rows: int) -> bytes:
    """The table ``orders`` as CSV."""
    return "".join([f"{id},customer {id % 1000},{id * 37 % 100000}\n" for id in range(1, rows + 1)]).encode()


def pieces(size: int) -> list[bytes]:
    """A body to send."""
    return [file_block()[:PIECE]] * (size // PIECE)


def chunks(size: int) -> list[bytes]:
    """The same, as chunks on the wire."""
    return [b"%x\r\n%b\r\n" % (PIECE, file_block()[:PIECE])] * (size // PIECE) + [b"0\r\n\r\n"]


async def download(process: Process, scale: Scale, connections: int) -> Measure:
    head = request("GET", f"/stream/{scale.large // PIECE}/{PIECE}")
    return await transfer(process, scale, head, Body(line(PIECE), scale.large), scale.large / MIB, connections)


async def upload(process: Process, scale: Scale, connections: int, chunked: bool = False) -> Measure:
    size = scale.large
    head = request("POST", "/upload", "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}")
    sent = chunks(size) if chunked else pieces(size)
    return await transfer(process, scale, head, Body(b"%d" % size), size / MIB, connections, sent)


async def echo(process: Process, scale: Scale) -> Measure:
    head = request("POST", "/echo", "Transfer-Encoding: chunked")
    body = Body(file_block()[:PIECE], scale.echo)
    return await transfer(process, scale, head, body, scale.echo / MIB, upload=chunks(scale.echo))


async def large_file(process: Process, scale: Scale, connections: int) -> Measure:
    body = Body(file_block(), scale.large)
    return await transfer(process, scale, request("GET", "/file/large"), body, scale.large / MIB, connections)


async def rows(process: Process, scale: Scale, how: str) -> Measure:
    return await transfer(process, scale, request("GET", f"/rows/{how}"), Body(csv(scale.rows)), scale.rows)


async def generator(process: Process, scale: Scale) -> Measure:
    head = request("GET", f"/sync/{scale.items}/100")
    return await transfer(process, scale, head, Body(line(100), scale.items * 100), scale.items)


# Many clients, and time


async def fan_out(process: Process, scale: Scale) -> Measure:
    """Events delivered per second; every client must get every one."""
    events = ["ready", *(json.dumps({"number": number, "text": "x" * 64}) for number in range(scale.events))]
    body = Body("".join([f"data: {event}\n\n" for event in events]).encode())
    make = partial(Listener, request("GET", "/events"), body)
    async with connected(process, make, scale.clients) as clients, connected(process, Transfer, 1) as (publisher,):
        await asyncio.gather(*(client.begun for client in clients))
        watch = Watch(process)
        publish = request("POST", f"/publish/{scale.events}", "Content-Length: 0")
        published = asyncio.ensure_future(publisher.exchange(publish, Body(b"published")))
        await asyncio.wait([client.over for client in clients], return_when="FIRST_COMPLETED")
        behind = min(client.answer.at for client in clients) / body.size
        await asyncio.gather(published, *(client.over for client in clients))
        measure = watch.stop(scale.clients * scale.events)
    return replace(measure, details={"slowest": behind})


def percentiles(times: list[float]) -> dict[str, float]:
    """Milliseconds."""
    times = sorted(times)
    return {
        "p50": 1000 * times[len(times) // 2],
        "p99": 1000 * times[len(times) * 99 // 100],
        "max": 1000 * times[-1],
    }


async def beside_greedy(process: Process, scale: Scale) -> Measure:
    """How long a plain GET takes (p99) while another client reads a stream of many small writes."""
    times: list[float] = []
    stream = partial(Listener, request("GET", f"/stream/{scale.greedy}/100"), Body(line(100), 100 * scale.greedy))
    async with connected(process, Transfer, 1) as (prober,), connected(process, stream, 1) as (greedy,):
        await greedy.begun
        end = perf_counter() + 3 * scale.seconds
        while (perf_counter() < end and not greedy.over.done()) or not times:
            await prober.exchange(request("GET", "/plain"), Body(b"Hello, World!"))
            times.append(perf_counter() - prober.asked_at)
        if greedy.over.done():
            await greedy.over
    found = percentiles(times)
    return Measure(found["p99"], details=found)


async def first_byte(process: Process, scale: Scale) -> Measure:
    """How long the first byte of a streamed answer takes (p50) while 32 clients ask for one after another."""
    times: list[float] = []

    async def again(client: Transfer) -> None:
        while True:
            await client.exchange(request("GET", "/stream/100/100"), body)
            times.append(client.first_at - client.asked_at)
            if perf_counter() > end:
                return

    body = Body(line(100), 10_000)
    async with connected(process, Transfer, 32) as clients:
        end = perf_counter() + scale.seconds
        watch = Watch(process)
        await asyncio.gather(*map(again, clients))
        measure = watch.stop(len(times))
    found = percentiles(times)
    return replace(measure, value=found["p50"], details=found)


# Memory


async def stalled(process: Process, scale: Scale, count: int, make: Callable[[], Staller]) -> Measure:
    """MiB above what the server held before these clients came, at most, while they stall."""
    before, began = process.rss(), perf_counter()
    series = [(0.0, 0.0)]
    end = 0.0  # known when all have begun
    async with connected(process, make, count, SO_RCVBUF=16_384, SO_SNDBUF=16_384) as clients:
        while series[-1][1] < scale.most_memory and (not end or perf_counter() < end):
            await asyncio.sleep(scale.stall / 40)
            series.append((perf_counter() - began, (process.rss() - before) / MIB))
            for client in clients:
                if client.over.done():
                    client.over.result()
            if not end and all(client.begun for client in clients):
                end = perf_counter() + scale.stall
    most = max(held for _, held in series)
    return Measure(most, note="stopped there" if most > scale.most_memory else "", series=tuple(series))


async def readers(process: Process, scale: Scale, few: bool) -> Measure:
    asked = request("GET", f"/stream/{scale.endless // PIECE}/{PIECE}")
    return await stalled(process, scale, scale.few if few else scale.many, partial(Staller, asked))


async def uploaders(process: Process, scale: Scale, few: bool) -> Measure:
    asked = request("POST", "/stall", f"Content-Length: {scale.endless}")
    return await stalled(process, scale, scale.few if few else scale.many, partial(Staller, asked, line(PIECE)))


async def idle(process: Process, scale: Scale) -> Measure:
    """KiB for each connection that has had one answer and waits."""
    before = process.rss()
    make = partial(Asker, request("GET", "/plain"), (Body(b"Hello, World!"),))
    async with connected(process, make, scale.idle) as clients:
        for client in clients:
            client.stop()
            client.ask()
            await client.over
        held = process.rss() - before
        if any(client.lost for client in clients):
            raise Wrong("idle connections were closed")
    return Measure(held / scale.idle / 1024)


async def at_rest(process: Process, scale: Scale) -> Measure:
    """MiB of a server that has answered once: one worker, and what looks after it if something does."""
    return Measure(process.pss() / MIB)


# Starting


async def cold_import(process: Process, scale: Scale) -> Measure:
    """Milliseconds of ``import``, an empty interpreter's start taken off."""
    if not process.server.imports:
        raise NotOffered("nothing to import")

    async def seconds(code: str) -> float:
        began = perf_counter()
        if await asyncio.to_thread(process.spawn(process.python, "-c", code).wait, 30):
            raise Wrong(f"{code} failed")
        return perf_counter() - began

    loaded = await seconds(f"import {process.server.imports}")
    return Measure(1000 * (loaded - await seconds("pass")))


async def first_response(process: Process, scale: Scale) -> Measure:
    """Milliseconds from the start of the process to its first answer."""
    return Measure(1000 * process.started_in)


Drive = Callable[[Process, Scale], Awaitable[Measure]]


@dataclass(frozen=True)
class Scenario:
    """One thing to measure; what the servers must answer is told in ``benchmarks.servers``."""

    name: str
    title: str
    unit: str
    drive: Drive
    fresh: bool = False  # on a server that has just been started, and is stopped afterwards
    rounds: int = 9  # at most

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return self.unit in ("ms", "MiB", "KiB")


_ONCE: Any = {"fresh": True, "rounds": 1}

SCENARIOS = (
    Scenario("plain", "plain GET, 64 connections", "req/s", plain),
    Scenario("pipelined", "plain GET, 16 requests at a time", "req/s", partial(plain, depth=16)),
    Scenario("json", "JSON, a path parameter and a query argument", "req/s", as_json),
    Scenario("post", "POST of 1 KiB to a streaming route", "req/s", post),
    Scenario("writes", "100 writes of 100 B", "req/s", writes),
    Scenario("first-byte", "first byte of 100 writes under load, median", "ms", first_byte),
    Scenario("greedy", "plain GET beside 2 million writes of 100 B, p99", "ms", beside_greedy, fresh=True),
    Scenario("stream-1", "256 MiB in 64 KiB writes, 1 connection", "MiB/s", partial(download, connections=1)),
    Scenario("stream-4", "256 MiB in 64 KiB writes, 4 connections", "MiB/s", partial(download, connections=4)),
    Scenario("upload-1", "upload of 256 MiB, 1 connection", "MiB/s", partial(upload, connections=1)),
    Scenario("upload-4", "upload of 256 MiB, 4 connections", "MiB/s", partial(upload, connections=4)),
    Scenario(
        "chunked-1", "upload in 64 KiB chunks, 1 connection", "MiB/s", partial(upload, connections=1, chunked=True)
    ),
    Scenario(
        "chunked-4", "upload in 64 KiB chunks, 4 connections", "MiB/s", partial(upload, connections=4, chunked=True)
    ),
    Scenario("echo", "64 MiB sent back while they come", "MiB/s", echo),
    Scenario("file-small", "file of 10 KiB, 64 connections", "req/s", small_file),
    Scenario("file-1", "file of 256 MiB, 1 connection", "MiB/s", partial(large_file, connections=1)),
    Scenario("file-4", "file of 256 MiB, 4 connections", "MiB/s", partial(large_file, connections=4)),
    Scenario("rows", "100 000 rows of PostgreSQL, one write each", "rows/s", partial(rows, how="each")),
    Scenario("rows-batch", "100 000 rows, 1 000 a write", "rows/s", partial(rows, how="batch")),
    Scenario("rows-copy", "100 000 rows by COPY", "rows/s", partial(rows, how="copy")),
    Scenario("generator", "plain generator of 200 000 times 100 B", "items/s", generator, rounds=1),
    Scenario("fan-out", "server-sent events to 1 000 clients", "events/s", fan_out),
    Scenario("readers-50", "50 stalled readers of 1 GiB", "MiB", partial(readers, few=True), **_ONCE),
    Scenario("readers-1000", "1 000 stalled readers of 1 GiB", "MiB", partial(readers, few=False), **_ONCE),
    Scenario("uploaders-50", "50 stalled uploaders of 1 GiB", "MiB", partial(uploaders, few=True), **_ONCE),
    Scenario("uploaders-1000", "1 000 stalled uploaders of 1 GiB", "MiB", partial(uploaders, few=False), **_ONCE),
    Scenario("idle", "one of 5 000 idle connections", "KiB", idle, **_ONCE),
    Scenario("rest", "a server at rest, one worker", "MiB", at_rest, **_ONCE),
    Scenario("import", "cold import", "ms", cold_import),
    Scenario("start", "start to first answer", "ms", first_response, fresh=True),
)
