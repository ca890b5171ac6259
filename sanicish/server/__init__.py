"""The sockets: asyncio's callbacks, clocks, signals."""

from sanicish.server.protocol import HttpProtocol
from sanicish.server.serve import AsyncioServer, Server, serve

__all__ = ["AsyncioServer", "HttpProtocol", "Server", "serve"]
