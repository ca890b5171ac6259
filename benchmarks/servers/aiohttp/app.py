"""aiohttp's own server on uvloop."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import uvloop
from aiohttp import web

FILES = Path(os.environ.get("BENCH_FILES", "."))
QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"
POOL = web.AppKey("pool", asyncpg.Pool)

listeners = set()
routes = web.RouteTableDef()


async def connect(app):
    if "BENCH_DSN" in os.environ:
        app[POOL] = await asyncpg.create_pool(os.environ["BENCH_DSN"], min_size=1, max_size=4)
    yield


async def start(request, kind):
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    return response


@routes.get("/plain")
async def plain(request):
    return web.Response(text="Hello, World!")


@routes.get("/json/{id}")
async def as_json(request):
    return web.json_response({"id": int(request.match_info["id"]), "q": request.query["q"]})


@routes.get("/stream/{count}/{size}")
async def pieces(request):
    piece = b"x" * (int(request.match_info["size"]) - 1) + b"\n"
    response = await start(request, "text/plain")
    for _ in range(int(request.match_info["count"])):
        await response.write(piece)
    return response


@routes.get("/sync/{count}/{size}")
async def sync(request):
    return web.Response(status=501)


@routes.post("/upload")
async def upload(request):
    size = 0
    async for data in request.content.iter_any():
        size += len(data)
    return web.Response(text=str(size))


@routes.post("/echo")
async def echo(request):
    response = await start(request, "application/octet-stream")
    async for data in request.content.iter_any():
        await response.write(data)
    return response


@routes.post("/stall")
async def stall(request):
    await request.content.readany()
    await asyncio.sleep(60)
    return web.Response(text="stalled")


@routes.get("/file/{name}")
async def file(request):
    return web.FileResponse(FILES / f"{request.match_info['name']}.bin")


@routes.get("/rows/{how}")
async def rows(request):
    how = request.match_info["how"]
    response = await start(request, "text/csv")
    async with request.app[POOL].acquire() as connection, connection.transaction():
        if how == "copy":
            await connection.copy_from_query(QUERY, output=response.write, format="csv")
        elif how == "batch":
            cursor = await connection.cursor(QUERY)
            while batch := await cursor.fetch(1000):
                lines = [f"{row['id']},{row['customer']},{row['cents']}\n" for row in batch]
                await response.write("".join(lines).encode())
        else:
            async for row in connection.cursor(QUERY, prefetch=1000):
                await response.write(f"{row['id']},{row['customer']},{row['cents']}\n".encode())
    return response


@routes.get("/events")
async def events(request):
    queue = asyncio.Queue()
    listeners.add(queue)
    try:
        response = await start(request, "text/event-stream")
        await response.write(b"data: ready\n\n")
        while (event := await queue.get()) is not None:
            await response.write(event)
    finally:
        listeners.discard(queue)
    return response


@routes.post("/publish/{count}")
async def publish(request):
    for number in range(int(request.match_info["count"])):
        event = b'data: {"number": %d, "text": "%b"}\n\n' % (number, b"x" * 64)
        for queue in listeners:
            queue.put_nowait(event)
        await asyncio.sleep(0)
    for queue in listeners:
        queue.put_nowait(None)
    return web.Response(text="published")


if __name__ == "__main__":
    app = web.Application(client_max_size=2**34)
    app.add_routes(routes)
    app.cleanup_ctx.append(connect)
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        keepalive_timeout=75,
        backlog=2048,
        loop=uvloop.new_event_loop(),
    )
