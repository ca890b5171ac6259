"""What debug mode says about an application's code, and what it leaves alone."""

import asyncio
import logging
import sys
import threading
from contextlib import aclosing
from pathlib import Path

import asyncpg
import pytest

from sanicish import Channel, Sanic, sse, stream, text
from sanicish.answering import answer
from sanicish.debug.lessons import Lesson, Lessons
from sanicish.debug.watchdog import Watchdog
from sanicish.log import error_logger
from sanicish.log.places import Place
from sanicish.postgres import stream_query
from tests.doubles.wire import PATIENCE, Wire, talk

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

AWAIT = "docs/guide/debugging.md#writes-that-are-not-awaited"
BLOCKED = "docs/guide/debugging.md#a-blocking-call"
CONNECTS = "docs/guide/debugging.md#a-connection-for-each-request"
NOT_CLOSED = "docs/guide/debugging.md#a-generator-that-nobody-closes"


@pytest.fixture
def advice(caplog):
    """Gives the warnings so far."""
    caplog.set_level(logging.WARNING, error_logger.name)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.fixture
def streams(app):
    """Register what writes the response to GET /."""

    def register(function):
        app.get("/")(lambda request: stream(function))
        return function

    return register


async def ask(serve, app):
    await talk(await serve(app, debug=True), GET)


# Writes


async def test_advice_is_given_where_answers_are_compressed_too(serve, app, streams, advice):
    app.compress()

    @streams
    async def write(response):
        for _ in range(100):
            response.write("x")

    await talk(await serve(app, debug=True), GET.replace(b"\r\n\r\n", b"\r\nAccept-Encoding: gzip\r\n\r\n"))
    (told,) = advice()
    assert "never awaited" in told


async def test_a_stream_that_never_awaits_its_writes_is_told(serve, app, streams, advice):
    @streams
    async def write(response):
        for _ in range(100):
            response.write("x")

    await ask(serve, app)
    (told,) = advice()
    assert "never awaited" in told and "test_advice.py:" in told and "write" in told and AWAIT in told


async def test_a_stream_that_awaits_is_not_told(serve, app, streams, advice):
    @streams
    async def write(response):
        for _ in range(100):
            await response.write("x" * 10_000)

    await ask(serve, app)
    assert advice() == []


async def test_a_stream_that_awaits_its_flush_is_not_told(serve, app, streams, advice):
    @streams
    async def write(response):
        for _ in range(100):
            response.write("x" * 10_000)
            await response.flush()

    await ask(serve, app)
    assert advice() == []


async def test_a_few_writes_need_no_awaiting(serve, app, streams, advice):
    @streams
    async def write(response):
        response.write("foo,")
        response.write("bar")

    await ask(serve, app)
    assert advice() == []


async def test_publishing_to_a_channel_needs_no_awaiting(serve, app, advice):
    channel = Channel()
    app.get("/")(lambda request: sse(channel))
    async with Wire(await serve(app, debug=True)) as wire:
        wire.send(GET)
        await wire.until(b"\r\n\r\n")
        for number in range(200):
            channel.publish(number)
        channel.close()
        assert b"data: 199\n" in await wire.rest()
    assert advice() == []


async def test_a_write_past_half_of_the_limit_is_told_before_one_raises(serve, app, streams, advice):
    app.config.RESPONSE_BUFFER_LIMIT = 100_000_000
    full = asyncio.Event()

    @streams
    async def write(response):
        for _ in range(60):
            response.write(bytes(1_000_000))
        full.set()
        await response.flush()

    async with Wire(await serve(app, debug=True)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(GET)
        async with asyncio.timeout(PATIENCE):
            await full.wait()
    (told,) = advice()
    assert "wait for a slow client" in told and "beyond 100,000,000" in told and AWAIT in told


# Blocking


async def test_a_blocking_call_is_told_while_it_blocks(serve, app):
    app.config.DEBUG_BLOCKING_TIME = 0.05
    told, said = threading.Event(), []

    class Hears(logging.Handler):
        def emit(self, record):
            if "told.wait" in record.getMessage():  # a machine that is busy blocks others, too
                said.append(record.getMessage())
                told.set()

    @app.get("/")
    async def block(request):
        while not told.wait(0.3):
            await asyncio.sleep(0.05)  # it stood still before, and that is told once
        return text("told")

    hears = Hears()
    error_logger.addHandler(hears)
    try:
        assert (await talk(await serve(app, debug=True), GET)).endswith(b"told")
    finally:
        error_logger.removeHandler(hears)
    assert "more than 50 ms" in said[0] and "test_advice.py" in said[0] and BLOCKED in said[0]
    assert "threading.py" in said[0], "the stack goes down to where it waits"


async def test_the_watchdog_may_be_switched_off(serve, app):
    app.config.DEBUG_BLOCKING_TIME = None
    before = set(threading.enumerate())
    await serve(app, debug=True)
    assert set(threading.enumerate()) <= before


def test_the_watchdog_ends_when_its_loop_is_closed():
    def closed(answer):
        raise RuntimeError("the loop is closed")

    before = set(threading.enumerate())
    Watchdog(closed, 0.001, lambda place, stack: None)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def look():
    """A look at this thread, as the watchdog takes it; gives the places it told of."""
    seen = []
    dog = Watchdog(lambda answer: answer(), 3_600, lambda place, stack: seen.append(place))

    def look():
        thread = threading.Thread(target=dog._look, args=(threading.Event(),))
        thread.start()
        thread.join(PATIENCE)
        return seen

    yield look
    dog.stop()


def test_the_watchdog_names_the_innermost_line_of_the_application(look):
    (place,) = look()
    assert place.file == __file__ and place.function == "look.<locals>.look"


def test_whoever_stops_in_a_debugger_means_to(look):
    scope = {}
    exec(compile("def wait(look): return look()", "/python/bdb.py", "exec"), scope)
    assert scope["wait"](look) == []


# Connections


async def test_a_connection_that_lives_as_long_as_its_request_is_told(serve, app, streams, advice):
    @streams
    async def write(response):
        _, writer = await asyncio.open_connection(*address)
        await response.write("x")
        writer.close()

    address = await serve(app, debug=True)
    await talk(address, GET)
    (told,) = advice()
    assert "for itself alone" in told and "write" in told and CONNECTS in told


async def test_a_connection_that_is_kept_is_not_told(serve, app, streams, advice):
    kept = []

    @streams
    async def write(response):
        kept.append(await asyncio.open_connection(*address))
        await response.write("x")

    address = await serve(app, debug=True)
    await talk(address, GET)
    assert advice() == []
    kept[0][1].close()


async def test_a_database_connection_for_one_request_is_told(serve, app, streams, advice, database):
    @streams
    async def write(response):
        connection = await asyncpg.connect(database)
        try:
            await response.write(str(await connection.fetchval("SELECT 1")))
        finally:
            await connection.close()

    await ask(serve, app)
    (told,) = advice()
    assert "keep a pool" in told and CONNECTS in told


async def test_a_pool_for_one_request_is_told(serve, app, streams, advice, database):
    @streams
    async def write(response):
        async with asyncpg.create_pool(database, min_size=1) as pool:
            await response.write(str(await pool.fetchval("SELECT 1")))

    await ask(serve, app)
    assert [CONNECTS in told for told in advice()] == [True]


async def test_a_pool_that_a_request_makes_is_told_when_the_next_one_makes_another(
    serve, app, streams, advice, database
):
    pools = []

    @streams
    async def write(response):
        pools.append(await asyncpg.create_pool(database, min_size=1))
        await response.write(str(await pools[-1].fetchval("SELECT 1")))

    address = await serve(app, debug=True)
    await talk(address, GET)
    assert advice() == []  # it may be kept
    await talk(address, GET)
    assert [CONNECTS in told for told in advice()] == [True]
    for pool in pools:
        await pool.close()


async def test_a_pool_that_grows_is_not_told(serve, app, advice, database):
    async with asyncpg.create_pool(database, min_size=0, max_size=2) as pool:
        app.get("/")(lambda request: stream_query(pool, "SELECT 1 AS one"))
        await ask(serve, app)
        assert advice() == []


# Generators


async def numbers():
    for number in range(3):
        yield number


async def test_a_generator_that_is_dropped_is_told(serve, app, streams, advice):
    @streams
    async def write(response):
        async for number in numbers():
            await response.write(str(number))
            break

    await ask(serve, app)
    (told,) = advice()
    assert "dropped before its end" in told and "in numbers" in told and NOT_CLOSED in told


async def test_generators_that_end_or_are_closed_are_not_told(serve, app, streams, advice):
    @streams
    async def write(response):
        async for number in numbers():
            await response.write(str(number))
        async with aclosing(numbers()) as closing:
            async for number in closing:
                await response.write(str(number))
                break

    app.get("/yield")(lambda request: numbers())
    await ask(serve, app)
    assert advice() == []


# Once, and not at all


@pytest.mark.parametrize("lesson", Lesson)
def test_advice_is_given_once_for_each_place(lesson, advice):
    lessons = Lessons()
    for line in (1, 2, 1, 2):
        lessons.tell(lesson, Place("app.py", line, "handler"), 1, 2)
    assert [told.partition(" · ")[2].partition(" ")[0] for told in advice()] == ["app.py:1", "app.py:2"]


def guide():
    return (Path(__file__).parent.parent.parent / "docs/guide/debugging.md").read_text()


@pytest.mark.parametrize("lesson", Lesson)
def test_every_advice_has_its_place_in_the_guide(lesson):
    headings = [line[3:].lower().replace(" ", "-") for line in guide().splitlines() if line.startswith("## ")]
    assert lesson.value[0] in headings


async def test_nothing_is_watched_outside_of_debug_mode(serve, app):
    hooks, threads = sys.get_asyncgen_hooks(), set(threading.enumerate())
    await serve(app)
    assert app._answer is answer
    assert sys.get_asyncgen_hooks() == hooks
    assert "create_connection" not in vars(asyncio.get_running_loop())
    assert set(threading.enumerate()) <= threads


async def test_a_server_that_stops_leaves_the_loop_as_it_was(app):
    hooks = sys.get_asyncgen_hooks()
    server = await app.create_server(port=0, debug=True)
    assert sys.get_asyncgen_hooks() != hooks
    server.close()
    await server.wait_closed()
    assert sys.get_asyncgen_hooks() == hooks
    assert "create_connection" not in vars(asyncio.get_running_loop())
    server = await app.create_server(port=0)
    assert app._answer is answer
    server.close()
    await server.wait_closed()


async def test_two_servers_in_one_loop_may_stop_in_any_order(app):
    hooks = sys.get_asyncgen_hooks()
    other = Sanic("other", configure_logging=False, register=False, load_env=False)
    servers = [await one.create_server(port=0, debug=True) for one in (app, other)]
    for server in servers:
        server.close()
        await server.wait_closed()
    assert sys.get_asyncgen_hooks() == hooks
    assert "create_connection" not in vars(asyncio.get_running_loop())
