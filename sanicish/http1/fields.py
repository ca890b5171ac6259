"""One field line to its name and value (RFC 9112 section 5)."""

import re

from sanicish.exceptions import BadRequest
from sanicish.grammar import RECEIVED_VALUE, TOKEN

__all__ = ["Field", "read_field"]

Field = tuple[bytes, bytes]

_LINE = re.compile(rf"({TOKEN}):[ \t]*({RECEIVED_VALUE})".encode())


def read_field(line: bytes) -> Field:
    """Name, in lower case, and value of a line without its end; raises ``BadRequest`` if it is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRequest("a trailer is not a header field")
    return match[1].lower(), match[2].rstrip(b" \t")
