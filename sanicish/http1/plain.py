"""Plain request heads, read the quick way: what nearly every head is, in a few passes over all of it.

A head is plain if it is whole, asks for a path by HTTP/1.1 with a usual method, and says nothing unusual about its
framing. llhttp checks every byte of it, without a callback; the checks that llhttp leaves to us are made on the target
and on the few field lines that decide the framing. Everything else is left to ``parser.py``, which reads any head and
gives the reason where it refuses one; so both read the same bytes the same way, as a property test shows.
"""

import re
from typing import Any, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from sanicish.config import Limits
from sanicish.exchange import RequestHead
from sanicish.http1.fields import Field, read_fields

__all__ = ["BAD_ESCAPE", "END", "HOST", "METHODS", "PlainHeads"]

END = b"\r\n\r\n"
METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE")}
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# RFC 9110 7.2 and RFC 3986 3.2.2, without what no host has: userinfo, sub-delims, percent signs, 8-bit.
HOST = re.compile(rb"(?:[A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")

# The field lines that matter here, of a head in lower case, and the empty lines: a plain head has one, at its end. Of
# credentials only the name is taken. All of it and each choice begin with one literal byte, which ``re`` looks for first.
_MARKS = re.compile(
    rb"\n(?:\r(?=\n)|host:[^\r]*|connection:[^\r]*|content-length:[^\r]*|transfer-encoding:[^\r]*|expect:[^\r]*|cookie:"
    rb"|authorization:|proxy-authorization:)"
)
_EMPTY_LINE = b"\n\r"  # without its own end, with which the next one may begin
_CREDENTIALS = frozenset({b"\ncookie:", b"\nauthorization:", b"\nproxy-authorization:"})
_LONGEST_MARK = 300  # bytes; the longest name of a host has 255
_REMEMBERED = 2_048  # bytes of the largest head that is remembered

_new = tuple.__new__


class PlainHead(RequestHead):
    """A head whose fields are told apart when somebody looks at them; ``self[3]`` is the bytes it was read from."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """Pairs of lower-case name and value, in order, as bytes."""
        known: tuple[Field, ...] | None = self.__dict__.get("fields")
        if known is None:
            raw: Any = self[3]
            known = self.__dict__["fields"] = read_fields(raw)
        return known


class _Framing(NamedTuple):
    """What the marks of a head say."""

    keep_alive: bool
    body_length: int | None
    expect_continue: bool
    last: bool  # llhttp reads no further head after this one
    secret: bool  # the head has credentials


class PlainHeads:
    """Reads the plain heads of one connection.

    What was decided for the last head is kept, for the next one differs in its target and in fields that decide
    nothing, if at all: the last head itself, if it is small and without credentials, and what its marks said.
    """

    __slots__ = ("_fields", "_framing", "_large", "_llhttp", "_marks", "_size", "_target", "head", "pipelined", "raw")

    def __init__(self, limits: Limits) -> None:
        self._fields = limits.fields
        self._size = limits.head
        self._target = limits.target
        self._large = min(limits.head, limits.target, 4 * limits.fields)  # bytes of a head that may be above a limit
        self._llhttp = HttpRequestParser(None)
        self._marks: list[bytes] = []
        self._framing: _Framing | None = None
        self.raw = b""  # the head that is remembered
        self.head: RequestHead | None = None  # and what it says
        self.pipelined = False  # several heads came at once: their ends have to be looked for

    def read(self, raw: bytes) -> RequestHead | None:
        """The head that these bytes are from first to last; ``None`` if it is not plain."""
        marks = _MARKS.findall(raw.lower())
        if marks != self._marks:
            self._framing = _read_marks(marks)
            self._marks = marks if self._framing is not None else []
            if marks.count(_EMPTY_LINE) > 1:
                self.pipelined = True
        framing = self._framing
        if framing is None:
            return None
        try:
            word, target, lines = raw.split(b" ", 2)
            # 10 is LF: llhttp takes a request line without a version. 35 is #, 37 is %, 47 is the slash.
            if lines[:9] != b"HTTP/1.1\r" or target[0] != 47 or 35 in target or 10 in target:
                return None
            method = METHODS[word]
            path, _, query_string = target.decode().partition("?")
        except (ValueError, LookupError):
            return None
        if 37 in target and BAD_ESCAPE.search(target):
            return None
        if len(raw) > self._large and self._too_large(raw, target, lines):
            return None
        keep_alive, body_length, expect_continue, last, secret = framing
        try:
            self._llhttp.feed_data(raw)
        except (HttpParserError, HttpParserUpgrade):  # the latter is none of the former
            self._llhttp = HttpRequestParser(None)
            return None
        if last:
            self._llhttp = HttpRequestParser(None)
        head = _new(
            PlainHead, (method, target, "1.1", raw, keep_alive, body_length, expect_continue, "", path, query_string)
        )
        if not secret and len(raw) <= _REMEMBERED:
            self.raw = raw
            self.head = head
        return head

    def _too_large(self, raw: bytes, target: bytes, lines: bytes) -> bool:
        """Whether the head is, by its bytes, its target or the number of its fields; the last line is an empty one."""
        return len(raw) > self._size or len(target) > self._target or lines.count(b"\n") - 2 > self._fields


def _read_marks(marks: list[bytes]) -> _Framing | None:
    """What they say of the framing; ``None`` if it is not plain, be it wrong or only unusual."""
    if marks.count(_EMPTY_LINE) != 1 or len(max(marks, key=len)) > _LONGEST_MARK:
        return None
    found: dict[bytes, bytes] = {}
    secret = False
    for mark in marks[:-1]:
        if mark in _CREDENTIALS:
            secret = True
            continue
        name, _, value = mark[1:].partition(b":")
        if name in found or b"\n" in value:
            return None
        found[name] = value.strip(b" \t")
    if not HOST.fullmatch(found.get(b"host", b"/")):
        return None
    body_length: int | None = 0
    length, coding = found.get(b"content-length"), found.get(b"transfer-encoding")
    if coding is not None:
        if coding != b"chunked" or length is not None:
            return None
        body_length = None
    elif length is not None:
        if not length.isdigit() or len(length) > 19:
            return None
        body_length = int(length)
    keep_alive = True
    connection = found.get(b"connection")
    if connection is not None:
        tokens = {token.strip(b" \t") for token in connection.split(b",")}
        if b"upgrade" in tokens:
            return None
        keep_alive = b"close" not in tokens
    expect = found.get(b"expect")
    if expect is not None and expect != b"100-continue":
        return None
    expects = expect is not None and body_length != 0
    return _Framing(keep_alive, body_length, expects, not keep_alive or body_length != 0, secret)
