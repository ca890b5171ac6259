"""What holds for any bytes at all: how they are split makes no difference, and a stricter reader agrees."""

import re
from itertools import pairwise

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from sanicish.config import Config
from sanicish.http1.parser import RequestParser
from tests.cases.requests import ACCEPTED, REJECTED
from tests.doubles.sink import RecordingSink, tell

LIMITS = Config(load_env=False).limits()
TIGHT = LIMITS._replace(head=200, target=30, fields=5)

# Whole cases, their lines, and what stands between them: what is made of these comes close to HTTP, and goes wrong late.
CASES = [case.raw for case in (*ACCEPTED, *REJECTED) if len(case.raw) < 300]
LINES = sorted({line for raw in CASES for line in re.split(rb"(?<=\r\n)", raw) if line})
MARKS = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"5",
    b"a",
    b"\x00",
    b"\x80",
    b"\xff",
    b"%",
    b"#",
]

messages = st.lists(
    st.one_of(st.sampled_from(CASES), st.sampled_from(LINES), st.sampled_from(MARKS), st.binary(max_size=8)), max_size=6
).map(b"".join)


@st.composite
def mutated(draw):
    """A case with a few bytes put in, taken out or changed."""
    raw = bytearray(draw(st.sampled_from(CASES)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(st.one_of(st.just(b""), st.sampled_from(MARKS)))
    return bytes(raw)


def tell_split(raw, cuts, limits):
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    sink = RecordingSink()
    return tell(RequestParser(sink, limits), sink, [raw[a:b] for a, b in pairwise(edges)])


@given(raw=st.one_of(messages, mutated()), cuts=st.lists(st.integers(0, 2**16), max_size=8), tight=st.booleans())
@example(raw=b"GET /" + b"a" * 40 + b"\x01", cuts=[], tight=True)
def test_any_split_of_any_bytes_tells_the_same_story(raw, cuts, tight):
    limits = TIGHT if tight else LIMITS
    whole = tell_split(raw, [], limits)
    assert tell_split(raw, cuts, limits) == whole
    assert tell_split(raw, range(len(raw)), limits) == whole


# What h11 refuses and we take, and why nothing can come of it. Everything else we take, it takes, and means the same.
LENIENT = {
    "blank lines before the request (9112 2.2)": re.compile(rb"\A[\r\n]+"),
    "more than one blank in the request line (9112 3)": re.compile(rb"\A[\r\n]*[^ \r\n]+(?: {2,}[^ ]| [^ ]+ {2,})"),
}


def read_by_h11(raw):
    """Method, target, version, fields and body of the first request, as h11 understands it, or why it does not."""
    judge = h11.Connection(h11.SERVER, max_incomplete_event_size=2**16)
    judge.receive_data(raw)
    request, body = None, b""
    try:
        while True:
            event = judge.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                fields = tuple((bytes(name), bytes(value)) for name, value in request.headers)
                return bytes(request.method), bytes(request.target), request.http_version, fields, body
            elif event in (h11.NEED_DATA, h11.PAUSED):
                return "more is needed"
    except h11.RemoteProtocolError as error:
        return str(error)


@given(raw=st.one_of(messages, mutated()))
def test_what_is_taken_means_the_same_to_a_stricter_reader(raw):
    told = tell_split(raw, [], LIMITS)
    if [event[0] for event in told[:3]] not in (["head", "end"], ["head", "end", "head"], ["head", "data", "end"]):
        return
    if any(lenient.match(raw) for lenient in LENIENT.values()):
        return
    (_, method, target, version, fields, *_), *rest = told
    fields = tuple((name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields)  # as h11
    body = rest[0][1] if rest[0][0] == "data" else b""
    read = read_by_h11(raw)
    assert not isinstance(read, str), read
    assert read[0].decode() == method
    assert read[2].decode() == version
    assert read[4] == body
    if read[1].startswith(b"/"):
        assert (read[1], read[3]) == (target, fields)
    else:  # the absolute form: its host replaces the field, and only the rest is the target (RFC 9112 3.2.2)
        hosts = [value for name, value in fields if name == b"host"]
        assert target == b"*" or (len(hosts) == 1 and b"://" + hosts[0] in read[1])
        assert [field for field in read[3] if field[0] != b"host"] == [f for f in fields if f[0] != b"host"]
