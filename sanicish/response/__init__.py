"""What a handler returns: every kind of response, where it is imported from."""

from sanicish.response.complete import (
    DEFAULT_STREAM_TYPE,
    BaseHTTPResponse,
    HTTPResponse,
    empty,
    html,
    json,
    raw,
    redirect,
    text,
)
from sanicish.response.files import file, file_stream, ranged, validate_file
from sanicish.response.formats import encode, json_dumps
from sanicish.response.streaming import ResponseStream, StreamingHTTPResponse, stream

__all__ = [
    "DEFAULT_STREAM_TYPE",
    "BaseHTTPResponse",
    "HTTPResponse",
    "ResponseStream",
    "StreamingHTTPResponse",
    "empty",
    "encode",
    "file",
    "file_stream",
    "html",
    "json",
    "json_dumps",
    "ranged",
    "raw",
    "redirect",
    "stream",
    "text",
    "validate_file",
]
