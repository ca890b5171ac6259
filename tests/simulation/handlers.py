"""Handlers of every kind that a user writes, each of which answers with bytes that only it has."""

import asyncio
import os

from sanicish.response import StreamingHTTPResponse, empty, file, file_stream, raw
from tests.simulation.bodies import pattern
from tests.simulation.disk import Disk
from tests.simulation.kinds import kind, note, pieces, rest

# Whole responses


@kind()
async def text(request, spec, record):
    await rest(spec)
    return raw(pattern(spec["id"], spec["size"]))


@kind()
def large(request, spec, record):
    return raw(pattern(spec["id"], spec["size"] * 3), headers={"X-Large": "yes"})


@kind()
async def close(request, spec, record):
    return raw(pattern(spec["id"], spec["size"]), headers={"Connection": "close"})


@kind(half_close=True)
async def half_close(request, spec, record):
    await rest(spec)
    return raw(pattern(spec["id"], spec["size"]))


@kind()
async def hints(request, spec, record):
    await request.inform(103, {"Link": "</style.css>; rel=preload"})
    await rest(spec)
    return raw(pattern(spec["id"], spec["size"]))


@kind()
async def on_complete_raises(request, spec, record):
    response = raw(pattern(spec["id"], spec["size"]))

    def fail(outcome):
        raise LookupError("a callback of the application")

    response.on_complete(fail)
    return response


@kind(204)
async def empty_(request, spec, record):
    return empty()


# Streams


@kind()
async def stream(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            await response.write(piece)
            await rest(spec)

    return StreamingHTTPResponse(write)


@kind(0, 500)
async def unawaited(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            response.write(piece)

    return StreamingHTTPResponse(write)


@kind()
async def length(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            await response.write(piece)
            await rest(spec)

    return StreamingHTTPResponse(write, headers={"Content-Length": str(spec["size"] * spec["n"])}, chunked=False)


@kind()
async def generator(request, spec, record):
    async def items():
        for piece in pieces(spec):
            yield piece
            await rest(spec)

    return items()


@kind(503)
def sync_generator(request, spec, record):
    def items():
        yield from pieces(spec)

    return items()


@kind(inline=True)
def inline(request, spec, record):
    def items():
        yield from pieces(spec)

    return items()


@kind()
async def respond(request, spec, record):
    response = await request.respond()
    note(response, record)
    for piece in pieces(spec):
        await response.send(piece)
        await rest(spec)
    await response.eof()


@kind()
async def writes_beside(request, spec, record):
    response = await request.respond()

    async def write():
        for piece in pieces(spec):
            await response.send(piece)

    await asyncio.create_task(write())
    await response.eof()


@kind()
async def group(request, spec, record):
    """Two tasks, one of which writes."""
    response = await request.respond()

    async def write():
        for piece in pieces(spec):
            await response.send(piece)
            await rest(spec)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(asyncio.sleep(0.01))
    await response.eof()


@kind()
async def pair(request, spec, record):
    """Two tasks take pieces in turn, and write them."""
    response = await request.respond()
    left = iter(pieces(spec))

    async def write():
        for piece in left:
            await response.send(piece)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        tasks.create_task(write())
    await response.eof()


# Files


@kind(500)
async def file_(request, spec, record):
    return await file(Disk.path(spec["id"], spec["size"]), mime_type="application/octet-stream")


@kind(0, 500)
async def short_file(request, spec, record):
    """The file becomes shorter between the head and the body."""
    size = max(20_000, spec["size"])
    response = await request.respond(headers={"Content-Length": str(size)})
    descriptor = os.open(Disk.path(spec["id"], size - 1_000), os.O_RDONLY)
    try:
        await response.send_file(descriptor, 0, size)
    finally:
        os.close(descriptor)
    await response.eof()


@kind()
async def respond_file(request, spec, record):
    size = spec["size"]
    response = await request.respond(headers={"Content-Length": str(size)})
    descriptor = os.open(Disk.path(spec["id"], size), os.O_RDONLY)
    try:
        await response.send_file(descriptor, 0, size)
    finally:
        os.close(descriptor)
    await response.eof()


@kind()
async def file_stream_(request, spec, record):
    return await file_stream(Disk.path(spec["id"], spec["size"]), chunk_size=5_000)


# Failures


@kind(0, 500)
async def broken(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            await response.write(piece)
        raise ValueError("a handler fails")

    return StreamingHTTPResponse(write)


@kind(0, 500)
async def broken_length(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            await response.write(piece)

    return StreamingHTTPResponse(write, headers={"Content-Length": str(spec["size"] * spec["n"] + 1)}, chunked=False)


@kind(0, 500)
async def broken_generator(request, spec, record):
    async def items():
        for piece in pieces(spec):
            yield piece
            await rest(spec)
        raise ValueError("a generator fails")

    return items()


@kind(500)
async def broken_early(request, spec, record):
    await rest(spec)
    raise ValueError("a handler fails at once")


@kind(500)
async def cancels_itself(request, spec, record):
    raise asyncio.CancelledError


@kind(500)
async def raises_base(request, spec, record):
    raise BaseExceptionGroup("of an application", [GeneratorExit()])


@kind(500)
async def forgets(request, spec, record):
    await rest(spec)


@kind(0, 500)
async def timeout(request, spec, record):
    response = await request.respond()
    async with asyncio.timeout(0.1):
        for piece in pieces(spec):
            await response.send(piece)
        await asyncio.sleep(100)


# Those that do not end by themselves


@kind(503)
async def never(request, spec, record):
    await asyncio.sleep(10_000)


@kind(0)
async def endless(request, spec, record):
    response = await request.respond()
    while True:
        await response.send(pattern(spec["id"], max(1, spec["size"])))
        await asyncio.sleep(spec.get("gap", 0.01))


@kind(shield=True)
async def shielded(request, spec, record):
    for _ in range(spec["n"]):
        await rest(spec)
    await asyncio.sleep(0.05)
    return raw(pattern(spec["id"], spec["size"]))


@kind(shield=True)
async def shielded_stream(request, spec, record):
    async def write(response):
        for piece in pieces(spec):
            await response.write(piece)
            await rest(spec)

    return StreamingHTTPResponse(write)


@kind()
async def swallow(request, spec, record):
    """Cleans up for a while when it is cancelled."""
    try:
        await rest(spec)
    except asyncio.CancelledError:
        await asyncio.sleep(0.1)
        raise
    return raw(pattern(spec["id"], spec["size"]))


@kind(503, 500, 0)
async def stubborn(request, spec, record):
    """Is cancelled, and goes on for longer than it may."""
    try:
        await asyncio.sleep(10_000)
    except asyncio.CancelledError:
        await asyncio.sleep(1.5)
    raise ValueError("it has had enough")


@kind(503, timeout=0.5)
async def own_timeout(request, spec, record):
    await asyncio.sleep(0.1 if spec["n"] else 10)
    return raw(pattern(spec["id"], spec["size"]))
