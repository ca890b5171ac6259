"""``COPY ... FROM``: a request body straight into a table, whole or not at all."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from typing import Any, Literal

from sanicish.exceptions import ServiceUnavailable
from sanicish.postgres.end_marks import CsvEndMarks, TextEndMarks
from sanicish.postgres.header_line import match_names, read_names
from sanicish.postgres.leasing import WAIT, Connection, Source, leased
from sanicish.postgres.moving import copy_from

__all__ = ["upload_copy"]

# Generated columns cannot be written, so COPY leaves them out too.
_COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


async def upload_copy(
    source: Source,
    table: str,
    data: AsyncIterable[bytes] | None,
    *,
    columns: Sequence[str] | None = None,
    schema: str | None = None,
    format: Literal["csv", "text", "binary"] = "csv",
    header: bool | Literal["skip"] = True,
    delimiter: str | None = None,
    null: str | None = None,
    wait: float | None = WAIT,
) -> int:
    """Send a streamed request body into a table by ``COPY ... FROM``; gives the number of rows, all of them or none.

    ``data`` is ``request.stream`` of a route with ``stream=True``; the client waits while the database is busy.
    ``columns`` are those that the upload has; by default all that the table has, except generated ones.

    ``header`` is for CSV: the first line names the columns, in any order. An unknown, missing or repeated name is
    refused. ``"skip"`` ignores what the line says, and ``False`` means that there is none; the fields are then in the
    order of ``columns``, or else of the table.

    Raises ``BadRequest`` (400) for data that the table cannot take, with the line, a ``SanicException`` with 409 for a
    row that breaks a constraint, and ``ServiceUnavailable`` (503) if the database is busy or away. A client that leaves
    before the end leaves nothing behind.
    """
    if data is None:
        raise TypeError("upload_copy() takes request.stream, and that needs a route with stream=True")
    if header not in (True, False, "skip"):
        raise ValueError(f"header is True, False or 'skip', not {header!r}")
    if null == "\\.":
        raise ValueError("null cannot be \\., which is the end mark of COPY")
    options: dict[str, Any] = {"format": format, "delimiter": delimiter, "null": null, "schema_name": schema}
    body = _Body(data)
    names: list[str] = []
    if format == "csv":
        options["header"] = bool(header)
        if header is True:
            names, body.first = await read_names(body.pieces, delimiter or ",")
            if columns is not None:
                match_names(names, columns)
    try:
        async with leased(source, wait, given=True, uploaded=True) as connection:
            if names and columns is None:
                match_names(names, await _columns(connection, table, schema))
            options["columns"] = names or columns
            return await copy_from(connection, table, body.checked(format, delimiter), options)
    except ServiceUnavailable as error:
        if body.error is not None and error.__cause__ is body.error:  # it was not the database that failed
            raise body.error from None
        raise


class _Body:
    """An upload, and what its source raised."""

    __slots__ = ("error", "first", "pieces")

    def __init__(self, data: AsyncIterable[bytes]) -> None:
        self.pieces: AsyncIterator[bytes] = aiter(data)
        self.first = b""  # what was read before
        self.error: Exception | None = None

    async def checked(self, format: str, delimiter: str | None) -> AsyncGenerator[bytes, None]:
        """The pieces to send, in which no end mark hides rows."""
        marks = CsvEndMarks(delimiter or ",") if format == "csv" else TextEndMarks() if format == "text" else None
        async for piece in self._all():
            data = marks.feed(piece) if marks is not None else piece
            if data:
                yield data
        if marks is not None and (data := marks.end()):
            yield data

    async def _all(self) -> AsyncGenerator[bytes, None]:
        if self.first:
            yield self.first
        try:
            async for piece in self.pieces:
                yield bytes(piece)
        except Exception as error:
            self.error = error
            raise


async def _columns(connection: Connection, table: str, schema: str | None) -> list[str]:
    name = ".".join(_quoted(part) for part in (schema, table) if part is not None)
    found = await connection.prepare(_COLUMNS, name="")
    return [row[0] for row in await found.fetch(name)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
