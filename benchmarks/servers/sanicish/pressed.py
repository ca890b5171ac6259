"""The application of ``python -m benchmarks limits``: what is pressed there, and what it says of itself."""

import asyncio
import resource
import sys
import time
from typing import Any

from sanicish import Sanic, json, stream, text

PIECE = b"x" * 65_535 + b"\n"

app = Sanic("pressed")
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 1
app.config.REQUEST_MAX_SIZE = 2**34
app.ctx.left_at = None


@app.get("/")
async def hello(request: Any) -> Any:
    return text("hello")


@app.get("/endless")
async def endless(request: Any) -> Any:
    async def write(response: Any) -> None:
        while True:
            await response.write(PIECE)

    return stream(write)


@app.get("/first")
async def first(request: Any) -> Any:
    """One piece, and the next much later: does the first one wait for it?"""

    async def write(response: Any) -> None:
        await response.write("first")
        await asyncio.sleep(1)

    return stream(write)


@app.get("/ticks")
async def ticks(request: Any) -> Any:
    async def write(response: Any) -> None:
        while True:
            await response.write("tick\n")
            await asyncio.sleep(0.05)

    return stream(write)


@app.get("/held")
async def held(request: Any) -> Any:
    try:
        await asyncio.sleep(60)
    finally:
        app.ctx.left_at = time.monotonic()
    return text("never")


@app.get("/left")
async def left(request: Any) -> Any:
    """When the handler of /held ended, by the machine's monotonic clock in seconds."""
    return json(app.ctx.left_at)


@app.post("/slow", stream=True)
async def slow(request: Any) -> Any:
    async for _ in request.stream:
        await asyncio.sleep(0.2)
    return text("read")


@app.post("/count", stream=True)
async def count(request: Any) -> Any:
    size = 0
    async for data in request.stream:
        size += len(data)
    return text(str(size))


@app.after_server_start
async def tell(app: Any) -> None:
    print(app.serve_location.rpartition(":")[2], flush=True)


if __name__ == "__main__":
    descriptors, workers = map(int, sys.argv[1:])
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    app.run("127.0.0.1", 0, access_log=False, motd=False, workers=workers)
