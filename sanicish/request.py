"""What a handler reads: one request, its parts made on first look."""

import uuid
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sanicish.config import Config
from sanicish.context import current_request
from sanicish.cookies import RequestCookies, parse_cookies
from sanicish.exceptions import InvalidUsage, ServerError
from sanicish.exchange import ConnInfo, Exchange
from sanicish.headers import Headers
from sanicish.http.forms import File, RequestParameters, by_name, check_parsed, parse_form, parse_query
from sanicish.http.forwarded import parse_forwarded
from sanicish.response import DEFAULT_STREAM_TYPE, HTTPResponse, StreamingHTTPResponse
from sanicish.response.streaming import as_stream
from sanicish.router import Route
from sanicish.streams.incoming import RequestStream, StreamBuffer
from sanicish.streams.reading import json_loads

__all__ = ["File", "Request", "RequestParameters", "StreamBuffer"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_NO_ADDRESS = urlsplit("")


class Request:
    """One request.

    On a streaming route ``stream`` is the body as it arrives; on the others it is ``None`` and ``body`` is the whole
    of it. ``ctx`` is free for the application, and so are items (``request["user"]``, as in Sanic's first years).
    """

    __slots__ = (
        "_args",
        "_body",
        "_cookies",
        "_ctx",
        "_exchange",
        "_form",
        "_forwarded",
        "_headers",
        "_json",
        "_queries",
        "_response",
        "app",
        "match_info",
        "method",
        "path",
        "route",
        "stream",
    )

    def __init__(self, exchange: Exchange, app: Any) -> None:
        head = exchange.head
        self._exchange = exchange
        self.app = app
        self.method = head.method
        self.path = head.path
        self.route: Route | None = None
        self.match_info: dict[str, Any] = {}
        self.stream: RequestStream | None = None
        self._body: bytes | None = None
        self._headers: Headers | None = None
        self._cookies: RequestCookies | None = None
        self._ctx: SimpleNamespace | None = None
        self._form: tuple[RequestParameters[str], RequestParameters[File]] | None = None
        self._forwarded: dict[str, Any] | None = None
        self._json: Any = _UNREAD
        self._args: RequestParameters[str] | None = None
        self._queries: dict[Any, RequestParameters[str]] | None = None
        self._response: StreamingHTTPResponse | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.method} {self.path}>"

    @staticmethod
    def get_current() -> "Request":
        """The request that is being answered; raises ``ServerError`` outside of one (Sanic 22.6)."""
        request: Request | None = current_request.get(None)
        if request is None:
            raise ServerError("No request is currently active")
        return request

    # The head

    @property
    def head(self) -> Any:
        """Request line and fields, as they were read."""
        return self._exchange.head

    @property
    def version(self) -> str:
        """The version of HTTP, ``"1.1"`` or ``"1.0"``."""
        return self._exchange.head.version

    @property
    def raw_url(self) -> bytes:
        """The target as it was sent: path and query."""
        return self._exchange.head.target

    @property
    def query_string(self) -> str:
        """What follows the question mark."""
        return self._exchange.head.query_string

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The fields as pairs of bytes, names in lower case."""
        return list(self._exchange.head.fields)

    @property
    def headers(self) -> Headers:
        """The fields by name."""
        if self._headers is None:
            self._headers = Headers.from_raw(self._exchange.head.fields)
        return self._headers

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        value: str = self.headers.get("content-type", "application/octet-stream")
        return value

    @property
    def accept(self) -> str:
        """The media types the client takes, as it says them."""
        return ", ".join(self.headers.getall("accept")) or "*/*"

    @property
    def token(self) -> str | None:
        """What ``Authorization`` holds, without ``Bearer`` or ``Token``."""
        value: str | None = self.headers.get("authorization")
        if value is not None:
            scheme, _, credentials = value.partition(" ")
            if credentials and scheme.lower() in ("bearer", "token"):
                return credentials.strip(" ")
        return value

    @property
    def id(self) -> Any:
        """What the client calls this request (``REQUEST_ID_HEADER``), or a fresh UUID if it says nothing plain.

        Text is taken if it is visible ASCII of at most 200 characters.
        """
        exchange = self._exchange
        if exchange.request_id is None:
            exchange.request_id = exchange.client_request_id(self._config.id_field) or uuid.uuid4()
        return exchange.request_id

    @property
    def cookies(self) -> RequestCookies:
        """The cookies by name."""
        if self._cookies is None:
            self._cookies = RequestCookies(parse_cookies("; ".join(self.headers.getall("cookie"))))
        return self._cookies

    # The query

    def get_args(
        self,
        keep_blank_values: bool = False,
        strict_parsing: bool = False,
        encoding: str = "utf-8",
        errors: str = "replace",
    ) -> RequestParameters[str]:
        """The query by name, each with all its values."""
        key = (keep_blank_values, strict_parsing, encoding, errors)
        if key == (False, False, "utf-8", "replace"):
            return self.args
        queries = self._queries = self._queries or {}
        return queries.get(key) or queries.setdefault(key, by_name(parse_query(self.query_string, *key)))

    def get_query_args(
        self,
        keep_blank_values: bool = False,
        strict_parsing: bool = False,
        encoding: str = "utf-8",
        errors: str = "replace",
    ) -> list[tuple[str, str]]:
        """The query as pairs, in order."""
        return parse_query(self.query_string, keep_blank_values, strict_parsing, encoding, errors)

    @property
    def args(self) -> RequestParameters[str]:
        """The query by name; ``get`` gives the first value."""
        if self._args is None:
            self._args = by_name(parse_query(self._exchange.head.query_string))
        return self._args

    @property
    def query_args(self) -> list[tuple[str, str]]:
        """The query as pairs, in order."""
        return self.get_query_args()

    @property
    def raw_args(self) -> dict[str, str]:
        """The first value of each name of the query (Sanic, first years)."""
        return {name: values[0] for name, values in self.args.items()}

    # The body

    @property
    def body(self) -> bytes:
        """The whole body; on a streaming route only after ``receive_body()``."""
        if self._body is None:
            if self.stream is not None:
                raise ServerError("this route is streaming: read request.stream, or await request.receive_body()")
            return b""
        return self._body

    async def receive_body(self) -> bytes:
        """Read what is left of the body and keep it as ``body``; raises ``PayloadTooLarge`` above the limit."""
        if self._body is None:
            self._body = await self._exchange.body.read_all(self._body_limit())
        return self._body

    def _body_limit(self) -> int | None:
        limit: int | None = self.route.options.max_body_size if self.route is not None else None
        return limit if limit is not None else self._config["REQUEST_MAX_SIZE"]

    @property
    def json(self) -> Any:
        """The body read as JSON, ``None`` if there is none.

        Raises ``InvalidUsage`` (400) if it is not JSON, ``PayloadTooLarge`` (413) above ``REQUEST_MAX_JSON_SIZE`` or the
        ``max_body_size`` of the route, a 415 if it has a Content-Encoding.
        """
        if self._json is _UNREAD:
            self.load_json()
        return self._json

    def load_json(self, loads: Callable[[bytes], Any] | None = None) -> Any:
        """The body read as JSON by a function of your own, which may undo a Content-Encoding; see ``json``."""
        body = self.body
        own = self.route.options.max_body_size if self.route is not None else None
        limit = own if own is not None else self._config["REQUEST_MAX_JSON_SIZE"]
        check_parsed(len(body), limit, "REQUEST_MAX_JSON_SIZE", "" if loads else self._coding)
        try:
            self._json = (loads or self._loads)(body) if body else None
        except Exception:
            raise InvalidUsage("Failed when parsing body as json") from None
        return self._json

    @property
    def _coding(self) -> str:
        coding: str = self.headers.get("content-encoding", "")
        return coding

    @property
    def _loads(self) -> Callable[[bytes], Any]:
        return getattr(self.app, "loads", None) or json_loads

    @property
    def form(self) -> RequestParameters[str]:
        """The fields of a form, urlencoded or multipart."""
        return self._read_form()[0]

    @property
    def files(self) -> RequestParameters[File]:
        """The files of a multipart form."""
        return self._read_form()[1]

    def _read_form(self) -> tuple[RequestParameters[str], RequestParameters[File]]:
        if self._form is None:
            parts, header, size = (self._config[f"REQUEST_MAX_FORM_{name}"] for name in ("PARTS", "HEADER", "SIZE"))
            content_type = self.headers.get("content-type", "")
            self._form = parse_form(content_type, self.body, parts, header, size, self._coding)
        return self._form

    # Where it came from

    @property
    def conn_info(self) -> ConnInfo:
        """The connection: addresses, TLS, and a ``ctx`` that lives as long as it does."""
        return self._exchange.conn

    @property
    def transport(self) -> Any:
        """asyncio's transport; writing to it is not supported."""
        return self._exchange.conn.transport

    @property
    def ip(self) -> str:
        """The address of the peer, which may be a proxy; see ``remote_addr``."""
        return self._exchange.conn.client_ip

    @property
    def port(self) -> int:
        """The port of the peer."""
        return self._exchange.conn.client_port

    @property
    def socket(self) -> tuple[str, int]:
        """Address and port of the peer."""
        return self.ip, self.port

    @property
    def forwarded(self) -> dict[str, Any]:
        """What trusted proxies say of the client (``for``, ``by``, ``proto``, ``host``, ``port``, ``path``)."""
        if self._forwarded is None:
            self._forwarded = parse_forwarded(self.headers, self._config)
        return self._forwarded

    @property
    def remote_addr(self) -> str:
        """The address of the client as trusted proxies tell it, empty if none does."""
        value: str = self.forwarded.get("for", "")
        return value

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, as the client sees it."""
        value: str | None = self._public_address.scheme or self.forwarded.get("proto")
        return value or ("https" if self._exchange.conn.ssl else "http")

    @property
    def host(self) -> str:
        """Host and port: of ``SERVER_NAME``, else as the client named them; empty in an HTTP/1.0 request that names none."""
        value: str = self._public_address.netloc or self.forwarded.get("host") or self.headers.get("host", "")
        return value

    @property
    def _public_address(self) -> SplitResult:
        """``SERVER_NAME``: a host, or a whole address; it comes before everything a client or proxy sends."""
        name = str(self._config.get("SERVER_NAME") or "")
        return urlsplit(name if "//" in name else f"//{name}") if name else _NO_ADDRESS

    @property
    def server_name(self) -> str:
        """The host without its port."""
        host = self.host
        return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]

    @property
    def server_port(self) -> int:
        """The port the client used."""
        port: int | None = None if self._public_address.netloc else self.forwarded.get("port")
        if port is None:
            text = self.host[len(self.server_name) + 1 :]
            port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None
        return port or _DEFAULT_PORTS.get(self.scheme, 80)

    @property
    def server_path(self) -> str:
        """The path as the client named it, before a proxy changed it."""
        value: str = self.forwarded.get("path") or self.path
        return value

    @property
    def url(self) -> str:
        """The whole address."""
        query = f"?{self.query_string}" if self.query_string else ""
        return f"{self.scheme}://{self.host}{self.path}{query}"

    def url_for(self, view_name: str, **values: Any) -> str:
        """The whole address of a route, on ``SERVER_NAME`` if it is set, else on the host that the client named."""
        return str(self.app.url_for(view_name, _external=True, _scheme=self.scheme, _server=self.host, **values))

    # What the application made of it

    @property
    def ctx(self) -> SimpleNamespace:
        """Free for the application."""
        if self._ctx is None:
            self._ctx = SimpleNamespace()
        return self._ctx

    def __getitem__(self, name: str) -> Any:
        try:
            return self.ctx.__dict__[name]
        except KeyError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, value: Any) -> None:
        self.ctx.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        del self.ctx.__dict__[name]

    def __contains__(self, name: object) -> bool:
        return name in self.ctx.__dict__

    def get(self, name: str, default: Any = None) -> Any:
        """An item, or ``default``."""
        return self.ctx.__dict__.get(name, default)

    @property
    def endpoint(self) -> str | None:
        """The name of the route, behind that of the application: ``shop.login``, ``shop.blueprint.login`` (Sanic 21)."""
        return self.route.name if self.route is not None else None

    name = endpoint

    @property
    def uri_template(self) -> str | None:
        """The pattern of the route."""
        return self.route.uri if self.route is not None else None

    @property
    def _config(self) -> Config:
        config: Config = self.app.config
        return config

    # Its answer

    async def respond(
        self,
        response: HTTPResponse | StreamingHTTPResponse | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> StreamingHTTPResponse:
        """Begin the response from inside the handler: what is returned takes ``send(data)`` and ``eof()`` (Sanic 21.3)."""
        if self._response is not None:
            raise ServerError("Second respond call is not allowed.")
        if response is None:
            response = StreamingHTTPResponse(None, status, headers, content_type or DEFAULT_STREAM_TYPE)
        changed = await self.app.run_response_middleware(self, response)
        self._response = as_stream(changed)
        self._response.attach(self._exchange)
        return self._response

    @property
    def responded(self) -> bool:
        """Whether ``respond`` was called."""
        return self._response is not None

    # What may happen meanwhile

    async def inform(self, status: int, headers: Mapping[str, Any]) -> bool:
        """Send an interim response now, such as 103 Early Hints (RFC 8297); False if this client does not get it.

        Raises ``StreamClosed`` once the response has started, ``ResponseError`` for a status that is not interim.
        """
        return self._exchange.inform(status, Headers(headers))

    @property
    def is_disconnected(self) -> bool:
        """Whether the client has left."""
        return self._exchange.has("disconnect")

    def on_disconnect(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """Call a plain function when the client leaves before it has its response, or now if it has left.

        The handler is cancelled then, unless it is shielded; what it holds is better released by its own ``finally``.
        May be used as a decorator.
        """
        self._exchange.on("disconnect", function)
        return function

    async def disconnected(self) -> None:
        """Wait until the client leaves; of use to tasks beside the handler, which is cancelled then."""
        await self._exchange.happened("disconnect")

    async def shutdown(self) -> None:
        """Wait until the server is about to stop: a stream has ``GRACEFUL_SHUTDOWN_TIMEOUT`` seconds to say goodbye."""
        await self._exchange.happened("shutdown")

    @property
    def cancel_reason(self) -> str | None:
        """Why the handler was cancelled: ``disconnect``, ``timeout``, ``shutdown`` or ``abort``; else ``None``."""
        return self._exchange.cancel_reason


_UNREAD: Any = object()
