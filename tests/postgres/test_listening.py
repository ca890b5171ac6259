"""Notifications of the database reach the clients of every worker, also after the database was away."""

import asyncio
import logging
import secrets
from functools import partial

import asyncpg
import pytest

from sanicish import Channel, sse
from sanicish.postgres import Listener, listening
from tests.doubles.wire import PATIENCE, Wire
from tests.waiting import until

EVENTS = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"


class Published:
    """A publisher that can be asked for what it was given."""

    def __init__(self):
        self._texts = asyncio.Queue()

    def publish(self, text):
        self._texts.put_nowait(text)

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self._texts.get()


@pytest.fixture
async def speaker(postgres):
    connection = await asyncpg.connect(postgres.at("test"))
    yield connection
    await connection.close()


@pytest.fixture
async def run():
    """Run listeners beside the test."""
    tasks = []

    async def start(listener):
        tasks.append(asyncio.create_task(listener.run()))
        async with asyncio.timeout(PATIENCE):
            await listener.listening.wait()

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def connect(postgres):
    """What makes connections that can be told from those of other tests."""
    return partial(asyncpg.connect, postgres.at("test"), server_settings={"application_name": secrets.token_hex(8)})


async def backends(speaker, connect):
    """The processes of the database that serve such connections."""
    name = connect.keywords["server_settings"]["application_name"]
    return await speaker.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = $1", name)


async def test_one_connection_feeds_all_clients_of_a_worker(connect, speaker, app, serve):
    news = Channel()
    listener = Listener(connect, {"news": news})
    app.add_task(listener.run)

    @app.get("/events")
    async def events(request):
        return sse(news)

    address = await serve(app)
    async with asyncio.timeout(PATIENCE):
        await listener.listening.wait()
    async with Wire(address) as one, Wire(address) as two:
        for wire in (one, two):
            wire.send(EVENTS)
            await wire.until(b"\r\n\r\n")
        await until(lambda: len(news) >= 2)
        await speaker.execute("SELECT pg_notify($1, $2)", "news", "it's\nhere")
        for wire in (one, two):
            await wire.until(b"data: it's\ndata: here\n\n")
        assert len(await backends(speaker, connect)) == 1


async def test_each_channel_has_its_own_publisher(postgres, speaker, run):
    one, two = Published(), Published()
    await run(Listener(postgres.at("test"), {"one": one, 'The "second"': two}))
    await speaker.execute("SELECT pg_notify($1, $2)", 'The "second"', "b")
    await speaker.execute("NOTIFY one, 'a'")
    assert (await one.next(), await two.next()) == ("a", "b")


async def test_a_lost_connection_is_made_again_and_that_is_told(connect, speaker, run, caplog):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    news, back = Published(), asyncio.Event()
    await run(Listener(connect, {"news": news}, on_reconnect=back.set))
    (old,) = await backends(speaker, connect)
    assert not back.is_set()
    await speaker.execute("SELECT pg_terminate_backend($1)", old["pid"])
    async with asyncio.timeout(PATIENCE):
        await back.wait()
    await speaker.execute("NOTIFY news, 'again'")
    assert await news.next() == "again"


async def test_a_database_that_is_away_is_tried_again(postgres, speaker, run, caplog):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    attempts = []

    async def connect():
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionRefusedError("nobody is there")
        return await asyncpg.connect(postgres.at("test"))

    news = Published()
    await run(Listener(connect, {"news": news}, delay=0.001))
    await speaker.execute("NOTIFY news, 'at last'")
    assert await news.next() == "at last"


async def test_a_silent_connection_is_asked_whether_it_lives(postgres, run, monkeypatch):
    monkeypatch.setattr(listening, "_SILENCE", 0.001)
    asked = asyncio.Event()

    async def connect():
        connection = await asyncpg.connect(postgres.at("test"))
        connection.add_query_logger(lambda logged: asked.set() if logged.query == "SELECT 1" else None)
        return connection

    await run(Listener(connect, {"news": Published()}))
    async with asyncio.timeout(PATIENCE):
        await asked.wait()


async def test_a_publisher_that_fails_is_logged_and_the_next_is_heard(postgres, speaker, run, caplog):
    news, closed = Published(), Channel()
    closed.close()
    await run(Listener(postgres.at("test"), {"closed": closed, "news": news}))
    await speaker.execute("NOTIFY closed, 'lost'")
    await speaker.execute("NOTIFY news, 'heard'")
    assert await news.next() == "heard"
    assert "'closed'" in caplog.text


async def test_a_listener_that_is_cancelled_leaves_no_connection(connect, speaker):
    listener = Listener(connect, {"news": Published()})
    task = asyncio.create_task(listener.run())
    async with asyncio.timeout(PATIENCE):
        await listener.listening.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        while await backends(speaker, connect):
            await asyncio.sleep(0.001)


def test_a_channel_that_makes_publishers_wait_is_refused():
    with pytest.raises(ValueError, match="wait"):
        Listener("postgresql://", {"news": Channel(policy="wait")})
