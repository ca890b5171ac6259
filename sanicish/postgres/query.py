"""A query becomes a response: a cursor that is read as fast as the client reads, and no faster.

The database writes the lines (see ``lines``); here they are fetched, joined and sent.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from asyncpg.cursor import Cursor

from sanicish.postgres.copying import stream_copy
from sanicish.postgres.describing import describe
from sanicish.postgres.leasing import WAIT, Source, leased
from sanicish.postgres.lines import csv_header, csv_lines, json_lines
from sanicish.response import StreamingHTTPResponse
from sanicish.response.complete import HeaderMap
from sanicish.response.iterables import Writable
from sanicish.rows import End, row_response

__all__ = ["CONTENT_TYPES", "stream_query"]

Format = Literal["csv", "ndjson", "json"]

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
}

_FIRST_ROWS = 200  # of the first batch: the client soon has something
_MOST_ROWS = 2_000
_BATCH_BYTES = 131_072  # what a batch is to have, from what the rows before had


def stream_query(
    source: Source,
    sql: str,
    *args: Any,
    format: Format = "csv",
    header: bool = True,
    filename: str | None = None,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str | None = None,
    batch: int | None = None,
    wait: float | None = WAIT,
    end: End | None = None,
) -> StreamingHTTPResponse:
    """A response with the rows of a query, read from a cursor in batches while the client takes them.

    ``source`` is a pool of asyncpg or a connection, ``args`` are the values of ``$1`` and so on. The database itself
    writes the rows: ``"csv"`` as ``COPY`` does (NULL is empty, an empty text is ``""``), ``"ndjson"`` one object a
    line and ``"json"`` one array of them as ``row_to_json`` does, so that every type it knows is right.

    CSV of a query without arguments is the same bytes by ``COPY``, twice as fast, so that is how it leaves; for
    ``statement_timeout`` that is one statement, from the first row to the last. ``batch``, rows a fetch, asks for a
    cursor there too; by default a fetch is as many rows as make 128 KiB, 2 000 at most.

    ``header`` False leaves out the line with the names in CSV; ``filename`` makes the response a download. ``end`` says
    how a client can tell that all rows have arrived, see ``ndjson()``; ``"line"`` is for NDJSON only.

    Raises ``ServiceUnavailable`` (503) if no connection becomes free in ``wait`` seconds; other errors of the database
    are mapped by their SQLSTATE. An error before the first row is an error page; a later one cuts the response.
    """
    if format not in CONTENT_TYPES:
        raise ValueError(f"format is csv, ndjson or json, not {format!r}")

    if format == "csv" and batch is None and not args:
        return stream_copy(
            source,
            sql,
            header=header,
            filename=filename,
            status=status,
            headers=headers,
            content_type=content_type,
            wait=wait,
            end=end,
        )

    async def write_rows(response: Writable) -> int:
        async with leased(source, wait, given=bool(args)) as connection:
            columns, _ = await describe(connection, sql, args)
            lines = csv_lines(sql, columns) if format == "csv" else json_lines(sql, columns)
            cursor = await (await connection.prepare(lines, name="")).cursor(*args)
            if format == "json":
                first, again, between, after, last = "[", ",\n", ",\n", "", "]\n"
            else:
                first, again, between, after, last = "", "", "\n", "\n", ""
                if format == "csv" and header:
                    first = csv_header(columns)
            before = first
            written = 0
            async with aclosing(_texts(cursor, between, batch)) as texts:
                async for text, count in texts:
                    await response.write(f"{before}{text}{after}".encode())
                    before = again
                    first = ""
                    written += count
            if first or last:
                await response.write((first + last).encode())
        return written

    content_type = content_type or CONTENT_TYPES[format]
    lines = format == "ndjson"
    return row_response(write_rows, status, headers, content_type, end=end, lines=lines, filename=filename)


async def _texts(cursor: "Cursor[Any]", between: str, batch: int | None) -> AsyncGenerator[tuple[str, int], None]:
    """The lines of each batch as one, and their number; the database works at the next one meanwhile, and at no more than that."""
    count = batch or _FIRST_ROWS
    rows = await cursor.fetch(count)
    while rows:
        lines: list[str] = [row[0] for row in rows]
        text = between.join(lines)
        if len(rows) < count:  # they were the last
            yield text, len(rows)
            return
        count = batch or max(1, min(_MOST_ROWS, _BATCH_BYTES * len(rows) // (len(text) + 1)))
        ahead = asyncio.create_task(cursor.fetch(count))
        try:
            await asyncio.sleep(0)  # it asks the database before the rows that are here are sent
            yield text, len(rows)
            rows = await ahead
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
