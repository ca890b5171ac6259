"""Sanic of the 20.12 era, as its guide did it."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
from sanic import Sanic
from sanic.response import file, json, stream, text

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

app = Sanic("bench")
app.config.KEEP_ALIVE_TIMEOUT = 75
app.config.REQUEST_MAX_SIZE = 2**34
listeners = set()


@app.listener("before_server_start")
async def connect(app, loop):
    if "BENCH_DSN" in os.environ:
        app.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)


@app.get("/plain")
async def plain(request):
    return text("Hello, World!")


@app.get("/json/<id:int>")
async def as_json(request, id):
    return json({"id": id, "q": request.args.get("q")})


@app.get("/stream/<count:int>/<size:int>")
async def pieces(request, count, size):
    piece = b"x" * (size - 1) + b"\n"

    async def write(response):
        for _ in range(count):
            await response.write(piece)

    return stream(write)


@app.get("/sync/<count:int>/<size:int>")
async def sync(request, count, size):
    return text("", status=501)


@app.post("/upload", stream=True)
async def upload(request):
    size = 0
    async for data in request.stream:
        size += len(data)
    return text(str(size))


@app.post("/echo", stream=True)
async def echo(request):
    async def write(response):
        async for data in request.stream:
            await response.write(data)

    return stream(write)


@app.post("/stall", stream=True)
async def stall(request):
    await request.stream.read()
    await asyncio.sleep(60)
    return text("stalled")


@app.get("/file/<name>")
async def send_file(request, name):
    return await file(FILES / f"{name}.bin")


@app.get("/rows/<how>")
async def rows(request, how):
    async def write(response):
        async with app.pool.acquire() as connection, connection.transaction():
            if how == "copy":
                await connection.copy_from_query(QUERY, output=response.write, format="csv")
            elif how == "batch":
                cursor = await connection.cursor(QUERY)
                while batch := await cursor.fetch(1000):
                    lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]
                    await response.write("".join(lines))
            else:
                async for row in connection.cursor(QUERY, prefetch=1000):
                    await response.write(f"{row['id']},{row['customer']},{row['cents']}\n")

    return stream(write, content_type="text/csv")


@app.get("/events")
async def events(request):
    async def write(response):
        queue = asyncio.Queue()
        listeners.add(queue)
        try:
            await response.write("data: ready\n\n")
            while (event := await queue.get()) is not None:
                await response.write(event)
        finally:
            listeners.discard(queue)

    return stream(write, content_type="text/event-stream")


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
    app.run("127.0.0.1", int(sys.argv[1]), access_log=False, backlog=2048)
