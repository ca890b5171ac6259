"""The end mark of ``COPY``, a line that is ``\\.``: an upload must not end there without a word.

PostgreSQL takes everything behind it for no data, in CSV before version 18 and in text format in every version. Both
classes are fed the pieces of an upload, which may be split anywhere; neither knows columns or connections.
"""

import re

from sanicish.exceptions import BadRequest

__all__ = ["CsvEndMarks", "TextEndMarks"]

_ALONE = re.compile(rb"(?:\A|(?<=[\r\n]))\\\.(?=[\r\n])")
_UNESCAPED = re.compile(rb"(?<!\\)((?:\\\\)*)\\\.")
_LINE_END = re.compile(rb"\r?\n?")


def _ends_line(data: bytes, end: int) -> bool:
    """Whether the byte before ``end`` is a line break, and not one that a backslash makes part of a value."""
    before = data[: end - 1]
    return data[end - 1] in b"\n\r" and not (len(before) - len(before.rstrip(b"\\"))) & 1


class CsvEndMarks:
    """Quotes each line of CSV that is an end mark, so that every version takes it for the data that it is."""

    __slots__ = ("_at_line_start", "_held", "_in_quotes", "_quoted")

    def __init__(self, delimiter: str = ",") -> None:
        # With one of these delimiters the two characters are two fields.
        self._quoted = {".": b'"\\".', "\\": b'\\"."'}.get(delimiter, b'"\\."')
        self._in_quotes = False
        self._at_line_start = True
        self._held = b""  # what may be the beginning of a mark

    def feed(self, piece: bytes) -> bytes:
        """The next bytes to send; some may be held back until more is known."""
        data = self._held + piece if self._held else piece
        self._held = b"\\." if data.endswith(b"\\.") else b"\\" if data.endswith(b"\\") else b""
        end = len(data) - len(self._held)
        sent, counted = 0, 0
        pieces = []
        if b"\\." in data:
            for found in _ALONE.finditer(data):
                start = found.start()
                self._in_quotes ^= bool(data.count(b'"', counted, start) & 1)
                counted = start
                if not self._in_quotes and (start or self._at_line_start):
                    pieces += [data[sent:start], self._quoted]
                    sent = found.end()
        self._in_quotes ^= bool(data.count(b'"', counted, end) & 1)
        if end:
            self._at_line_start = data[end - 1] in b"\n\r"
        return b"".join([*pieces, data[sent:end]]) if pieces else data[:end]

    def end(self) -> bytes:
        """What was held back, at the end of the upload."""
        return self._quoted if self._held == b"\\." and self._at_line_start and not self._in_quotes else self._held


class TextEndMarks:
    """Refuses text in which an end mark stands where the upload does not end."""

    __slots__ = ("_at_line_start", "_behind", "_escaped", "_lines")

    def __init__(self) -> None:
        self._lines = 1  # the number of this one
        self._at_line_start = True  # before the backslash, if there is one
        self._escaped = False  # a backslash is the last byte, and belongs to the next one
        self._behind: bytes | None = None  # what stands behind the mark, once there was one

    def feed(self, piece: bytes) -> bytes:
        """The bytes to send, unchanged; raises ``BadRequest`` (400) with the line if rows would be lost."""
        data = b"\\" + piece if self._escaped else piece
        if self._behind is not None:
            self._look_behind(piece)
        elif b"\\." in data and (found := _UNESCAPED.search(data)):
            start = found.start()
            self._lines += data.count(b"\n", 0, start)
            if found[1] or not (_ends_line(data, start) if start else self._at_line_start):
                raise BadRequest(f"the end mark \\. does not stand alone (line {self._lines})")
            self._behind = b""
            self._look_behind(data[found.end() :])
        elif data:
            self._lines += data.count(b"\n")
            backslashes = len(data) - len(data.rstrip(b"\\")) if data.endswith(b"\\") else 0
            if backslashes < len(data):
                self._at_line_start = _ends_line(data, len(data) - backslashes)
            self._at_line_start = self._at_line_start and backslashes < 2
            self._escaped = bool(backslashes & 1)
        return piece

    def _look_behind(self, data: bytes) -> None:
        self._behind = (self._behind or b"") + data[:3]
        if not _LINE_END.fullmatch(self._behind):
            raise BadRequest(f"there is data behind the end mark \\. (line {self._lines})")

    def end(self) -> bytes:
        """Nothing: text is never held back."""
        return b""
