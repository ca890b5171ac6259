"""A server in a thread that says what it understood, on both loops, for clients that are nothing but a socket."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from sanicish import Sanic
from sanicish.constants import HTTP_METHODS
from sanicish.response import text
from tests.doubles.threaded import Threaded


class Echo:
    """Its address, and the targets of all requests whose handler ran."""

    def __init__(self, uvloop: bool) -> None:
        self.handled: list[str] = []
        app = Sanic("echo", configure_logging=False, register=False, load_env=False)
        app.config.USE_UVLOOP = uvloop
        app.config.ACCESS_LOG = False
        app.add_route(self.handle, "/", methods=HTTP_METHODS)
        app.add_route(self.handle, "/<rest:path>", methods=HTTP_METHODS, name="rest")
        self.serving = Threaded(app)
        self.serving.wait_ready()
        self.address: Any = self.serving.address

    async def handle(self, request: Any, rest: str = "") -> Any:
        self.handled.append(request.raw_url.decode())
        return text(f"{request.method} {request.raw_url.decode()} {request.body.decode('latin-1')}")

    def talk(self, *pieces: bytes) -> bytes:
        """Send pieces on a connection of their own, end it, and read until the server closes it."""
        with socket.create_connection(self.address, timeout=10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = b""
            try:
                for piece in pieces:
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused while it was being sent; what was said of it is still there to be read
            try:
                while data := sock.recv(65_536):
                    answer += data
            except ConnectionResetError:
                pass
            return answer

    def stop(self) -> None:
        self.serving.stop()
        self.serving.wait_done()


@pytest.fixture(scope="session", params=[True, False], ids=["uvloop", "asyncio"])
def echo(request: pytest.FixtureRequest) -> Iterator[Echo]:
    """One echo server for all tests."""
    server = Echo(request.param)
    yield server
    server.stop()
