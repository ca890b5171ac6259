"""Values as bytes: data that is written, JSON, and rows of CSV.

A row may be a sequence, a mapping or a record of a database; nothing here knows where it goes.
"""

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Literal
from uuid import UUID

from sanicish.context import current_request

__all__ = ["CsvLines", "JsonItems", "app_dumps", "encode", "encode_csv", "encode_json", "json_dumps"]

_PLAIN = frozenset({str, int, float, type(None), Decimal, bool})  # cells that the csv module writes as they should be


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

_compact = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps() makes an encoder for every call


def json_dumps(value: Any, **options: Any) -> str:
    """JSON without blanks."""
    if not options:
        return _compact(value)
    return json.dumps(value, separators=(",", ":"), **options)


def app_dumps() -> Callable[..., Any]:
    """The ``dumps`` of the application that answers now, ours if it has none."""
    request = current_request.get(None)
    return (getattr(request.app, "dumps", None) if request is not None else None) or json_dumps


def encode_json(value: Any, dumps: Callable[[Any], Any] | None = None) -> bytes:
    """A row as JSON: a record as an object, times in ISO 8601, decimals and UUIDs as text, bytes in hexadecimal.

    ``dumps`` makes text or bytes of the row instead.
    """
    text = (dumps or _encoder.encode)(value)
    return text.encode() if isinstance(text, str) else bytes(text)


_TEXT = (Decimal, UUID, timedelta, IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)


def _plain(value: Any) -> Any:
    """What JSON can say of a value of a database."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, Mapping) or hasattr(value, "keys"):
        return dict(value.items())
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, _TEXT):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_encoder = json.JSONEncoder(separators=(",", ":"), default=_plain)


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
    cells of mappings stand in the order of the columns. ``first`` is the line to send before all rows.
    """

    __slots__ = ("_columns", "_line", "_writer", "first")

    def __init__(self, delimiter: str = ",", header: Iterable[str] | Literal[False] | None = None) -> None:
        self._line = _Line()
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
        self._writer.writerow([cell if type(cell) in _PLAIN else _cell(cell) for cell in cells])
        return self._line.text.encode()


def _cell(value: Any) -> Any:
    """A cell as a reader of CSV expects it."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, dict | list | tuple):
        return encode_json(value).decode()
    return value


def encode_csv(cells: Any) -> bytes:
    """A row as one line of CSV."""
    return CsvLines(header=False)(cells)
