"""Starlette: answers are streamed from asynchronous generators."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"

listeners = set()


@asynccontextmanager
async def lifespan(app):
    if "BENCH_DSN" in os.environ:
        app.state.pool = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)
    yield


async def plain(request):
    return PlainTextResponse("Hello, World!")


async def as_json(request):
    return JSONResponse({"id": request.path_params["id"], "q": request.query_params["q"]})


async def pieces(request):
    async def generate(count, size):
        piece = b"x" * (size - 1) + b"\n"
        for _ in range(count):
            yield piece

    return StreamingResponse(generate(**request.path_params), media_type="text/plain")


async def sync(request):
    def generate(count, size):
        piece = b"x" * (size - 1) + b"\n"
        for _ in range(count):
            yield piece

    return StreamingResponse(generate(**request.path_params), media_type="text/plain")


async def upload(request):
    size = 0
    async for data in request.stream():
        size += len(data)
    return PlainTextResponse(str(size))


async def echo(request):
    # A StreamingResponse and request.stream() would both read from the one channel of the request.
    return PlainTextResponse("", 501)


async def stall(request):
    async for _ in request.stream():
        await asyncio.sleep(60)
    return PlainTextResponse("stalled")


async def file(request):
    return FileResponse(FILES / f"{request.path_params['name']}.bin")


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


async def rows(request):
    async def generate(how):
        async with request.app.state.pool.acquire() as connection, connection.transaction():
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

    return StreamingResponse(generate(request.path_params["how"]), media_type="text/csv")


async def events(request):
    async def generate():
        queue = asyncio.Queue()
        listeners.add(queue)
        try:
            yield "data: ready\n\n"
            while (event := await queue.get()) is not None:
                yield event
        finally:
            listeners.discard(queue)

    return StreamingResponse(generate(), media_type="text/event-stream")


async def publish(request):
    for number in range(request.path_params["count"]):
        event = f'data: {{"number": {number}, "text": "{"x" * 64}"}}\n\n'
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    return PlainTextResponse("published")


app = Starlette(
    routes=[
        Route("/plain", plain),
        Route("/json/{id:int}", as_json),
        Route("/stream/{count:int}/{size:int}", pieces),
        Route("/sync/{count:int}/{size:int}", sync),
        Route("/upload", upload, methods=["POST"]),
        Route("/echo", echo, methods=["POST"]),
        Route("/stall", stall, methods=["POST"]),
        Route("/file/{name}", file),
        Route("/rows/{how}", rows),
        Route("/events", events),
        Route("/publish/{count:int}", publish, methods=["POST"]),
    ],
    lifespan=lifespan,
)
