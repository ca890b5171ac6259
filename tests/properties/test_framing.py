"""Whatever is written comes back from a strict reader as it was written, and nothing else does."""

from hypothesis import given
from hypothesis import strategies as st

from sanicish.exceptions import ContentLengthMismatch
from sanicish.exchange import ConnInfo, RequestHead
from sanicish.headers import Headers
from sanicish.http1.exchange import Http1Exchange
from sanicish.streams.flow import FlowControl, Turn
from sanicish.streams.incoming import EMPTY
from tests.doubles.answers import read_answers
from tests.doubles.transport import MemoryTransport

pieces = st.lists(
    st.binary(max_size=20) | st.integers(1, 70_000).map(lambda size: b"\r\n0" * (size // 3)) | st.just(b"0\r\n\r\n"),
    max_size=8,
)
turns = st.lists(st.booleans(), min_size=1, max_size=5)  # whether the loop turns after a write
STATUSES = [200, 201, 204, 205, 206, 299, 304, 404, 500]


class Line:
    """The connection of an exchange, whose loop turns when told."""

    unsent_limit = 2**30
    send_file = has_left = None
    stopping = False

    def __init__(self):
        self.transport = MemoryTransport()
        self.soon = []
        self.flow = FlowControl(self.transport, Turn(self.call_soon, 1e9))

    def call_soon(self, function):
        self.soon.append(function)

    def turn(self):
        soon, self.soon = self.soon, []
        for function in soon:
            function()

    def reset(self):
        self.transport.abort()

    def date_line(self):
        return b""

    def may_keep(self, whole):
        return True


def answer(method, version, status, headers, chunked, pieces, turns, end):
    line = Line()
    exchange = Http1Exchange(RequestHead(method, b"/", version), EMPTY, ConnInfo(), line)
    exchange.start(status, Headers(headers), None, chunked)
    for number, piece in enumerate(pieces):
        exchange.write(piece)
        if turns[number % len(turns)]:
            line.turn()
    end(exchange)
    line.turn()
    return bytes(line.transport.sent)


def finish(exchange):
    if exchange.outcome is None:
        exchange.finish()


@given(
    method=st.sampled_from(["GET", "POST", "HEAD"]),
    version=st.sampled_from(["1.0", "1.1"]),
    status=st.sampled_from(STATUSES),
    known=st.booleans(),
    chunked=st.sampled_from([None, True, False]),
    pieces=pieces,
    turns=turns,
)
def test_what_is_written_is_read(method, version, status, known, chunked, pieces, turns):
    written = b"".join(pieces)
    headers = {"Content-Length": str(len(written))} if known else {}
    raw = answer(method, version, status, headers, chunked, pieces, turns, finish)
    (reply,) = read_answers(raw, method)
    seen = b"" if method == "HEAD" or status in (204, 205, 304) else written
    assert (reply.status, reply.body, reply.whole) == (status, seen, True)
    assert not ("content-length" in reply.headers and "transfer-encoding" in reply.headers)
    assert version == "1.1" or "transfer-encoding" not in reply.headers


@given(pieces=pieces.filter(any), turns=turns, known=st.booleans())
def test_what_is_cut_never_looks_whole(pieces, turns, known):
    written = b"".join(pieces)
    headers = {"Content-Length": str(len(written) + 1)} if known else {}
    raw = answer("GET", "1.1", 200, headers, None, pieces, turns, lambda exchange: exchange.abort())
    (reply,) = read_answers(raw)
    assert not reply.whole and written.startswith(reply.body)


@given(pieces=pieces, promised=st.integers(0, 100), turns=turns)
def test_a_promised_length_is_kept_or_the_answer_is_cut(pieces, promised, turns):
    line = Line()
    exchange = Http1Exchange(RequestHead("GET", b"/"), EMPTY, ConnInfo(), line)
    exchange.start(200, Headers({"Content-Length": str(promised)}), None, None)
    try:
        for piece in pieces:
            exchange.write(piece)
            line.turn()
        exchange.finish()
    except ContentLengthMismatch:
        exchange.abort()
    (reply,) = read_answers(bytes(line.transport.sent))
    assert reply.whole == (len(reply.body) == promised)
    assert len(reply.body) <= promised and b"".join(pieces).startswith(reply.body)
    assert reply.whole or sum(map(len, pieces)) != promised
