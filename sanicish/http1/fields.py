"""One field line to its name and value (RFC 9112 section 5)."""

import re

from sanicish.exceptions import BadRequest

__all__ = ["Field", "read_field"]

Field = tuple[bytes, bytes]

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")


def read_field(line: bytes) -> Field:
    """Name, in lower case, and value of a line without its end; raises ``BadRequest`` if it is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadRequest("a trailer is not a header field")
    return match[1].lower(), match[2].rstrip(b" \t")
