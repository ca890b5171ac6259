"""sanicish, as its guide does it."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg

from sanicish import Channel, Sanic
from sanicish.postgres import stream_copy, stream_query
from sanicish.response import file, json, stream, text

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

app = Sanic("bench")
app.config.KEEP_ALIVE_TIMEOUT = 75
app.config.REQUEST_MAX_SIZE = 2**34
app.ctx.news = Channel()


@app.listener("before_server_start")
async def connect(app, loop):
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

    async def write(response):
        for _ in range(count):
            await response.write(piece)

    return stream(write)


@app.get("/sync/<count:int>/<size:int>")
def sync(request, count, size):
    piece = b"x" * (size - 1) + b"\n"
    return (piece for _ in range(count))


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


@app.get("/rows/each")
async def rows(request):
    async def write(response):
        async with app.ctx.pool.acquire() as connection, connection.transaction():
            async for row in connection.cursor(QUERY, prefetch=1000):
                await response.write(f"{row['id']},{row['customer']},{row['cents']}\n")

    return stream(write, content_type="text/csv")


@app.get("/rows/batch")
async def rows_batch(request):
    return stream_query(app.ctx.pool, QUERY, header=False)


@app.get("/rows/cursor")
async def rows_cursor(request):
    return stream_query(app.ctx.pool, QUERY, header=False, batch=1000)


@app.get("/rows/copy")
async def rows_copy(request):
    return stream_copy(app.ctx.pool, QUERY, header=False)


@app.get("/events")
async def events(request):
    async def write(response):
        await response.write("data: ready\n\n")
        await app.ctx.news.stream_to(response, None)

    return stream(write, content_type="text/event-stream")


@app.post("/publish/<count:int>")
async def publish(request, count):
    for number in range(count):
        await app.ctx.news.publish(f'{{"number": {number}, "text": "{"x" * 64}"}}')
        await asyncio.sleep(0)
    app.ctx.news.close()
    app.ctx.news = Channel()
    return text("published")


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), access_log=False, backlog=2048)
