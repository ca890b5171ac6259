"""Exceptions: names, statuses and signatures that code for Sanic relies on."""

import pytest

from sanicish import exceptions
from sanicish.exceptions import (
    BadRequest,
    BadURL,
    ClientDisconnected,
    ContentLengthMismatch,
    ContentRangeError,
    ExpectationFailed,
    FileNotFound,
    Forbidden,
    HeaderExpectationFailed,
    HeaderNotFound,
    InvalidHeader,
    InvalidRangeType,
    InvalidUsage,
    LoadFileException,
    MethodNotAllowed,
    MethodNotSupported,
    NotFound,
    PayloadTooLarge,
    PyFileError,
    RangeNotSatisfiable,
    RequestAborted,
    RequestTimeout,
    ResponseError,
    SanicException,
    SanicishException,
    ServerError,
    ServiceUnavailable,
    StreamBusy,
    StreamClosed,
    StreamError,
    Unauthorized,
    URITooLong,
    URLBuildError,
    WriteBufferFull,
    abort,
    add_status_code,
)

STATUSES = {
    SanicException: 500,
    BadRequest: 400,
    BadURL: 400,
    InvalidHeader: 400,
    HeaderNotFound: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    FileNotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    PayloadTooLarge: 413,
    URITooLong: 414,
    RangeNotSatisfiable: 416,
    InvalidRangeType: 416,
    ExpectationFailed: 417,
    ServerError: 500,
    URLBuildError: 500,
    LoadFileException: 500,
    ServiceUnavailable: 503,
}


@pytest.mark.parametrize("cls", STATUSES)
def test_an_exception_has_its_status_and_a_sentence(cls):
    error = cls("sentence")
    assert isinstance(error, SanicException)
    assert (error.status_code, str(error), error.message) == (STATUSES[cls], "sentence", "sentence")


@pytest.mark.parametrize("cls", STATUSES)
def test_an_exception_without_a_sentence_says_what_its_status_means(cls):
    assert str(cls()) == exceptions.reason(STATUSES[cls])


def test_old_and_new_names_are_the_same_class():
    assert SanicishException is SanicException
    assert InvalidUsage is BadRequest
    assert MethodNotSupported is MethodNotAllowed
    assert ContentRangeError is RangeNotSatisfiable
    assert HeaderExpectationFailed is ExpectationFailed


def test_a_status_may_be_given_with_the_exception():
    assert SanicException("x", 418).status_code == 418
    assert SanicException("x", status_code=418).status_code == 418
    assert NotFound("x", status_code=410).status_code == 410
    assert NotFound("x").status_code == 404


def test_a_sentence_of_bytes_is_text():
    assert str(SanicException(b"caf\xc3\xa9 \xff")) == "caf\xe9 \ufffd"


def test_a_class_may_bring_sentence_status_and_quiet():
    class TeaPot(SanicException):
        status_code = 418
        message = "I am one"
        quiet = False

    assert (str(TeaPot()), TeaPot().status_code, TeaPot().quiet) == ("I am one", 418, False)


@pytest.mark.parametrize(
    ("error", "quiet"),
    [
        (NotFound(), True),
        (SanicException(status_code=418), True),
        (ServerError(), False),
        (SanicException(), False),
        (ServerError(quiet=True), True),
        (NotFound(quiet=False), False),
        (MethodNotAllowed("x", quiet=False), False),
        (Unauthorized("x", quiet=False), False),
    ],
)
def test_what_is_the_clients_fault_is_quiet_unless_told_otherwise(error, quiet):
    assert error.quiet is quiet


def test_method_not_allowed_tells_the_methods():
    error = MethodNotSupported("message", "PUT", ["GET", "HEAD"])
    assert (error.method, error.allowed_methods, error.headers) == ("PUT", ("GET", "HEAD"), {"Allow": "GET, HEAD"})


def test_unauthorized_challenges():
    error = Unauthorized("Auth required.", scheme="Digest", realm="My App", qop="auth", nonce=5)
    assert error.headers == {"WWW-Authenticate": 'Digest realm="My App", qop="auth", nonce="5"'}
    assert Unauthorized("x", None, "Bearer").headers == {"WWW-Authenticate": "Bearer"}
    assert Unauthorized("x").headers == {}
    assert Unauthorized("x", 407, "Basic").status_code == 407


def test_a_quote_in_a_challenge_cannot_end_it():
    error = Unauthorized("x", scheme="Basic", realm='a", charset="b\\')
    assert error.headers == {"WWW-Authenticate": 'Basic realm="a\\", charset=\\"b\\\\"'}


def test_file_not_found_knows_its_path():
    error = FileNotFound("File not found", "/srv/x", "x")
    assert (error.path, error.relative_url, error.status_code) == ("/srv/x", "x", 404)
    assert "/srv" not in str(error)


class _Range:
    total = 100


@pytest.mark.parametrize("cls", [ContentRangeError, InvalidRangeType])
@pytest.mark.parametrize("told", [_Range, 100])
def test_a_range_error_tells_the_size(cls, told):
    assert cls("message", told).headers == {"Content-Range": "bytes */100"}
    assert cls("message").headers == {}


def test_a_failing_file_is_named():
    assert "x.py" in str(PyFileError("x.py"))
    assert isinstance(PyFileError("x.py"), LoadFileException)


def test_context_and_extra_and_headers_are_kept():
    error = SanicException("x", context={"a": 1}, extra={"b": 2}, headers={"Retry-After": "5"})
    assert (error.context, error.extra, error.headers) == ({"a": 1}, {"b": 2}, {"Retry-After": "5"})


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, BadRequest),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, MethodNotAllowed),
        (408, RequestTimeout),
        (413, PayloadTooLarge),
        (416, RangeNotSatisfiable),
        (417, ExpectationFailed),
        (500, ServerError),
        (503, ServiceUnavailable),
        (418, SanicException),
        (599, SanicException),
    ],
)
def test_abort_raises_the_exception_of_a_status(status, cls):
    with pytest.raises(SanicException) as caught:
        abort(status, "message")
    assert type(caught.value) is cls
    assert (caught.value.status_code, str(caught.value)) == (status, "message")


def test_abort_without_a_sentence_says_what_the_status_means():
    with pytest.raises(NotFound, match="Not Found"):
        abort(404)
    with pytest.raises(SanicException, match="Unknown"):
        abort(599)


def test_a_class_of_ones_own_is_raised_by_abort_once_it_has_a_status():
    @add_status_code(597, quiet=True)
    class Own(SanicException):
        pass

    with pytest.raises(Own) as caught:
        abort(597, "x")
    assert (caught.value.status_code, caught.value.quiet) == (597, True)


def test_every_error_of_a_stream_has_one_base():
    for cls in (ClientDisconnected, RequestAborted, StreamBusy, ResponseError):
        assert issubclass(cls, StreamError)
    for cls in (StreamClosed, WriteBufferFull, ContentLengthMismatch):
        assert issubclass(cls, ResponseError)
    assert issubclass(RequestAborted, ClientDisconnected)
    assert not issubclass(StreamError, SanicException)


def test_every_name_is_exported():
    defined = {name for name, value in vars(exceptions).items() if isinstance(value, type) and name[0] != "_"}
    assert {name for name in defined if issubclass(getattr(exceptions, name), Exception)} <= set(exceptions.__all__)
