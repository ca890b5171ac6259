"""Values of a database in CSV and JSON: the text that PostgreSQL writes of them, for each type that asyncpg decodes."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import asyncpg
import pytest

from sanicish.response.formats import encode_csv, encode_json

# SQL, and where Python's own types have another form by purpose, what stands in CSV and in JSON.
SAME = object()
VALUES = [
    ("NULL::int", SAME, SAME),
    ("7::int2", SAME, SAME),
    ("-5::int4", SAME, SAME),
    ("9007199254740993::int8", SAME, SAME),
    ("42::oid", SAME, 42),
    ("'7'::xid", SAME, 7),
    ("'7'::cid", SAME, 7),
    ("'7'::xid8", SAME, 7),
    ("0.5::float4", SAME, SAME),
    ("0.1::float8", SAME, SAME),
    ("1e300::float8", SAME, SAME),
    ("2::float8", "2.0", SAME),
    ("0.10::numeric", SAME, "0.10"),
    ("0.0000000001::numeric", SAME, "0.0000000001"),
    ("0.0000000000::numeric", SAME, "0.0000000000"),
    ("1e30::numeric", SAME, "1" + "0" * 30),
    ("'NaN'::numeric", SAME, SAME),
    ("true", "True", SAME),
    ("false", "False", SAME),
    ("'it''s \"so\", \\ here'::text", SAME, SAME),
    ("E'two\\nlines'::varchar", SAME, SAME),
    ("'ab '::char(4)", SAME, SAME),
    ("'pg_class'::name", SAME, SAME),
    ("'$1,234.50'::money", SAME, SAME),
    ("'\\x00ff'::bytea", SAME, SAME),
    ("'x'::\"char\"", "\\x78", "\\x78"),
    ("'{\"a\": [1, null]}'::json", SAME, '{"a": [1, null]}'),
    ("'{\"a\": [1, null]}'::jsonb", SAME, '{"a": [1, null]}'),
    ("'$.\"a\"'::jsonpath", SAME, SAME),
    ("DATE '2024-02-29'", SAME, SAME),
    ("DATE 'infinity'", "9999-12-31", "9999-12-31"),
    ("TIME '12:30:15.123456'", SAME, SAME),
    ("TIMETZ '12:30+02'", "12:30:00+02:00", "12:30:00+02:00"),
    ("TIMESTAMP '2024-01-02 03:04:05'", "2024-01-02T03:04:05", SAME),
    ("TIMESTAMPTZ '2024-01-02 03:04:05.5+00'", "2024-01-02T03:04:05.500000+00:00", "2024-01-02T03:04:05.500000+00:00"),
    ("INTERVAL '2 days 3:04:05.5'", SAME, SAME),
    ("INTERVAL '1 day'", SAME, SAME),
    ("INTERVAL '-1 day'", SAME, SAME),
    ("INTERVAL '-0.25 s'", SAME, SAME),
    ("INTERVAL '0'", SAME, SAME),
    ("INTERVAL '1 year 1 month'", "395 days", "395 days"),
    ("'c0ffee00-0000-4000-8000-000000000000'::uuid", SAME, SAME),
    ("'10.0.0.1'::inet", SAME, SAME),
    ("'10.0.0.1/8'::inet", SAME, SAME),
    ("'::1'::inet", SAME, SAME),
    ("'10.0.0.0/8'::cidr", SAME, SAME),
    ("'08:00:2b:01:02:03'::macaddr", SAME, SAME),
    ("'08:00:2b:01:02:03:04:05'::macaddr8", SAME, SAME),
    ("B'10110011101'", SAME, SAME),
    ("''::varbit", SAME, SAME),
    ("B'1'::varbit", SAME, SAME),
    ("point(1,2.5)", SAME, SAME),
    ("point(1e15,123456789012345678)", SAME, SAME),
    ("point('NaN','-Infinity')", SAME, SAME),
    ("point(1e-5,-0.0001)", SAME, SAME),
    ("box(point(0,0),point(1,1))", SAME, SAME),
    ("lseg(point(0,0),point(1,1))", SAME, SAME),
    ("'{1,-2,0.5}'::line", SAME, SAME),
    ("'[(0,0),(1,1)]'::path", SAME, SAME),
    ("'((0,0),(1,1))'::path", SAME, SAME),
    ("'((0,0),(1,1),(2,0))'::polygon", SAME, SAME),
    ("circle(point(0,0),2)", SAME, SAME),
    ("int4range(1,5)", SAME, SAME),
    ("int8range(NULL,5,'(]')", SAME, SAME),
    ("'empty'::int4range", SAME, SAME),
    ("numrange(0.50,1e10,'[]')", SAME, SAME),
    ("daterange('2024-01-01',NULL)", SAME, SAME),
    ("tsrange('2024-01-01 00:00:00.25','2024-02-01')", SAME, SAME),
    ("tstzrange(NULL,'2024-01-01 00:00+00')", SAME, SAME),
    ("'{[1,3),[5,9)}'::int4multirange", '["[1,3)","[5,9)"]', ["[1,3)", "[5,9)"]),
    ("to_tsvector('simple','a fat cat')", SAME, SAME),
    ("'a & b'::tsquery", SAME, SAME),
    ("'pg_class'::regclass", SAME, SAME),
    ("'16/B374D848'::pg_lsn", "97500059720", 97500059720),
    ("'(7,9)'::tid", "[7,9]", [7, 9]),
    ("'10:20:10,14'::pg_snapshot", "[10,20,[10,14]]", [10, 20, [10, 14]]),
    ("ARRAY[1,2,NULL]", "[1,2,null]", SAME),
    ("ARRAY[['a,b'],[NULL]]", '[["a,b"],[null]]', SAME),
    ("ARRAY[]::text[]", "[]", SAME),
    ("ARRAY[B'1',B'0']", '["1","0"]', SAME),
    ("ARRAY[point(1,2)]", '["(1,2)"]', SAME),
    ("ARRAY[int4range(1,5)]", '["[1,5)"]', SAME),
    ("ROW(1,'a b')::pg_temp.pair", SAME, SAME),
    ("ROW(NULL,'')::pg_temp.pair", SAME, SAME),
    ("ROW(7,'q\"\\,()')::pg_temp.pair", SAME, SAME),
    ("ROW(1,'a b')", '[1,"a b"]', [1, "a b"]),
    ("ROW(ROW(1,NULL),ARRAY['x y','',NULL,'null','{\"\\'],'{{1},{2}}')::pg_temp.nested", SAME, SAME),
    ("ROW(true,1.5,2,0.10,'\\x00','2024-01-01','2024-01-02 03:04','2024-01-02 03:04+00')::pg_temp.mixed", SAME, None),
    ("ROW('01:02:03','12:30:00.5+05:30','90 min',B'01','(1,2)','[1,5)')::pg_temp.more", SAME, None),
    ("ARRAY[ROW(1,'a')::pg_temp.pair,NULL]", '[{"number":1,"word":"a"},null]', SAME),
]


TYPES = """
CREATE TYPE pg_temp.pair AS (number int, word text);
CREATE TYPE pg_temp.nested AS (pair pg_temp.pair, words text[], numbers int[]);
CREATE TYPE pg_temp.mixed AS (a bool, b float8, c float8, d numeric, e bytea, f date, g timestamp, h timestamptz);
CREATE TYPE pg_temp.more AS (a time, b timetz, c interval, d varbit, e point, f int4range);
"""


@pytest.fixture
async def connection(postgres, connect):
    connection = await connect(postgres.at("test"), server_settings={"timezone": "UTC"})
    await connection.execute(TYPES)
    return connection


async def test_csv_of_every_type(connection):
    wrong = []
    for sql, expected, _ in VALUES:
        row = await connection.fetchrow(f"SELECT {sql} AS v, concat({sql}) AS text")
        [[cell]] = csv.reader(io.StringIO(encode_csv([row["v"]]).decode(), newline=""))
        if cell != (row["text"] if expected is SAME else expected):
            wrong.append((sql, cell, row["text"]))
    assert wrong == []


async def test_json_of_every_type(connection):
    wrong = []
    for sql, _, expected in VALUES:
        if expected is None:  # each of its parts has a line of its own
            continue
        row = await connection.fetchrow(f"SELECT {sql} AS v")
        told = await connection.fetchval(f"SELECT to_json({sql})::text")
        value = json.loads(encode_json(row))["v"]
        if value != ((told and json.loads(told)) if expected is SAME else expected):
            wrong.append((sql, value, told))
    assert wrong == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(days=-1, seconds=-1), "-1 days -00:00:01"),
        (timedelta(hours=30), "1 day 06:00:00"),
        (timedelta(microseconds=1), "00:00:00.000001"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-Infinity"), "-Infinity"),
    ],
)
def test_values_of_pythons_own_types(value, text):
    assert encode_csv(["x", value]) == f"x,{text}\r\n".encode()
    assert encode_json(value) == f'"{text}"'.encode()


async def test_a_record_of_a_class_of_the_users_own(connect, postgres):
    class Row(asyncpg.Record):
        pass

    connection = await connect(postgres.at("test"), record_class=Row)
    await connection.execute(TYPES)
    row = await connection.fetchrow("SELECT point(1,2) AS p, ROW(1,'a b')::pg_temp.pair AS r")
    assert encode_json(row) == b'{"p":"(1,2)","r":{"number":1,"word":"a b"}}'
    assert encode_csv(row.values()) == b'"(1,2)","(1,""a b"")"\r\n'
