"""``COPY`` both ways: a query straight to the client, a request body straight into a table.

The bytes are the database's own and pass through unread; each side waits for the other.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, Literal

import asyncpg

from sanicish.exceptions import BadRequest, ClientDisconnected, SanicException
from sanicish.files import content_disposition
from sanicish.postgres.arguments import whole_query
from sanicish.postgres.joining import Joined
from sanicish.postgres.leasing import WAIT, Connection, Source, leased
from sanicish.postgres.lines import inner, json_lines
from sanicish.response import StreamingHTTPResponse
from sanicish.whole import HeaderMap

__all__ = ["stream_copy", "upload_copy"]

CopyFormat = Literal["csv", "text", "binary", "ndjson"]

_CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "text": "text/tab-separated-values; charset=utf-8",
    "binary": "application/octet-stream",
    "ndjson": "application/x-ndjson",
}
_ROW_SECONDS = 0.02  # for a row to come, if any is on its way, before a query that nobody waits for is cancelled
_SETTLE_SECONDS = 0.07  # for the database to confirm that
# As JSON has no control characters, nothing of a line is ever quoted or escaped.
_PLAIN_LINES: dict[str, Any] = {"format": "csv", "quote": "\x01", "delimiter": "\x02"}


def stream_copy(
    source: Source,
    sql: str,
    *args: Any,
    format: CopyFormat = "csv",
    header: bool = True,
    delimiter: str | None = None,
    null: str | None = None,
    filename: str | None = None,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str | None = None,
    wait: float | None = WAIT,
) -> StreamingHTTPResponse:
    """A response with the rows of a query by ``COPY ... TO``: the fastest way out of PostgreSQL.

    ``source`` is a pool of asyncpg or a connection. ``args`` are the values of ``$1`` and so on; ``COPY`` has no
    parameters, so the database makes typed literals of them first. ``format`` is that of ``COPY`` or ``"ndjson"``, one
    object a line; ``header``, ``delimiter`` and ``null`` are its options (``header`` for CSV only). Of ``filename`` and
    ``wait`` and of errors the same is true as for ``stream_query``.
    """
    if format not in _CONTENT_TYPES:
        raise ValueError(f"format is csv, text, binary or ndjson, not {format!r}")
    options: dict[str, Any] = {"format": format, "delimiter": delimiter, "null": null}
    if format == "csv":
        options["header"] = header
    elif format == "ndjson":
        if delimiter is not None or null is not None:
            raise ValueError("ndjson has neither delimiter nor null")
        options = _PLAIN_LINES

    async def send_rows(response: StreamingHTTPResponse) -> None:
        async with leased(source, wait) as connection:
            query, columns = await whole_query(connection, sql, args)
            if format == "ndjson":
                query = json_lines(query, columns)
            await _copy_out(connection, inner(query), response.write, options)

    response = StreamingHTTPResponse(send_rows, status, headers, content_type or _CONTENT_TYPES[format])
    if filename is not None:
        response.headers["Content-Disposition"] = content_disposition(filename)
    return response


async def _copy_out(
    connection: Connection, query: str, write: Callable[[bytes], Awaitable[None]], options: dict[str, Any]
) -> None:
    """Copy a query to ``write``; when this is cancelled, so is the query, and the connection can be used again.

    asyncpg loses its place when it is cancelled while rows are on their way to it. It does not when its output fails,
    so that is what ends the copy; only where no row comes is it cancelled.
    """
    left = False
    joined = Joined(write)

    async def output(data: bytes) -> None:
        if left:
            raise ClientDisconnected("nobody is left to copy for")
        await joined.add(data)

    copying = asyncio.create_task(connection.copy_from_query(query, output=output, **options))
    try:
        await asyncio.wait([copying])
        await copying  # has ended, and raises what it raised
        await joined.end()
    except BaseException:
        left = True
        await asyncio.wait([copying], timeout=_ROW_SECONDS)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        await _settle(connection)
        raise
    finally:
        joined.drop()


async def _settle(connection: Connection) -> None:
    """See that a connection whose copy was ended early can be used; give it up if not.

    asyncpg waits for ever for the end of a cancelled copy that the database had ended just before.
    """
    try:
        async with asyncio.timeout(_SETTLE_SECONDS):
            await connection.execute("SELECT 1")
    except asyncpg.PostgresError:
        return  # it answers, if only to say that the transaction has failed
    except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()


async def upload_copy(
    source: Source,
    table: str,
    data: AsyncIterable[bytes] | None,
    *,
    columns: Sequence[str] | None = None,
    schema: str | None = None,
    format: Literal["csv", "text", "binary"] = "csv",
    header: bool = True,
    delimiter: str | None = None,
    null: str | None = None,
    wait: float | None = WAIT,
) -> int:
    """Send a streamed request body into a table by ``COPY ... FROM``; gives the number of rows, all of them or none.

    ``data`` is ``request.stream`` of a route with ``stream=True``; the client waits while the database is busy. If
    ``header``, the first line of CSV is left out, and the order of the columns is that of ``columns``, else the
    table's. Raises ``BadRequest`` (400) for data that the table cannot take, with the line, a ``SanicException`` with
    409 for a row that breaks a constraint, ``ServiceUnavailable`` (503) as ``stream_query`` does. A client that leaves
    before the end leaves nothing behind.
    """
    if data is None:
        raise TypeError("upload_copy() takes request.stream, and that needs a route with stream=True")
    options: dict[str, Any] = {"format": format, "delimiter": delimiter, "null": null}
    if format == "csv":
        options["header"] = header
    async with leased(source, wait) as connection:
        try:
            told = await _copy_in(connection, table, data, columns=columns, schema_name=schema, **options)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise SanicException(_said(error), 409) from error
        except (asyncpg.DataError, asyncpg.CharacterNotInRepertoireError) as error:
            raise BadRequest(_said(error)) from error
    return int(told.split()[-1])


async def _copy_in(connection: Connection, table: str, data: AsyncIterable[bytes], **options: Any) -> str:
    """Copy data into a table; whatever fails, the connection can be used again."""
    try:
        return await connection.copy_to_table(table, source=_pieces(data), **options)
    except BaseException:
        await _settle(connection)
        raise


async def _pieces(data: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """What can only be iterated: asyncpg would call ``read`` in a thread."""
    async for piece in data:
        yield piece


def _said(error: Any) -> str:
    """What the database said of a row, with its place but without the names of tables."""
    place = re.search(r"\bline \d+(, column \w+)?", error.context or "")
    return f"{error.message} ({place[0]})" if place else str(error.message)
