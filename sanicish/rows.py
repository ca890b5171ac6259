"""Rows become a response: CSV, one JSON value a line, or one JSON array, from any iterable, sync or async.

Rows that come together are sent together; how one row is written stands in ``formats``.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from sanicish.bodies import Body
from sanicish.files import content_disposition
from sanicish.formats import CsvLines, JsonItems, app_dumps, encode_json, json_dumps
from sanicish.response import StreamingHTTPResponse
from sanicish.whole import HeaderMap

__all__ = ["csv", "json_array", "ndjson"]

Dumps = Callable[[Any], Any]


def csv(
    rows: Any,
    header: Iterable[str] | Literal[False] | None = None,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "text/csv; charset=utf-8",
    *,
    delimiter: str = ",",
    filename: str | None = None,
) -> StreamingHTTPResponse:
    """A response of CSV (RFC 4180): each row a sequence, a mapping or a database's record.

    ``header`` names the columns; without it the first row that has names tells them, and ``False`` sends none. Cells
    may be of any type and are quoted where they must be; ``None`` is empty. ``filename`` makes it a download.
    """
    encode = CsvLines(delimiter, header)
    response = _rows(rows, encode, status, headers, content_type, first=encode.first)
    if filename is not None:
        response.headers["Content-Disposition"] = content_disposition(filename)
    return response


def ndjson(
    rows: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/x-ndjson",
    *,
    dumps: Dumps | None = None,
) -> StreamingHTTPResponse:
    """A response of JSON values, each on a line of its own.

    ``dumps`` makes text or bytes of a row; else ``Sanic(dumps=)`` does, else the library's own, which also takes
    records, times, decimals, UUIDs and bytes.
    """
    chosen = _dumps(dumps)
    return _rows(rows, lambda row: encode_json(row, chosen) + b"\n", status, headers, content_type)


def json_array(
    rows: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/json",
    *,
    dumps: Dumps | None = None,
) -> StreamingHTTPResponse:
    """A response of one JSON array, written member by member; see ``ndjson``."""
    return _rows(rows, JsonItems(_dumps(dumps)), status, headers, content_type, first=b"[", last=b"]\n")


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
    first: bytes = b"",
    last: bytes = b"",
) -> StreamingHTTPResponse:
    if not (hasattr(rows, "__aiter__") or hasattr(rows, "__iter__")):
        raise TypeError(f"rows are an iterable, sync or async, not {type(rows).__name__}")
    body = Body(rows, joined=True, encode=encode, first=first, last=last)
    return StreamingHTTPResponse(body, status, headers, content_type)
