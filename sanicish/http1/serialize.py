"""A response head as bytes (RFC 9112 sections 4 and 5)."""

from collections.abc import Callable
from email.utils import formatdate
from time import time

from sanicish.constants import STATUS_CODES, is_interim, reason
from sanicish.exceptions import ResponseError
from sanicish.headers import Headers

__all__ = ["DateField", "serialize_fields", "serialize_head", "serialize_interim", "serialize_response", "status_line"]

# Final ones only: a 1xx announces another answer, and would leave the client waiting for it (RFC 9110 15.2).
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in STATUS_CODES.items() if status >= 200
}

# What these say is the server's to say: it is derived from the framing, never copied from the application.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


_OPENINGS: dict[tuple[int, str | None], bytes] = {}  # status line and Content-Type, as answers repeat them
_MOST_OPENINGS = 256


class DateField:
    """The Date field of this second (RFC 9110 6.6.1), made again only when the second has passed."""

    __slots__ = ("_line", "_now", "_second")

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now  # seconds since the epoch
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """The field line of now."""
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line


def status_line(status: int) -> bytes:
    """The first line of a response; the version is the highest the server speaks (RFC 9110 2.5).

    Raises ``ResponseError`` if the status is not that of a response.
    """
    line = _STATUS_LINES.get(status)
    if line is None:
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise ResponseError(f"not the status of a response: {status!r}")
        line = b"HTTP/1.1 %d Unknown\r\n" % status
    return line


def serialize_head(
    status: int,
    headers: Headers | None,
    content_type: str | None,
    framing_field: bytes,
    date_line: bytes,
    connection_line: bytes,
) -> bytes:
    """The head of a response, ready to be sent, the empty line included.

    A ``Content-Type`` or ``Date`` among ``headers`` comes before the ones given apart. Raises ``ResponseError`` if
    the status is not that of a response.
    """
    if not headers:
        opening = _OPENINGS.get((status, content_type)) or _opening(status, content_type)
        return b"%b%b%b%b\r\n" % (opening, framing_field, date_line, connection_line)
    if "content-type" in headers:
        content_type = None
    opening = _OPENINGS.get((status, content_type)) or _opening(status, content_type)
    if "date" in headers:
        date_line = b""
    return b"%b%b%b%b%b\r\n" % (
        opening,
        serialize_fields(headers),
        framing_field,
        date_line,
        connection_line,
    )


def serialize_interim(status: int, headers: Headers | None) -> bytes:
    """An interim response; raises ``ResponseError`` for a status that is not one."""
    if not is_interim(status):
        raise ResponseError(f"not the status of an interim response: {status!r}")
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (
        status,
        reason(status).encode(),
        serialize_fields(headers) if headers else b"",
    )


def serialize_upgrade(headers: Headers, date_line: bytes) -> bytes:
    """The head behind which the protocol is another one; ``headers`` name it in ``Upgrade`` (RFC 9110 15.2.2)."""
    return b"HTTP/1.1 101 Switching Protocols\r\n%b%bConnection: Upgrade\r\n\r\n" % (
        serialize_fields(headers),
        date_line,
    )


def serialize_fields(headers: Headers) -> bytes:
    """Field lines, but for those about framing."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers.without(_OURS)]).encode("latin-1")


def serialize_response(
    status: int, content_type: str | None, date_line: bytes, connection_line: bytes, body: bytes
) -> bytes:
    """A complete response without further fields, head and body in one; raises as ``serialize_head`` does."""
    opening = _OPENINGS.get((status, content_type)) or _opening(status, content_type)
    return b"%bContent-Length: %d\r\n%b%b\r\n%b" % (opening, len(body), date_line, connection_line, body)


def _opening(status: int, content_type: str | None) -> bytes:
    """How a head begins, remembered for the next one."""
    opening = status_line(status)
    if content_type:
        opening += f"Content-Type: {content_type}\r\n".encode("latin-1")
    if len(_OPENINGS) < _MOST_OPENINGS:
        _OPENINGS[status, content_type] = opening
    return opening
