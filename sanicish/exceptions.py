"""What can go wrong, by name.

Three families, and every error belongs to one of them:

* ``SanicException`` carries a status and becomes a response with that status;
* ``ClientDisconnected`` says the peer is gone and becomes silence;
* ``ResponseError`` is a mistake of the application on its own answer: it is logged, and the
  answer is cut rather than ended, so that no broken answer ever looks whole.
"""

from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, TypeVar

from sanicish.constants import reason

__all__ = [
    "BadRequest",
    "BadURL",
    "ClientDisconnected",
    "ContentLengthMismatch",
    "ContentRangeError",
    "ExpectationFailed",
    "FileNotFound",
    "Forbidden",
    "HeaderExpectationFailed",
    "HeaderFieldsTooLarge",
    "HeaderNotFound",
    "InvalidHeader",
    "InvalidRangeType",
    "InvalidSetting",
    "InvalidSignal",
    "InvalidUsage",
    "LoadFileException",
    "MethodNotAllowed",
    "MethodNotImplemented",
    "MethodNotSupported",
    "NotFound",
    "PayloadTooLarge",
    "PostgresUnavailable",
    "PyFileError",
    "RangeNotSatisfiable",
    "RequestAborted",
    "RequestCancelled",
    "RequestTimeout",
    "ResponseCut",
    "ResponseError",
    "SanicException",
    "SanicishException",
    "ServerError",
    "ServiceUnavailable",
    "StreamBusy",
    "StreamClosed",
    "StreamError",
    "URITooLong",
    "URLBuildError",
    "Unauthorized",
    "VersionNotSupported",
    "WriteBufferFull",
    "abort",
    "add_status_code",
]


class InvalidSetting(ValueError):
    """A setting with a value that nothing can work with."""


class InvalidSignal(ValueError):
    """A signal that does not exist."""


class PostgresUnavailable(RuntimeError):
    """``temporary()`` found no PostgreSQL to start, or it did not start; the text says what to do or what it said."""


class SanicException(Exception):
    """An error that becomes a response.

    ``status_code`` is the status of that response (500 when neither the class nor the call names
    one), ``message`` the sentence shown to the client, ``headers`` extra fields of the response.
    ``quiet`` keeps it out of the error log; errors below 500 are quiet unless told otherwise.
    """

    status_code: int = 500
    quiet: bool | None = None
    message: str = ""

    def __init__(
        self,
        message: str | bytes | None = None,
        status_code: int | None = None,
        quiet: bool | None = None,
        *,
        context: Mapping[str, object] | None = None,
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if status_code is not None:
            self.status_code = status_code
        if isinstance(message, bytes):
            message = message.decode("utf-8", "replace")
        with suppress(AttributeError):  # a property, of a subclass that is not complete yet
            message = self.message or None if message is None else message
        if message is None:
            message = reason(self.status_code)
        super().__init__(message)
        with suppress(AttributeError):  # a property
            self.message = message
        self.context = context
        self.extra = extra
        self.headers: dict[str, str] = dict(headers or {})
        if quiet is not None:
            self.quiet = quiet
        elif self.quiet is None:
            self.quiet = self.status_code < 500


SanicishException = SanicException

_Error = TypeVar("_Error", bound=type[SanicException])
_by_status: dict[int, type[SanicException]] = {}


def add_status_code(code: int, quiet: bool | None = None) -> Callable[[_Error], _Error]:
    """Give an exception class its status, and make ``abort(code)`` raise it (Sanic to 20.12)."""

    def mark(cls: _Error) -> _Error:
        cls.status_code = code
        if quiet is not None:
            cls.quiet = quiet
        _by_status[code] = cls
        return cls

    return mark


def abort(status_code: int, message: str | None = None) -> NoReturn:
    """Raise the exception class that answers with ``status_code``."""
    error = _by_status.get(status_code)
    if error is None:
        raise SanicException(message, status_code=status_code)
    raise error(message)


@add_status_code(404)
class NotFound(SanicException):
    """404: nothing lives at this path."""


@add_status_code(400)
class BadRequest(SanicException):
    """400: the request breaks a rule of HTTP or of the application."""


InvalidUsage = BadRequest


class BadURL(BadRequest):
    """400: the request target cannot be read."""


class InvalidHeader(BadRequest):
    """400: a header field cannot be read."""


class HeaderNotFound(BadRequest):
    """400: a header field that is needed is missing."""


@add_status_code(405)
class MethodNotAllowed(SanicException):
    """405: the path is known, the method is not; ``Allow`` names those that are (RFC 9110 15.5.6)."""

    def __init__(
        self,
        message: str | bytes | None = None,
        method: str = "",
        allowed_methods: Sequence[str] = (),
        quiet: bool | None = None,
    ) -> None:
        super().__init__(message, quiet=quiet)
        self.method = method
        self.allowed_methods = tuple(allowed_methods)
        self.headers["Allow"] = ", ".join(self.allowed_methods)


MethodNotSupported = MethodNotAllowed


@add_status_code(401)
class Unauthorized(SanicException):
    """401: credentials are wanted; ``scheme`` and keywords make ``WWW-Authenticate`` (RFC 9110 11.6.1)."""

    def __init__(
        self,
        message: str | bytes | None = None,
        status_code: int | None = None,
        scheme: str | None = None,
        quiet: bool | None = None,
        **challenges: object,
    ) -> None:
        super().__init__(message, status_code, quiet)
        if scheme is not None:
            values = [f'{name}="{_escape(str(value))}"' for name, value in challenges.items()]
            self.headers["WWW-Authenticate"] = f"{scheme} {', '.join(values)}".rstrip()


def _escape(text: str) -> str:
    """Text as it stands in a quoted string (RFC 9110 5.6.4)."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


@add_status_code(403)
class Forbidden(SanicException):
    """403: understood, and refused."""


@add_status_code(408)
class RequestTimeout(SanicException):
    """408: the request did not arrive in time."""


@add_status_code(413)
class PayloadTooLarge(SanicException):
    """413: the body is larger than this route takes."""


@add_status_code(414)
class URITooLong(SanicException):
    """414: the request target is longer than the server takes."""


@add_status_code(416)
class RangeNotSatisfiable(SanicException):
    """416: no byte of the asked range exists; ``Content-Range`` tells the size (RFC 9110 14.4)."""

    def __init__(self, message: str | bytes | None = None, content_range: object = None) -> None:
        super().__init__(message)
        total = getattr(content_range, "total", content_range)
        if total is not None:
            self.headers["Content-Range"] = f"bytes */{total}"


ContentRangeError = RangeNotSatisfiable


class InvalidRangeType(RangeNotSatisfiable):
    """416: a range in a unit that is not bytes."""


@add_status_code(417)
class ExpectationFailed(SanicException):
    """417: an ``Expect`` other than ``100-continue`` (RFC 9110 10.1.1)."""


HeaderExpectationFailed = ExpectationFailed


@add_status_code(431)
class HeaderFieldsTooLarge(SanicException):
    """431: the head has too many bytes or too many fields."""


@add_status_code(500)
class ServerError(SanicException):
    """500: the application failed."""


class URLBuildError(ServerError):
    """500: ``url_for`` was asked for a route or value that does not fit."""


@add_status_code(501)
class MethodNotImplemented(SanicException):
    """501: a method or transfer coding this server does not know."""


@add_status_code(503)
class ServiceUnavailable(SanicException):
    """503: no response now; perhaps later."""


@add_status_code(505)
class VersionNotSupported(SanicException):
    """505: a version of HTTP other than 1.0 and 1.1."""


class FileNotFound(NotFound):
    """404: a file that should be sent is not there."""

    def __init__(self, message: str | None = None, path: object = None, relative_url: object = None) -> None:
        super().__init__(message)
        self.path = path
        self.relative_url = relative_url


class LoadFileException(SanicException):
    """A configuration file or module could not be loaded."""


class PyFileError(LoadFileException):
    """A Python configuration file failed while it ran."""

    def __init__(self, file: object) -> None:
        super().__init__(f"could not execute config file {file}")


class StreamError(Exception):
    """Anything that goes wrong on a stream, in either direction."""


class ClientDisconnected(StreamError):
    """The client is gone: there is nobody left to read from or to write to."""


class RequestAborted(ClientDisconnected):
    """The client went away in the middle of its body; what had arrived was delivered first."""


RequestCancelled = CancelledError
"""What a handler gets when its client leaves or its time is over; ``request.cancel_reason`` tells which (Sanic 22.9)."""


class StreamBusy(StreamError):
    """A second reader asked for a request body while another one was waiting for it."""


class ResponseError(StreamError):
    """The application broke a rule of its own answer."""


class ResponseCut(ResponseError):
    """A response ended before it was complete, and the reason has been reported; tells an ASGI server to cut it."""

    quiet = True


class StreamClosed(ResponseError):
    """Something was written after the end of the response."""


class WriteBufferFull(ResponseError):
    """More was written without ``await`` than RESPONSE_BUFFER_LIMIT (bytes) allows."""


class ContentLengthMismatch(ResponseError):
    """More or fewer bytes were written than ``Content-Length`` promised."""
