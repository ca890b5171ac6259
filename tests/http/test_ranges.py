"""Ranges, RFC 9110 section 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.http.ranges import Span, content_range, multipart_pieces, parse_ranges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=2-5", [(2, 6)]),
        ("bytes=7-", [(7, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-100", [(0, 10)]),
        ("bytes=0-100", [(0, 10)]),
        ("BYTES=0-1", [(0, 2)]),
        ("bytes= 0-1 , 3-4", [(0, 2), (3, 5)]),
        ("bytes=,0-1,", [(0, 2)]),
        ("bytes=0-1,20-", [(0, 2)]),
        ("bytes=8-9,0-1", [(8, 10), (0, 2)]),
        ("bytes=10-", []),
        ("bytes=-0", []),
        ("bytes=99999999999999999999999999-", []),
        ("bytes=20-,30-", []),
    ],
)
def test_the_bytes_that_are_wanted(text, expected):
    assert parse_ranges(text, 10) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "lines=0-1",
        "bytes=5-4",
        "bytes=a-b",
        "bytes=1",
        "bytes=-",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=\u0661-",
        "bytes=0-1,x",
    ],
)
def test_what_is_no_range_is_ignored(text):
    assert parse_ranges(text, 10) is None


def test_too_many_ranges_are_ignored():
    assert parse_ranges("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 200, 2)), 1_000) is None


def test_the_same_bytes_again_and_again_are_ignored():
    assert parse_ranges("bytes=0-,0-,0-", 10) is None


@pytest.mark.parametrize("text", ["bytes=0-0", "bytes=-1", "bytes=0-"])
def test_of_nothing_there_is_no_byte(text):
    assert parse_ranges(text, 0) == []


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_span_is_what_slicing_gives(first, last, size):
    found = parse_ranges(f"bytes={first}-{last}", size)
    if last < first:
        assert found is None
    elif first >= size:
        assert found == []
    else:
        (span,) = found
        assert range(size)[first : last + 1] == range(span.start, span.stop)
        assert content_range(span, size) == f"bytes {first}-{min(last, size - 1)}/{size}"


@given(st.integers(0, 1_000), st.integers(1, 1_000))
def test_a_suffix_is_what_slicing_gives(count, size):
    found = parse_ranges(f"bytes=-{count}", size)
    assert [list(range(*span)) for span in found] == ([list(range(size))[-count:]] if count else [])


@given(st.text("bytes=0123456789-, ", max_size=30), st.integers(0, 50))
def test_any_text_gives_spans_inside_or_nothing(text, size):
    found = parse_ranges(text, size)
    assert found is None or all(0 <= span.start < span.stop <= size for span in found)


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10)), min_size=2, max_size=5))
def test_a_multipart_body_is_as_long_as_it_says(pairs):
    spans = [Span(start, start + size) for start, size in pairs]
    heads, end, length = multipart_pieces(spans, 100, "text/plain", "edge")
    body = b"".join(head + b"x" * span.size for head, span in zip(heads, spans, strict=True)) + end
    assert len(body) == length
    assert body.startswith(b"\r\n--edge\r\n") and body.endswith(b"\r\n--edge--\r\n")
