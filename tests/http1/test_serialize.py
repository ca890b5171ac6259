"""A head as bytes."""

import pytest

from sanicish.exceptions import ResponseError
from sanicish.headers import Headers
from sanicish.http1.serialize import DateField, serialize_head, status_line

DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"


def lines(headers=None, content_type=None, status=200, framing=b"Content-Length: 0\r\n", connection=b""):
    fields = Headers(headers) if headers is not None else None
    return serialize_head(status, fields, content_type, framing, DATE, connection).split(b"\r\n")


def test_the_least_of_all_heads():
    assert lines() == [b"HTTP/1.1 200 OK", b"Content-Length: 0", DATE[:-2], b"", b""]


def test_a_head_ends_with_one_empty_line():
    assert serialize_head(200, Headers({"X": "y"}), "a/b", b"", DATE, b"").endswith(b"\r\n\r\n")


def test_the_content_type_comes_first():
    assert lines({"X": "y"}, "a/b")[1:3] == [b"Content-Type: a/b", b"X: y"]


def test_a_content_type_among_the_headers_wins():
    assert [line for line in lines({"content-type": "c/d"}, "a/b") if b"ype" in line] == [b"content-type: c/d"]


def test_a_date_among_the_headers_wins():
    assert [line for line in lines({"date": "never"}) if line.lower().startswith(b"date")] == [b"date: never"]


def test_names_and_their_order_stay_as_they_are():
    assert lines({"x-B": "1", "X-a": "2"})[1:3] == [b"x-B: 1", b"X-a: 2"]


def test_a_name_with_two_values_stands_twice():
    headers = Headers()
    headers.add("Set-Cookie", "a=1")
    headers.add("Set-Cookie", "b=2")
    assert lines(headers)[1:3] == [b"Set-Cookie: a=1", b"Set-Cookie: b=2"]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "CONNECTION", "Keep-Alive"])
def test_what_says_how_the_body_ends_is_never_copied(name):
    """Two such fields are how one response is read as two (RFC 9112 section 11)."""
    head = serialize_head(200, Headers({name: "7"}), None, b"Content-Length: 0\r\n", DATE, b"Connection: close\r\n")
    assert head.lower().count(name.lower().encode() + b":") == (name.lower() in ("content-length", "connection"))
    assert b": 7" not in head


@pytest.mark.parametrize(
    ("status", "line"),
    [(200, b"200 OK"), (404, b"404 Not Found"), (299, b"299 Unknown"), (999, b"999 Unknown")],
)
def test_the_status_has_its_reason(status, line):
    assert status_line(status) == b"HTTP/1.1 " + line + b"\r\n"


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -200, "200", 200.5, None])
def test_what_is_no_final_status_is_refused(status):
    """A 1xx leaves the client waiting for the response (RFC 9110 section 15.2)."""
    with pytest.raises(ResponseError):
        status_line(status)


def test_the_date_is_as_the_rfc_wants_it():
    assert DateField(lambda: 784111777).line() == b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


def test_the_date_of_one_second_is_made_once():
    date = DateField(iter((5.0, 5.9)).__next__)
    assert date.line() is date.line()


def test_the_date_follows_the_clock():
    date = DateField(iter((5.9, 6.0)).__next__)
    assert date.line() != date.line()


def test_the_date_follows_a_clock_that_was_set_back():
    date = DateField(iter((10, 0)).__next__)
    date.line()
    assert date.line() == DATE
