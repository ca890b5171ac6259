"""A client for tests: every request goes over a real socket, to a server on a free port.

What the client reads is what the wire said: status, fields, and the chunks as they were sent.
"""

import asyncio
import json as json_module
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import uuid4

from httptools import HttpResponseParser

from sanicish.headers import Headers
from sanicish.server.serve import new_loop

__all__ = ["SanicTestClient", "TestResponse"]

_TIMEOUT = 30.0  # seconds; nothing a test does may hang for ever


class TestResponse:
    """A whole answer; ``chunks`` are the pieces as they were framed on the wire."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 0
        self.headers = Headers()
        self.chunks: list[bytes] = []
        self.complete = False  # the message ended as HTTP says it must
        self.history: list[TestResponse] = []

    @property
    def status_code(self) -> int:
        """``status``, as others call it."""
        return self.status

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    content = data = body

    @property
    def text(self) -> str:
        """The body as text, in the charset the answer names."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.body.decode(charset.strip('" ') or "utf-8")

    @property
    def json(self) -> Any:
        """The body read as JSON, ``None`` if it is not."""
        try:
            return json_module.loads(self.body)
        except ValueError:
            return None

    @property
    def content_type(self) -> str | None:
        """The media type."""
        value: str | None = self.headers.get("content-type")
        return value

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that were set."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.getall("set-cookie"):
            jar.load(line)
        return {name: morsel.value for name, morsel in jar.items()}

    # What httptools calls

    def on_status(self, status: bytes) -> None:
        self.headers = Headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_body(self, data: bytes) -> None:
        self.chunks.append(data)

    def on_message_complete(self) -> None:
        self.complete = True


class _Sent(NamedTuple):
    """A request as bytes."""

    head: bytes
    body: bytes


def _encode(
    method: str,
    target: str,
    headers: Mapping[str, Any] | None,
    data: Any,
    json: Any,
    files: Mapping[str, Any] | None,
    cookies: Mapping[str, str] | None,
    host: str,
) -> _Sent:
    fields = Headers({"Host": host, "Accept": "*/*", "User-Agent": "sanicish-testing"})
    body = b""
    if json is not None:
        body = json_module.dumps(json).encode()
        fields["Content-Type"] = "application/json"
    elif files is not None:
        boundary = uuid4().hex
        body = _multipart(data or {}, files, boundary)
        fields["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    elif isinstance(data, Mapping):
        body = urlencode(data, doseq=True).encode()
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    elif data is not None:
        body = data.encode() if isinstance(data, str) else bytes(data)
    if cookies:
        fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return _Sent(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"), body)


def _multipart(data: Mapping[str, Any], files: Mapping[str, Any], boundary: str) -> bytes:
    parts = []
    for name, value in data.items():
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    for name, given in files.items():
        filename, content, *kind = given if isinstance(given, tuple) else (name, given)
        content = content.read() if hasattr(content, "read") else content
        head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
        head += f"Content-Type: {kind[0] if kind else 'application/octet-stream'}\r\n\r\n"
        parts.append(head.encode() + (content.encode() if isinstance(content, str) else content))
    return b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts) + b"--%b--\r\n" % boundary.encode()


async def _fetch(address: Any, sent: _Sent, url: str) -> TestResponse:
    """Send one request on a connection of its own and read its answer to the end."""
    response = TestResponse(url)
    parser = HttpResponseParser(response)
    reader, writer = await asyncio.open_connection(*address[:2])
    try:
        writer.write(sent.head + sent.body)
        while not response.complete:
            data = await reader.read(65_536)
            if not data:
                break
            parser.feed_data(data)
            response.status = response.status or parser.get_status_code()
            if sent.head.startswith(b"HEAD ") or response.status in (204, 304):
                response.complete = True
        response.status = parser.get_status_code()
    except (ConnectionError, TimeoutError) as error:
        if not response.status:
            raise ConnectionError(f"no answer from {url}: {error}") from error
    finally:
        writer.close()
    return response


class SanicTestClient:
    """Sanic's test client: ``request, response = app.test_client.get("/")``.

    Each call starts the application on a free port, sends one request over a socket and stops it again.
    """

    __test__ = False

    def __init__(self, app: Any, port: int | None = None, host: str = "127.0.0.1") -> None:
        self.app = app
        self.port = port
        self.host = host

    def get(self, uri: str, **options: Any) -> Any:
        """Send a GET."""
        return self.request("GET", uri, **options)

    def post(self, uri: str, **options: Any) -> Any:
        """Send a POST."""
        return self.request("POST", uri, **options)

    def put(self, uri: str, **options: Any) -> Any:
        """Send a PUT."""
        return self.request("PUT", uri, **options)

    def patch(self, uri: str, **options: Any) -> Any:
        """Send a PATCH."""
        return self.request("PATCH", uri, **options)

    def delete(self, uri: str, **options: Any) -> Any:
        """Send a DELETE."""
        return self.request("DELETE", uri, **options)

    def options(self, uri: str, **options: Any) -> Any:
        """Send an OPTIONS."""
        return self.request("OPTIONS", uri, **options)

    def head(self, uri: str, **options: Any) -> Any:
        """Send a HEAD."""
        return self.request("HEAD", uri, **options)

    def request(self, method: str, uri: str, *, gather_request: bool = True, **options: Any) -> Any:
        """Send a request; gives ``(request, response)``, or the response alone without ``gather_request``.

        ``data`` is bytes, text or a mapping for a form; ``json``, ``files``, ``params``, ``cookies`` and ``headers``
        are what they say; redirects are followed unless ``allow_redirects`` is False.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("this client runs a loop of its own; inside a loop await app.test_client().get(...)")
        with asyncio.Runner(loop_factory=new_loop(self.app.config)) as runner:
            request, response = runner.run(self._serve_one(method, uri, **options))
        return (request, response) if gather_request else response

    async def _serve_one(
        self,
        method: str,
        uri: str,
        *,
        headers: Mapping[str, Any] | None = None,
        data: Any = None,
        json: Any = None,
        files: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        cookies: Mapping[str, str] | None = None,
        allow_redirects: bool = True,
        debug: bool = False,
        server_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[Any, TestResponse]:
        seen: list[Any] = []
        options = {key: value for key, value in (server_kwargs or {}).items() if key != "auto_reload"}
        with _watching(self.app, seen):
            server = await self.app.create_server(self.host, self.port or 0, debug=debug, access_log=False, **options)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    host = f"{self.host}:{server.port}"
                    target = _target(uri, params)
                    url = urljoin(f"http://{host}", target)
                    sent = _encode(method, target, headers, data, json, files, cookies, host)
                    response = await _fetch(server.sockets[0].getsockname(), sent, url)
                    history: list[TestResponse] = []
                    while allow_redirects and response.status in (301, 302, 303, 307, 308) and len(history) < 20:
                        history.append(response)
                        url = urljoin(url, response.headers.get("location", ""))
                        if urlsplit(url).netloc != host:
                            break
                        if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                            method, data, json, files = "GET", None, None, None
                        again = _encode(method, _target(url, None), headers, data, json, files, cookies, host)
                        response = await _fetch(server.sockets[0].getsockname(), again, url)
                    response.history = history
            finally:
                server.close()
                await server.wait_closed()
        return (seen[-1] if seen else None), response


def _target(uri: str, params: Any) -> str:
    parts = urlsplit(uri)
    target = parts.path or "/"
    query = "&".join(filter(None, (parts.query, urlencode(params, doseq=True) if params else "")))
    return f"{target}?{query}" if query else target


@contextmanager
def _watching(app: Any, seen: list[Any]) -> Any:
    """Keep the requests that an application is given, also those no route is found for."""

    def keep(request: Any) -> None:
        seen.append(request)

    app._early_middleware.insert(0, keep)
    try:
        yield
    finally:
        app._early_middleware.remove(keep)
