"""Sanic, as its guide does it: answers are streamed with ``request.respond()``."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from sanic import Sanic
from sanic.response import empty, file, file_stream, json, text

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

app = Sanic("bench")
app.config.KEEP_ALIVE_TIMEOUT = 75
app.config.REQUEST_MAX_SIZE = 2**34
listeners = set()


@app.before_server_start
async def connect(app):
    if "BENCH_DSN" in os.environ:
        app.ctx.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)


@app.get("/plain")
async def plain(request):
    return text("Hello, World!")


@app.get("/json/<id:int>")
async def as_json(request, id):
    return json({"id": id, "q": request.args.get("q")})


@app.get("/stream/<count:int>/<size:int>")
async def pieces(request, count, size):
    piece = b"x" * (size - 1) + b"\n"
    response = await request.respond(content_type="text/plain")
    for _ in range(count):
        await response.send(piece)
    await response.eof()


@app.get("/sync/<count:int>/<size:int>")
async def sync(request, count, size):
    return empty(501)


@app.post("/upload", stream=True)
async def upload(request):
    size = 0
    async for data in request.stream:
        size += len(data)
    return text(str(size))


@app.post("/echo", stream=True)
async def echo(request):
    response = await request.respond(content_type="application/octet-stream")
    async for data in request.stream:
        await response.send(data)
    await response.eof()


@app.post("/stall", stream=True)
async def stall(request):
    await request.stream.read()
    await asyncio.sleep(60)
    return text("stalled")


@app.get("/file/small")
async def small(request):
    return await file(FILES / "small.bin")


@app.get("/file/large")
async def large(request):
    return await file_stream(FILES / "large.bin", chunk_size=65_536)


@app.get("/rows/<how>")
async def rows(request, how):
    response = await request.respond(content_type="text/csv")
    async with app.ctx.pool.acquire() as connection, connection.transaction():
        if how == "copy":
            await connection.copy_from_query(QUERY, output=response.send, format="csv")
        elif how == "batch":
            cursor = await connection.cursor(QUERY)
            while batch := await cursor.fetch(1000):
                lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]
                await response.send("".join(lines))
        else:
            async for row in connection.cursor(QUERY, prefetch=1000):
                await response.send(f"{row['id']},{row['customer']},{row['cents']}\n")
    await response.eof()


@app.get("/events")
async def events(request):
    queue = asyncio.Queue()
    listeners.add(queue)
    try:
        response = await request.respond(content_type="text/event-stream")
        await response.send("data: ready\n\n")
        while (event := await queue.get()) is not None:
            await response.send(event)
        await response.eof()
    finally:
        listeners.discard(queue)


@app.post("/publish/<count:int>")
async def publish(request, count):
    for number in range(count):
        event = f'data: {{"number": {number}, "text": "{"x" * 64}"}}\n\n'
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    return text("published")


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), access_log=False, motd=False, single_process=True, backlog=2048)
