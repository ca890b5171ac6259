"""An asyncio HTTP/1.1 server and small framework that streams in both directions, with Sanic's API."""

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint
from sanicish.request import Request
from sanicish.response import (
    HTTPResponse,
    StreamingHTTPResponse,
    empty,
    file,
    file_stream,
    html,
    json,
    raw,
    redirect,
    stream,
    text,
)

__version__ = "0.1.0"

Sanicish = Sanic

__all__ = [
    "Blueprint",
    "HTTPResponse",
    "Request",
    "Sanic",
    "Sanicish",
    "StreamingHTTPResponse",
    "__version__",
    "empty",
    "file",
    "file_stream",
    "html",
    "json",
    "raw",
    "redirect",
    "stream",
    "text",
]
