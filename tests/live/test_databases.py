"""Rows of databases that are far away: by TLS, with a delay on the way, behind a pooler in transaction mode."""

import asyncio
import json
import logging

import asyncpg
import pytest

from sanicish.postgres import stream_copy, stream_query, upload_copy
from sanicish.response import json as json_response
from sanicish.testing.postgres import find_programs, running
from tests.doubles.databases import debian_programs, delayed, encrypted, pooled
from tests.doubles.wire import PATIENCE, Wire, talk
from tests.waiting import until

pytestmark = pytest.mark.slow

DELAY = 0.02  # seconds each way


@pytest.fixture(scope="module", params=["Debian's", "Debian's, pooled", "the bundled one, pooled"])
def far(request):
    """A database that is reached by TLS, and how to look at it: the bundled one itself knows no TLS."""
    if request.param == "Debian's":
        with encrypted(debian_programs()) as dsn:
            yield dsn, dsn
        return
    open_server = encrypted(debian_programs()) if "Debian" in request.param else running(find_programs(), None, 0)
    with open_server as dsn, pooled(dsn) as pooler:
        yield pooler, dsn


@pytest.fixture
async def way(far):
    """A pool whose database is far away, and a connection that looks at it."""
    dsn, watched = far
    watcher = await asyncpg.connect(watched)
    async with (
        delayed(dsn, DELAY) as there,
        asyncpg.create_pool(there, min_size=1, max_size=4, statement_cache_size=0) as pool,
    ):
        yield pool, watcher
        async with asyncio.timeout(PATIENCE):  # all have been given back
            for connection in [await pool.acquire() for _ in range(4)]:
                await pool.release(connection)
    await watcher.close()


async def working(watcher, mark):
    """How many of our statements run now."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE $1"
    return await watcher.fetchval(query, f"%{mark}%")


SLEEPS = "SELECT pg_sleep(60) /* {} */"


@pytest.mark.parametrize(
    ("mark", "make"),
    [
        ("copy csv", lambda pool, sql: stream_copy(pool, sql)),
        ("copy text", lambda pool, sql: stream_copy(pool, sql, format="text")),
        ("copy ndjson", lambda pool, sql: stream_copy(pool, sql, format="ndjson")),
        ("query csv", lambda pool, sql: stream_query(pool, sql)),
        ("query cursor", lambda pool, sql: stream_query(pool, sql, batch=10)),
        ("query json", lambda pool, sql: stream_query(pool, sql, format="json")),
        ("copy args", lambda pool, sql: stream_copy(pool, sql.replace("60", "$1"), 60)),
        ("query args", lambda pool, sql: stream_query(pool, sql.replace("60", "$1"), 60)),
    ],
)
async def test_a_silent_query_ends_when_its_client_leaves(app, serve, way, mark, make):
    pool, watcher = way
    app.get("/")(lambda request: make(pool, SLEEPS.format(mark)))
    async with Wire(await serve(app)) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: working(watcher, mark))
        wire.reset()

    async def ended():
        return not await working(watcher, mark)

    await until(ended)


async def test_an_upload_that_waits_for_a_lock_ends_when_its_client_leaves(app, serve, way):
    pool, watcher = way
    await watcher.execute("CREATE TABLE IF NOT EXISTS locked (v text)")

    @app.post("/", stream=True)
    async def fill(request):
        return json_response(await upload_copy(pool, "locked", request.stream))

    async def waiting():
        return await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")

    async def ended():
        return not await waiting()

    address = await serve(app)
    async with watcher.transaction():
        await watcher.execute("LOCK TABLE locked")
        async with Wire(address) as wire:
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nv\na\n")
            await until(waiting)
            wire.reset()
        await until(ended)
    assert await watcher.fetchval("SELECT count(*) FROM locked") == 0


async def test_the_connection_is_used_again_after_a_client_left(app, serve, way):
    pool, watcher = way
    app.get("/sleep")(lambda request: stream_copy(pool, SLEEPS.format("again")))
    app.get("/one")(lambda request: stream_copy(pool, "SELECT 1 AS n"))
    address = await serve(app)
    before = pool.get_size()
    async with Wire(address) as wire:
        wire.send(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: working(watcher, "again"))
        wire.reset()
    answer = await talk(address, b"GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"n\n1\n" in answer
    assert pool.get_size() <= before + 1


async def test_many_at_once_get_their_own_rows(app, serve, way):
    pool, _ = way
    sql = "SELECT $1::int AS a, $2::text AS b, n FROM generate_series(1, 3) AS n"
    app.get("/copy/<number:int>")(lambda request, number: stream_copy(pool, sql, number, "x'y", format="ndjson"))
    app.get("/query/<number:int>")(lambda request, number: stream_query(pool, sql, number, "x'y", format="ndjson"))
    address = await serve(app)

    async def ask(kind, number):
        answer = await talk(address, f"GET /{kind}/{number} HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        lines = answer.partition(b"\r\n\r\n")[2].splitlines()
        assert [json.loads(line) for line in lines] == [{"a": number, "b": "x'y", "n": n} for n in (1, 2, 3)]

    async with asyncio.timeout(6 * PATIENCE):
        await asyncio.gather(*(ask(kind, number) for number in range(20) for kind in ("copy", "query")))


async def test_uploads_arrive_whole(app, serve, way):
    pool, watcher = way
    await watcher.execute("DROP TABLE IF EXISTS filled; CREATE TABLE filled (id int, name text)")

    @app.post("/", stream=True)
    async def fill(request):
        return json_response(await upload_copy(pool, "filled", request.stream))

    address = await serve(app)

    async def send(number):
        body = b"name,id\n" + b"".join(b"n%d,%d\n" % (one, one) for one in range(number * 100, number * 100 + 100))
        head = f"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        assert (await talk(address, head.encode() + body)).endswith(b"\r\n\r\n100")

    await asyncio.gather(*(send(number) for number in range(12)))
    assert await watcher.fetchval("SELECT count(DISTINCT id) FROM filled WHERE name = 'n' || id") == 1200


async def test_nothing_is_left_behind_on_a_pooled_connection(app, serve, way, caplog):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    pool, _ = way
    sql = "SELECT n, $1::text AS t FROM generate_series(1, 3) AS n"
    for path, make in {"/copy": stream_copy, "/query": stream_query}.items():
        app.get(path)(lambda request, make=make: make(pool, sql, "a"))
    address = await serve(app)
    for path in ("/copy", "/query") * 3:
        assert b"3,a\n" in await talk(address, f"GET {path} HTTP/1.0\r\nHost: a\r\n\r\n".encode())
    async with pool.acquire() as connection, connection.transaction():
        statements = await connection.prepare("SELECT name FROM pg_prepared_statements WHERE name <> ''", name="")
        assert await statements.fetch() == []
