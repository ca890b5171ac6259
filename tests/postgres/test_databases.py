"""Databases of a PostgreSQL: how they are reached, made and dropped, and that what streaming needs works in them."""

import asyncio
import subprocess
import sys
from urllib.parse import urlsplit

import asyncpg
import pytest

from sanicish.postgres import Postgres
from sanicish.testing.postgres import find_programs, running
from tests.doubles.databases import value
from tests.doubles.wire import PATIENCE

# How it is reached


@pytest.mark.parametrize(
    ("dsn", "variables"),
    [
        (
            "postgresql://postgres@/postgres?host=/tmp/a%20b&port=5432",
            {"PGHOST": "/tmp/a b", "PGPORT": "5432", "PGUSER": "postgres", "PGDATABASE": "test"},
        ),
        (
            "postgresql://m%40x:p%2Fw@db.example:6000/shop?sslmode=require",
            {
                "PGHOST": "db.example",
                "PGPORT": "6000",
                "PGUSER": "m@x",
                "PGPASSWORD": "p/w",
                "PGSSLMODE": "require",
                "PGDATABASE": "test",
            },
        ),
        ("postgresql:///shop", {"PGDATABASE": "test"}),
        ("postgresql://h/a?application_name=shop", {"PGHOST": "h", "PGDATABASE": "test", "PGAPPNAME": "shop"}),
        (
            "postgresql://u@one:1,two:2/a?target_session_attrs=read-write&connect_timeout=3",
            {
                "PGUSER": "u",
                "PGHOST": "one,two",
                "PGPORT": "1,2",
                "PGDATABASE": "test",
                "PGTARGETSESSIONATTRS": "read-write",
                "PGCONNECT_TIMEOUT": "3",
            },
        ),
        ("postgresql://one,[::1]:2/", {"PGHOST": "one,::1", "PGPORT": ",2", "PGDATABASE": "test"}),
        ("postgresql://[::1]/", {"PGHOST": "::1", "PGDATABASE": "test"}),
        (
            "postgresql://h/?search_path=a,%20b&options=-c%20jit%3Doff",
            {"PGHOST": "h", "PGDATABASE": "test", "PGOPTIONS": "-c jit=off -c search_path=a,\\ b"},
        ),
    ],
)
def test_environment_says_what_the_dsn_says_with_another_database(dsn, variables):
    assert Postgres(dsn).environment("test") == variables


def test_environment_without_a_name_keeps_the_database_of_the_dsn():
    assert Postgres("postgresql://h/a%20shop").environment() == {"PGHOST": "h", "PGDATABASE": "a shop"}


@pytest.mark.parametrize(
    ("dsn", "other"),
    [
        ("postgresql://u:p@h:1/a?sslmode=require", "postgresql://u:p@h:1/b%2Fc?sslmode=require"),
        ("postgresql:///a?host=/run", "postgresql:///b%2Fc?host=/run"),
        ("postgresql://h", "postgresql://h/b%2Fc"),
    ],
)
def test_the_dsn_of_another_database_differs_in_nothing_else(dsn, other):
    assert Postgres(dsn).at("b/c") == other


async def test_environment_reaches_the_database(postgres, monkeypatch):
    for name, setting in postgres.environment("test").items():
        monkeypatch.setenv(name, setting)
    connection = await asyncpg.connect()
    assert await connection.fetchval("SELECT current_database()") == "test"
    await connection.close()


@pytest.mark.slow
async def test_a_dsn_of_several_hosts_reaches_the_one_that_is_there(monkeypatch):
    with running(find_programs(), None, 0) as dsn:
        server = Postgres(dsn.replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:") + "&application_name=shop%27s")
        assert await value(server.dsn, "SELECT 1") == 1
        async with server.fresh() as fresh:
            assert await value(fresh, "SELECT current_database()") == urlsplit(fresh).path[1:]
        for name, setting in server.environment().items():
            monkeypatch.setenv(name, setting)
        command = [str(find_programs() / "psql"), "-Atc", "SELECT current_setting('application_name')"]
        told = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert (told.stdout, told.stderr) == ("shop's\n", "")
        connection = await asyncpg.connect()
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


# Databases


async def test_a_fresh_database_is_empty_and_gone_afterwards(postgres):
    async with postgres.fresh() as dsn:
        assert await value(dsn, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(dsn)


async def test_a_fresh_database_goes_even_when_the_block_fails(postgres):
    names = []

    async def fail():
        async with postgres.fresh() as dsn:
            names.append(dsn)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(names[0])


async def test_a_fresh_database_is_a_copy_of_its_template(postgres, database):
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE goods AS SELECT generate_series(1, 5) AS id")
    await connection.close()
    async with postgres.fresh(template=urlsplit(database).path[1:]) as dsn:
        assert await value(dsn, "SELECT count(*) FROM goods") == 5


async def test_any_name_can_be_created_reached_and_dropped(postgres):
    name = 'a "quoted"; Ünïcode/name?'
    dsn = await postgres.create(name)
    try:
        assert await value(dsn, "SELECT current_database()") == name
        with pytest.raises(asyncpg.DuplicateDatabaseError):
            await postgres.create(name)
    finally:
        await postgres.drop(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(dsn)


async def test_drop_throws_out_who_is_connected(postgres):
    dsn = await postgres.create("crowded")
    connection = await asyncpg.connect(dsn)
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    await postgres.drop("crowded")
    await asyncio.wait_for(gone.wait(), PATIENCE)


async def test_drop_of_a_database_that_is_not_there_is_no_error(postgres):
    await postgres.drop("never-created")


# What streaming needs works


async def test_a_cursor_reads_row_by_row(database):
    connection = await asyncpg.connect(database)
    async with connection.transaction():
        cursor = connection.cursor("SELECT generate_series(1, 1000)", prefetch=100)
        assert [row[0] async for row in cursor] == list(range(1, 1001))
    await connection.close()


async def test_copy_streams_in_and_out(database):
    async def lines():
        for number in range(100):
            yield b"%d,name %d\n" % (number, number)

    received = bytearray()

    async def take(piece):
        received.extend(piece)

    connection = await asyncpg.connect(database)
    await connection.execute("CREATE TABLE goods (id int, name text)")
    await connection.copy_to_table("goods", source=lines(), format="csv")
    await connection.copy_from_query("SELECT * FROM goods ORDER BY id", output=take, format="csv")
    await connection.close()
    assert bytes(received) == b"".join([line async for line in lines()])


async def test_a_notification_reaches_another_connection(database):
    heard = asyncio.get_running_loop().create_future()
    listener, speaker = await asyncpg.connect(database), await asyncpg.connect(database)
    await listener.add_listener("news", lambda *words: heard.set_result(words[3]))
    await speaker.execute("NOTIFY news, 'hello'")
    assert await asyncio.wait_for(heard, PATIENCE) == "hello"
    await listener.close()
    await speaker.close()


def test_the_package_does_not_load_what_starts_a_server():
    code = "import sys, sanicish.postgres; print([name for name in sys.modules if name.startswith('sanicish.testing.postgres')])"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "[]\n"
