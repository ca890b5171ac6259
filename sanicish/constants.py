"""Names and numbers of HTTP that never change (RFC 9110 sections 9 and 15)."""

from http import HTTPStatus

__all__ = ["BODILESS", "HTTP_METHODS", "STATUS_CODES", "has_message_body", "is_interim", "reason"]

HTTP_METHODS = ("GET", "POST", "PUT", "HEAD", "OPTIONS", "PATCH", "DELETE")

STATUS_CODES: dict[int, bytes] = {status.value: status.phrase.encode() for status in HTTPStatus}
# As RFC 9110 names them; Python before 3.13 has the names of RFC 7231.
STATUS_CODES |= {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    422: b"Unprocessable Content",
}


def reason(status: int) -> str:
    """The reason phrase of a status code, or "Unknown" for one no RFC names."""
    phrase = STATUS_CODES.get(status)
    return phrase.decode() if phrase is not None else "Unknown"


BODILESS = frozenset({204, 205, 304})  # statuses of responses without content (RFC 9110 6.4.1, 15.3.6)


def is_interim(status: object) -> bool:
    """Whether it is the status of an interim response (RFC 9110 15.2); 101 is not, for it changes the protocol."""
    return isinstance(status, int) and 100 <= status <= 199 and status != 101


def has_message_body(status: int) -> bool:
    """Whether a response with this status may carry content (RFC 9110 sections 6.4.1, 15.3.5, 15.4.5).

    205 promises an empty body too, but announces it with ``Content-Length: 0``.
    """
    return status >= 200 and status not in BODILESS
