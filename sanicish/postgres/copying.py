"""``COPY ... TO``: the rows of a query straight to the client.

The bytes are the database's own and pass through unread; each side waits for the other.
"""

from typing import Any, Literal

from sanicish.postgres.arguments import whole_query
from sanicish.postgres.leasing import WAIT, Source, leased
from sanicish.postgres.lines import inner, json_lines
from sanicish.postgres.moving import copy_to
from sanicish.response import StreamingHTTPResponse
from sanicish.response.complete import HeaderMap
from sanicish.response.iterables import Writable
from sanicish.rows import End, row_response

__all__ = ["stream_copy"]

CopyFormat = Literal["csv", "text", "binary", "ndjson"]

_CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "text": "text/tab-separated-values; charset=utf-8",
    "binary": "application/octet-stream",
    "ndjson": "application/x-ndjson",
}
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
    end: End | None = None,
) -> StreamingHTTPResponse:
    """A response with the rows of a query by ``COPY ... TO``: the fastest way out of PostgreSQL.

    ``source`` is a pool of asyncpg or a connection. ``args`` are the values of ``$1`` and so on; ``COPY`` has no
    parameters, so the database makes typed literals of them first. ``format`` is that of ``COPY`` or ``"ndjson"``, one
    object a line; ``header``, ``delimiter`` and ``null`` are its options (``header`` for CSV only). ``filename``,
    ``wait``, ``end`` and errors are as for ``stream_query``.
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

    async def write_rows(response: Writable) -> int:
        async with leased(source, wait, given=bool(args)) as connection:
            query, columns = await whole_query(connection, sql, args)
            if format == "ndjson":
                query = json_lines(query, columns)
            return await copy_to(connection, inner(query), response.write, options)

    content_type = content_type or _CONTENT_TYPES[format]
    lines = format == "ndjson"
    return row_response(write_rows, status, headers, content_type, end=end, lines=lines, filename=filename)
