"""A chunked body to its content (RFC 9112 section 7.1), as strict as the grammar and a little stricter.

It is decoded here and not by httptools, for only so is it known where it ends, and large chunks pass uncopied but
once. It never knows what the content is for.
"""

import re

from sanicish.exceptions import BadRequest
from sanicish.headers import NOT_FOR_TRAILERS
from sanicish.http1.fields import Field, read_field

__all__ = ["ChunkedBody"]

_FRAMING = 16_384  # bytes of extensions or trailers in a row; and see ``_check``

# How nearly every chunk begins, told by one match: the end of the one before it, and a size without extensions.
_PLAIN = re.compile(rb"\r\n([0-9A-Fa-f]{1,15})\r\n")
# Sizes of more digits are no honest ones. Extensions mean nothing to us (RFC 9112 7.1.1), but must be told from garbage
# that another server may read as something else.
_SIZE = re.compile(rb"0*([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")

_NO_TRAILER = frozenset(name.encode() for name in NOT_FOR_TRAILERS)
_FRAMED = frozenset((b"content-length", b"transfer-encoding"))  # whoever sends these at the end wants two readings


class ChunkedBody:
    """One body: ``feed`` until it has ``ended``; ``trailers`` are what was sent behind it and may be there."""

    __slots__ = (
        "_content",
        "_dry",
        "_framing",
        "_in_trailers",
        "_left",
        "_line",
        "_most",
        "_padded",
        "ended",
        "trailers",
    )

    def __init__(self, most_trailers: int) -> None:
        self._most = most_trailers
        self._left = 0  # bytes of the open chunk that have not come
        self._padded = False  # an empty line has to come, behind the data of a chunk
        self._line = b""  # the line that is being read, as far as it arrived
        self._in_trailers = False
        self._content = 0  # bytes so far, and the bytes around them
        self._framing = 0
        self._dry = 0  # bytes around since the last content
        self.ended = False
        self.trailers: list[Field] | None = None

    def feed(self, data: bytes, pos: int, pieces: list[bytes]) -> int:
        """Read on from ``pos``, at most to the end of the body, and put content into ``pieces``; where it stopped.

        Raises ``BadRequest``; what was whole before is among the pieces then.
        """
        size = len(data)
        while pos < size and not self.ended:
            pos = self._pass_on(data, pos, pieces) if self._left else self._read_line(data, pos)
        return pos

    def _pass_on(self, data: bytes, pos: int, pieces: list[bytes]) -> int:
        """Put the rest of the open chunk into ``pieces``, and the chunks behind it as long as they begin plainly."""
        size, left, content, framing = len(data), self._left, self._content, self._framing
        dry = 0
        padded = False
        while left and pos < size:
            end = pos + left
            if end > size:
                pieces.append(data[pos:])
                content += size - pos
                left, pos, dry = end - size, size, 0
                break
            pieces.append(data[pos:end])
            content += left
            pos = end
            plain = _PLAIN.match(data, end)
            if plain is None:
                left, dry, padded = 0, 0, True
                break
            pos = plain.end()
            dry = pos - end
            framing += dry
            if framing > _FRAMING + 16 * content:
                raise _outweighed()
            left = int(plain[1], 16)
            self._in_trailers = not left
        self._left, self._content, self._framing = left, content, framing
        self._dry, self._padded = dry, padded
        return pos

    def _read_line(self, data: bytes, pos: int) -> int:
        end = data.find(b"\n", pos, pos + _FRAMING) + 1
        if not end:
            rest = data[pos : pos + _FRAMING + 1]
            self._line += rest
            self._count(len(rest))
            return pos + len(rest)
        line = self._line + data[pos:end]
        self._line = b""
        self._count(end - pos)
        if not line.endswith(b"\r\n"):
            raise BadRequest("a line of the chunked body does not end by CR and LF")
        self._take(line[:-2])
        return end

    def _take(self, line: bytes) -> None:
        """A line without its end."""
        if self._padded:
            if line:
                raise BadRequest("a chunk is longer than its size")
            self._padded = False
        elif not self._in_trailers:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise BadRequest("the size of a chunk is not a hexadecimal number")
            self._left = int(size[1], 16)
            self._in_trailers = not self._left
        elif line:
            self._add_trailer(line)
        else:
            self.ended = True

    def _add_trailer(self, line: bytes) -> None:
        name, value = read_field(line)
        if name in _FRAMED:
            raise BadRequest("the framing of the body is told again behind it")
        if self.trailers is None:
            self.trailers = []
        if name not in _NO_TRAILER and len(self.trailers) < self._most:
            self.trailers.append((name, value))

    def _count(self, framing: int) -> None:
        """Extensions, zeros before sizes and trailers are not content, and would else have no limit."""
        self._framing += framing
        self._dry += framing
        if self._dry > _FRAMING or self._framing > _FRAMING + 16 * self._content:
            raise _outweighed()


def _outweighed() -> BadRequest:
    return BadRequest("the framing of the chunked body outweighs the body")
