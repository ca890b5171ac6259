"""Granian by its own interface, RSGI."""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"
TEXT = [("content-type", "text/plain")]
BINARY = [("content-type", "application/octet-stream")]

listeners = set()


class App:
    def __rsgi_init__(self, loop):
        if "BENCH_DSN" in os.environ:
            loop.run_until_complete(self.connect())

    async def connect(self):
        self.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)

    async def __rsgi__(self, scope, protocol):
        _, name, *arguments = scope.path.split("/")
        route = ROUTES.get(name)
        if route is None:
            protocol.response_empty(501, [])
        else:
            await route(scope, protocol, *arguments)


app = App()


async def plain(scope, protocol):
    protocol.response_str(200, TEXT, "Hello, World!")


async def as_json(scope, protocol, id):
    query = parse_qs(scope.query_string)
    body = json.dumps({"id": int(id), "q": query["q"][0]})
    protocol.response_str(200, [("content-type", "application/json")], body)


async def pieces(scope, protocol, count, size):
    piece = b"x" * (int(size) - 1) + b"\n"
    stream = protocol.response_stream(200, TEXT)
    for _ in range(int(count)):
        await stream.send_bytes(piece)


async def upload(scope, protocol):
    size = 0
    async for data in protocol:
        size += len(data)
    protocol.response_str(200, TEXT, str(size))


async def echo(scope, protocol):
    stream = protocol.response_stream(200, BINARY)
    async for data in protocol:
        await stream.send_bytes(data)


async def stall(scope, protocol):
    async for _ in protocol:
        await asyncio.sleep(60)
    protocol.response_str(200, TEXT, "stalled")


async def file(scope, protocol, name):
    protocol.response_file(200, BINARY, str(FILES / f"{name}.bin"))


async def rows(scope, protocol, how):
    stream = protocol.response_stream(200, [("content-type", "text/csv")])
    async with app.pool.acquire() as connection, connection.transaction():
        if how == "copy":
            await connection.copy_from_query(QUERY, output=stream.send_bytes, format="csv")
        elif how == "batch":
            cursor = await connection.cursor(QUERY)
            while batch := await cursor.fetch(1000):
                lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]
                await stream.send_str("".join(lines))
        else:
            async for row in connection.cursor(QUERY, prefetch=1000):
                await stream.send_str(f"{row['id']},{row['customer']},{row['cents']}\n")


async def events(scope, protocol):
    queue = asyncio.Queue()
    listeners.add(queue)
    try:
        stream = protocol.response_stream(200, [("content-type", "text/event-stream")])
        await stream.send_str("data: ready\n\n")
        while (event := await queue.get()) is not None:
            await stream.send_str(event)
    finally:
        listeners.discard(queue)


async def publish(scope, protocol, count):
    for number in range(int(count)):
        event = f'data: {{"number": {number}, "text": "{"x" * 64}"}}\n\n'
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    protocol.response_str(200, TEXT, "published")


ROUTES = {
    "plain": plain,
    "json": as_json,
    "stream": pieces,
    "upload": upload,
    "echo": echo,
    "stall": stall,
    "file": file,
    "rows": rows,
    "events": events,
    "publish": publish,
}
