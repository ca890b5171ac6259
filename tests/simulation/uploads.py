"""Handlers that read request bodies, or do not, in every way that there is."""

import asyncio

from sanicish.response import raw
from tests.simulation.bodies import pattern
from tests.simulation.kinds import kind, rest

# Request bodies


def saw(record, spec, data):
    """Bytes of a body were read: those that were sent, in order."""
    expected = pattern(spec["id"], spec["upload"], b"q")
    if expected[record.read : record.read + len(data)] != data:
        record.fail("body", f"request {spec['id']} read {data[:40]!r} at {record.read}")
    record.read += len(data)


def saw_end(record, spec):
    record.read_all = True
    if record.read != spec["upload"] or ("cut" in spec and (spec["upload"] or spec["chunks"])):
        record.fail("body", f"request {spec['id']} ended cleanly after {record.read} of {spec['upload']} bytes")


def answer(spec):
    return raw(pattern(spec["id"], spec["size"]))


@kind(400, 413, stream=True)
async def echo(request, spec, record):
    expected = pattern(spec["id"], spec["upload"])
    response = await request.respond()
    async for data in request.stream:
        start = record.read
        saw(record, spec, data)
        await response.send(expected[start : record.read])
    saw_end(record, spec)
    await response.eof()


@kind()
async def sink(request, spec, record):
    saw(record, spec, request.body)
    saw_end(record, spec)
    return answer(spec)


@kind(stream=True)
async def count(request, spec, record):
    while (data := await request.stream.read()) is not None:
        saw(record, spec, data)
    saw_end(record, spec)
    return answer(spec)


@kind(stream=True)
async def slow_reader(request, spec, record):
    while (data := await request.stream.read(2_000)) is not None:
        saw(record, spec, data)
        await rest(spec)
    saw_end(record, spec)
    return answer(spec)


@kind(stream=True)
async def reads_late(request, spec, record):
    await asyncio.sleep(0.2)
    while (data := await request.stream.read()) is not None:
        saw(record, spec, data)
    saw_end(record, spec)
    return answer(spec)


@kind(stream=True)
async def partial(request, spec, record):
    data = await request.stream.read(10)
    if data is not None:
        saw(record, spec, data)
    await rest(spec)
    return answer(spec)


@kind(stream=True)
async def ignore(request, spec, record):
    await rest(spec)
    return answer(spec)


@kind(stream=True)
async def exactly(request, spec, record):
    left = spec["upload"]
    while left:
        size = min(left, 700)
        saw(record, spec, await request.stream.readexactly(size))
        left -= size
    if await request.stream.read() is None:
        saw_end(record, spec)
    return answer(spec)


@kind(413, max_body_size=4_000)
async def limited(request, spec, record):
    saw(record, spec, request.body)
    saw_end(record, spec)
    return answer(spec)


@kind(stream=True)
async def swallow_read(request, spec, record):
    """An error of reading is dealt with, and answered as if it were none."""
    try:
        while (data := await request.stream.read()) is not None:
            saw(record, spec, data)
    except Exception:
        pass
    return answer(spec)
