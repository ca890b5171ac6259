"""A client for tests: every request goes over a real socket, to a server on a free port.

What the client reads is what the wire said: status, fields, and the chunks as they were sent.
"""

import asyncio
import json as json_module
import ssl
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import uuid4

from httptools import HttpResponseParser

from sanicish.headers import Headers
from sanicish.server.serve import new_loop

__all__ = ["SanicTestClient", "TestResponse"]

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]

_REDIRECTS = (301, 302, 303, 307, 308)
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
        self.history: list[TestResponse] = []  # the redirects that led here
        self.parser = HttpResponseParser(self)

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
        return self.body.decode(charset.partition(";")[0].strip('" ') or "utf-8")

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
        self.status = self.parser.get_status_code()
        self.complete = self.status >= 200  # what stands before the answer (100 Continue) is not it


class _Sent(NamedTuple):
    """A request as bytes."""

    head: bytes
    body: bytes


def _encode(
    method: str,
    target: str,
    headers: Pairs | None,
    data: Any,
    json: Any,
    files: Pairs | None,
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
    elif isinstance(data, Mapping | list | tuple):
        body = urlencode(list(_pairs(data)), doseq=True).encode()
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    elif data is not None:
        body = data.encode() if isinstance(data, str) else bytes(data)
    if cookies:
        fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    given = Headers(headers)
    for name in given:
        fields.pop(name, None)
    fields.extend(given.items())
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return _Sent(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"), body)


def _multipart(data: Pairs, files: Pairs, boundary: str) -> bytes:
    parts = [
        f"{_disposition(name)}\r\n\r\n{one}".encode()
        for name, value in _pairs(data)
        for one in (value if isinstance(value, list | tuple) else (value,))
    ]
    for name, given in _pairs(files):
        filename, content, *kind = given if isinstance(given, tuple) else (getattr(given, "name", name), given)
        content = content.read() if hasattr(content, "read") else content
        head = f'{_disposition(name)}; filename="{_quoted(Path(filename).name)}"\r\n'
        head += f"Content-Type: {kind[0] if kind else 'application/octet-stream'}\r\n\r\n"
        parts.append(head.encode() + (content.encode() if isinstance(content, str) else content))
    return b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts) + b"--%b--\r\n" % boundary.encode()


def _disposition(name: str) -> str:
    return f'Content-Disposition: form-data; name="{_quoted(name)}"'


def _quoted(name: str) -> str:
    """A name as browsers write it (HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _pairs(given: Pairs) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else given


async def _fetch(address: Any, sent: _Sent, url: str) -> TestResponse:
    """Send one request on a connection of its own and read its answer to the end.

    Raises ``ConnectionError`` if nothing of an answer comes.
    """
    response = TestResponse(url)
    reader, writer = await _connect(address, url)
    try:
        writer.write(sent.head + sent.body)
        while not response.complete:
            data = await reader.read(65_536)
            if not data:
                response.complete = not {"content-length", "transfer-encoding"} & {
                    name.lower() for name in response.headers
                }
                break
            response.parser.feed_data(data)
            response.status = response.parser.get_status_code()
            if response.status >= 200 and (sent.head.startswith(b"HEAD ") or response.status in (204, 304)):
                response.complete = True
    except ConnectionError:
        pass  # a reset: what came until then is what there is
    finally:
        writer.close()
    if response.status < 200:
        raise ConnectionError(f"{url} was not answered")
    return response


async def _connect(address: Any, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, str):
        return await asyncio.open_unix_connection(address)
    context = None
    if url.startswith("https:"):
        context = ssl.create_default_context()
        context.check_hostname = False  # a test's certificate is nobody's
        context.verify_mode = ssl.CERT_NONE
    return await asyncio.open_connection(*address[:2], ssl=context)


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

        ``data`` is bytes, text, or the fields of a form; a file of ``files`` is its content, an open file, or
        ``(name, content, type)``. ``server_kwargs`` go to ``create_server``. Redirects are followed unless
        ``allow_redirects`` is False. The request is ``None`` if it did not get as far as the application.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("this client runs a loop of its own; inside a loop use app.create_server()")
        with asyncio.Runner(loop_factory=new_loop(self.app.config)) as runner:
            request, response = runner.run(self._serve_one(method, uri, **options))
        return (request, response) if gather_request else response

    async def _serve_one(
        self,
        method: str,
        uri: str,
        *,
        headers: Pairs | None = None,
        data: Any = None,
        json: Any = None,
        files: Pairs | None = None,
        params: Pairs | None = None,
        cookies: Mapping[str, str] | None = None,
        allow_redirects: bool = True,
        debug: bool = False,
        server_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[Any, TestResponse]:
        seen: list[Any] = []
        jar = dict(cookies or {})
        options = {"access_log": False, **(server_kwargs or {})}
        options.pop("auto_reload", None)
        with _watching(self.app, seen):
            server = await self.app.create_server(self.host, self.port or 0, debug=debug, **options)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    address = options.get("unix") or server.sockets[0].getsockname()
                    host = f"{self.host}:{server.port}" if server.port else self.host
                    url = urljoin(f"{'https' if options.get('ssl') else 'http'}://{host}", _target(uri, params))
                    history: list[TestResponse] = []
                    while True:
                        sent = _encode(method, _target(url), headers, data, json, files, jar, host)
                        response = await _fetch(address, sent, url)
                        response.history = list(history)
                        jar |= response.cookies
                        where = response.headers.get("location") if response.status in _REDIRECTS else None
                        url = urljoin(url, where or "")
                        if not (allow_redirects and where) or urlsplit(url).netloc != host or len(history) == 20:
                            break
                        history.append(response)
                        if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                            method, data, json, files = ("HEAD" if method == "HEAD" else "GET"), None, None, None
            finally:
                server.close()
                await server.wait_closed()
        return (seen[-1] if seen else None), response


def _target(uri: str, params: Pairs | None = None) -> str:
    parts = urlsplit(uri)
    target = parts.path or "/"
    query = "&".join(filter(None, (parts.query, urlencode(list(_pairs(params)), doseq=True) if params else "")))
    return f"{target}?{query}" if query else target


@contextmanager
def _watching(app: Any, seen: list[Any]) -> Any:
    """Keep the requests that an application is given, also those no route is found for."""

    def keep(request: Any) -> None:
        seen.append(request)

    app.early_middleware.insert(0, keep)
    try:
        yield
    finally:
        app.early_middleware.remove(keep)
