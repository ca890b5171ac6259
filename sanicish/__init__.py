"""An asyncio HTTP/1.1 server and small framework that streams in both directions, with Sanic's API."""

import sys
from typing import cast

from sanicish.app import Sanic
from sanicish.blueprints import Blueprint
from sanicish.channel import Channel
from sanicish.context import CurrentRequest, stream_with_context
from sanicish.events import Event, sse
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
from sanicish.response.conversion import Response, make_response
from sanicish.response.iterables import buffered
from sanicish.rows import csv, json_array, ndjson
from sanicish.templates import stream_template, stream_template_string

__version__ = "0.1.0"

Sanicish = Sanic

request: Request = cast(Request, CurrentRequest(sys.modules["sanicish.request"]))

__all__ = [
    "Blueprint",
    "Channel",
    "Event",
    "HTTPResponse",
    "Request",
    "Response",
    "Sanic",
    "Sanicish",
    "StreamingHTTPResponse",
    "__version__",
    "buffered",
    "csv",
    "empty",
    "file",
    "file_stream",
    "html",
    "json",
    "json_array",
    "make_response",
    "ndjson",
    "raw",
    "redirect",
    "request",
    "sse",
    "stream",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "text",
]
