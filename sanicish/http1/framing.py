"""How the body of a response is delimited (RFC 9112 section 6.3): one choice and four ways.

A framing puts what is to be sent into a list and uses nothing of the data but its length, so that anything that
has a length can travel as data.
"""

from sanicish.constants import has_message_body
from sanicish.exceptions import ContentLengthMismatch

__all__ = ["TUNNEL", "Chunked", "FixedLength", "Framing", "NoBody", "UntilClose", "choose_framing"]


class Framing:
    """What all framings share: the field in the head that tells of them, and how data is put on the wire."""

    __slots__ = ()
    field = b""  # the field line of the head
    closes = False  # whether the connection must close to end the body
    bodiless = False  # whether nothing of the body is sent
    trails = False  # whether fields can be sent behind the body

    def frame(self, data: bytes, out: list[bytes]) -> None:
        """Put data into ``out`` as it will stand on the wire."""
        out.append(data)

    def end(self, out: list[bytes], trailers: bytes = b"") -> None:
        """Put what ends the body into ``out``, and field lines behind it where that can be.

        Raises ``ContentLengthMismatch`` if it is too early.
        """


class UntilClose(Framing):
    """The body ends where the connection ends (RFC 9112 6.3, case 8)."""

    __slots__ = ()
    closes = True


class Chunked(Framing):
    """Each piece with its size before it, and an empty one at the end (RFC 9112 7.1)."""

    __slots__ = ()
    field = b"Transfer-Encoding: chunked\r\n"
    trails = True

    def frame(self, data: bytes, out: list[bytes]) -> None:
        """Put data into ``out`` as one chunk; ``data`` must not be empty, for that would be the end."""
        out += (b"%x\r\n" % len(data), data, b"\r\n")

    def end(self, out: list[bytes], trailers: bytes = b"") -> None:
        """Put the last chunk into ``out``, and the trailers (RFC 9112 7.1.2)."""
        out.append(b"0\r\n%b\r\n" % trailers)


class FixedLength(Framing):
    """Exactly as many bytes as were promised, kept to the byte in both directions (RFC 9112 6.2)."""

    __slots__ = ("field", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.field = b"Content-Length: %d\r\n" % length

    def frame(self, data: bytes, out: list[bytes]) -> None:
        """Put data into ``out``; raises ``ContentLengthMismatch`` if it is more than what is left."""
        if len(data) > self.left:
            raise ContentLengthMismatch(f"{len(data)} bytes written where {self.left} are left of Content-Length")
        self.left -= len(data)
        out.append(data)

    def end(self, out: list[bytes], trailers: bytes = b"") -> None:
        """Raises ``ContentLengthMismatch`` if some are missing."""
        if self.left:
            raise ContentLengthMismatch(f"the body ended {self.left} bytes before its Content-Length")


class NoBody(Framing):
    """No body whatever is written: HEAD, 1xx, 204, 304 (RFC 9110 6.4.1)."""

    __slots__ = ("field",)
    bodiless = True

    def __init__(self, field: bytes = b"") -> None:
        self.field = field

    def frame(self, data: bytes, out: list[bytes]) -> None:
        """Drop it."""


TUNNEL = UntilClose()  # behind a switch of protocols (RFC 9110 7.8)
_CHUNKED = Chunked()
_UNTIL_CLOSE = UntilClose()
_NO_BODY = NoBody()
_NO_BODY_CHUNKED = NoBody(Chunked.field)


def choose_framing(method: str, version: str, status: int, length: int | None, chunked: bool | None) -> Framing:
    """The framing of a response, by the first rule that fits.

    ``length`` is what the application promised, ``chunked`` what it asked for: True, False, or ``None`` to let
    the length decide.
    """
    if not has_message_body(status):
        if status == 205:
            return NoBody(b"Content-Length: 0\r\n")  # RFC 9110 15.3.6
        # RFC 9110 8.6: a 304 may tell the length the 200 would have had; a 204 must not.
        return NoBody(b"Content-Length: %d\r\n" % length) if status == 304 and length is not None else _NO_BODY
    if length is not None and not (chunked and version == "1.1"):
        return NoBody(b"Content-Length: %d\r\n" % length) if method == "HEAD" else FixedLength(length)
    if version == "1.1" and chunked is not False:
        return _NO_BODY_CHUNKED if method == "HEAD" else _CHUNKED
    return _NO_BODY if method == "HEAD" else _UNTIL_CLOSE
