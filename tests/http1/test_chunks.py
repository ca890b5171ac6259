"""The chunked coding alone; what is accepted and refused on the wire stands in the cases of the parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.exceptions import BadRequest
from sanicish.http1.chunks import ChunkedBody


def decode(*reads, most_trailers=100):
    body, pieces = ChunkedBody(most_trailers), []
    for data in reads:
        used = body.feed(data, 0, pieces)
        if body.ended:
            return b"".join(pieces), data[used:]
    return b"".join(pieces), None


@given(st.lists(st.binary(min_size=1, max_size=50)), st.binary(max_size=20), st.lists(st.integers(1, 30)))
def test_what_was_framed_is_found_again_however_it_is_split(data, behind, cuts):
    raw = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in data) + b"0\r\n\r\n" + behind
    reads = []
    for cut in cuts:
        reads.append(raw[:cut])
        raw = raw[cut:]
    content, rest = decode(*[read for read in reads if read], *([raw] if raw else []))
    assert content == b"".join(data)
    assert rest is not None and behind.startswith(rest)


def test_a_large_chunk_passes_as_it_comes():
    body, pieces = ChunkedBody(100), []
    body.feed(b"20000\r\n" + b"a" * 65_536, 0, pieces)
    body.feed(b"b" * 65_536, 0, pieces)
    assert [len(piece) for piece in pieces] == [65_536, 65_536]


def test_content_that_came_before_an_error_is_kept():
    body, pieces = ChunkedBody(100), []
    with pytest.raises(BadRequest):
        body.feed(b"1\r\na\r\nnonsense\r\n", 0, pieces)
    assert pieces == [b"a"]


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"-1\r\n",
        b"g\r\n",
        b"1;\x00\r\n",
        b"1;\x7f\r\n",
        b"f" * 17 + b"\r\n",
    ],
)
def test_a_size_is_hexadecimal_digits_and_nothing_else(raw):
    with pytest.raises(BadRequest):
        decode(raw)


def test_a_chunk_that_is_longer_than_its_size_is_refused():
    with pytest.raises(BadRequest):
        decode(b"1\r\nab\r\n")
