"""Raw ASGI, without a framework: what the server itself can do."""

import asyncio
import json
import os
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

listeners = set()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    _, name, *arguments = scope["path"].split("/")
    route = ROUTES.get(name)
    if route is None:
        await answer(send, b"", b"text/plain", 501)
    else:
        await route(scope, receive, send, *arguments)


async def lifespan(receive, send):
    global pool  # noqa: PLW0603
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup" and "BENCH_DSN" in os.environ:
            pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def answer(send, body, kind=b"text/plain", status=200):
    fields = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def start(send, kind=b"text/plain", *fields):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *fields]})


async def write(send, data, more=True):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def read(receive):
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def plain(scope, receive, send):
    await answer(send, b"Hello, World!")


async def as_json(scope, receive, send, id):
    query = parse_qs(scope["query_string"].decode())
    await answer(send, json.dumps({"id": int(id), "q": query["q"][0]}).encode(), b"application/json")


async def pieces(scope, receive, send, count, size):
    piece = b"x" * (int(size) - 1) + b"\n"
    await start(send)
    for _ in range(int(count)):
        await write(send, piece)
    await write(send, b"", more=False)


async def upload(scope, receive, send):
    size = 0
    async for data in read(receive):
        size += len(data)
    await answer(send, b"%d" % size)


async def echo(scope, receive, send):
    await start(send, b"application/octet-stream")
    async for data in read(receive):
        await write(send, data)
    await write(send, b"", more=False)


async def stall(scope, receive, send):
    await receive()
    await asyncio.sleep(60)
    await answer(send, b"stalled")


async def file(scope, receive, send, name):
    with (FILES / f"{name}.bin").open("rb", buffering=0) as source:
        length = os.fstat(source.fileno()).st_size
        await start(send, b"application/octet-stream", (b"content-length", b"%d" % length))
        while length:
            data = await asyncio.to_thread(source.read, 65_536)
            length -= len(data)
            await write(send, data, more=length > 0)


async def rows(scope, receive, send, how):
    await start(send, b"text/csv")
    async with pool.acquire() as connection, connection.transaction():
        if how == "copy":
            await connection.copy_from_query(QUERY, output=lambda data: write(send, data), format="csv")
        elif how == "batch":
            cursor = await connection.cursor(QUERY)
            while batch := await cursor.fetch(1000):
                lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]
                await write(send, "".join(lines).encode())
        else:
            async for row in connection.cursor(QUERY, prefetch=1000):
                await write(send, f"{row['id']},{row['customer']},{row['cents']}\n".encode())
    await write(send, b"", more=False)


async def events(scope, receive, send):
    queue = asyncio.Queue()
    listeners.add(queue)
    try:
        await start(send, b"text/event-stream")
        await write(send, b"data: ready\n\n")
        while (event := await queue.get()) is not None:
            await write(send, event)
        await write(send, b"", more=False)
    finally:
        listeners.discard(queue)


async def publish(scope, receive, send, count):
    for number in range(int(count)):
        event = b'data: {"number": %d, "text": "%b"}\n\n' % (number, b"x" * 64)
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    await answer(send, b"published")


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
