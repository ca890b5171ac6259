"""A client for tests: every request goes over a real socket, to a server on a free port.

What the client reads is what the wire said: status, fields, and the chunks as they were sent.
"""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

from sanicish.server.serve import new_loop
from sanicish.testing.messages import Pairs, Sent, TestResponse, encode_request, ends_at_head, target_of
from sanicish.testing.streaming import TestClient

__all__ = ["SanicTestClient"]

_REDIRECTS = (301, 302, 303, 307, 308)
_TIMEOUT = 30.0  # seconds; nothing a test does may hang for ever


async def _fetch(address: Any, sent: Sent, url: str) -> TestResponse:
    """Send one request on a connection of its own and read its response to the end.

    Raises ``ConnectionError`` if nothing of a response comes.
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
            if ends_at_head(sent.head.partition(b" ")[0].decode(), response.status):
                response.complete = True
    except ConnectionError:
        pass  # a reset: what arrived until then is what there is
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

    def __call__(self, **options: Any) -> TestClient:
        """The client that streams, for tests in a loop: ``client = app.test_client()`` (Quart's and Flask's call)."""
        return TestClient(self.app, host=self.host, **options)

    def get(self, uri: str = "/", **options: Any) -> Any:
        """Send a GET."""
        return self.request("GET", uri, **options)

    def post(self, uri: str = "/", **options: Any) -> Any:
        """Send a POST."""
        return self.request("POST", uri, **options)

    def put(self, uri: str = "/", **options: Any) -> Any:
        """Send a PUT."""
        return self.request("PUT", uri, **options)

    def patch(self, uri: str = "/", **options: Any) -> Any:
        """Send a PATCH."""
        return self.request("PATCH", uri, **options)

    def delete(self, uri: str = "/", **options: Any) -> Any:
        """Send a DELETE."""
        return self.request("DELETE", uri, **options)

    def options(self, uri: str = "/", **options: Any) -> Any:
        """Send an OPTIONS."""
        return self.request("OPTIONS", uri, **options)

    def head(self, uri: str = "/", **options: Any) -> Any:
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
            raise RuntimeError(
                "this client runs a loop of its own; inside of one use app.test_client(), or app.create_server()"
            )
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
                    url = urljoin(f"{'https' if options.get('ssl') else 'http'}://{host}", target_of(uri, params))
                    history: list[TestResponse] = []
                    while True:
                        sent = encode_request(method, target_of(url), headers, data, json, files, jar, host)
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


@contextmanager
def _watching(app: Any, seen: list[Any]) -> Iterator[None]:
    """Keep the requests that an application is given, also those no route is found for; its settings stay as they are."""
    access_log = app.config["ACCESS_LOG"]

    def keep(request: Any) -> None:
        seen.append(request)

    app.early_middleware.insert(0, keep)
    try:
        yield
    finally:
        app.early_middleware.remove(keep)
        app.config["ACCESS_LOG"] = access_log
