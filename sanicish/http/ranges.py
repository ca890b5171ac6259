"""Which bytes a client wants (RFC 9110 section 14): arithmetic, and the parts of a response with several ranges."""

import re
from typing import NamedTuple

__all__ = ["Span", "content_range", "multipart_pieces", "parse_ranges", "position"]

_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_MOST = 64  # ranges in one request; more of them are an attack, or a client that wants the whole


class Span(NamedTuple):
    """Bytes from ``start`` up to, and not with, ``stop``."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def parse_ranges(text: str, size: int) -> list[Span] | None:
    """The bytes that a ``Range`` field wants of ``size``; empty if none of them exists (416).

    ``None`` if the field is to be ignored: another unit, no range set, or more than is reasonable (14.2).
    """
    unit, equals, specs = text.partition("=")
    if not equals or unit.strip(" \t").lower() != "bytes":
        return None
    spans: list[Span] = []
    count = 0
    for one in specs.split(","):
        spec = one.strip(" \t")
        if not spec:
            continue
        count += 1
        match = _SPEC.fullmatch(spec)
        if match is None or count > _MOST:
            return None
        first, last = (position(digits) if digits else None for digits in match.groups())
        if first is None and last is None:
            return None
        if first is None:
            start, stop = max(0, size - (last or 0)), size
        else:
            if last is not None and last < first:
                return None
            start, stop = first, size if last is None else min(last + 1, size)
        if start < stop:
            spans.append(Span(start, stop))
    if not count or (len(spans) > 1 and sum(span.size for span in spans) > size):
        return None  # nothing, or the same bytes again and again
    return spans


def position(digits: str) -> int:
    """A number of bytes; one beyond every file needs no more digits, and Python would not read thousands."""
    return int(digits.lstrip("0")[:20] or "0")


def content_range(span: Span, size: int) -> str:
    """The ``Content-Range`` of some bytes."""
    return f"bytes {span.start}-{span.stop - 1}/{size}"


def multipart_pieces(spans: list[Span], size: int, content_type: str, boundary: str) -> tuple[list[bytes], bytes, int]:
    """The bytes before each range in a multipart/byteranges body, those behind the last, and the length of it all.

    It begins with an empty line, as it does from nginx and Apache: zsync 0.6.2 reads no other (RFC 2046 5.1.1 allows both).
    """
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range(span, size)}\r\n\r\n".encode()
        for span in spans
    ]
    end = f"\r\n--{boundary}--\r\n".encode()
    return heads, end, sum(map(len, heads)) + sum(span.size for span in spans) + len(end)
