"""COPY in: a request body into a table, whole or not at all."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from sanicish.exceptions import BadRequest, SanicException, ServiceUnavailable
from sanicish.postgres import upload_copy
from sanicish.postgres.leasing import is_closed, leased
from sanicish.response import json as json_response
from tests.doubles.wire import PATIENCE, Wire, talk
from tests.postgres.test_query import copied
from tests.waiting import until


@pytest.fixture
async def shop(database, app, serve):
    """A table, its pool, and the address of an application that fills it from uploads."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await pool.execute("CREATE TABLE goods (id int PRIMARY KEY, name text NOT NULL DEFAULT 'none')")

        @app.post("/<format>", stream=True)
        async def fill(request, format):
            options = {"columns": request.args.getlist("column") or None, "header": request.args.get("header", True)}
            wait = float(request.args.get("wait", PATIENCE))
            return json_response(await upload_copy(pool, "goods", request.stream, format=format, wait=wait, **options))

        yield pool, await serve(app)


def post(body, path="/csv", length=None):
    size = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode() + body


async def goods(pool):
    return [tuple(row) for row in await pool.fetch("SELECT id, name FROM goods ORDER BY id")]


async def test_an_upload_fills_the_table_and_tells_how_many(shop):
    pool, address = shop
    answer = await talk(address, post(b'id,name\n1,apple\n2,"pear, green"\n'))
    assert answer.endswith(b"\r\n\r\n2")
    assert await goods(pool) == [(1, "apple"), (2, "pear, green")]


async def test_a_chunked_upload_in_pieces_that_are_no_rows(shop):
    pool, address = shop
    pieces = [b"id,na", b"me\n1,ap", b"ple\n2,pe", b"ar\n"]
    async with Wire(address) as wire:
        wire.send(b"POST /csv HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")
        assert (await wire.rest()).endswith(b"\r\n\r\n2")
    assert await goods(pool) == [(1, "apple"), (2, "pear")]


async def test_columns_say_what_the_fields_are(shop):
    pool, address = shop
    await talk(address, post(b"number\n7\n", "/csv?column=id&header=skip"))
    assert await goods(pool) == [(7, "none")]


@pytest.mark.parametrize("format", ["text", "binary"])
async def test_what_copy_sent_it_takes_again(shop, format):
    pool, address = shop
    body = await copied(pool, "SELECT 3, E'a\\tb'", format=format)
    assert (await talk(address, post(body, f"/{format}"))).endswith(b"\r\n\r\n1")
    assert await goods(pool) == [(3, "a\tb")]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"id,name\n1,a\nx,b\n", b"400", b"line 3, column id"),
        (b"id,name\n1,a\n2\n", b"400", b"line 3"),
        (b"id,name\n1,a\n2,\xff\n", b"400", b"line 3"),
        (b"id,name\n1,a\n1,b\n", b"409", b"duplicate key"),
        (b"id,name\n1,a\n2,\n", b"409", b"null value"),
    ],
)
async def test_data_that_the_table_cannot_take_is_refused_whole(shop, body, status, words):
    pool, address = shop
    answer = await talk(address, post(body))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert words in answer
    assert await goods(pool) == []


async def test_a_client_that_leaves_in_mid_upload_leaves_nothing_behind(shop):
    pool, address = shop
    async with Wire(address) as wire:
        wire.send(post(b"id,name\n1,a\n", length=1000))
        while pool.get_idle_size():  # until the upload has its connection
            await asyncio.sleep(0.001)
        wire.reset()
    assert await goods(pool) == []  # waits for the connection of the upload: there is one only


async def test_a_client_that_leaves_after_a_row_was_refused_leaves_no_connection_that_hangs(shop, postgres):
    pool, address = shop
    pid = await pool.fetchval("SELECT pg_backend_pid()")
    watcher = await asyncpg.connect(postgres.dsn)
    refused = "SELECT state = 'idle in transaction (aborted)' FROM pg_stat_activity WHERE pid = $1"
    async with asyncio.timeout(PATIENCE):
        async with Wire(address) as wire:
            wire.send(post(b"id,name\nx,a\n", length=1000))
            await until(lambda: watcher.fetchval(refused, pid))
            wire.reset()
        assert await goods(pool) == []
    await watcher.close()


async def test_an_exhausted_pool_is_503(shop):
    pool, address = shop
    async with pool.acquire():
        assert (await talk(address, post(b"id,name\n1,a\n", "/csv?wait=0.01"))).startswith(b"HTTP/1.1 503 ")


async def test_a_route_without_stream_is_told_so(pool):
    with pytest.raises(TypeError, match="stream=True"):
        await upload_copy(pool, "goods", None)


# The first line


async def stored(dsn, table, body, **options):
    """The rows of a table after an upload of these pieces."""

    async def pieces():
        for piece in [body] if isinstance(body, bytes) else body:
            yield piece

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"CREATE TEMP TABLE up ({table})")
        count = await upload_copy(connection, "up", pieces(), **options)
        rows = await connection.fetch("SELECT * FROM up")
        assert count == len(rows)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


ORDERS = "id int, customer text, total int, twice int GENERATED ALWAYS AS (id * 2) STORED"


@pytest.mark.parametrize(
    "body",
    [
        b"total,customer,id\n500,Ada,7\n",
        b"total,customer,id\r\n500,Ada,7\r\n",
        b'"total","customer","id"\n500,Ada,7',
        b"\xef\xbb\xbfcustomer,total,id\nAda,500,7\n",
    ],
)
@pytest.mark.parametrize("given", [None, ["id", "customer", "total"]])
async def test_the_first_line_names_the_columns_in_any_order(postgres, body, given):
    assert await stored(postgres.at("test"), ORDERS, body, columns=given) == [(7, "Ada", 500, 14)]


async def test_the_first_line_may_arrive_in_pieces(postgres):
    body = b'"a ""b"", c\nd",total\n1,2\n'
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert await stored(postgres.at("test"), '"a ""b"", c\nd" int, total int', pieces) == [(1, 2)]


@pytest.mark.parametrize("delimiter", [";", "\t"])
async def test_the_first_line_is_divided_as_the_others_are(postgres, delimiter):
    body = delimiter.join(["total", "customer", "id"]) + "\n" + delimiter.join(["500", "Ada", "7"])
    assert await stored(postgres.at("test"), ORDERS, body.encode(), delimiter=delimiter) == [(7, "Ada", 500, 14)]


@pytest.mark.parametrize("header", [True, "skip"])
async def test_a_column_may_have_the_name_of_the_end_mark(postgres, header):
    assert await stored(postgres.at("test"), '"\\." text', b"\\.\na\nb\n", header=header) == [("a",), ("b",)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"total,customer,id,color\n", "unknown columns in the first line: 'color'"),
        (b"total,customer,id,twice\n", "unknown columns in the first line: 'twice'"),
        (b"total,Customer,id\n", "unknown columns in the first line: 'Customer'"),
        (b"total,id\n5,7\n", "missing columns in the first line: 'customer'"),
        (b"total,customer,id,total\n", "columns named twice in the first line: 'total'"),
        (b"", "there is no first line"),
        (b"\n1,2,3\n", "there is no first line"),
        (b"total,customer,\xff\n", "cannot be read"),
        (b'"total"x,customer,id\n', "cannot be read"),
        (b"x" * 300_000, "longer than 262144 bytes"),
    ],
)
async def test_names_that_do_not_fit_are_refused(postgres, body, words):
    with pytest.raises(BadRequest, match=words):
        await stored(postgres.at("test"), ORDERS, body)


async def test_names_are_those_that_were_asked_for(postgres):
    body = b"customer,id\nAda,7\n"
    assert await stored(postgres.at("test"), ORDERS, body, columns=["id", "customer"]) == [(7, "Ada", None, 14)]
    with pytest.raises(BadRequest, match="unknown columns in the first line: 'customer'"):
        await stored(postgres.at("test"), ORDERS, body, columns=["id"])


async def test_a_first_line_that_is_skipped_may_say_anything(postgres):
    body = b"anything\n7,Ada,500\n"
    assert await stored(postgres.at("test"), ORDERS, body, header="skip") == [(7, "Ada", 500, 14)]


async def test_names_are_looked_up_in_the_schema(connect, database):
    connection = await connect(database)
    await connection.execute('CREATE SCHEMA "my shop"; CREATE TABLE "my shop"."the goods" (a int, b int)')

    async def data():
        yield b"b,a\n1,2\n"

    assert await upload_copy(connection, "the goods", data(), schema="my shop") == 1
    assert tuple(await connection.fetchrow('SELECT a, b FROM "my shop"."the goods"')) == (2, 1)


@pytest.mark.parametrize(("options", "words"), [({"header": "no"}, "'skip'"), ({"null": "\\."}, "end mark")])
async def test_options_that_nothing_can_work_with_are_refused(postgres, options, words):
    with pytest.raises(ValueError, match=words):
        await stored(postgres.at("test"), ORDERS, b"", **options)


# The end mark of COPY


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        ([b"v", b"a", b"\\.", b"b", b"c"], ["a", "\\.", "b", "c"]),
        ([b"v", b"\\.", b"\\.", b"\\.b"], ["\\.", "\\.", "\\.b"]),
        ([b"v", b'"x', b"\\.", b'y"', b"\\.", b"b"], ["x{end}\\.{end}y", "\\.", "b"]),
        ([b"v", b'"a""', b"\\.", b'"', b"\\."], ['a"{end}\\.{end}', "\\."]),
    ],
)
async def test_a_line_that_is_the_end_mark_is_data_in_csv(server, lines, rows, end):
    for last in (b"", end):
        body = end.join(lines) + last
        expected = [(row.format(end=end.decode()),) for row in rows]
        assert await stored(server.at("postgres"), "v text", body) == expected


@pytest.mark.slow
async def test_the_end_mark_may_be_split_anywhere(server):
    body = b'v\na\n\\.\nb\n"\n\\.\n"\n\\.'
    for at in range(len(body)):
        pieces = [body[:at], body[at:]]
        assert await stored(server.at("postgres"), "v text", pieces) == [
            ("a",),
            ("\\.",),
            ("b",),
            ("\n\\.\n",),
            ("\\.",),
        ]
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert len(await stored(server.at("postgres"), "v text", pieces)) == 5


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_an_end_mark_among_rows_of_two_columns_is_refused_with_its_line(server, end):
    body = end.join([b"a,b", b"x,1", b"\\.", b"y,2", b""])
    with pytest.raises(BadRequest, match="line 3"):
        await stored(server.at("postgres"), "a text, b int", body)


@pytest.mark.parametrize(("delimiter", "row"), [(".", ("\\", None)), ("\\", (None, "."))])
async def test_an_end_mark_may_be_two_fields(server, delimiter, row):
    body = f"a{delimiter}b\nx{delimiter}y\n\\.\nz{delimiter}z\n".encode()
    rows = await stored(server.at("postgres"), "a text, b text", body, delimiter=delimiter)
    assert rows[0] == ("x", "y") and rows[2] == ("z", "z")
    assert [cell or None for cell in rows[1]] == list(row)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_text_may_end_with_the_end_mark(server, end):
    for last in ("", f"\\.{end}"):
        body = f"1\ta\\\\.b{end}2\t\\\\{end}{last}".encode()
        for at in range(len(body)):
            rows = await stored(server.at("postgres"), "a int, b text", [body[:at], body[at:]], format="text")
            assert rows == [(1, "a\\.b"), (2, "\\")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"1\tx\n\\.\n2\ty\n", r"data behind the end mark \\. \(line 2\)"),
        (b"1\tx\r\n\\.\r\n2\ty\r\n", r"data behind the end mark \\. \(line 2\)"),
        (b"\\.\n\n", r"data behind the end mark \\. \(line 1\)"),
        (b"1\tx\n\\.2\ty\n", r"data behind the end mark \\. \(line 2\)"),
        (b"1\tx\n2\ty\\.\n3\tz\n", r"the end mark \\. does not stand alone \(line 2\)"),
        (b"1\tx\n2\ty\\\\\\.\n", r"the end mark \\. does not stand alone \(line 2\)"),
    ],
)
async def test_text_is_refused_if_rows_would_be_lost_behind_an_end_mark(server, body, words):
    for at in range(len(body)):
        with pytest.raises(BadRequest, match=words):
            await stored(server.at("postgres"), "a int, b text", [body[:at], body[at:]], format="text")


# What the database refuses

RAISES = """
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'not %', NEW.v USING ERRCODE = '{}';
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON up FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse();
"""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("P0001", 400),
        ("UX123", 400),
        ("22023", 400),
        ("54000", 400),
        ("23514", 409),
        ("44000", 409),
        ("40001", 503),
        ("40P01", 503),
        ("53100", 503),
        ("55P03", 503),
        ("57014", 503),
        ("57P03", 503),
        ("25006", 503),
        ("08006", 503),
        ("42501", 500),
        ("XX000", 500),
    ],
)
async def test_an_error_of_a_trigger_is_answered_by_its_code(connect, postgres, code, status):
    connection = await connect(postgres.at("test"))
    await connection.execute("CREATE TEMP TABLE up (v text);" + RAISES.format(code))
    with pytest.raises(asyncpg.PostgresError if status == 500 else SanicException) as raised:
        await stored_by(connection, b"v\npear\n")
    if status != 500:
        assert raised.value.status_code == status
        assert (str(raised.value) == "not pear (line 2)") == (status < 500)
        assert ("Retry-After" in raised.value.headers) == (status == 503)


async def test_an_error_of_a_trigger_is_told_to_the_client(shop):
    pool, address = shop
    await pool.execute(
        RAISES.format("P0001").replace("pg_temp.", "").replace("ON up", "ON goods").replace("NEW.v", "NEW.name")
    )
    answer = await talk(address, post(b"id,name\n1,pear\n"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"not pear (line 2)" in answer


async def test_a_table_that_is_locked_is_503(connect, shop, database, caplog):
    pool, address = shop
    await pool.execute(f"ALTER DATABASE {database_name(database)} SET lock_timeout = '10ms'")
    await pool.expire_connections()
    other = await connect(database)
    async with other.transaction():
        await other.execute("LOCK TABLE goods")
        answer = await talk(address, post(b"id,name\n1,pear\n"))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the database is busy" in answer


async def test_a_database_that_is_read_only_is_503(shop, database, caplog):
    pool, address = shop
    await pool.execute(f"ALTER DATABASE {database_name(database)} SET default_transaction_read_only = on")
    await pool.expire_connections()
    answer = await talk(address, post(b"id,name\n1,pear\n"))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"the database is read-only" in answer


async def test_a_database_that_goes_away_is_503(connect, shop, postgres, caplog):
    pool, address = shop
    pid = await pool.fetchval("SELECT pg_backend_pid()")
    watcher = await connect(postgres.dsn)
    async with Wire(address) as wire:
        body = post(b"id,name\n1,a\n2,b\n")
        wire.send(body[:-3])
        query = "SELECT query LIKE 'COPY%' FROM pg_stat_activity WHERE pid = $1"
        await until(lambda: watcher.fetchval(query, pid))
        await watcher.execute("SELECT pg_terminate_backend($1)", pid)
        wire.send(body[-3:])
        answer = await wire.rest()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in answer


async def test_a_statement_on_a_connection_that_its_pool_has_given_up_is_503(connect, shop, postgres):
    pool, _ = shop
    watcher = await connect(postgres.dsn)

    async def work():
        async with leased(pool, PATIENCE, given=True) as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await watcher.execute("SELECT pg_terminate_backend($1)", pid)
            async with asyncio.timeout(PATIENCE):
                while not is_closed(connection):
                    await asyncio.sleep(0.001)
            await connection.fetchval("SELECT 1")

    with pytest.raises(ServiceUnavailable, match="the database"):
        await work()


async def test_a_connection_that_was_lost_and_has_left_its_pool_is_closed(connect, shop, postgres):
    pool, _ = shop
    connection = await pool.acquire()
    pid = connection.get_server_pid()
    await (await connect(postgres.dsn)).execute("SELECT pg_terminate_backend($1)", pid)
    async with asyncio.timeout(PATIENCE):
        while not is_closed(connection):
            await asyncio.sleep(0.001)
    with pytest.raises(asyncpg.InterfaceError):  # what it would raise
        connection.is_closed()


async def test_an_error_of_the_source_is_not_one_of_the_database(connect, postgres):
    async def broken():
        yield b"v\n"
        raise TimeoutError("the source was too slow")

    connection = await connect(postgres.at("test"))
    await connection.execute("CREATE TEMP TABLE up (v text)")
    with pytest.raises(TimeoutError, match="the source was too slow"):
        await upload_copy(connection, "up", broken())
    assert await connection.fetchval("SELECT count(*) FROM up") == 0


async def test_a_connection_that_was_closed_is_503(connect, postgres):
    connection = await connect(postgres.at("test"))
    await connection.close()
    with pytest.raises(ServiceUnavailable, match="cannot be reached"):
        await stored_by(connection, b"v\na\n")


async def test_an_upload_joins_a_transaction_that_a_statement_began(connect, postgres):
    connection = await connect(postgres.at("test"))
    await connection.execute("CREATE TEMP TABLE up (v text)")
    await connection.execute("BEGIN")
    assert await stored_by(connection, b"v\na\n") == 1
    await connection.execute("ROLLBACK")
    assert await connection.fetchval("SELECT count(*) FROM up") == 0


async def stored_by(connection, body):
    async def pieces():
        yield body

    return await upload_copy(connection, "up", pieces())


def database_name(dsn):
    return urlsplit(dsn).path[1:]


# Time


@pytest.mark.slow
async def test_command_timeout_does_not_cut_an_upload_that_moves(connect, postgres):
    async def slow():
        yield b"v\n"
        for number in range(8):
            await asyncio.sleep(0.05)
            yield b"%d\n" % number

    connection = await connect(postgres.at("test"), command_timeout=0.2)
    await connection.execute("CREATE TEMP TABLE up (v text)")
    assert await upload_copy(connection, "up", slow()) == 8


async def test_command_timeout_ends_an_upload_that_the_database_does_not_take(connect, postgres, database):
    other = await connect(database)
    await other.execute("CREATE TABLE up (v text)")
    connection = await connect(database, command_timeout=0.1)
    async with other.transaction():
        await other.execute("LOCK TABLE up")
        with pytest.raises(ServiceUnavailable, match="busy"):
            await stored_by(connection, b"v\na\n")
        watched = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        assert await other.fetchval(watched) == 0
