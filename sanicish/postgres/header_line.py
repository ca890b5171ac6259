"""The first line of an upload of CSV: which column of the table each field belongs to."""

import csv
import io
from collections.abc import AsyncIterator, Sequence

from sanicish.exceptions import BadRequest

__all__ = ["match_names", "read_names"]

_MOST = 262_144  # bytes: 1 600 columns, the most that a table has, with names of 63 bytes and quotes
_MARK = b"\xef\xbb\xbf"  # of UTF-8, as spreadsheets write it


async def read_names(pieces: AsyncIterator[bytes], delimiter: str) -> tuple[list[str], bytes]:
    """The names in the first line, and the bytes that were read to know them, among them the line itself.

    A line break within quotes does not end the line. Raises ``BadRequest`` (400) if there is no line, or if it cannot
    be read.
    """
    data = bytearray()
    looked, in_quotes = 0, False
    async for piece in pieces:
        data += piece
        while (end := _line_end(data, looked)) >= 0:
            in_quotes ^= bool(data.count(b'"', looked, end) & 1)
            looked = end + 1
            if not in_quotes:
                return _names(bytes(data[:end]), delimiter), bytes(data)
        in_quotes ^= bool(data.count(b'"', looked) & 1)
        looked = len(data)
        if looked > _MOST:
            raise BadRequest(f"the first line is longer than {_MOST} bytes; it has to name the columns")
    return _names(bytes(data), delimiter), bytes(data)


def _line_end(data: bytearray, start: int) -> int:
    ends = [end for end in (data.find(b"\n", start), data.find(b"\r", start)) if end >= 0]
    return min(ends, default=-1)


def _names(line: bytes, delimiter: str) -> list[str]:
    try:
        text = line.removeprefix(_MARK).decode()
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"the first line cannot be read: {error}") from error
    if not names:
        raise BadRequest("there is no first line; it has to name the columns")
    return names


def match_names(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise ``BadRequest`` (400) unless these are the wanted names, each once, in whatever order."""
    for words, wrong in (
        ("columns named twice", [name for name in wanted if names.count(name) > 1]),
        ("unknown columns", [name for name in names if name not in wanted]),
        ("missing columns", [name for name in wanted if name not in names]),
    ):
        if wrong:
            raise BadRequest(f"{words} in the first line: {', '.join(map(repr, wrong))}")
