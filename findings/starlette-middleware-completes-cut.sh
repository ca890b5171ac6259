#!/bin/sh
# A response that fails in mid-stream looks complete to the client as soon as Starlette has one BaseHTTPMiddleware.
#
# Guess: an error after the first piece makes the server cut the response, with middleware or without.
# Seen on Python 3.11 with Starlette 1.10.0 and uvicorn 0.54.0; the generator yields "begun" and raises:
#
#   middleware                          the body on the wire
#   none                                5 begun            (cut: the last chunk is missing)
#   BaseHTTPMiddleware, call_next only  5 begun 0          (complete; the error is only in the log)
#
# The middleware sends the end of the body (more_body False) before it raises the error. FastAPI's
# @app.middleware("http") is the same class. So a download that broke is stored, and cached, as a whole one; pure ASGI
# middleware has no such effect.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check starlette==1.10.0 uvicorn==0.54.0
cat > "$folder/ask.py" <<'PYTHON'
import asyncio
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse
from starlette.routing import Route


async def pieces():
    yield b"begun"
    raise ValueError("broken")


async def endpoint(request):
    return StreamingResponse(pieces())


async def pass_through(request, call_next):
    return await call_next(request)


async def body_of(middleware):
    app = Starlette(routes=[Route("/", endpoint)], middleware=middleware)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    server.should_exit = True
    await task
    return answer.partition(b"\r\n\r\n")[2]


async def main():
    return await body_of([]), await body_of([Middleware(BaseHTTPMiddleware, dispatch=pass_through)])


bodies = asyncio.run(main())
print(*bodies, sep="\n")
sys.exit(0 if bodies == (b"5\r\nbegun\r\n", b"5\r\nbegun\r\n0\r\n\r\n") else "this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
