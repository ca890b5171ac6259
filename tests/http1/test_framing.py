"""How the body of a response is delimited: one choice, four ways (RFC 9112 section 6.3)."""

import pytest

from sanicish.exceptions import ContentLengthMismatch
from sanicish.http1.framing import Chunked, FixedLength, NoBody, UntilClose, choose_framing

# method, version, status, length, chunked, and the framing with its field line
CHOICES = [
    ("GET", "1.1", 200, None, None, Chunked, b"Transfer-Encoding: chunked\r\n"),
    ("GET", "1.1", 200, None, True, Chunked, b"Transfer-Encoding: chunked\r\n"),
    ("GET", "1.1", 200, None, False, UntilClose, b""),
    ("GET", "1.1", 200, 5, None, FixedLength, b"Content-Length: 5\r\n"),
    ("GET", "1.1", 200, 5, False, FixedLength, b"Content-Length: 5\r\n"),
    ("GET", "1.1", 200, 5, True, Chunked, b"Transfer-Encoding: chunked\r\n"),
    ("GET", "1.1", 200, 0, None, FixedLength, b"Content-Length: 0\r\n"),
    ("GET", "1.0", 200, None, None, UntilClose, b""),
    ("GET", "1.0", 200, None, True, UntilClose, b""),
    ("GET", "1.0", 200, 5, None, FixedLength, b"Content-Length: 5\r\n"),
    ("GET", "1.0", 200, 5, True, FixedLength, b"Content-Length: 5\r\n"),
    ("HEAD", "1.1", 200, None, None, NoBody, b"Transfer-Encoding: chunked\r\n"),
    ("HEAD", "1.1", 200, 5, None, NoBody, b"Content-Length: 5\r\n"),
    ("HEAD", "1.1", 200, None, False, NoBody, b""),
    ("HEAD", "1.0", 200, None, None, NoBody, b""),
    ("GET", "1.1", 204, None, None, NoBody, b""),
    ("GET", "1.1", 204, 5, None, NoBody, b""),
    ("GET", "1.1", 205, None, None, NoBody, b"Content-Length: 0\r\n"),
    ("GET", "1.1", 205, 5, True, NoBody, b"Content-Length: 0\r\n"),
    ("GET", "1.1", 304, None, None, NoBody, b""),
    ("GET", "1.1", 304, 5, None, NoBody, b"Content-Length: 5\r\n"),
    ("HEAD", "1.1", 204, None, None, NoBody, b""),
    ("POST", "1.1", 500, 5, None, FixedLength, b"Content-Length: 5\r\n"),
]


@pytest.mark.parametrize(("method", "version", "status", "length", "chunked", "kind", "field"), CHOICES)
def test_the_first_rule_that_fits_chooses(method, version, status, length, chunked, kind, field):
    framing = choose_framing(method, version, status, length, chunked)
    assert (type(framing), framing.field) == (kind, field)


def framed(framing, *pieces):
    out = []
    for piece in pieces:
        framing.frame(piece, out)
    framing.end(out)
    return b"".join(out)


def test_each_piece_is_a_chunk():
    assert framed(Chunked(), b"hello", b"x" * 16) == b"5\r\nhello\r\n10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n"


def test_a_large_piece_is_not_copied():
    out, piece = [], b"x" * 100_000
    Chunked().frame(piece, out)
    assert any(one is piece for one in out)


def test_a_known_length_adds_nothing():
    assert framed(FixedLength(5), b"he", b"llo") == b"hello"


def test_one_byte_too_many_is_refused_and_not_framed():
    framing, out = FixedLength(5), []
    framing.frame(b"hell", out)
    with pytest.raises(ContentLengthMismatch):
        framing.frame(b"oo", out)
    assert out == [b"hell"]


def test_one_byte_too_few_is_refused_at_the_end():
    framing = FixedLength(5)
    framing.frame(b"hell", [])
    with pytest.raises(ContentLengthMismatch):
        framing.end([])


def test_a_length_of_zero_is_complete_at_once():
    assert framed(FixedLength(0)) == b""


def test_until_close_adds_nothing_and_closes():
    assert framed(UntilClose(), b"he", b"llo") == b"hello" and UntilClose.closes


def test_no_body_sends_nothing():
    assert framed(NoBody(), b"hello") == b"" and NoBody.bodiless


def test_only_until_close_closes():
    assert not (Chunked.closes or FixedLength.closes or NoBody.closes)
