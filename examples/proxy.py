"""A proxy that streams through both ways at once, each side no faster than the other, by asyncio's streams and h11.

UPSTREAM=127.0.0.1:8001 python examples/proxy.py
curl http://127.0.0.1:8000/
"""

import asyncio
import os

import h11

from sanicish import Sanic, StreamingHTTPResponse
from sanicish.exceptions import ClientDisconnected, SanicException

app = Sanic("proxy")
app.ctx.upstream = os.environ.get("UPSTREAM", "127.0.0.1:8001").rsplit(":", 1)

OWN = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"expect"}  # of each connection


@app.route("/<path:.*>", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], stream=True)
async def proxy(request, path):
    try:
        reader, writer = await asyncio.open_connection(*app.ctx.upstream)
    except OSError as error:
        raise SanicException("the upstream cannot be reached", 502) from error
    wire = h11.Connection(h11.CLIENT)
    headers = [field for field in request.raw_headers if field[0] not in OWN]
    writer.write(wire.send(h11.Request(method=request.method, target=request.raw_url, headers=headers)))
    uploading = asyncio.create_task(upload(request, wire, writer))
    try:
        head = await received(reader, wire)
        fields = [(name.decode(), value.decode("latin-1")) for name, value in head.headers if name not in OWN]
        response = await request.respond(StreamingHTTPResponse(None, head.status_code, fields, None))
        while type(event := await received(reader, wire)) is h11.Data:
            await response.write(bytes(event.data))
    finally:
        uploading.cancel()
        writer.transport.abort()


async def upload(request, wire, writer):
    try:
        async for data in request.stream:
            writer.write(wire.send(h11.Data(data=data)))
            await writer.drain()
        writer.write(wire.send(h11.EndOfMessage()))
    except (ClientDisconnected, ConnectionError):
        writer.transport.abort()  # half an upload must not look like a whole one


async def received(reader, wire):
    while (event := wire.next_event()) is h11.NEED_DATA:
        wire.receive_data(await reader.read(65_536))
    return event if type(event) is not h11.InformationalResponse else await received(reader, wire)


if __name__ == "__main__":
    app.run()
