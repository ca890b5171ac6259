"""Quart on Hypercorn: answers are streamed from generators."""

import asyncio
import os
from pathlib import Path

import asyncpg
from quart import Quart, jsonify, request, send_file

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"
TEXT = {"Content-Type": "text/plain"}

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = None
app.config["BODY_TIMEOUT"] = None
app.config["RESPONSE_TIMEOUT"] = None
listeners = set()


@app.before_serving
async def connect():
    if "BENCH_DSN" in os.environ:
        app.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)


@app.get("/plain")
async def plain():
    return "Hello, World!", 200, TEXT


@app.get("/json/<int:id>")
async def as_json(id):
    return jsonify({"id": id, "q": request.args["q"]})


@app.get("/stream/<int:count>/<int:size>")
async def pieces(count, size):
    async def generate():
        piece = b"x" * (size - 1) + b"\n"
        for _ in range(count):
            yield piece

    return generate(), 200, TEXT


@app.get("/sync/<int:count>/<int:size>")
async def sync(count, size):
    def generate():
        piece = b"x" * (size - 1) + b"\n"
        for _ in range(count):
            yield piece

    return generate(), 200, TEXT


@app.post("/upload")
async def upload():
    size = 0
    async for data in request.body:
        size += len(data)
    return str(size), 200, TEXT


@app.post("/echo")
async def echo():
    body = request.body

    async def generate():
        async for data in body:
            yield data

    return generate(), 200, {"Content-Type": "application/octet-stream"}


@app.post("/stall")
async def stall():
    async for _ in request.body:
        await asyncio.sleep(60)
    return "stalled", 200, TEXT


@app.get("/file/<name>")
async def file(name):
    return await send_file(FILES / f"{name}.bin", mimetype="application/octet-stream")


async def copied(connection):
    """What COPY pushes, as something to pull."""
    queue = asyncio.Queue(4)

    async def copy():
        await connection.copy_from_query(QUERY, output=queue.put, format="csv")
        await queue.put(None)

    copying = asyncio.create_task(copy())
    while (data := await queue.get()) is not None:
        yield data
    await copying


@app.get("/rows/<how>")
async def rows(how):
    async def generate():
        async with app.pool.acquire() as connection, connection.transaction():
            if how == "copy":
                async for data in copied(connection):
                    yield data
            elif how == "batch":
                cursor = await connection.cursor(QUERY)
                while batch := await cursor.fetch(1000):
                    yield "".join([f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch])
            else:
                async for row in connection.cursor(QUERY, prefetch=1000):
                    yield f"{row['id']},{row['customer']},{row['cents']}\n"

    return generate(), 200, {"Content-Type": "text/csv"}


@app.get("/events")
async def events():
    async def generate():
        queue = asyncio.Queue()
        listeners.add(queue)
        try:
            yield "data: ready\n\n"
            while (event := await queue.get()) is not None:
                yield event
        finally:
            listeners.discard(queue)

    return generate(), 200, {"Content-Type": "text/event-stream"}


@app.post("/publish/<int:count>")
async def publish(count):
    for number in range(count):
        event = f'data: {{"number": {number}, "text": "{"x" * 64}"}}\n\n'
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    return "published", 200, TEXT
