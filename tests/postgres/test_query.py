"""Rows of a query as a response: every type right, the database held back, cancelled and released."""

import asyncio
import base64
import hashlib
import json
import logging

import asyncpg
import pytest

from sanicish.postgres import stream_copy, stream_query
from tests.doubles.wire import PATIENCE, Wire, talk
from tests.waiting import until

ASKING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\n\r\n"

TYPES = """
SELECT 7::int2 AS small, -5 AS int, 9007199254740993 AS big, 0.10::numeric AS price, 'NaN'::numeric AS nan, 1e300::float8 AS float,
    'Infinity'::float8 AS endless, true AS yes, NULL::bool AS unknown, 'it''s "so", \\ isn''t it'::text AS text, ''::text AS empty,
    NULL::text AS nothing, E'two\nlines\r\ttab' AS lines, 'ab '::char(4) AS padded, 'x'::"char" AS one, 'naïve ☃'::varchar AS unicode,
    DATE '2024-02-29' AS date, DATE 'infinity' AS never, DATE '0044-03-15 BC' AS ides, TIME '12:30:15.123456' AS time,
    TIMETZ '12:30+02' AS timetz, TIMESTAMP '2024-01-02 03:04:05' AS stamp, TIMESTAMPTZ '2024-01-02 03:04:05+00' AS stamptz,
    INTERVAL '1 year 2 days 3:04' AS interval, '\\x00ff'::bytea AS bytes, 'c0ffee00-0000-4000-8000-000000000000'::uuid AS uuid,
    '{"a": [1, "two"]}'::json AS json, '{"b": null}'::jsonb AS jsonb, E'{"c":\n 1}'::json AS lines_json, ARRAY[1,2,NULL] AS ints,
    ARRAY['a,b','"c"',NULL] AS texts, ARRAY[]::text[] AS none, ARRAY[[1,2],[3,4]] AS square, ROW(1,'a b') AS pair, ROW(NULL,NULL) AS nulls,
    int4range(1,5) AS range, tstzrange(NULL,'2024-01-01 00:00+00') AS until, '{[1,3),[5,9)}'::int4multirange AS ranges,
    '10.0.0.1'::inet AS host, '10.0.0.0/8'::cidr AS net, '08:00:2b:01:02:03'::macaddr AS mac, B'101' AS bits, point(1,2) AS point,
    box(point(0,0),point(1,1)) AS box, circle(point(0,0),2) AS circle, '[(0,0),(1,1)]'::path AS path, '((0,0),(1,1))'::polygon AS polygon,
    12.34::money AS money, to_tsvector('simple','a fat cat') AS vector, 42::oid AS oid, 'pg_class'::regclass AS class,
    '$.a'::jsonpath AS jsonpath, '16/B374D848'::pg_lsn AS lsn, 1 AS "odd "" name", 2 AS "?column?", 3 AS "?column?"
"""


async def copied_by(connection, sql, **options):
    """What the database itself says of a query."""
    pieces = []

    async def keep(data):
        pieces.append(data)

    await connection.copy_from_query(sql, output=keep, **options)
    return b"".join(pieces)


async def copied(pool, sql, **options):
    async with pool.acquire() as connection:
        return await copied_by(connection, sql, **options)


# What is sent


@pytest.mark.parametrize("batch", [None, 1])
async def test_csv_of_every_type_is_what_copy_writes(pool, answering, batch):
    rows = await answering(lambda: stream_query(pool, TYPES, batch=batch))
    answer = await rows.get()
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.body == await copied(pool, TYPES, format="csv", header=True)


async def test_json_of_every_type_is_what_row_to_json_writes(pool, answering):
    rows = await answering(lambda: stream_query(pool, TYPES, format="ndjson"))
    answer = await rows.get()
    assert answer.headers["content-type"] == "application/x-ndjson"
    told = await pool.fetchval(f"SELECT row_to_json(q)::text FROM ({TYPES}) AS q")
    assert answer.body.count(b"\n") == 1
    assert json.loads(answer.body, object_pairs_hook=list) == json.loads(told, object_pairs_hook=list)


async def test_csv_of_types_made_by_users(database, answering):
    sql = "SELECT 'so, so'::mood AS mood, ROW(1, 'a,b')::pair AS pair, 7::age AS age, NULL::mood AS none, ARRAY['ok']::mood[] AS moods"
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await pool.execute("CREATE TYPE mood AS ENUM ('ok', 'so, so')")
        await pool.execute("CREATE TYPE pair AS (number int, text text)")
        await pool.execute("CREATE DOMAIN age AS int CHECK (VALUE > 0)")
        rows = await answering(lambda: stream_query(pool, sql, batch=10))
        assert (await rows.get()).body == await copied(pool, sql, format="csv", header=True)


async def test_null_and_the_empty_text_differ_in_csv(pool, answering):
    rows = await answering(lambda: stream_query(pool, "VALUES (NULL, ''), ('', $1::text)", None))
    assert (await rows.get()).body == b'column1,column2\n,""\n"",\n'


async def test_the_end_mark_of_copy_is_quoted_where_it_stands_alone(pool, answering):
    rows = await answering(lambda: stream_query(pool, r"SELECT $1::text AS a", "\\."))
    assert (await rows.get()).body == b'a\n"\\."\n'


async def test_arguments_are_passed_beside_the_query(pool, answering):
    nasty = "'; DROP TABLE goods; --"
    rows = await answering(lambda: stream_query(pool, "SELECT $1::text AS a, $2::int + 1 AS b", nasty, 41))
    assert (await rows.get()).body == f"a,b\n{nasty},42\n".encode()


@pytest.mark.parametrize(
    ("format", "body"),
    [
        ("csv", b"n\n1\n2\n3\n"),
        ("ndjson", b'{"n":1}\n{"n":2}\n{"n":3}\n'),
        ("json", b'[{"n":1},\n{"n":2},\n{"n":3}]\n'),
    ],
)
@pytest.mark.parametrize("batch", [None, 1, 2, 3, 4])
async def test_rows_are_whole_whatever_the_batches_are(pool, answering, format, body, batch):
    sql = "SELECT n FROM generate_series(1, $1) AS n"
    rows = await answering(lambda: stream_query(pool, sql, 3, format=format, batch=batch))
    assert (await rows.get()).body == body


@pytest.mark.parametrize(("format", "body"), [("csv", b"n\n"), ("ndjson", b""), ("json", b"[]\n")])
async def test_no_rows_are_an_answer_too(pool, answering, format, body):
    rows = await answering(lambda: stream_query(pool, "SELECT 1 AS n WHERE $1", False, format=format))
    answer = await rows.get()
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("args", [(), (1,)])
async def test_the_header_can_be_left_out(pool, answering, args):
    sql = "SELECT 1 AS n" + (" WHERE 1 = $1" if args else "")
    rows = await answering(lambda: stream_query(pool, sql, *args, header=False))
    assert (await rows.get()).body == b"1\n"


async def test_a_filename_makes_it_a_download(pool, answering):
    rows = await answering(lambda: stream_query(pool, "SELECT 1 AS n", filename="Größe.csv"))
    assert (await rows.get()).headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("args", [(), (1,)])
@pytest.mark.parametrize("end", [";", " ; \n", " -- the end", " /* the end */ ;"])
async def test_a_query_may_end_as_it_does_in_a_file(pool, answering, args, end):
    sql = ("SELECT $1::int AS n" if args else "SELECT 1 AS n") + end
    rows = await answering(lambda: stream_query(pool, sql, *args))
    assert (await rows.get()).body == b"n\n1\n"


@pytest.mark.parametrize("batch", [None, 1])
async def test_rows_that_a_statement_returns_are_sent_and_it_is_committed(database, answering, batch):
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await pool.execute("CREATE TABLE goods (id serial, name text)")
        sql = "-- new ones\n/* two */ insert INTO goods (name) VALUES ('a'), ('b') RETURNING id, name"
        rows = await answering(lambda: stream_query(pool, sql, batch=batch))
        assert (await rows.get()).body == b"id,name\n1,a\n2,b\n"
        assert await pool.fetchval("SELECT count(*) FROM goods") == 2


async def test_a_connection_can_be_given_instead_of_a_pool(pool, answering):
    async with pool.acquire() as connection:
        rows = await answering(lambda: stream_query(connection, "SELECT $1::int AS n", 1))
        assert (await rows.get()).body == b"n\n1\n"
        assert await connection.fetchval("SELECT 1") == 1


def test_another_format_is_refused_at_once(pool):
    with pytest.raises(ValueError, match="csv, ndjson or json"):
        stream_query(pool, "SELECT 1", format="xlsx")


MAKERS = {
    "cursor csv": lambda pool, **end: stream_query(pool, "SELECT generate_series(1, $1::int) AS n", 500, **end),
    "cursor ndjson": lambda pool, **end: stream_query(
        pool, "SELECT generate_series(1, $1::int) AS n", 500, format="ndjson", **end
    ),
    "cursor json": lambda pool, **end: stream_query(pool, "SELECT generate_series(1, 500) AS n", format="json", **end),
    "copy csv": lambda pool, **end: stream_query(pool, "SELECT generate_series(1, 500) AS n", **end),
    "copy text": lambda pool, **end: stream_copy(pool, "SELECT generate_series(1, 500) AS n", format="text", **end),
    "copy binary": lambda pool, **end: stream_copy(pool, "SELECT generate_series(1, 500) AS n", format="binary", **end),
    "copy ndjson": lambda pool, **end: stream_copy(pool, "SELECT generate_series(1, 500) AS n", format="ndjson", **end),
}


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_trailer_says_how_many_rows_there_were(pool, answering, kind):
    rows = await answering(lambda: MAKERS[kind](pool, end="count"))
    answer = await talk(rows.address, ASKING)
    assert b"\r\nX-Accel-Buffering: no\r\n" in answer
    assert answer.endswith(b"\r\n0\r\nRow-Count: 500\r\n\r\n")


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_trailer_is_a_digest(pool, answering, kind):
    rows = await answering(lambda: MAKERS[kind](pool, end="digest"))
    answer = await talk(rows.address, ASKING)
    body = (await rows.get()).body
    digest = base64.b64encode(hashlib.sha256(body).digest())
    assert answer.endswith(b"\r\n0\r\nContent-Digest: sha-256=:%b:\r\n\r\n" % digest)


@pytest.mark.parametrize("kind", ["cursor ndjson", "copy ndjson"])
async def test_the_last_line_says_how_many_rows_there_were(pool, answering, kind):
    rows = await answering(lambda: MAKERS[kind](pool, end="line"))
    assert (await rows.get()).body.endswith(b'{"n":500}\n{"end":{"rows":500}}\n')


@pytest.mark.parametrize("kind", ["cursor csv", "cursor json", "copy csv", "copy text", "copy binary"])
def test_a_last_line_that_is_no_row_is_for_ndjson_only(pool, kind):
    with pytest.raises(ValueError, match="only NDJSON"):
        MAKERS[kind](pool, end="line")


async def test_nan_is_json(pool, answering):
    sql = "SELECT v, ARRAY[v] AS a, v::numeric AS n, ROW(v) AS r FROM (VALUES ('NaN'::float8), ('Infinity')) AS t (v)"
    rows = await answering(lambda: stream_query(pool, sql, format="json"))
    assert json.loads((await rows.get()).body, parse_constant=pytest.fail) == [
        {"v": text, "a": [text], "n": text, "r": {"f1": text}} for text in ("NaN", "Infinity")
    ]


COUNTED = """
CREATE TEMP SEQUENCE calls;
CREATE FUNCTION pg_temp.counted(n int) RETURNS text STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN nextval('calls')::text || ', "' || n;
END $$;
CREATE FUNCTION pg_temp.asked(n int) RETURNS bool STABLE LANGUAGE plpgsql AS $$
BEGIN
    RETURN nextval('calls') > n;
END $$
"""


@pytest.mark.parametrize("format", ["csv", "ndjson"])
async def test_each_expression_is_computed_once(connect, postgres, answering, format):
    connection = await connect(postgres.at("test"))
    await connection.execute(COUNTED)
    sql = "SELECT pg_temp.counted(n), pg_temp.counted(n), pg_temp.asked(n) FROM generate_series(1, $1) AS n"
    rows = await answering(lambda: stream_query(connection, sql, 10, format=format))
    assert (await rows.get()).status == 200
    assert await connection.fetchval("SELECT last_value FROM calls") == 30


@pytest.mark.parametrize("args", [(), (1,)])
async def test_a_column_with_the_name_of_the_end_mark_is_quoted(pool, answering, args):
    sql = f'SELECT {"$1::int" if args else "1"} AS "\\."'
    rows = await answering(lambda: stream_query(pool, sql, *args))
    assert (await rows.get()).body == b'"\\."\n1\n'


UNDECODED = """
CREATE TEMP TABLE odd (id int, acl aclitem, words tsvector, nested pg_am);
INSERT INTO odd SELECT 1, '=r/postgres', 'a fat cat', am FROM pg_am AS am WHERE amname = 'heap';
INSERT INTO odd VALUES (2)
"""


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize(
    "sql",
    [
        'SELECT o AS "the row", id FROM odd AS o ORDER BY id',
        "SELECT o AS same, id AS same FROM odd AS o WHERE id >= $1 ORDER BY id",
        "SELECT array_agg(o) AS os FROM odd AS o",
        "SELECT acl, words FROM odd ORDER BY id",
        "SELECT o FROM odd AS o WHERE false",
    ],
)
async def test_types_that_the_driver_cannot_decode_are_text(connect, server, answering, make, sql):
    connection = await connect(server.at("postgres"))
    await connection.execute(UNDECODED)
    args = (1,) if "$1" in sql else ()
    rows = await answering(lambda: make(connection, sql, *args))
    whole = sql.replace("$1", "1")
    assert (await rows.get()).body == await copied_by(connection, whole, format="csv", header=True)


@pytest.mark.parametrize("make", [stream_query, stream_copy])
async def test_json_of_types_that_the_driver_cannot_decode(connect, server, answering, make):
    connection = await connect(server.at("postgres"))
    await connection.execute(UNDECODED)
    sql = "SELECT o AS same, id AS same FROM odd AS o WHERE id = 1"
    rows = await answering(lambda: make(connection, sql, format="ndjson"))
    told = await connection.fetchval(f"SELECT row_to_json(q)::text FROM ({sql}) AS q")
    body = (await rows.get()).body
    assert json.loads(body, object_pairs_hook=list) == json.loads(told, object_pairs_hook=list)


async def test_a_statement_that_returns_what_the_driver_cannot_decode_is_refused(connect, postgres, answering, caplog):
    connection = await connect(postgres.at("test"))
    await connection.execute(UNDECODED)
    rows = await answering(lambda: stream_query(connection, "DELETE FROM odd AS o RETURNING o", batch=1))
    assert (await rows.get()).status == 500
    assert await connection.fetchval("SELECT count(*) FROM odd") == 2


async def test_a_column_of_citext_is_text(connect, debian, answering):
    async with debian.fresh() as dsn:
        connection = await connect(dsn)
        try:
            await connection.execute("CREATE EXTENSION citext")
        except asyncpg.PostgresError as error:
            pytest.skip(f"there is no citext: {error}")
        await connection.execute("CREATE TABLE users (id int, name citext); INSERT INTO users VALUES (1, 'Ada')")
        rows = await answering(lambda: stream_query(connection, "SELECT u FROM users AS u WHERE id = $1", 1))
        assert (await rows.get()).body == b'u\n"(1,Ada)"\n'


# What fails


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize(
    ("sql", "args"),
    [
        ("SELEKT 1", ()),
        ("SELECT 1 / (n - 1) FROM generate_series(1, 5) AS n", ()),
        ("SELECT 1 / (n - $1) FROM generate_series(1, 5) AS n", (1,)),
        ("SELECT $1::int", ("no number",)),
        ("SELECT $1::int", ()),
        ("SELECT 1", (1,)),
        ("SELECT", ()),
        ("SELECT 1; SELECT 2", ()),
        ("SELECT 1) TO '/tmp/stolen' --", ()),
    ],
)
async def test_what_fails_before_the_first_row_is_an_error_page(pool, answering, caplog, make, sql, args):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    rows = await answering(lambda: make(pool, sql, *args, **({"batch": 9} if make is stream_query else {})))
    assert (await rows.get()).status == 500


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize("args", [(), (5000,)])
async def test_what_fails_midway_cuts_the_answer(pool, answering, caplog, make, args):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    last = "$1::int" if args else "5000"
    sql = f"SELECT n, 1 / (n - {last}) AS x, repeat('x', 100) AS y FROM generate_series(1, 5000) AS n"
    rows = await answering(lambda: make(pool, sql, *args))
    answer = await rows.raw()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"3000,0," in answer
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("make", [stream_query, stream_copy])
async def test_an_exhausted_pool_is_waited_for_and_then_503(pool, answering, make):
    rows = await answering(lambda: make(pool, "SELECT 1 AS n", wait=0.01))
    async with pool.acquire(), pool.acquire():
        answer = await rows.get()
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert (await rows.get()).body == b"n\n1\n"


async def test_a_connection_that_becomes_free_in_time_is_taken(pool, answering):
    rows = await answering(lambda: stream_query(pool, "SELECT 1 AS n", wait=PATIENCE))
    connections = [await pool.acquire() for _ in range(2)]
    asking = asyncio.create_task(rows.get())
    while not pool._queue._getters:  # until the request waits for a connection
        await asyncio.sleep(0.001)
    for connection in connections:
        await pool.release(connection)
    assert (await asking).body == b"n\n1\n"


async def test_a_database_that_is_away_is_503(answering, tmp_path):
    pool = asyncpg.create_pool(host=str(tmp_path), min_size=0, max_size=1)
    async with pool:
        rows = await answering(lambda: stream_query(pool, "SELECT 1"))
        assert (await rows.get()).status == 503


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize("format", ["csv", "ndjson"])
@pytest.mark.parametrize(
    ("sql", "arg", "status", "words"),
    [
        ("SELECT $1::text", "a\0", 400, 'invalid byte sequence for encoding "UTF8": 0x00'),
        ("SELECT $1::text::int", "five", 400, 'invalid input syntax for type integer: "five"'),
        ("SELECT $1::int", 1 << 40, 400, "value out of int32 range"),
        ("SELECT $1::uuid", "no uuid", 400, "invalid UUID"),
        ("SELECT 1 LIMIT $1", -1, 400, "LIMIT must not be negative"),
        ("SELECT 'a' ~ $1", "(", 400, "invalid regular expression"),
        ("SELECT pg_temp.refuse($1)", "pear", 400, "no pears"),
        ("INSERT INTO unique_one VALUES ($1) RETURNING v", "a", 409, "duplicate key"),
        ("SELECT $1::int", "five", 500, ""),
        ("SELECT 1 / $1::int", 0, 500, ""),
    ],
)
async def test_an_argument_that_the_database_refuses_is_the_clients_fault(
    connect, postgres, answering, caplog, make, format, sql, arg, status, words
):
    connection = await connect(postgres.at("test"))
    await connection.execute(
        "CREATE FUNCTION pg_temp.refuse(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'no %s', t; END $$;"
        "CREATE TEMP TABLE unique_one (v text UNIQUE); INSERT INTO unique_one VALUES ('a')"
    )
    rows = await answering(lambda: make(connection, sql, arg, format=format))
    answer = await rows.get()
    assert answer.status == status
    assert words in answer.body.decode()


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize(
    ("setting", "sql", "words"),
    [
        ("statement_timeout = '20ms'", "SELECT pg_sleep(10)", "the database is busy"),
        ("default_transaction_read_only = on", "SELECT nextval('one_by_one')", "the database is read-only"),
    ],
)
async def test_a_database_that_cannot_now_is_503(connect, database, answering, caplog, make, setting, sql, words):
    connection = await connect(database)
    await connection.execute(f"CREATE SEQUENCE one_by_one; SET {setting}")
    rows = await answering(lambda: make(connection, sql))
    answer = await rows.get()
    assert answer.status == 503
    assert "retry-after" in answer.headers
    assert words in answer.body.decode()


@pytest.mark.parametrize("make", [stream_query, stream_copy])
@pytest.mark.parametrize("args", [(), (60,)])
async def test_command_timeout_ends_a_query_whose_database_is_silent(connect, postgres, answering, caplog, make, args):
    connection = await connect(postgres.at("test"), command_timeout=0.1)
    rows = await answering(lambda: make(connection, f"SELECT pg_sleep({'$1' if args else 60})", *args))
    answer = await rows.get()
    assert answer.status == 503
    assert b"the database is busy" in answer.body
    assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.slow
@pytest.mark.parametrize("make", [stream_query, stream_copy])
async def test_command_timeout_does_not_cut_rows_that_come(connect, postgres, answering, make):
    connection = await connect(postgres.at("test"), command_timeout=0.2)
    sql = "SELECT repeat('x', 9000) AS x, pg_sleep(0.05) FROM generate_series(1, 8)"  # a row is more than is buffered
    rows = await answering(lambda: make(connection, sql))
    assert (await rows.get()).body.count(b"x,") == 9


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cursor", "query", "copy"])
async def test_command_timeout_does_not_cut_rows_whose_client_is_slow(connect, postgres, answering, how):
    connection = await connect(postgres.at("test"), command_timeout=0.1)
    rows = await answering(lambda: the_same(how, connection))
    async with Wire(rows.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        wire.writer.transport.pause_reading()
        await asyncio.sleep(0.4)  # as long as the client is slow
        wire.writer.transport.resume_reading()
        await wire.exactly(20_000_000)
        wire.reset()
    await until(lambda: connection.is_closed() or not connection.is_in_transaction())  # the handler has ended


# Clients that are slow, and clients that leave

ENDLESS = "SELECT n, repeat('x', 1000) AS x FROM (SELECT generate_series(1, $1::bigint) AS n) AS s"


def the_same(make, pool):
    """Without and with arguments, and by COPY."""
    if make == "cursor":
        return stream_query(pool, ENDLESS, 10_000_000)
    if make == "query":
        return stream_query(pool, ENDLESS.replace("$1", "10000000"))
    return stream_copy(pool, ENDLESS, 10_000_000)


async def state_of(pid, connection):
    return await connection.fetchrow("SELECT state, wait_event, query FROM pg_stat_activity WHERE pid = $1", pid)


@pytest.fixture
async def watched(postgres):
    """A pool with one connection; the number of its backend; and a connection that looks at it."""
    watcher = await asyncpg.connect(postgres.at("test"))
    pool = await asyncpg.create_pool(postgres.at("test"), min_size=1, max_size=1)
    yield pool, await pool.fetchval("SELECT pg_backend_pid()"), watcher
    try:
        async with asyncio.timeout(PATIENCE):
            await pool.close()
    except TimeoutError:  # seen once with asyncpg 0.30, after the backend of its only connection was terminated
        pool.terminate()
    await watcher.close(timeout=PATIENCE)


@pytest.mark.parametrize("how", ["cursor", "query", "copy"])
async def test_the_database_waits_while_the_client_is_slow(watched, answering, how):
    pool, pid, watcher = watched
    rows = await answering(lambda: the_same(how, pool))

    async def waits():
        state = await state_of(pid, watcher)
        return state["state"] == "idle in transaction" or state["wait_event"] == "ClientWrite"

    async with Wire(rows.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"\r\n\r\n")
        wire.writer.transport.pause_reading()
        await until(waits)
        assert pool.get_idle_size() == 0
        wire.reset()
    await until(lambda: idle(pool))


async def idle(pool):
    return pool.get_idle_size() == 1


@pytest.mark.parametrize("how", ["cursor", "query", "copy"])
async def test_a_client_that_leaves_in_mid_stream_gives_the_connection_back(watched, answering, how):
    pool, pid, watcher = watched
    rows = await answering(lambda: the_same(how, pool))
    async with Wire(rows.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"x\n")
        wire.reset()
    await until(lambda: idle(pool))
    assert (await state_of(pid, watcher))["state"] == "idle"
    assert await pool.fetchval("SELECT pg_backend_pid()") == pid  # and the same one: it was not thrown away


@pytest.mark.parametrize("how", [stream_query, stream_copy])
async def test_a_client_that_leaves_before_the_first_row_has_the_query_cancelled(watched, answering, how):
    pool, pid, watcher = watched
    rows = await answering(lambda: how(pool, "SELECT pg_sleep($1)", 60))

    async def sleeps():
        return (await state_of(pid, watcher))["wait_event"] == "PgSleep"

    async with Wire(rows.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(sleeps)
        wire.reset()
    await until(lambda: idle(pool))
    assert (await state_of(pid, watcher))["state"] == "idle"
    assert await pool.fetchval("SELECT pg_backend_pid()") == pid


async def test_a_database_that_dies_in_mid_stream_cuts_the_answer(watched, answering, caplog):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    pool, pid, watcher = watched
    rows = await answering(lambda: the_same("cursor", pool))
    async with Wire(rows.address) as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await wire.until(b"x\n")
        await watcher.execute("SELECT pg_terminate_backend($1)", pid)
        assert not (await wire.rest()).endswith(b"0\r\n\r\n")
    await until(lambda: idle_or_gone(pool))


async def idle_or_gone(pool):
    return pool.get_size() == pool.get_idle_size()
