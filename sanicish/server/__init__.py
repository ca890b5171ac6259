"""The sockets: asyncio's callbacks, timeouts, signals."""

from sanicish.server.embedded import AsyncioServer
from sanicish.server.process import serve
from sanicish.server.protocol import HttpProtocol
from sanicish.server.serve import Server

__all__ = ["AsyncioServer", "HttpProtocol", "Server", "serve"]
