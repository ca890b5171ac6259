"""What ends a generator's work while its client is slow is raised in the generator, as in plain asyncio code."""

import asyncio

import pytest

from sanicish import stream, stream_with_context
from tests.doubles.wire import Wire

GET = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
MUCH = b"x" * 8_000_000


class Failure(Exception):
    """Of a task."""


def generator(work):
    return work()


def pinned(work):
    return stream_with_context(work())


every_form = pytest.mark.parametrize("form", [generator, pinned])


async def ask(app, serve, form, work):
    """Do not read until the handler has ended; gives all that was sent then."""
    ended = asyncio.Event()

    app.get("/a")(lambda request: form(work))

    @app.signal("http.lifecycle.complete")
    async def complete(**context):
        ended.set()

    async with asyncio.timeout(20), Wire(await serve(app)) as wire:
        wire.reader._limit = 1024  # the client takes no more than this
        wire.send(GET)
        await ended.wait()
        return await wire.rest()


def errors(caplog):
    return [record.exc_info[0] for record in caplog.records if record.levelname == "ERROR"]


@every_form
async def test_timeout_around_yields_is_a_timeout(app, serve, caplog, form):
    reported, seen = [], []
    app.report_exception(lambda app, error: reported.append(type(error)))

    async def work():
        try:
            async with asyncio.timeout(0.05):
                while True:
                    yield MUCH
        except BaseException as error:
            seen.append(type(error))
            raise

    answer = await ask(app, serve, form, work)
    assert not answer.endswith(b"0\r\n\r\n")
    assert seen == reported == errors(caplog) == [TimeoutError]


@every_form
async def test_task_group_that_fails_is_its_exception_group(app, serve, caplog, form):
    reported = []
    app.report_exception(lambda app, error: reported.append(type(error)))

    async def fail():
        await asyncio.sleep(0.05)
        raise Failure

    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            while True:
                yield MUCH

    answer = await ask(app, serve, form, work)
    assert not answer.endswith(b"0\r\n\r\n")
    assert reported == errors(caplog) == [ExceptionGroup]
    assert "Failure" in caplog.text


@every_form
@pytest.mark.parametrize("more", [False, True])
async def test_generator_that_deals_with_its_timeout_goes_on(app, serve, caplog, form, more):
    over = asyncio.Event()

    async def work():
        try:
            async with asyncio.timeout(0.05):
                yield MUCH
                yield MUCH
        except TimeoutError:
            over.set()
            if more:
                yield b"enough"

    app.get("/a")(lambda request: form(work))
    async with asyncio.timeout(20), Wire(await serve(app)) as wire:
        wire.reader._limit = 1024
        wire.send(GET)
        await over.wait()
        answer = await wire.rest()
    assert answer.endswith((b"6\r\nenough\r\n" if more else b"") + b"0\r\n\r\n")
    assert errors(caplog) == []


async def test_timeout_around_writes_of_a_function_is_a_timeout(app, serve, caplog):
    async def write(response):
        async with asyncio.timeout(0.05):
            while True:
                await response.write(MUCH)

    answer = await ask(app, serve, stream, write)
    assert not answer.endswith(b"0\r\n\r\n")
    assert errors(caplog) == [TimeoutError]


@every_form
async def test_client_that_leaves_ends_a_generator_that_ignores_cancellation(app, serve, caplog, form):
    waiting, closed = asyncio.Event(), asyncio.Event()

    async def work():
        try:
            while True:
                try:
                    waiting.set()
                    yield MUCH
                except asyncio.CancelledError:
                    pass
        finally:
            closed.set()

    app.get("/a")(lambda request: form(work))
    async with asyncio.timeout(10), Wire(await serve(app)) as wire:
        wire.send(GET)
        await waiting.wait()
        wire.reset()
        await closed.wait()
    assert errors(caplog) == []
