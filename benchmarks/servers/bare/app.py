"""The practical limit: as little as a correct protocol on uvloop and httptools can do.

It parses, honours keep-alive and the brakes of the transport, and writes each piece by one ``transport.write``: no
request objects, no routing beyond a dict, no limits, no timeouts. What stands behind a streamed answer in one
pipeline is not held back, so only whole answers may be pipelined.
"""

import asyncio
import json
import os
import sys
import time
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
import httptools
import uvloop

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"
SLICE = 65_536
END = b"0\r\n\r\n"

connections = set()  # a transport that does not read is otherwise held by nobody, and collected
listeners = set()
date = b""


def tick() -> None:
    global date  # noqa: PLW0603
    date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()
    asyncio.get_running_loop().call_later(1 - time.time() % 1, tick)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Bare(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        connections.add(self)
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.room = asyncio.Event()
        self.room.set()
        self.writing = True
        self.received = 0
        self.echoing = False
        self.task = None

    def connection_lost(self, error) -> None:
        connections.discard(self)
        listeners.discard(self)
        self.writing = True
        self.room.set()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        self.writing = False
        self.room.clear()
        if self.echoing:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.writing = True
        self.room.set()
        if self.echoing:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        try:
            if len(data) <= SLICE:
                self.parser.feed_data(data)
            else:
                # The parser copies what it hands on; two large blocks at a time make malloc return and ask for memory.
                view = memoryview(data)
                for start in range(0, len(data), SLICE):
                    self.parser.feed_data(view[start : start + SLICE])
        except httptools.HttpParserError:
            self.transport.close()

    # What httptools calls

    def on_message_begin(self) -> None:
        self.url = b""
        self.received = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()
        if self.url == b"/echo":
            self.echoing = True
            self.head()
        elif self.url == b"/stall":
            self.transport.pause_reading()

    def on_body(self, data: bytes) -> None:
        self.received += len(data)
        if self.echoing:
            self.transport.write(chunk(data))

    def on_message_complete(self) -> None:
        url = self.url
        if url == b"/plain":
            self.answer(b"text/plain", b"Hello, World!")
        elif url.startswith(b"/json/"):
            path, _, query = url.partition(b"?")
            fields = parse_qs(query.decode())
            value = {"id": int(path[6:]), "q": fields["q"][0]}
            self.answer(b"application/json", json.dumps(value).encode())
        elif url == b"/upload":
            self.answer(b"text/plain", b"%d" % self.received)
        elif url == b"/echo":
            self.echoing = False
            self.end()
        elif url == b"/events":
            self.head(b"text/event-stream")
            self.transport.write(chunk(b"data: ready\n\n"))
            listeners.add(self)
        elif url == b"/file/small":
            self.answer(b"application/octet-stream", (FILES / "small.bin").read_bytes())
        else:
            run = ROUTES.get(url.split(b"/")[1])
            if run is None:
                self.answer(b"text/plain", b"", b"501 Not Implemented")
            else:
                self.task = asyncio.ensure_future(run(self, *url.decode().split("/")[2:]))

    # Answers

    def answer(self, kind: bytes, body: bytes, status: bytes = b"200 OK") -> None:
        self.transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b"
            % (status, kind, len(body), date, b"" if self.keep_alive else b"Connection: close\r\n", body)
        )
        if not self.keep_alive:
            self.transport.close()

    def head(self, kind: bytes = b"text/plain", framing: bytes = b"Transfer-Encoding: chunked") -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n%b\r\n%b\r\n" % (kind, framing, date))

    def end(self) -> None:
        self.transport.write(END)
        if not self.keep_alive:
            self.transport.close()

    async def stream(self, count: str, size: str) -> None:
        piece = b"x" * (int(size) - 1) + b"\n"
        self.head()
        for _ in range(int(count)):
            self.transport.write(chunk(piece))
            if not self.writing:
                await self.room.wait()
        self.end()

    async def file(self, name: str) -> None:
        with (FILES / f"{name}.bin").open("rb", buffering=0) as source:
            self.head(b"application/octet-stream", b"Content-Length: %d" % os.fstat(source.fileno()).st_size)
            while piece := source.read(262_144):
                self.transport.write(piece)
                if not self.writing:
                    await self.room.wait()
        if not self.keep_alive:
            self.transport.close()

    async def rows(self, how: str) -> None:
        self.head(b"text/csv")
        async with pool.acquire() as connection, connection.transaction():
            if how == "copy":
                await connection.copy_from_query(QUERY, output=self.write_rows, format="csv")
            elif how == "batch":
                cursor = await connection.cursor(QUERY)
                while rows := await cursor.fetch(1000):
                    lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in rows]
                    await self.write_rows("".join(lines).encode())
            else:
                async for row in connection.cursor(QUERY, prefetch=1000):
                    self.transport.write(chunk(f"{row['id']},{row['customer']},{row['cents']}\n".encode()))
                    if not self.writing:
                        await self.room.wait()
        self.end()

    async def write_rows(self, data: bytes) -> None:
        self.transport.write(chunk(data))
        await self.room.wait()

    async def publish(self, count: str) -> None:
        for number in range(int(count)):
            event = chunk(b'data: {"number": %d, "text": "%b"}\n\n' % (number, b"x" * 64))
            for listener in listeners:
                listener.transport.write(event)
            await asyncio.sleep(0)
        for listener in listeners:
            listener.end()
        listeners.clear()
        self.answer(b"text/plain", b"published")


ROUTES = {
    b"stream": Bare.stream,
    b"file": Bare.file,
    b"rows": Bare.rows,
    b"publish": Bare.publish,
}


async def main() -> None:
    global pool  # noqa: PLW0603
    if "BENCH_DSN" in os.environ:
        pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)
    tick()
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", int(sys.argv[1]), backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
