"""BlackSheep on uvicorn: answers are streamed from asynchronous generators."""

import asyncio
import os
from pathlib import Path

import asyncpg
from blacksheep import Application, Request, Response, StreamedContent, file, json, text

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

app = Application()
listeners = set()


@app.on_start
async def connect(app):
    if "BENCH_DSN" in os.environ:
        app.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)


def streamed(kind, generate):
    return Response(200, content=StreamedContent(kind, generate))


@app.router.get("/plain")
async def plain():
    return text("Hello, World!")


@app.router.get("/json/{id}")
async def as_json(id: int, q: str):
    return json({"id": id, "q": q})


@app.router.get("/stream/{count}/{size}")
async def pieces(count: int, size: int):
    async def generate():
        piece = b"x" * (size - 1) + b"\n"
        for _ in range(count):
            yield piece

    return streamed(b"text/plain", generate)


@app.router.get("/sync/{count}/{size}")
async def sync():
    return Response(501)


@app.router.post("/upload")
async def upload(request: Request):
    size = 0
    async for data in request.stream():
        size += len(data)
    return text(str(size))


@app.router.post("/echo")
async def echo(request: Request):
    return streamed(b"application/octet-stream", request.stream)


@app.router.post("/stall")
async def stall(request: Request):
    async for _ in request.stream():
        await asyncio.sleep(60)
    return text("stalled")


@app.router.get("/file/{name}")
async def send_file(name: str):
    return file(str(FILES / f"{name}.bin"), "application/octet-stream")


async def copied(connection):
    """What COPY pushes, as something to pull."""
    queue = asyncio.Queue(4)

    async def copy():
        await connection.copy_from_query(QUERY, output=queue.put, format="csv")
        await queue.put(None)

    copying = asyncio.create_task(copy())
    while (data := await queue.get()) is not None:
        yield bytes(data)
    await copying


@app.router.get("/rows/{how}")
async def rows(how: str):
    async def generate():
        async with app.pool.acquire() as connection, connection.transaction():
            if how == "copy":
                async for data in copied(connection):
                    yield data
            elif how == "batch":
                cursor = await connection.cursor(QUERY)
                while batch := await cursor.fetch(1000):
                    yield "".join([f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]).encode()
            else:
                async for row in connection.cursor(QUERY, prefetch=1000):
                    yield f"{row['id']},{row['customer']},{row['cents']}\n".encode()

    return streamed(b"text/csv", generate)


@app.router.get("/events")
async def events():
    async def generate():
        queue = asyncio.Queue()
        listeners.add(queue)
        try:
            yield b"data: ready\n\n"
            while (event := await queue.get()) is not None:
                yield event
        finally:
            listeners.discard(queue)

    return streamed(b"text/event-stream", generate)


@app.router.post("/publish/{count}")
async def publish(count: int):
    for number in range(count):
        event = b'data: {"number": %d, "text": "%b"}\n\n' % (number, b"x" * 64)
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    return text("published")
