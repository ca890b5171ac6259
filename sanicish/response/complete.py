"""A response whose body is known: what every response has, and the functions that make whole ones.

It says what to send; how that looks on the wire is the exchange's business.
"""

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any
from urllib.parse import quote

from sanicish.cookies import Cookie, CookieJar
from sanicish.exchange import Exchange, Outcome
from sanicish.headers import Headers, is_field_value
from sanicish.response.completion import Completion, current_exchange
from sanicish.response.formats import app_dumps, encode

__all__ = [
    "DEFAULT_STREAM_TYPE",
    "BaseHTTPResponse",
    "HTTPResponse",
    "HeaderMap",
    "empty",
    "html",
    "json",
    "raw",
    "redirect",
    "text",
]

HeaderMap = Mapping[str, Any] | None

DEFAULT_STREAM_TYPE = "text/plain; charset=utf-8"
_known_types = {None, DEFAULT_STREAM_TYPE, "application/json", "text/html; charset=utf-8", "application/octet-stream"}


class BaseHTTPResponse:
    """Status, headers, content type and cookies: what every response has."""

    __slots__ = ("_completion", "_content_type", "_cookies", "_headers", "status")

    _exchange: Exchange | None = None  # which it is written to, if it is a stream

    def __init__(self, status: int, headers: HeaderMap, content_type: str | None) -> None:
        self.status = status
        self._headers: Headers | None = Headers(headers) if headers else None
        self._cookies: CookieJar | None = None
        self._completion: Completion | None = None
        if content_type not in _known_types:
            _check_type(content_type)
        self._content_type = content_type

    @property
    def headers(self) -> Headers:
        """The fields of the head; ``Content-Type`` among them comes before ``content_type``."""
        if self._headers is None:
            self._headers = Headers()
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderMap) -> None:
        self._headers = Headers(headers or {})

    @property
    def content_type(self) -> str | None:
        """The media type, as it is sent."""
        return self._content_type

    @content_type.setter
    def content_type(self, value: str | None) -> None:
        _check_type(value)
        self._content_type = value

    @property
    def status_code(self) -> int:
        """``status``, as Flask and Quart call it."""
        return self.status

    @status_code.setter
    def status_code(self, status: int) -> None:
        self.status = status

    @property
    def cookies(self) -> CookieJar:
        """The cookies to set."""
        if self._cookies is None:
            self._cookies = CookieJar()
        return self._cookies

    def add_cookie(self, key: str, value: str, **attributes: Any) -> Cookie:
        """Set a cookie with its attributes; see ``CookieJar.add_cookie``."""
        return self.cookies.add_cookie(key, value, **attributes)

    def delete_cookie(self, key: str, *, path: str = "/", domain: str | None = None) -> Cookie:
        """Tell the client to forget a cookie."""
        return self.cookies.delete_cookie(key, path=path, domain=domain)

    def on_complete(self, function: Callable[[Outcome], Any]) -> Callable[[Outcome], Any]:
        """Call a plain function once the response has ended, with how it ended; it may be a decorator.

        An ``Outcome`` is text: completed, failed, client left, timed out, shut down. It is called exactly once, when the
        handler has ended and its streams are closed, also if another response was sent in this one's place (``failed``).
        One that belongs to no request is called once it is sent.
        """
        if iscoroutinefunction(function):
            raise TypeError("on_complete() takes a plain function; for more, let it call app.add_task()")
        exchange = self._exchange or current_exchange()
        completion = self._completion
        if completion is None or (completion.outcome and exchange and not completion.belongs_to(exchange)):
            completion = self._completion = Completion()
            if exchange is not None:
                completion.begun = self._was_sent(exchange)
                completion.follow(exchange)
        completion.add(function)
        return function

    def _was_sent(self, exchange: Exchange) -> bool:
        return exchange.outcome is not None and not exchange.streamed

    def follow(self, exchange: Exchange) -> None:
        """End with this exchange, which sends it or another one in its place."""
        if self._completion is not None:
            self._completion.follow(exchange)

    def _head_fields(self) -> Headers | None:
        """The fields to send, cookies among them; a copy then, for a response may be sent more than once."""
        if not self._cookies:
            return self._headers
        headers = self._headers.copy() if self._headers is not None else Headers()
        for value in self._cookies.encoded():
            headers.add("Set-Cookie", value)
        return headers


def _check_type(value: str | None) -> None:
    if value is not None and not is_field_value(value):
        raise ValueError(f"a content type that cannot be sent: {value!r}")


class HTTPResponse(BaseHTTPResponse):
    """A whole response: ``body`` is text or bytes."""

    __slots__ = ("body", "timeout")

    timeout: float | None  # taken for Quart's code; a complete response does not stand still

    def __init__(
        self,
        body: Any = None,
        status: int = 200,
        headers: HeaderMap = None,
        content_type: str | None = None,
        body_bytes: bytes = b"",
    ) -> None:
        self.body: bytes = body if type(body) is bytes else body_bytes if body is None else encode(body)
        self.status = status
        self._headers = Headers(headers) if headers else None
        self._cookies = None
        self._completion = None
        if content_type not in _known_types:
            _check_type(content_type)
        self._content_type = content_type

    @property
    def data(self) -> bytes:
        """``body``, as Flask and Quart call it."""
        return self.body

    def send_to(self, exchange: Exchange) -> None:
        """Give the complete response to the exchange."""
        headers = self._headers if self._cookies is None else self._head_fields()
        body = self.body
        if type(body) is not bytes:  # assigned by the application
            body = encode(body)
        completion = self._completion
        if completion is None:
            exchange.send_whole(self.status, headers, self._content_type, body)
        else:
            completion.follow(exchange)
            exchange.send_whole(self.status, headers, self._content_type, body)
            completion.begun = True


def text(
    body: Any, status: int = 200, headers: HeaderMap = None, content_type: str = DEFAULT_STREAM_TYPE
) -> HTTPResponse:
    """A response of text; raises ``TypeError`` if ``body`` is neither text nor a number."""
    if not isinstance(body, str):
        if isinstance(body, bytes | bytearray | memoryview) or body is None:
            raise TypeError(f"text() takes str, not {type(body).__name__}")
        body = str(encode(body), "ascii")
    return HTTPResponse(body.encode(), status, headers, content_type)


def json(
    body: Any,
    status: int = 200,
    headers: HeaderMap = None,
    content_type: str = "application/json",
    dumps: Callable[..., Any] | None = None,
    **options: Any,
) -> HTTPResponse:
    """A response of JSON, by ``dumps``, else by ``Sanic(dumps=)``: a function that makes text or bytes of a value."""
    return HTTPResponse((dumps or app_dumps())(body, **options), status, headers, content_type)


def html(body: Any, status: int = 200, headers: HeaderMap = None) -> HTTPResponse:
    """A response of HTML: text, bytes, or an object with ``__html__`` or ``_repr_html_``."""
    if not isinstance(body, str | bytes):
        render = getattr(body, "__html__", None) or getattr(body, "_repr_html_", None)
        if render is not None:
            body = render()
    return HTTPResponse(body, status, headers, "text/html; charset=utf-8")


def raw(
    body: Any, status: int = 200, headers: HeaderMap = None, content_type: str = "application/octet-stream"
) -> HTTPResponse:
    """A response of bytes."""
    return HTTPResponse(body, status, headers, content_type)


def empty(status: int = 204, headers: HeaderMap = None) -> HTTPResponse:
    """A response without content."""
    return HTTPResponse(b"", status, headers)


def redirect(
    to: str, headers: HeaderMap = None, status: int = 302, content_type: str = "text/html; charset=utf-8"
) -> HTTPResponse:
    """Send the client to another address; what cannot stand in a URL is percent-encoded, line breaks too."""
    response = HTTPResponse(b"", status, headers, content_type)
    response.headers["Location"] = quote(to, safe=":/%#?&=@[]!$'()*+,;~")
    return response
