"""The application of ``make soak``: what rude clients ask for, and what the server says of itself."""

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

from sanicish import Sanic, stream, text
from sanicish.response import StreamingHTTPResponse, file
from sanicish.response import json as json_response

PIECE = b"x" * 16_384
SHORT = 1.0  # seconds: every timeout, so that what is left of a client is soon gone

app = Sanic("soaked")
app.config.update(
    {
        "KEEP_ALIVE_TIMEOUT": SHORT,
        "REQUEST_TIMEOUT": SHORT,
        "REQUEST_IDLE_TIMEOUT": SHORT,
        "RESPONSE_TIMEOUT": SHORT,
        "WRITE_TIMEOUT": SHORT,
        "LINGER_TIMEOUT": SHORT / 2,
        "LINGER_TOTAL_TIMEOUT": SHORT,
        "GRACEFUL_TCP_CLOSE_TIMEOUT": SHORT,
        "REQUEST_MAX_SIZE": 100_000,
    }
)
app.ctx.open = 0  # handlers that run
app.ctx.completed = 0  # responses that told how they ended
LARGE: Path


@app.get("/")
async def hello(request: Any) -> Any:
    return text("hello")


@app.get("/wait")
async def wait(request: Any) -> Any:
    app.ctx.open += 1
    try:
        await asyncio.sleep(60)
    finally:
        app.ctx.open -= 1


@app.get("/stream")
async def streamed(request: Any) -> Any:
    async def write(response: Any) -> None:
        app.ctx.open += 1
        try:
            for _ in range(500):
                await response.write(PIECE)
        finally:
            app.ctx.open -= 1

    return counted(stream(write))


@app.get("/ticks")
async def ticks(request: Any) -> Any:
    async def write(response: Any) -> None:
        app.ctx.open += 1
        try:
            while True:
                await response.write("tick\n")
                await asyncio.sleep(0.01)
        finally:
            app.ctx.open -= 1

    return counted(stream(write))


@app.get("/file")
async def download(request: Any) -> Any:
    return counted(await file(LARGE))


@app.post("/upload", stream=True)
async def upload(request: Any) -> Any:
    app.ctx.open += 1
    try:
        size = 0
        async for data in request.stream:
            size += len(data)
        return text(str(size))
    finally:
        app.ctx.open -= 1


@app.post("/whole")
async def whole(request: Any) -> Any:
    return text(str(len(request.body)))


@app.post("/unread", stream=True)
async def unread(request: Any) -> Any:
    return text("not read")


def counted(response: Any) -> Any:
    """Count a stream until it tells how it ended, which it has to do once; the response to a HEAD has nothing to tell."""
    if not isinstance(response, StreamingHTTPResponse):
        return response
    app.ctx.open += 1

    def ended(outcome: str) -> None:
        app.ctx.open -= 1
        app.ctx.completed += 1

    response.on_complete(ended)
    return response


@app.get("/level")
async def level(request: Any) -> Any:
    """What must be level when nobody else is there: this request is counted."""
    gc.collect()
    server = app._serving.server
    return json_response(
        {
            "connections": len(server.connections),
            "tasks": len(asyncio.all_tasks()),
            "handlers": app.ctx.open,
            "completed": app.ctx.completed,
        }
    )


@app.after_server_start
async def tell(app: Any) -> None:
    print(app.serve_location.rpartition(":")[2], flush=True)


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    LARGE = Path(options["large"])
    app.config.USE_UVLOOP = options["uvloop"]
    app.run("127.0.0.1", 0, access_log=False, motd=False, ssl=options["ssl"])
