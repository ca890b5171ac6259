"""The two ways to read a head tell the same of the same bytes: a whole one may be plain, one in pieces never is."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.config import Config
from sanicish.exceptions import SanicException
from sanicish.http1.parser import RequestParser
from tests.cases.requests import ACCEPTED, REJECTED
from tests.doubles.sink import RecordingSink

LIMITS = Config(load_env=False).limits()
TIGHT = LIMITS._replace(head=200, target=30, fields=5)

METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"OPTIONS",
    b"DELETE",
    b"PROPFIND",
    b"CONNECT",
    b"get",
    b"GE",
    b"",
    b"\r\nGET",
    b"\nPUT",
]
TARGETS = [
    *(b"/", b"/a?b=c", b"/%41?x=%2F&y", b"//a//", b"/?", b"/a?b?c", b"/" + b"a" * 40, b'/[]{}|^`"<>\\'),
    *(
        b"/%",
        b"/%4",
        b"/a#b",
        b"/a\tb",
        b"/\xe9",
        b"/\x7f",
        b"/a b",
        b"",
        b"*",
        b"a",
        b"http://a/b?c",
        b"/\r\nX: y",
        b"/\n",
    ),
]
VERSIONS = [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.10", b"http/1.1", b"HTTP/1.1 ", b"RTSP/1.1", b"HTTP/11", b""]
DECIDING = [
    *(
        b"Host",
        b"Host:",
        b"Host: a",
        b"HOST:a:80",
        b"host:  [::1]:8 \t",
        b"Host: a b",
        b"Host : a",
        b"Host: a\x0b",
        b"Host: \xe9",
    ),
    *(
        b"Connection: close",
        b"connection:keep-alive",
        b"Connection: Close, x",
        b"Connection: upgrade",
        b"Connection: , close ,",
    ),
    *(
        b"Connection:",
        b"Proxy-Connection: close",
        b"Connection: keep-alive\x01",
        b"Connection: TE",
        b"Connection: clos\xe9",
    ),
    *(
        b"Content-Length: 0",
        b"Content-Length: 5",
        b"content-length:\t5 ",
        b"Content-Length: +5",
        b"Content-Length: 005",
    ),
    *(
        b"Content-Length: 5, 5",
        b"Content-Length:",
        b"Content-Length: 99999999999999999999",
        b"Content-Length: 18446744073709551615",
    ),
    *(b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED ", b"Transfer-Encoding: gzip", b"Transfer-Encoding:"),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked, chunked"),
    *(
        b"Expect: 100-continue",
        b"EXPECT: 100-CONTINUE",
        b"Expect:",
        b"Expect: 200",
        b"Expect: 100-continue, ,",
        b"Upgrade: h2c",
    ),
]
OTHER = [
    *(
        b"X: y",
        b"Cookie: a=b",
        b"Authorization: Basic YTpi",
        b"X:",
        b"X:y",
        b"x-y_z: \xe9 ",
        b"X: a\tb",
        b"X: a:b",
        b"X-Host: b",
    ),
    *(
        b"X-Content-Length: 7",
        b"X: content-length: 9",
        b"Y: Host: c",
        b"X:   ",
        b"X: " + b"y" * 300,
        b"X: a\x00",
        b"X: a\x7f",
    ),
    *(
        b"X y",
        b": y",
        b"X : y",
        b" X: y",
        b"\tfolded",
        b"X(: y",
        b"\xe9: y",
        b"X: a\rb",
        b"X: a\nY: b",
        b"X: a\nContent-Length: 3",
        b"",
    ),
]
NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"

mostly = st.integers(0, 9).map(bool)


@st.composite
def good_heads(draw):
    """A head that is taken, with its body and without, and most of the time plain."""
    fields = draw(st.lists(st.sampled_from(OTHER[:11]), max_size=6))
    fields.insert(
        draw(st.integers(0, len(fields))),
        draw(st.sampled_from([b"Host: a", b"HOST:a:80", b"host:  [::1]:8 \t", b"Host:"])),
    )
    fields += draw(
        st.lists(
            st.sampled_from([b"Connection: close", b"connection:keep-alive", b"Proxy-Connection: close"]), max_size=1
        )
    )
    fields += draw(st.lists(st.sampled_from([b"Expect: 100-continue", b"Upgrade: h2c", b"Expect:"]), max_size=1))
    framing, body = draw(
        st.sampled_from(
            [
                ([], b""),
                ([b"Content-Length: 0"], b""),
                ([b"content-length:\t005 "], b"hello"),
                ([b"transfer-encoding: CHUNKED "], b"5\r\nhello\r\n0\r\n\r\n"),
            ]
        )
    )
    line = draw(st.sampled_from(METHODS[:5])) + b" " + draw(st.sampled_from(TARGETS[:7])) + b" HTTP/1.1"
    return b"\r\n".join((line, *fields, *framing, b"", body))


@st.composite
def heads(draw):
    """A request line and fields of which most are good, and often something that belongs to the next message."""
    method = draw(st.sampled_from(METHODS[:2] if draw(mostly) else METHODS))
    target = draw(st.sampled_from(TARGETS[:8] if draw(mostly) else TARGETS))
    version = b"HTTP/1.1" if draw(mostly) else draw(st.sampled_from(VERSIONS))
    blank = b" " if draw(mostly) else draw(st.sampled_from([b"  ", b"\t", b""]))
    lines = draw(st.lists(st.sampled_from([*OTHER[:6], *DECIDING] if draw(mostly) else OTHER), max_size=5))
    if draw(mostly):
        lines.insert(draw(st.integers(0, len(lines))), b"Host: example.org")
    end = b"\r\n" if draw(mostly) else draw(st.sampled_from([b"\n", b"\r", b"\r\r\n", b"\n\r\n"]))
    raw = b"".join(line + b"\r\n" for line in (method + blank + target + blank + version, *lines)) + end
    return raw + draw(
        st.sampled_from([b"", b"", b"", b"hello", b"hello\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", NEXT, b"\r\n\r\n"])
    )


def read(pieces, limits):
    """All that is said of the messages in these pieces, to the sentence of a refusal."""
    sink = RecordingSink()
    parser = RequestParser(sink, limits)
    said = []
    try:
        for piece in pieces:
            pos = 0
            while pos < len(piece):
                pos = parser.feed(piece, pos)
    except SanicException as error:
        said = [error.status_code, error.message]
    known = [(head.expect_continue, head.protocol, head.path, head.query_string, head.fields) for head in sink.heads]
    return sink.story, known, said


def careful(raw):
    """Pieces of which none holds a whole head."""
    return [raw[at : at + 1] for at in range(len(raw))]


def both_ways(raw, cuts, limits):
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    expected = read(careful(raw), limits)
    assert read([raw], limits) == expected
    assert read([raw[a:b] for a, b in pairwise(edges)], limits) == expected


@given(raws=st.lists(good_heads(), min_size=1, max_size=3), cuts=st.lists(st.integers(0, 2**16), max_size=4))
def test_both_ways_say_the_same_of_good_heads(raws, cuts):
    story, _, refusal = read(raws, LIMITS)
    assert [event[0] for event in story].count("end") == len(raws) and not refusal
    assert read([piece for raw in raws for piece in careful(raw)], LIMITS) == read(raws, LIMITS)
    both_ways(b"".join(raws), cuts, LIMITS)


@given(
    raw=st.lists(heads(), min_size=1, max_size=3).map(b"".join),
    cuts=st.lists(st.integers(0, 2**16), max_size=4),
    tight=st.booleans(),
)
def test_both_ways_say_the_same(raw, cuts, tight):
    both_ways(raw, cuts, TIGHT if tight else LIMITS)


@given(before=heads(), raw=heads())
def test_both_ways_say_the_same_behind_another_message(before, raw):
    expected = read([*careful(before), *careful(raw)], LIMITS)
    assert read([before, raw], LIMITS) == expected
    assert read([before, raw[:1], raw[1:]], LIMITS) == expected


CASES = [case for case in (*ACCEPTED, *REJECTED) if len(case.raw) < 2_000]  # what is too long is never plain


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_ways_say_the_same_of_every_case(case):
    dice = random.Random(case.raw)
    both_ways(case.raw, [dice.randrange(len(case.raw)) for _ in range(4)], LIMITS)
    both_ways(NEXT + case.raw, [len(NEXT)], LIMITS)


@pytest.mark.parametrize("field", [b"Content-Length: 300", b"Transfer-Encoding: chunked", b"Connection: close"])
def test_a_head_behind_a_message_that_llhttp_thinks_goes_on_is_checked_too(field):
    body = {b"C": b"x" * 300, b"T": b"0\r\n\r\n"}[field[:1]] if field != b"Connection: close" else b""
    raw = b"POST / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n" + body
    bad = b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n"
    assert read([raw, bad], LIMITS) == read([*careful(raw), *careful(bad)], LIMITS)
    assert read([raw, bad], LIMITS)[2][0] == 400
