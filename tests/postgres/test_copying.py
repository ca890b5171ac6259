"""COPY out: the database's own bytes to the client."""

import asyncio
import csv
import io
import json
import logging
from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from sanicish.exceptions import ClientDisconnected
from sanicish.postgres import stream_copy
from sanicish.postgres.moving import copy_to
from tests.doubles.wire import PATIENCE
from tests.postgres.test_query import TYPES, copied


@pytest.mark.parametrize("format", ["csv", "text", "binary"])
async def test_the_bytes_are_those_of_copy(pool, answering, format):
    sql = "SELECT n, 'a\tb' AS text, NULL::int AS nothing FROM generate_series(1, 3) AS n"
    rows = await answering(lambda: stream_copy(pool, sql, format=format, header=False))
    assert (await rows.get()).body == await copied(pool, sql, format=format)


@pytest.mark.parametrize(
    ("format", "type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("text", "text/tab-separated-values; charset=utf-8"),
        ("binary", "application/octet-stream"),
        ("ndjson", "application/x-ndjson"),
    ],
)
async def test_the_format_says_the_content_type(pool, answering, format, type):
    rows = await answering(lambda: stream_copy(pool, "SELECT 1 AS n", format=format))
    assert (await rows.get()).headers["content-type"] == type


async def test_options_of_copy_are_passed_on(pool, answering):
    rows = await answering(lambda: stream_copy(pool, "SELECT 1 AS a, NULL AS b", delimiter=";", null="-"))
    assert (await rows.get()).body == b"a;b\n1;-\n"


async def test_json_of_every_type_is_what_row_to_json_writes(pool, answering):
    rows = await answering(lambda: stream_copy(pool, TYPES, format="ndjson"))
    body = (await rows.get()).body
    assert body.count(b"\n") == 1
    told = await pool.fetchval(f"SELECT row_to_json(q)::text FROM ({TYPES}) AS q")
    assert json.loads(body, object_pairs_hook=list) == json.loads(told, object_pairs_hook=list)


async def test_control_characters_survive_in_json(pool, answering):
    text = "".join(map(chr, range(1, 128))) + "\x80\u2028"
    rows = await answering(lambda: stream_copy(pool, "SELECT $1::text AS t", text, format="ndjson"))
    assert json.loads((await rows.get()).body) == {"t": text}


def test_json_has_no_options_of_csv(pool):
    with pytest.raises(ValueError, match="neither"):
        stream_copy(pool, "SELECT 1", format="ndjson", null="-")


def test_another_format_is_refused_at_once(pool):
    with pytest.raises(ValueError, match="csv, text, binary or ndjson"):
        stream_copy(pool, "SELECT 1", format="json")


async def test_a_client_that_leaves_at_the_last_row_leaves_no_connection_that_hangs(postgres):
    def write(data):
        raise ClientDisconnected("gone")

    connection = await asyncpg.connect(postgres.at("test"))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ClientDisconnected):
            await copy_to(connection, "SELECT repeat('x', 50000)", write, {"format": "csv"})
        assert connection.is_closed() or await connection.fetchval("SELECT 1") == 1
        await connection.close()


# Arguments


NASTY = ["'", "''", "\\", "\\'", "$1", "$$", "a'); DROP TABLE x; --", "/*", "*/", "--", '"', "\n", "☃", ""]


@pytest.mark.parametrize("value", NASTY)
async def test_whatever_an_argument_holds_is_only_data(pool, answering, value):
    sql = "SELECT $1::text AS a, $2::text || '' AS b"
    rows = await answering(lambda: stream_copy(pool, sql, value, value, format="ndjson"))
    assert json.loads((await rows.get()).body) == {"a": value, "b": value}


@pytest.mark.parametrize("value", NASTY)
async def test_what_looks_like_a_parameter_inside_strings_names_and_comments_is_none(pool, answering, value):
    sql = """
        SELECT '$1' AS a, E'\\'$1' AS b, $$ $1 $$ AS c, $x$ $1 $$ $1 $x$ AS d, "$1" AS e, a$1 AS f, U&'$1' AS g,
            $1::text AS h -- $1 ' it's
            /* $1 ' /* nested $1 */ $1 */ FROM (SELECT 1 AS "$1", 2 AS a$1) AS q
    """
    rows = await answering(lambda: stream_copy(pool, sql, value, format="ndjson"))
    told = json.loads((await rows.get()).body)
    assert told == {"a": "$1", "b": "'$1", "c": " $1 ", "d": " $1 $$ $1 ", "e": 1, "f": 2, "g": "$1", "h": value}


async def test_arguments_keep_their_types(pool, answering):
    sql = """
        SELECT pg_typeof($1::int8)::text AS a, $2::text IS NULL AS b, $3::numeric AS c, $4::text[] AS d, $5::date + interval '1 day' AS e,
            1 = ANY($6::int[]) AS f, $7::bytea AS g, $8::float8 AS h, n FROM generate_series(1, 20) AS n LIMIT $9
    """
    values = (5, None, Decimal("1.10"), ["a,'b", None], date(2024, 2, 29), [1, 2], b"\x00'", 0.1, 1)
    rows = await answering(lambda: stream_copy(pool, sql, *values, format="ndjson"))
    assert json.loads((await rows.get()).body) == {
        "a": "bigint",
        "b": True,
        "c": 1.10,
        "d": ["a,'b", None],
        "e": "2024-03-01T00:00:00",
        "f": True,
        "g": "\\x0027",
        "h": 0.1,
        "n": 1,
    }


async def test_arguments_of_types_made_by_users(database, answering):
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await pool.execute("""CREATE TYPE "my ""mood" AS ENUM ('ok', 'it''s')""")
        sql = """SELECT $1::"my ""mood" AS a, $2::"my ""mood"[] AS b"""
        rows = await answering(lambda: stream_copy(pool, sql, "it's", ["ok", "it's"], format="ndjson"))
        assert json.loads((await rows.get()).body) == {"a": "it's", "b": ["ok", "it's"]}


async def test_arguments_are_refused_where_a_backslash_would_escape(pool, answering, caplog):
    caplog.set_level(logging.CRITICAL, "sanicish.error")
    async with pool.acquire() as connection:
        settings = await connection.fetchval("SELECT set_config('standard_conforming_strings', 'off', false)")
        if settings != "off":
            pytest.skip("this PostgreSQL knows no other strings")
        rows = await answering(lambda: stream_copy(connection, "SELECT $1::text", "a"))
        assert (await rows.get()).status == 500


async def test_python_reads_the_csv(pool, answering):
    sql = """SELECT 'a "b", c' AS x, E'two\nlines' AS y"""
    body = (await (await answering(lambda: stream_copy(pool, sql))).get()).body
    assert list(csv.reader(io.StringIO(body.decode(), newline=""))) == [["x", "y"], ['a "b", c', "two\nlines"]]
