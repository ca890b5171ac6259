"""Rows as CSV, as JSON lines and as one JSON array: every cell right, few writes, any kind of iterable."""

import asyncio
import base64
import csv as csv_module
import datetime
import hashlib
import io
import json as json_module
from decimal import Decimal
from ipaddress import ip_address
from uuid import UUID

import asyncpg
import pytest

from sanicish import Event, Sanic, csv, json, json_array, ndjson, sse, stream
from sanicish.config import Config
from sanicish.exceptions import SanicException
from sanicish.response.formats import CsvLines, encode_csv, encode_json, json_dumps
from tests.doubles.answers import read_answers
from tests.doubles.wire import Wire, talk

CLOSE = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def get(app, path="/a"):
    return app.test_client.get(path, gather_request=False)


def sent(app, response):
    """What a client gets of a response."""
    app.get("/a")(lambda request: response())
    return get(app).body


async def later(rows):
    for row in rows:
        yield row


class Record:
    """A row of a database: it has names, and its values when it is iterated."""

    def __init__(self, **values):
        self._values = values

    def keys(self):
        return self._values.keys()

    def values(self):
        return self._values.values()

    def items(self):
        return self._values.items()

    def __iter__(self):
        return iter(self._values.values())

    def __getitem__(self, name):
        return self._values[name]


SOURCES = [list, tuple, iter, later]


# CSV


@pytest.mark.parametrize("source", SOURCES)
def test_csv_of_any_iterable(app, source):
    rows = [["a", 1], ["b", 2]]
    assert sent(app, lambda: csv(source(rows), ["name", "count"])) == b"name,count\r\na,1\r\nb,2\r\n"


NASTY = ["comma,", 'quote"', "line\nbreak", "return\rhere", " blank ", "", "ünï", "'", ";", "=1+1"]


def test_csv_is_read_back_as_it_was_written(app):
    body = sent(app, lambda: csv([NASTY, NASTY[::-1]]))
    assert list(csv_module.reader(io.StringIO(body.decode(), newline=""))) == [NASTY, NASTY[::-1]]


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        (None, ""),
        (5, "5"),
        (1.5, "1.5"),
        (True, "True"),
        (Decimal("1.10"), "1.10"),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), "2024-01-02T03:04:05+00:00"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (b"\x00\xff", "\\x00ff"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (["a", 1], '"[""a"",1]"'),
        ({"a": 1}, '"{""a"":1}"'),
    ],
)
def test_cell_of_any_type_is_written(cell, written):
    assert encode_csv(["x", cell]) == f"x,{written}\r\n".encode()


def test_row_of_one_empty_cell_is_no_empty_line():
    assert encode_csv([None]) == b'""\r\n'


def test_names_of_the_first_mapping_are_the_header(app):
    rows = [{"a": 1, "b": 2}, {"b": 4, "a": 3}, {"a": 5}]
    assert sent(app, lambda: csv(rows)) == b"a,b\r\n1,2\r\n3,4\r\n5,\r\n"


def test_names_of_a_record_are_the_header(app):
    assert sent(app, lambda: csv([Record(a=1, b="x"), Record(a=2, b="y")])) == b"a,b\r\n1,x\r\n2,y\r\n"


def test_header_chooses_the_columns_of_mappings(app):
    assert sent(app, lambda: csv([{"a": 1, "b": 2, "c": 3}], ["c", "a"])) == b"c,a\r\n3,1\r\n"


def test_header_may_be_left_out(app):
    assert sent(app, lambda: csv([{"a": 1, "b": 2}], header=False)) == b"1,2\r\n"


def test_header_is_sent_though_there_are_no_rows(app):
    assert sent(app, lambda: csv([], ["a", "b"])) == b"a,b\r\n"


def test_delimiter_may_be_another(app):
    assert sent(app, lambda: csv([["a;", 1]], ["x", "y"], delimiter=";")) == b'x;y\r\n"a;";1\r\n'


def test_csv_has_its_type_and_may_be_a_download():
    response = csv([], status=201, headers={"A": "1"}, filename="rows.csv")
    assert (response.status, response.content_type) == (201, "text/csv; charset=utf-8")
    assert response.headers["A"] == "1"
    assert response.headers["Content-Disposition"] == 'attachment; filename="rows.csv"'


def test_text_is_no_row(app, caplog):
    app.get("/a")(lambda request: csv(["abc"]))
    assert get(app).status == 500
    assert "a row is a sequence, a mapping or a record, not str" in caplog.text


@pytest.mark.parametrize("make", [csv, ndjson, json_array])
def test_rows_must_be_an_iterable(make):
    with pytest.raises(TypeError, match="rows are an iterable"):
        make(5)


# JSON


@pytest.mark.parametrize("source", SOURCES)
def test_ndjson_is_a_value_a_line(app, source):
    assert sent(app, lambda: ndjson(source([{"a": 1}, [2], "three\n", None]))) == b'{"a":1}\n[2]\n"three\\n"\nnull\n'


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("rows", [[], [1], [{"a": 1}, {"a": 2}, "x"]])
def test_json_array_is_one_value(app, source, rows):
    assert json_module.loads(sent(app, lambda: json_array(source(rows)))) == rows


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime.date(2024, 1, 2), '"2024-01-02"'),
        (Decimal("1.10"), '"1.10"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (ip_address("::1"), '"::1"'),
        (datetime.timedelta(seconds=61), '"00:01:01"'),
        (b"\x00\xff", '"\\\\x00ff"'),
        (Record(a=1, b=Decimal(2)), '{"a":1,"b":"2"}'),
        ({"a": [datetime.time(1)]}, '{"a":["01:00:00"]}'),
    ],
)
def test_json_of_what_databases_hold(value, written):
    assert encode_json(value) == written.encode()


def test_what_json_cannot_say_is_refused():
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        encode_json(object())


def test_rows_are_written_by_the_dumps_of_the_call_or_of_the_application():
    app = Sanic("dumps", configure_logging=False, register=False, load_env=False, dumps=lambda value: f"<{value}>")
    app.get("/lines")(lambda request: ndjson([1, 2]))
    app.get("/array")(lambda request: json_array([1, 2]))
    app.get("/own")(lambda request: ndjson([1, 2], dumps=lambda value: b"!"))
    assert get(app, "/lines").text == "<1>\n<2>\n"
    assert get(app, "/array").text == "[<1>,\n<2>]\n"
    assert get(app, "/own").text == "!\n!\n"


def test_types_of_json_rows():
    assert ndjson([]).content_type == "application/x-ndjson"
    assert json_array([]).content_type == "application/json"


# Few writes, soon


async def test_rows_that_come_together_leave_together(app, serve):
    app.get("/a")(lambda request: csv([number, number] for number in range(10_000)))
    answer = await talk(await serve(app), CLOSE)
    [reply] = read_answers(answer)
    assert reply.whole and reply.body.count(b"\r\n") == 10_000
    assert answer.count(b"\r\n") < 10_000 + 100  # the lines, and two for each chunk


async def test_row_that_comes_alone_leaves_alone(app, serve):
    gate = asyncio.Event()

    @app.get("/a")
    async def handler(request):
        async def rows():
            yield [1]
            await gate.wait()
            yield [2]

        return csv(rows())

    async with Wire(await serve(app)) as wire:
        wire.send(CLOSE)
        await wire.until(b"\r\n\r\n3\r\n1\r\n\r\n")
        gate.set()
        assert await wire.rest() == b"3\r\n2\r\n\r\n0\r\n\r\n"


async def test_error_in_the_first_row_is_an_error_page(app, serve):
    async def rows():
        yield [object]
        raise OSError

    app.get("/a")(lambda request: csv(rows(), ["a"]))
    assert (await talk(await serve(app), CLOSE)).startswith(b"HTTP/1.1 500 ")


async def test_error_in_a_later_row_cuts_the_answer(app, serve):
    async def rows():
        yield [1]
        await asyncio.sleep(0.001)
        raise OSError

    app.get("/a")(lambda request: json_array(rows()))
    answer = await talk(await serve(app), CLOSE)
    assert answer.startswith(b"HTTP/1.1 200 ") and not answer.endswith(b"0\r\n\r\n")


async def test_rows_wait_for_a_client_that_does_not_read(app, serve):
    made = []

    async def rows():
        for number in range(20_000):
            made.append(number)
            yield ["x" * 10_000]
            await asyncio.sleep(0)  # one row a turn: each is written by the loop and not by the handler

    app.get("/a")(lambda request: csv(rows()))
    async with Wire(await serve(app)) as wire:
        wire.writer.transport.pause_reading()
        wire.send(CLOSE)
        before = -1
        while before != len(made) or not made:  # until nothing moves any more
            before = len(made)
            await asyncio.sleep(0.05)
        assert len(made) < 10_000


# One row at a time


async def test_rows_and_json_are_written_one_by_one(app, serve):
    @app.get("/a")
    async def handler(request):
        response = await request.respond()
        await response.write_row(["a", 'b"', 1])
        await response.write_json({"a": Decimal(1)})
        await response.write_json([1], dumps=lambda value: "!")

    [reply] = read_answers(await talk(await serve(app), CLOSE))
    assert reply.body == b'a,"b""",1\r\n{"a":"1"}\n!\n'


def test_columns_are_asked_of_the_first_row_once():
    lines = CsvLines()
    assert lines([1, 2]) == b"1,2\r\n"
    assert lines({"a": 3}) == b"3\r\n"


# A real database


async def test_records_of_a_cursor_are_rows(app, serve, database):
    query = """
        SELECT n AS id, 'a,"b' || n AS name, n + 0.50 AS price, NULL::text AS nothing, n = 1 AS flag, n::float8 AS real,
               '2024-01-02 03:04:05+00'::timestamptz AS at, '2024-01-02'::date AS day, '\\x00ff'::bytea AS raw,
               ARRAY[n, n] AS list, '00000000-0000-0000-0000-000000000001'::uuid AS uuid, '127.0.0.1'::inet AS host
        FROM generate_series(1, 2) AS n
    """

    async def records():
        connection = await asyncpg.connect(database)
        try:
            async with connection.transaction():
                async for record in connection.cursor(query):
                    yield record
        finally:
            await connection.close()

    app.get("/csv")(lambda request: csv(records()))
    app.get("/json")(lambda request: json_array(records()))
    app.get("/lines")(lambda request: ndjson(records()))
    address = await serve(app)

    async def body(path):
        [reply] = read_answers(
            await talk(address, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        )
        assert reply.whole
        return reply.body.decode()

    rows = list(csv_module.DictReader(io.StringIO(await body("/csv"), newline="")))
    assert rows[0] == {
        "id": "1",
        "name": 'a,"b1',
        "price": "1.50",
        "nothing": "",
        "flag": "True",
        "real": "1.0",
        "at": "2024-01-02T03:04:05+00:00",
        "day": "2024-01-02",
        "raw": "\\x00ff",
        "list": "[1,1]",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "host": "127.0.0.1",
    }
    values = json_module.loads(await body("/json"))
    assert values[1] == {
        "id": 2,
        "name": 'a,"b2',
        "price": "2.50",
        "nothing": None,
        "flag": False,
        "real": 2.0,
        "at": "2024-01-02T03:04:05+00:00",
        "day": "2024-01-02",
        "raw": "\\x00ff",
        "list": [2, 2],
        "uuid": "00000000-0000-0000-0000-000000000001",
        "host": "127.0.0.1",
    }
    assert [json_module.loads(line) for line in (await body("/lines")).splitlines()] == values


# NaN and infinities

NAN = [float("nan"), float("inf"), float("-inf")]


async def events(value):
    yield Event({"v": value})


async def written(response, value):
    await response.write_json({"v": value})


WRITERS = {
    "json": lambda value: json({"v": value}),
    "dict": lambda value: {"v": value},
    "list": lambda value: [{"v": [value]}],
    "options": lambda value: json({"v": value}, sort_keys=True, default=str),
    "ndjson": lambda value: ndjson([{"v": value}]),
    "ndjson from a generator": lambda value: ndjson({"v": each} for each in [value]),
    "ndjson of records": lambda value: ndjson([Record(v=value, d=Decimal(1))]),
    "json_array": lambda value: json_array(later([{"v": (value,)}])),
    "events": lambda value: sse(events(value)),
    "write_json": lambda value: stream(lambda response: written(response, value)),
    "csv": lambda value: csv([[1, [value]]]),
}


@pytest.mark.parametrize("value", NAN)
@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_no_json_is_an_error(app, caplog, kind, value):
    app.get("/a")(lambda request: WRITERS[kind](value))
    response = get(app)
    if kind == "events":  # whose head leaves before the first one
        assert "it was cut" in caplog.text
    else:
        assert response.status == 500
    assert "JSON has neither NaN nor infinities" in caplog.text


@pytest.mark.parametrize("value", NAN)
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("setting", ["null", "NULL"])
def test_what_is_no_json_is_null_if_the_setting_says_so(app, kind, value, setting):
    app.config.JSON_NAN = setting
    body = sent(app, lambda: WRITERS[kind](value)).decode()
    assert "null" in body and "NaN" not in body and "Infinity" not in body


def test_the_setting_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("SANICISH_JSON_NAN", "null")
    assert Config().JSON_NAN == "null"


def test_a_value_that_contains_itself_is_another_error():
    value = {}
    value["v"] = value
    with pytest.raises(ValueError, match="Circular"):
        json_dumps(value)


def test_nan_may_be_asked_for_in_one_call(app):
    assert sent(app, lambda: json({"v": float("nan")}, allow_nan=True)) == b'{"v":NaN}'


def test_json_of_an_error_page_is_json(app, caplog):
    app.config.FALLBACK_ERROR_FORMAT = "json"

    @app.get("/a")
    def handler(request):
        raise SanicException("no", 400, context={"v": float("nan")})

    assert get(app).json["context"] == {"v": None}


# All rows have arrived

TRAILERS = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\n"
ROWS = [{"a": 1}, {"a": "two\nlines"}, {"a": 3}]

KINDS = {
    "csv": lambda **end: csv(ROWS, **end),
    "csv of a generator": lambda **end: csv((row for row in ROWS), ["a"], **end),
    "ndjson": lambda **end: ndjson(later(ROWS), **end),
    "json_array": lambda **end: json_array(iter(ROWS), **end),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_not_gathered_by_nginx(app, kind):
    app.get("/a")(lambda request: KINDS[kind]())
    assert get(app).headers["x-accel-buffering"] == "no"


def test_the_application_may_let_nginx_gather_them(app):
    app.get("/a")(lambda request: csv([], headers={"x-accel-buffering": "yes"}))
    assert get(app).headers.getall("x-accel-buffering") == ["yes"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_trailer_says_how_many_rows_there_were(app, serve, kind):
    app.get("/a")(lambda request: KINDS[kind](end="count"))
    answer = await talk(await serve(app), TRAILERS + b"\r\n")
    assert b"\r\nTrailer: Row-Count\r\n" in answer
    assert answer.endswith(b"\r\n0\r\nRow-Count: 3\r\n\r\n")


@pytest.mark.parametrize("encoding", [b"", b"Accept-Encoding: gzip\r\n"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_trailer_is_a_digest_of_the_body_as_it_was_sent(app, serve, kind, encoding):
    app.compress(min_size=1)
    app.get("/a")(lambda request: KINDS[kind](end="digest"))
    answer = await talk(await serve(app), TRAILERS + encoding + b"\r\n")
    assert b"\r\nTrailer: Content-Digest\r\n" in answer
    assert b"Content-Encoding" not in answer
    [reply] = read_answers(answer)
    digest = base64.b64encode(hashlib.sha256(reply.body).digest())
    assert answer.endswith(b"\r\n0\r\nContent-Digest: sha-256=:%b:\r\n\r\n" % digest)


@pytest.mark.parametrize("end", ["count", "digest"])
async def test_a_client_that_does_not_ask_for_trailers_gets_none(app, serve, end):
    app.compress(min_size=1)
    app.get("/a")(lambda request: csv([["x" * 2000]] * 3, end=end))
    answer = await talk(await serve(app), CLOSE[:-2] + b"Accept-Encoding: gzip\r\n\r\n")
    assert b"Content-Encoding: gzip" in answer
    assert b"Trailer" not in answer and answer.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("rows", [[], ROWS])
def test_the_last_line_says_how_many_rows_there_were(app, rows):
    lines = sent(app, lambda: ndjson(rows, end="line")).splitlines()
    assert [json_module.loads(line) for line in lines] == [*rows, {"end": {"rows": len(rows)}}]


@pytest.mark.parametrize("end", ["line", "count", "digest"])
async def test_rows_that_fail_do_not_say_that_these_were_all(app, serve, end):
    def rows():
        yield from ROWS
        raise OSError

    app.get("/a")(lambda request: ndjson(rows(), end=end))
    answer = await talk(await serve(app), TRAILERS + b"\r\n")
    assert b'{"end"' not in answer and b"Row-Count: " not in answer and b"Digest: " not in answer


async def test_the_source_is_closed_though_nobody_reads_it(app, serve):
    closed = []

    async def rows():
        closed.append("never begun")
        yield {}

    source = rows()
    app.route("/a", methods=["HEAD"])(lambda request: ndjson(source, end="count"))
    await talk(await serve(app), b"HEAD /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    with pytest.raises(StopAsyncIteration):
        await anext(source)
    assert closed == []


@pytest.mark.parametrize("make", [csv, json_array])
def test_only_ndjson_has_a_last_line(make):
    with pytest.raises(ValueError, match="only NDJSON"):
        make([], end="line")
    with pytest.raises(ValueError, match="line, count or digest"):
        make([], end="rows")


# Formulas


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "=a,b"])
def test_texts_that_a_spreadsheet_runs_get_an_apostrophe(app, cell):
    body = sent(app, lambda: csv([[cell, "a"]], [cell, "b"], escape_formulas=True)).decode()
    assert list(csv_module.reader(io.StringIO(body, newline=""))) == [["'" + cell, "b"], ["'" + cell, "a"]]


class Formula:
    def __str__(self):
        return "=1+1"


def test_values_that_become_such_a_text_get_one_too_and_numbers_do_not(app):
    row = [-1, -1.5, Decimal("-1.50"), None, True, Formula(), datetime.timedelta(-1), "a=b", ""]
    body = sent(app, lambda: csv(iter([iter(row)]), escape_formulas=True))
    assert body == b"-1,-1.5,-1.50,,True,'=1+1,'-1 days,a=b,\r\n"


def test_cells_are_left_alone_unless_asked_for(app):
    assert sent(app, lambda: csv([["=1+1"]])) == b"=1+1\r\n"
