"""What a handler returned becomes a response: text, JSON, an iterable, a tuple, the way of Flask and Quart.

It makes responses of what it is given and never sees a request.
"""

from collections.abc import Mapping
from typing import Any

from sanicish.headers import Headers
from sanicish.response import DEFAULT_STREAM_TYPE, BaseHTTPResponse, HTTPResponse, StreamingHTTPResponse, json
from sanicish.response.awaitable import awaitable_once
from sanicish.response.iterables import Body, is_body

__all__ = ["InvalidReturn", "Response", "as_response", "make_response"]

_HINT = (
    "(allowed: a response, str, bytes, dict, list, a generator or another iterable of str or bytes,"
    " or a tuple (body, status), (body, headers) or (body, status, headers))"
)


class InvalidReturn(TypeError):
    """No handler may return this; ``what`` says what it is, ``hint`` what it may return."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no response can be made of {what} {_HINT}")
        self.what = what
        self.hint = _HINT


class Response:
    """A response of a body, whole or iterable (Flask's and Quart's class).

    ``Response(body)`` gives an ``HTTPResponse`` for text and bytes and a ``StreamingHTTPResponse`` for an iterable.
    ``mimetype`` gets ``charset=utf-8`` if it is text, ``content_type`` is sent as it is; without either, what the
    body says of itself, or plain text.
    """

    def __new__(  # type: ignore[misc]
        cls,
        body: Any = None,
        status: int | str = 200,
        headers: Any = None,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> HTTPResponse | StreamingHTTPResponse:
        """Choose the class that fits the body; raises ``TypeError`` for what is no body."""
        if content_type is None and mimetype is not None:
            content_type = f"{mimetype}; charset=utf-8" if mimetype.startswith("text/") else mimetype
        return _response(body, _status(status), headers, content_type, False)


def make_response(*returned: Any) -> Any:
    """The response that a handler's return value would become, to be changed before it is returned.

    It may be awaited once, as in Quart, or not, as in Flask. Raises ``TypeError`` for what no handler may return.
    """
    return awaitable_once(as_response(returned[0] if len(returned) == 1 else returned or b""))


def as_response(returned: Any, inline: bool = False) -> BaseHTTPResponse:
    """The response for what a handler returned; ``TypeError`` says what it may return.

    ``inline`` lets a sync iterable run in the loop, not in a thread.
    """
    if not isinstance(returned, tuple):
        return _body_response(returned, inline)
    if len(returned) == 3:
        body, status, headers = returned
    elif len(returned) == 2 and isinstance(returned[1], Mapping | list | tuple):
        body, status, headers = returned[0], None, returned[1]
    elif len(returned) == 2:
        body, status, headers = returned[0], returned[1], None
    else:
        raise InvalidReturn(f"tuple of {len(returned)}")
    response = _body_response(body, inline)
    if status is not None:
        response.status = _status(status)
    if headers:
        for name, values in _grouped(headers):
            response.headers.pop(name, None)
            response.headers.extend({name: values})
    return response


def _body_response(body: Any, inline: bool) -> BaseHTTPResponse:
    if isinstance(body, BaseHTTPResponse):
        return body
    if isinstance(body, dict | list):
        return json(body)
    if body is None:
        raise InvalidReturn("NoneType")
    return _response(body, 200, None, None, inline)


def _response(
    body: Any, status: int, headers: Any, content_type: str | None, inline: bool
) -> HTTPResponse | StreamingHTTPResponse:
    fields = Headers(headers) if headers else None
    if content_type is None:
        content_type = getattr(body, "content_type", None) or DEFAULT_STREAM_TYPE
    if body is None or isinstance(body, str | bytes | bytearray | memoryview):
        return HTTPResponse(body, status, fields, content_type)
    if isinstance(body, Mapping | tuple) or not is_body(body):
        raise InvalidReturn(type(body).__name__)
    return StreamingHTTPResponse(Body(body, inline=inline), status, fields, content_type)


def _grouped(headers: Any) -> list[tuple[str, list[Any]]]:
    """Each name with all of its values, so that several of one name replace together what was there."""
    fields = Headers(headers)
    return [(name, fields.getall(name)) for name in fields]


def _status(status: Any) -> int:
    """A status as a number: an integer, or text that begins with one, as in ``"404 NOT FOUND"``."""
    text = str(status).split(" ", 1)[0] if isinstance(status, str) else status
    try:
        return int(text)
    except (TypeError, ValueError):
        raise InvalidReturn(f"tuple with the status {status!r}") from None
