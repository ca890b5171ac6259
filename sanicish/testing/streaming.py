"""A client for tests that streams: it sends and receives piece by piece, over a socket, and misbehaves when told to.

Nothing here waits for ever: every wait ends by a ``TimeoutError`` after the client's ``timeout``.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from sanicish.headers import Headers
from sanicish.testing.messages import Pairs, TestResponse, encode_request, ends_at_head, target_of

__all__ = ["TestClient", "TestConnection"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends RST
_SMALL_BUFFER = 16_384  # bytes of the kernel's for a client that reads slowly: what it holds back is seen soon
_REDIRECTS = (301, 302, 303, 307, 308)
_BODY_METHODS = ("POST", "PUT", "PATCH")


class TestConnection(asyncio.Protocol):
    """One request on a connection of its own, whose two directions are driven apart.

    ``chunks`` of its response are the chunks of the wire, each whole, however they were split by the network.
    """

    __test__ = False

    def __init__(self, url: str, method: str, chunked: bool, timeout: float, rate: float | None) -> None:
        self._response = TestResponse(url)
        self._method = method
        self._chunked = chunked
        self._timeout = timeout
        self._rate = rate
        self._transport: Any = None
        self._taken = 0  # chunks that were received
        self._lost = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    # What came so far

    @property
    def status_code(self) -> int | None:
        """The status, ``None`` before the head has arrived."""
        return self._response.status or None

    status = status_code

    @property
    def headers(self) -> Headers:
        """The fields of the head, empty before it has arrived."""
        return self._response.headers

    @property
    def complete(self) -> bool:
        """Whether the response has ended as HTTP says it must; false for one that was cut."""
        return self._response.complete

    # Sending

    async def send(self, data: bytes | str) -> None:
        """Send a piece of the body: a chunk, unless the request announced a length."""
        data = data.encode() if isinstance(data, str) else data
        if self._chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.send_raw(data)
        await asyncio.sleep(0)

    async def send_complete(self) -> None:
        """End the body."""
        if self._chunked:
            self.send_raw(b"0\r\n\r\n")
        await asyncio.sleep(0)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self._lost:
            raise ConnectionError("the connection is closed")
        self._transport.write(data)

    # Receiving

    async def headers_received(self) -> Headers:
        """Wait for the head; raises ``ConnectionError`` if none comes."""
        await self._until(lambda: bool(self._response.status))
        return self.headers

    async def receive(self) -> bytes:
        """The next chunk as it was sent; empty at the end.

        Raises ``ConnectionError`` if the response was cut, after all that arrived before was received.
        """
        chunks = self._response.chunks
        await self._until(lambda: self._taken < len(chunks) or self._response.complete)
        if self._taken == len(chunks):
            return b""
        self._taken += 1
        return chunks[self._taken - 1]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        data = await self.receive()
        if not data:
            raise StopAsyncIteration
        return data

    async def as_response(self) -> TestResponse:
        """Wait for the end, and give the complete response; raises ``ConnectionError`` if it was cut."""
        await self._until(lambda: self._response.complete)
        return self._response

    async def closed(self) -> None:
        """Wait until the server has closed the connection, whichever way."""
        async with asyncio.timeout(self._timeout):
            while not self._lost:
                await self._changed()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(self._timeout):
            while not condition():
                if self._lost:
                    raise ConnectionError("the connection was closed in the middle of the response")
                await self._changed()

    async def _changed(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    # Misbehaving

    def pause(self) -> None:
        """Stop reading: what the server sends fills the buffers on the way."""
        self._paused = True
        if not self._lost:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if not self._lost:
            self._transport.resume_reading()

    async def disconnect(self) -> None:
        """Leave, as a browser does whose tab is closed."""
        self._transport.close()
        await self.closed()

    async def reset(self) -> None:
        """Leave by a reset, as a program does that crashes."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()
        await self.closed()

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self._transport.write_eof()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        response = self._response
        response.parser.feed_data(data)
        response.status = response.parser.get_status_code() if response.headers or response.complete else 0
        if ends_at_head(self._method, response.status):
            response.complete = True
        if self._rate is not None:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(len(data) / self._rate, self._read_on)
        self._wake()

    def _read_on(self) -> None:
        if not (self._paused or self._lost):
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        response = self._response
        named = {name.lower() for name in response.headers}
        if response.status and not {"content-length", "transfer-encoding"} & named:
            response.complete = True  # its end is that of the connection
        response.close()
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._response.close()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class TestClient:
    """``await client.get("/")`` for a complete response, ``async with client.request("/") as connection`` to stream.

    Each serves the application on a free port and stops it again; within ``async with app.test_client() as client``
    it is served once for all of them. Cookies are kept from answer to request. ``timeout`` is seconds for any wait.
    """

    __test__ = False

    def __init__(self, app: Any, host: str = "127.0.0.1", timeout: float = 30.0, **server: Any) -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self._host = host
        self._timeout = timeout
        self._options = {"access_log": False, **server}
        self._server: Any = None

    async def __aenter__(self) -> Self:
        access_log = self.app.config["ACCESS_LOG"]
        try:
            self._server = await self.app.create_server(self._host, 0, **self._options)
        finally:
            self.app.config["ACCESS_LOG"] = access_log  # the server has taken it
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        server.close()
        await server.wait_closed()

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[Any]:
        if self._server is not None:
            yield self._server
        else:
            async with self:
                yield self._server

    @asynccontextmanager
    async def request(
        self,
        path: str,
        method: str = "GET",
        *,
        headers: Pairs | None = None,
        query_string: Pairs | None = None,
        rate: float | None = None,
        small_buffer: bool = False,
    ) -> AsyncIterator[TestConnection]:
        """A connection on which the head of a request has been sent; leaving the block leaves the server.

        A POST, PUT or PATCH has a chunked body, to be sent by ``send`` and ended by ``send_complete``, unless
        ``headers`` have a ``Content-Length``. ``rate`` is bytes a second that are read; ``small_buffer`` makes the
        kernel hold little of what is not read, so that a paused client is felt soon.
        """
        fields = Headers(headers)
        chunked = method in _BODY_METHODS and "content-length" not in fields
        if chunked:
            fields.setdefault("Transfer-Encoding", "chunked")
        async with self._serving() as server:
            host, port = server.sockets[0].getsockname()[:2]
            target = target_of(path, query_string)
            sent = encode_request("GET", target, fields, None, None, None, self.cookies, f"{host}:{port}")
            connection = TestConnection(f"http://{host}:{port}{target}", method, chunked, self._timeout, rate)
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sock.setblocking(False)
            if rate is not None or small_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(self._timeout):
                    await loop.sock_connect(sock, (host, port))
                    await loop.create_connection(lambda: connection, sock=sock)
            except BaseException:
                sock.close()
                raise
            try:
                connection.send_raw(method.encode() + sent.head.removeprefix(b"GET"))
                yield connection
            finally:
                connection._transport.close()
                self.cookies |= connection._response.cookies

    async def open(
        self,
        path: str,
        method: str = "GET",
        *,
        headers: Pairs | None = None,
        data: Any = None,
        form: Pairs | None = None,
        json: Any = None,
        files: Pairs | None = None,
        query_string: Pairs | None = None,
        params: Pairs | None = None,
        cookies: Mapping[str, str] | None = None,
        follow_redirects: bool = False,
    ) -> TestResponse:
        """Send a request and collect its response; raises ``ConnectionError`` if that was cut."""
        self.cookies |= cookies or {}
        async with self._serving():
            history: list[TestResponse] = []
            body = encode_request(method, "/", None, form if data is None else data, json, files, None, "a")
            lines = (line.partition(": ") for line in body.head.decode("latin-1").split("\r\n")[1:-2])
            fields = Headers([(name, value) for name, _, value in lines if name in ("Content-Type", "Content-Length")])
            given = Headers(headers)
            for name in given:
                fields.pop(name, None)
            fields.extend(given.items())
            query = query_string if query_string is not None else params
            while True:
                async with self.request(path, method, headers=fields, query_string=query) as connection:
                    connection.send_raw(body.body)
                    response = await connection.as_response()
                response.history = list(history)
                where = response.headers.get("location") if response.status in _REDIRECTS else None
                if not (follow_redirects and where) or len(history) == 20:
                    return response
                history.append(response)
                parts = urlsplit(urljoin(response.url, where))
                path, query = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", None
                if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                    method, body = "HEAD" if method == "HEAD" else "GET", body._replace(body=b"")
                    for name in ("Content-Type", "Content-Length"):
                        fields.pop(name, None)

    def get(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a GET."""
        return self.open(path, "GET", **options)

    def post(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a POST."""
        return self.open(path, "POST", **options)

    def put(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a PUT."""
        return self.open(path, "PUT", **options)

    def patch(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a PATCH."""
        return self.open(path, "PATCH", **options)

    def delete(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a DELETE."""
        return self.open(path, "DELETE", **options)

    def options(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send an OPTIONS."""
        return self.open(path, "OPTIONS", **options)

    def head(self, path: str, **options: Any) -> Awaitable[TestResponse]:
        """Send a HEAD."""
        return self.open(path, "HEAD", **options)
