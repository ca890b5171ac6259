"""Values as bytes: data that is written, JSON, and rows of CSV.

A row may be a sequence, a mapping or a record of a database; nothing here knows where it goes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from math import isfinite
from typing import Any, Literal
from uuid import UUID

from sanicish.context import current_request
from sanicish.response.database_text import database_text, is_record

__all__ = [
    "CsvLines",
    "JsonItems",
    "app_dumps",
    "encode",
    "encode_csv",
    "encode_json",
    "json_dumps",
    "json_of_anything",
]

_PLAIN = frozenset({str, int, float, type(None), bool})  # cells that the csv module writes as they should be


def encode(data: Any) -> bytes:
    """Data as bytes: bytes-like as it is, text as UTF-8, numbers as text; ``TypeError`` for anything else."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytearray | memoryview):
        return bytes(data)  # a copy: the caller may use its buffer again
    if isinstance(data, int | float | Decimal):
        return str(data).encode()
    hint = ": use json() or write_json()" if isinstance(data, dict | list | tuple) else ""
    raise TypeError(f"a body is made of str, bytes-like or numbers, not of {type(data).__name__}{hint}")


# JSON

# json.dumps() makes an encoder for every call, and JSONEncoder.encode() the part of it that is written in C. NaN and
# infinities are no JSON (RFC 8259 section 6).
_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_pieces = c_make_encoder(None, _encoder.default, encode_basestring_ascii, None, ":", ",", False, False, False)


def _compact(value: Any) -> str:
    try:
        return "".join(_pieces(value, 0))
    except RecursionError:  # a value that holds itself: the other encoder looks for those, and says so
        return _encoder.encode(value)


def json_dumps(value: Any, **options: Any) -> str:
    """JSON without blanks.

    Raises ``ValueError`` for NaN and infinities, unless the setting ``JSON_NAN`` of the application is ``"null"``.
    """
    encode = partial(json.dumps, **{"separators": (",", ":"), "allow_nan": False, **options}) if options else _compact
    try:
        return encode(value)
    except ValueError as error:
        return _without_nan(error, encode, value, options.get("default"))


def app_dumps() -> Callable[..., Any]:
    """The ``dumps`` of the application that answers now, ours if it has none."""
    request = current_request.get(None)
    return (getattr(request.app, "dumps", None) if request is not None else None) or json_dumps


def encode_json(value: Any, dumps: Callable[[Any], Any] | None = None) -> bytes:
    """A row as JSON: a record as an object; times in ISO 8601, and other types of databases, as text.

    ``dumps`` makes text or bytes of the row instead. Of NaN and infinities the same is true as for ``json_dumps``.
    """
    if dumps is not None:
        text = dumps(value)
        return text.encode() if isinstance(text, str) else bytes(text)
    try:
        return _rows(value).encode()
    except ValueError as error:
        return _without_nan(error, _rows, value, _plain).encode()


_any = json.JSONEncoder(default=str, allow_nan=False).encode


def json_of_anything(value: Any) -> str:
    """JSON for an error page: what JSON does not know is text, and NaN is null."""
    try:
        return _any(value)
    except ValueError:
        return _any(_finite(value, str))


def _without_nan(
    error: ValueError, encode: Callable[[Any], str], value: Any, plain: Callable[[Any], Any] | None
) -> str:
    """What ``encode``, which raised an error, makes of a value without NaN and infinities, if that is allowed.

    ``plain`` makes something that JSON knows of what it does not know.
    """
    if "float" not in str(error):  # a value that contains itself
        raise error
    request = current_request.get(None)
    if request is not None and str(request.app.config.get("JSON_NAN")).lower() == "null":
        return encode(_finite(value, plain))
    raise ValueError('JSON has neither NaN nor infinities; the setting JSON_NAN = "null" writes null') from error


def _finite(value: Any, plain: Callable[[Any], Any] | None) -> Any:
    """A value with ``None`` in place of each NaN and infinity."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item, plain) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, plain) for item in value]
    if value is None or plain is None or isinstance(value, str | int):
        return value
    return _finite(plain(value), plain)


_TEXT = (UUID, IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)
_JSON = frozenset({str, int, float, bool, type(None), dict})  # what a column holds mostly, and JSON can say as it is


def _plain(value: Any) -> Any:
    """What JSON can say of a value of a database."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + value.hex()
    if is_record(value):
        return {name: item if type(item) in _JSON else _column(item) for name, item in value.items()}
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return dict(value.items())
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, _TEXT):
        return str(value)
    text = database_text(value)
    if text is None:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return text


def _column(value: Any) -> Any:
    """A value of a record; those of geometric types are tuples, which would become arrays."""
    if isinstance(value, list):
        return [item if type(item) in _JSON else _column(item) for item in value]
    return (database_text(value) or value) if isinstance(value, tuple) else value


_rows = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False).encode


class JsonItems:
    """Encodes values as members of one JSON array, a comma before each but the first."""

    __slots__ = ("_dumps", "_separator")

    def __init__(self, dumps: Callable[[Any], Any] | None = None) -> None:
        self._dumps = dumps
        self._separator = b""

    def __call__(self, value: Any) -> bytes:
        """One member."""
        member = self._separator + encode_json(value, self._dumps)
        self._separator = b",\n"
        return member


# CSV


class _Line:
    """A file that keeps the one line written to it."""

    __slots__ = ("text",)

    def write(self, text: str) -> None:
        self.text = text


class CsvLines:
    """Encodes rows as lines of CSV after RFC 4180, whatever is in their cells.

    ``header`` names the columns; ``None`` lets the first row tell them, if it has names, and ``False`` wants none. The
    cells of mappings stand in the order of the columns. ``first`` is the line to send before all rows. With
    ``escape_formulas`` no text begins as a formula of a spreadsheet.
    """

    __slots__ = ("_columns", "_escape_formulas", "_line", "_writer", "first")

    def __init__(
        self,
        delimiter: str = ",",
        header: Iterable[str] | Literal[False] | None = None,
        escape_formulas: bool = False,
    ) -> None:
        self._line = _Line()
        self._escape_formulas = escape_formulas
        self._writer = csv.writer(self._line, delimiter=delimiter)
        self._columns = [] if header is False else None if header is None else list(header)
        self.first = self.line(self._columns) if self._columns else b""

    def __call__(self, row: Any) -> bytes:
        """One line, or two when this row has to tell the header."""
        if self._columns is None:
            self._columns = list(row.keys()) if hasattr(row, "keys") else []
            return (self.line(self._columns) if self._columns else b"") + self(row)
        if isinstance(row, list | tuple):
            return self.line(row)
        if isinstance(row, Mapping):
            row = [row.get(name) for name in self._columns] if self._columns else row.values()
        elif isinstance(row, str | bytes | bytearray):
            raise TypeError(f"a row is a sequence, a mapping or a record, not {type(row).__name__}")
        return self.line(row)

    def line(self, cells: Iterable[Any]) -> bytes:
        """A line with these cells."""
        if self._escape_formulas:
            cells = [_harmless(cell) for cell in cells]
        self._writer.writerow([cell if type(cell) in _PLAIN else _cell(cell) for cell in cells])
        return self._line.text.encode()


def _cell(value: Any) -> Any:
    """A cell as a reader of CSV expects it."""
    if type(value) is Decimal:
        digits = str(value)
        return digits if "E" not in digits else format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + value.hex()
    text = database_text(value)
    if text is not None:
        return text
    if isinstance(value, dict | list | tuple):
        return encode_json(_column(value)).decode()
    return value


_FORMULA = frozenset("=+-@\t\n\r\uff1d\uff0b\uff0d\uff20")  # the last four are full-width


def _harmless(cell: Any) -> Any:
    """A cell that no spreadsheet runs as a formula; numbers are none."""
    if cell is None or isinstance(cell, int | float | Decimal):
        return cell
    text = cell if isinstance(cell, str) else str(_cell(cell))
    return f"'{text}" if text[:1] in _FORMULA else text


def encode_csv(cells: Any) -> bytes:
    """A row as one line of CSV."""
    return CsvLines(header=False)(cells)
