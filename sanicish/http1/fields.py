"""Field lines to names and values (RFC 9112 section 5)."""

import re

from sanicish.exceptions import BadRequest
from sanicish.grammar import RECEIVED_VALUE, TOKEN

__all__ = ["Field", "read_field", "read_fields"]

Field = tuple[bytes, bytes]

_LINE = re.compile(rf"({TOKEN}):[ \t]*({RECEIVED_VALUE})".encode())


def read_field(line: bytes) -> Field:
    """Name, in lower case, and value of a line without its end; raises ``BadRequest`` if it is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRequest("a trailer is not a header field")
    return match[1].lower(), match[2].rstrip(b" \t")


def read_fields(head: bytes) -> tuple[Field, ...]:
    """Names, in lower case, and values of a whole head that has one field at least and was found good."""
    lines = head[head.index(b"\n") + 1 : -4].split(b"\r\n")
    return tuple([(name.lower(), value.strip(b" \t")) for name, _, value in [line.partition(b":") for line in lines]])
