"""What a handler returns: every kind of response, where it is imported from."""

from sanicish.formats import encode, json_dumps
from sanicish.sent_files import file, file_stream, ranged, validate_file
from sanicish.streaming import ResponseStream, StreamingHTTPResponse, stream
from sanicish.whole import (
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
