"""Rows become a response: CSV, one JSON value a line, or one JSON array, from any iterable, sync or async.

Rows that come together are sent together; how one row is written stands in ``formats``.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

from sanicish.http.media import content_disposition
from sanicish.response import StreamingHTTPResponse
from sanicish.response.complete import HeaderMap
from sanicish.response.formats import CsvLines, JsonItems, app_dumps, encode_json, json_dumps
from sanicish.response.iterables import Body, Writable

__all__ = ["End", "csv", "json_array", "ndjson", "row_response"]

Dumps = Callable[[Any], Any]
End = Literal["line", "count", "digest"]


def csv(
    rows: Any,
    header: Iterable[str] | Literal[False] | None = None,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "text/csv; charset=utf-8",
    *,
    delimiter: str = ",",
    filename: str | None = None,
    escape_formulas: bool = False,
    end: End | None = None,
) -> StreamingHTTPResponse:
    """A response of CSV (RFC 4180): each row a sequence, a mapping or a database's record.

    ``header`` names the columns; without it the first row that has names provides them, and ``False`` sends none.
    Cells may be of any type and are quoted where they must be; ``None`` is empty. ``filename`` makes it a download.
    ``escape_formulas`` puts an apostrophe before each text that a spreadsheet would run as a formula. ``end`` is
    ``"count"`` or ``"digest"``, see ``ndjson``.
    """
    encode = CsvLines(delimiter, header, escape_formulas)
    return _rows(rows, encode, status, headers, content_type, end, first=encode.first, filename=filename)


def ndjson(
    rows: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/x-ndjson",
    *,
    dumps: Dumps | None = None,
    end: End | None = None,
) -> StreamingHTTPResponse:
    """A response of JSON values, each on a line of its own.

    ``dumps`` makes text or bytes of a row; else ``Sanic(dumps=)`` does, else the library's own, which also takes
    records, times, decimals, UUIDs and bytes.

    ``end`` says how a client can tell that all rows have arrived, even behind a proxy that hides a cut: ``"line"`` is a
    last line ``{"end":{"rows":3}}``, ``"count"`` a trailer ``Row-Count``, ``"digest"`` a trailer ``Content-Digest``
    (RFC 9530), SHA-256. Trailers are sent to clients that ask for them by ``TE: trailers``.
    """
    chosen = _dumps(dumps)
    return _rows(rows, lambda row: encode_json(row, chosen) + b"\n", status, headers, content_type, end, lines=True)


def json_array(
    rows: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/json",
    *,
    dumps: Dumps | None = None,
    end: End | None = None,
) -> StreamingHTTPResponse:
    """A response of one JSON array, written member by member; see ``ndjson``. ``end`` is ``"count"`` or ``"digest"``."""
    return _rows(rows, JsonItems(_dumps(dumps)), status, headers, content_type, end, first=b"[", last=b"]\n")


def _dumps(dumps: Dumps | None) -> Dumps | None:
    """The function to write rows with; ``None`` is our own."""
    chosen = dumps or app_dumps()
    return None if chosen is json_dumps else chosen


def _rows(
    rows: Any,
    encode: Callable[[Any], bytes],
    status: int,
    headers: HeaderMap,
    content_type: str,
    end: End | None,
    *,
    first: bytes = b"",
    last: bytes = b"",
    lines: bool = False,
    filename: str | None = None,
) -> StreamingHTTPResponse:
    if not (hasattr(rows, "__aiter__") or hasattr(rows, "__iter__")):
        raise TypeError(f"rows are an iterable, sync or async, not {type(rows).__name__}")
    counted = _Counted(encode)
    body = Body(rows, joined=True, encode=encode if end is None else counted, first=first, last=last)

    async def write_rows(response: Writable) -> int:
        await body(response)
        return counted.rows

    return row_response(
        write_rows, status, headers, content_type, end=end, lines=lines, filename=filename, close=body.close
    )


class _Counted:
    """Encodes rows, and counts them."""

    __slots__ = ("_encode", "rows")

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode
        self.rows = 0

    def __call__(self, row: Any) -> bytes:
        self.rows += 1
        return self._encode(row)


def row_response(
    write_rows: Callable[[Writable], Awaitable[int]],
    status: int,
    headers: HeaderMap,
    content_type: str,
    *,
    end: End | None,
    lines: bool,
    filename: str | None,
    close: Callable[[], Awaitable[None]] | None = None,
) -> StreamingHTTPResponse:
    """A response that ``write_rows`` writes, which gives their number; ``lines`` says that they are NDJSON.

    ``close`` is called instead if nothing is to be written.
    """
    if end not in (None, "line", "count", "digest"):
        raise ValueError(f"end is line, count or digest, not {end!r}")
    if end == "line" and not lines:
        raise ValueError("only NDJSON can have a last line that is no row: end='count' and end='digest' are trailers")
    response = StreamingHTTPResponse(_Rows(write_rows, end, close), status, headers, content_type)
    # nginx would take rows as fast as they are made, whatever the client does, and keep what it has when they are cut.
    if "x-accel-buffering" not in response.headers:
        response.headers["X-Accel-Buffering"] = "no"
    if filename is not None:
        response.headers["Content-Disposition"] = content_disposition(filename)
    return response


class _Rows:
    """Writes rows, and says at the end that these were all."""

    __slots__ = ("_close", "_end", "_write_rows")

    def __init__(
        self,
        write_rows: Callable[[Writable], Awaitable[int]],
        end: End | None,
        close: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._write_rows = write_rows
        self._end = end
        self._close = close

    async def __call__(self, response: StreamingHTTPResponse) -> None:
        if self._end is None:
            await self._write_rows(response)
        elif self._end == "line":
            count = await self._write_rows(response)
            await response.write(b'{"end":{"rows":%d}}\n' % count)
        elif self._end == "count":
            response.trailers["Row-Count"] = ""  # announced
            response.trailers["Row-Count"] = await self._write_rows(response)
        elif response.takes_trailers:
            response.trailers["Content-Digest"] = ""
            digested = _Digested(response)
            await self._write_rows(digested)
            response.trailers["Content-Digest"] = digested.field
        else:
            await self._write_rows(response)

    async def close(self) -> None:
        """Close the source of the rows without having asked it for anything."""
        if self._close is not None:
            await self._close()


class _Digested:
    """Passes on what is written to a response, and makes a digest of it."""

    __slots__ = ("_hash", "_response")

    def __init__(self, response: StreamingHTTPResponse) -> None:
        self._response = response
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> Awaitable[None]:
        self._hash.update(data)
        return self._response.write(data)

    @property
    def field(self) -> str:
        """The value of ``Content-Digest`` (RFC 9530 section 2)."""
        return f"sha-256=:{base64.b64encode(self._hash.digest()).decode()}:"
