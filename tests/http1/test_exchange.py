"""One answer on an HTTP/1.1 connection: head, framing, batches, end. No loop: what is awaited is driven by hand."""

import asyncio
import logging

import pytest

from sanicish.exceptions import (
    ClientDisconnected,
    ContentLengthMismatch,
    ResponseError,
    StreamClosed,
    WriteBufferFull,
)
from sanicish.exchange import ConnInfo, Outcome, RequestHead
from sanicish.headers import Headers
from sanicish.http1.exchange import Http1Exchange
from sanicish.streams.flow import FlowControl, Turn
from sanicish.streams.incoming import EMPTY, RequestStream
from tests.doubles.transport import MemoryTransport

DATE = b"Date: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CLOSE = b"Connection: close\r\n"


class Line:
    """The connection of an exchange, without the connection."""

    def __init__(self, transport, keep=True):
        self.soon = []
        self.transport = transport
        self.flow = transport.protocol = FlowControl(transport, Turn(self.call_soon, 1e9))
        self.unsent_limit = 1000
        self.keep = keep
        self.send_file = self.has_left = None
        self.stopping = False
        self.resets = 0

    def call_soon(self, function):
        self.soon.append(function)

    def turn(self):
        """A turn of the loop."""
        soon, self.soon = self.soon, []
        for function in soon:
            function()

    def reset(self):
        self.resets += 1
        self.flow.connection_lost()
        self.transport.abort()

    def date_line(self):
        return DATE

    def may_keep(self, whole):
        return self.keep


@pytest.fixture
def transport():
    return MemoryTransport()


@pytest.fixture
def line(transport):
    return Line(transport)


@pytest.fixture
def exchange(line):
    return make(line)


def make(line, method="GET", version="1.1", body=EMPTY, **head):
    return Http1Exchange(RequestHead(method, b"/", version, **head), body, ConnInfo(), line)


def done(awaitable):
    """Whether an awaitable need not wait; raises what it raises."""
    try:
        next(awaitable.__await__())
    except StopIteration:
        return True
    return False


def lines(transport):
    """The head and the body that were sent."""
    head, found, body = bytes(transport.sent).partition(b"\r\n\r\n")
    assert found, "no head was sent"
    return head.split(b"\r\n"), body


def start(exchange, status=200, headers=None, content_type=None, chunked=None):
    exchange.start(status, Headers(headers) if headers else None, content_type, chunked)


# The head


def test_the_head_is_held_until_there_is_something_to_send_with_it(exchange, transport):
    start(exchange)
    assert exchange.started and not transport.sent


def test_head_and_first_data_leave_in_one_write(exchange, line, transport):
    start(exchange)
    exchange.write(b"hello")
    line.turn()
    assert transport.writes == 1
    assert transport.sent == b"HTTP/1.1 200 OK\r\n" + CHUNKED + DATE + b"\r\n5\r\nhello\r\n"


def test_an_empty_write_sends_the_head(exchange, line, transport):
    start(exchange)
    exchange.write(b"")
    line.turn()
    assert lines(transport)[1] == b""


def test_a_flush_sends_the_head_at_once(exchange, transport):
    start(exchange)
    assert done(exchange.flush())
    assert lines(transport)[1] == b""


def test_a_second_head_is_refused(exchange, transport):
    start(exchange)
    with pytest.raises(StreamClosed):
        start(exchange)
    with pytest.raises(StreamClosed):
        exchange.send_whole(200, None, None, b"")


def test_a_second_answer_is_refused(exchange, transport):
    exchange.send_whole(200, None, None, b"a")
    with pytest.raises(StreamClosed):
        exchange.send_whole(200, None, None, b"b")
    assert lines(transport)[1] == b"a"


def test_a_status_that_is_none_starts_nothing(exchange, transport):
    for status in (100, 1000):
        with pytest.raises(ResponseError):
            start(exchange, status)
        with pytest.raises(ResponseError):
            exchange.send_whole(status, None, None, b"")
    assert not exchange.started, "so that an error page can still be sent"
    exchange.send_whole(500, None, None, b"")
    assert lines(transport)[0][0] == b"HTTP/1.1 500 Internal Server Error"


@pytest.mark.parametrize("length", ["five", "-1", "+5", "5 ", "", "٥", "9" * 20])
def test_a_length_that_is_no_number_starts_nothing(exchange, length):
    headers = Headers()
    headers._fields["content-length"] = [("Content-Length", length)]
    with pytest.raises(ResponseError):
        exchange.start(200, headers, None, None)
    assert not exchange.started


def test_two_lengths_that_differ_start_nothing(exchange):
    with pytest.raises(ResponseError):
        start(exchange, headers={"Content-Length": ["5", "6"]})
    assert not exchange.started


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity"])
def test_a_transfer_coding_nobody_applied_starts_nothing(exchange, coding):
    with pytest.raises(ResponseError):
        start(exchange, headers={"Transfer-Encoding": coding})
    assert not exchange.started


def test_a_chunked_coding_of_the_application_is_sent_once(exchange, transport):
    start(exchange, headers={"Transfer-Encoding": "chunked"})
    exchange.finish()
    assert transport.sent.count(b"chunked") == 1


def test_no_type_without_content(exchange, transport):
    exchange.send_whole(204, None, "text/plain", b"")
    assert not any(line.startswith(b"Content-") for line in lines(transport)[0])


# Persistence


def test_a_connection_that_stays_says_nothing_in_http_1_1(exchange, transport):
    exchange.send_whole(200, None, None, b"")
    assert b"Connection" not in transport.sent and exchange.keep_alive


def test_a_connection_that_stays_says_so_in_http_1_0(line, transport):
    make(line, version="1.0").send_whole(200, None, None, b"")
    assert b"\r\nConnection: keep-alive\r\n" in transport.sent


def test_a_client_that_wants_to_close_is_told_so(line, transport):
    exchange = make(line, keep_alive=False)
    exchange.send_whole(200, None, None, b"")
    assert CLOSE in transport.sent and not exchange.keep_alive


def test_a_connection_that_cannot_stay_says_close(line, transport):
    line.keep = False
    exchange = make(line)
    exchange.send_whole(200, None, None, b"")
    assert CLOSE in transport.sent and not exchange.keep_alive


@pytest.mark.parametrize("value", ["close", "Close", "x, close", ["x", "close"]])
def test_the_application_may_close(exchange, transport, value):
    exchange.send_whole(200, Headers({"Connection": value}), None, b"")
    assert transport.sent.count(b"onnection") == 1 and CLOSE in transport.sent and not exchange.keep_alive


def test_the_application_may_not_keep_what_closes(line, transport):
    make(line, keep_alive=False).send_whole(200, Headers({"Connection": "keep-alive"}), None, b"")
    assert b"keep-alive" not in transport.sent


# Writing


def test_pieces_of_one_turn_leave_in_one_write_each_a_chunk(exchange, line, transport):
    start(exchange)
    exchange.write(b"a")
    exchange.write(b"b")
    line.turn()
    assert transport.writes == 1 and lines(transport)[1] == b"1\r\na\r\n1\r\nb\r\n"


def test_a_piece_of_the_next_turn_leaves_in_the_next_turn(exchange, line, transport):
    start(exchange)
    exchange.write(b"a")
    line.turn()
    exchange.write(b"b")
    line.turn()
    assert transport.writes == 2 and lines(transport)[1].endswith(b"1\r\nb\r\n")


def test_an_empty_write_does_not_end_the_body(exchange, line, transport):
    start(exchange)
    exchange.write(b"a")
    exchange.write(b"")
    exchange.write(b"b")
    line.turn()
    assert lines(transport)[1] == b"1\r\na\r\n1\r\nb\r\n"


def test_a_large_piece_leaves_at_once(exchange, transport):
    start(exchange)
    exchange.write(b"x" * 16_384)
    assert lines(transport)[1] == b"4000\r\n" + b"x" * 16_384 + b"\r\n"


def test_a_large_piece_leaves_behind_the_small_ones_before_it(exchange, transport):
    start(exchange)
    exchange.write(b"a")
    exchange.write(b"x" * 16_384)
    assert lines(transport)[1].startswith(b"1\r\na\r\n4000\r\nxxx")


def test_many_small_pieces_leave_before_the_turn_ends(exchange, transport):
    start(exchange)
    for _ in range(9):
        exchange.write(b"x" * 10_000)
    assert len(transport.sent) > 65_536


def test_a_write_need_not_wait_while_there_is_room(exchange):
    start(exchange)
    assert done(exchange.write(b"a"))


async def test_a_write_waits_while_the_transport_is_full(exchange, line):
    start(exchange)
    line.flow.pause_writing()
    assert not done(exchange.write(b"a"))


async def test_a_write_gives_way_when_its_slice_is_over(exchange, line):
    start(exchange)
    line.flow.turn.ends = 1e-9
    assert not done(exchange.write(b"a"))


def test_writes_without_await_are_taken_up_to_the_limit(exchange, line, transport):
    start(exchange)
    transport.room = 0
    line.flow.pause_writing()
    exchange.write(b"a" * 600)
    line.turn()
    with pytest.raises(WriteBufferFull):
        exchange.write(b"b" * 600)
    transport.take()
    line.flow.paused = False
    exchange.write(b"c" * 600)
    exchange.finish()
    assert b"b" not in lines(transport)[1], "what was refused is not sent"


def test_what_waits_to_be_framed_counts_too(exchange, line):
    start(exchange)
    line.flow.pause_writing()
    exchange.write(b"a" * 600)
    with pytest.raises(WriteBufferFull):
        exchange.write(b"b" * 600)


def test_writing_before_the_head_is_refused(exchange):
    with pytest.raises(StreamClosed):
        exchange.write(b"a")


def test_flushing_before_the_head_is_refused(exchange):
    with pytest.raises(StreamClosed):
        exchange.flush()


@pytest.mark.parametrize("end", [lambda e: e.finish(), lambda e: e.abort()])
@pytest.mark.parametrize("late", [lambda e: e.write(b"late"), lambda e: e.write(b""), lambda e: e.finish()])
def test_writing_after_the_end_is_refused_and_sends_nothing(exchange, line, transport, end, late):
    start(exchange)
    exchange.write(b"a")
    end(exchange)
    before = bytes(transport.sent)
    with pytest.raises(StreamClosed):
        late(exchange)
    line.turn()
    assert transport.sent == before


def test_it_counts_the_bytes_of_the_body(exchange):
    start(exchange)
    exchange.write(b"abc")
    exchange.write(b"")
    exchange.write(b"d")
    assert exchange.bytes_sent == 4


# The end


def test_the_end_of_a_chunked_body(exchange, transport):
    start(exchange)
    exchange.write(b"a")
    assert done(exchange.finish())
    assert lines(transport)[1] == b"1\r\na\r\n0\r\n\r\n" and exchange.outcome is Outcome.COMPLETED


def test_an_answer_without_a_write_is_whole(exchange, transport):
    start(exchange)
    exchange.finish()
    assert lines(transport)[1] == b"0\r\n\r\n"


def test_the_end_leaves_with_what_was_written_in_one_write(exchange, transport):
    start(exchange)
    exchange.write(b"a")
    exchange.finish()
    assert transport.writes == 1


async def test_the_end_waits_for_a_slow_client(exchange, line):
    start(exchange)
    line.flow.pause_writing()
    assert not done(exchange.finish())


def test_a_promised_length_is_kept(exchange, transport):
    start(exchange, headers={"Content-Length": "5"})
    exchange.write(b"he")
    exchange.write(b"llo")
    exchange.finish()
    assert lines(transport)[1] == b"hello"


def test_a_byte_too_many_is_refused_and_not_sent(exchange, line, transport):
    start(exchange, headers={"Content-Length": "5"})
    exchange.write(b"hell")
    with pytest.raises(ContentLengthMismatch):
        exchange.write(b"oo")
    line.turn()
    assert lines(transport)[1] == b"hell" and exchange.bytes_sent == 4


def test_a_byte_too_few_is_an_error_at_the_end(exchange):
    start(exchange, headers={"Content-Length": "5"})
    exchange.write(b"hell")
    with pytest.raises(ContentLengthMismatch):
        exchange.finish()
    assert exchange.outcome is None


def test_chunks_that_were_asked_for_take_the_place_of_a_length(exchange, transport):
    start(exchange, headers={"Content-Length": "5"}, chunked=True)
    exchange.write(b"hello")
    exchange.finish()
    head, body = lines(transport)
    assert b"Transfer-Encoding: chunked" in head and body == b"5\r\nhello\r\n0\r\n\r\n"
    assert not any(line.startswith(b"Content-Length") for line in head)


@pytest.mark.parametrize(("version", "chunked"), [("1.0", None), ("1.0", True), ("1.1", False)])
def test_a_body_without_a_frame_ends_with_the_connection(line, transport, version, chunked):
    exchange = make(line, version=version)
    start(exchange, chunked=chunked)
    exchange.write(b"hello")
    exchange.finish()
    head, body = lines(transport)
    assert body == b"hello" and b"Connection: close" in head and not exchange.keep_alive
    assert not any(line.startswith((b"Content-Length", b"Transfer-Encoding")) for line in head)


# No body


@pytest.mark.parametrize("status", [204, 304])
def test_data_for_an_answer_without_a_body_is_dropped_and_said_once(exchange, line, transport, caplog, status):
    start(exchange, status)
    assert exchange.bodiless
    with caplog.at_level(logging.WARNING):
        assert done(exchange.write(b"a")) and done(exchange.write(b"b"))
    exchange.finish()
    assert lines(transport)[1] == b"" and len(caplog.records) == 1 and exchange.bytes_sent == 0


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_whole_body_for_an_answer_without_one_is_dropped_and_said(exchange, transport, caplog, status):
    with caplog.at_level(logging.WARNING):
        exchange.send_whole(status, None, None, b"body")
    assert lines(transport)[1] == b"" and len(caplog.records) == 1


def test_the_first_write_to_a_head_request_ends_it_and_its_handler(line, transport):
    exchange = make(line, "HEAD")
    start(exchange)
    with pytest.raises(asyncio.CancelledError):
        done(exchange.write(b"a"))
    assert exchange.outcome is Outcome.COMPLETED and lines(transport)[1] == b""


def test_writes_to_a_head_request_that_nobody_awaits_do_no_harm(line, transport):
    exchange = make(line, "HEAD")
    start(exchange)
    exchange.write(b"a")
    exchange.write(b"b")
    assert lines(transport)[1] == b""


def test_head_tells_the_length_that_get_would_have(line, transport):
    make(line, "HEAD").send_whole(200, None, None, b"hello")
    head, body = lines(transport)
    assert b"Content-Length: 5" in head and body == b""


def test_head_tells_the_length_that_the_application_tells(line, transport):
    make(line, "HEAD").send_whole(200, Headers({"Content-Length": "7"}), None, b"")
    assert b"Content-Length: 7" in lines(transport)[0]


def test_a_304_may_tell_the_length(exchange, transport):
    exchange.send_whole(304, Headers({"Content-Length": "7"}), None, b"")
    assert b"Content-Length: 7" in lines(transport)[0]


def test_a_304_tells_no_length_that_nobody_knows(exchange, transport):
    """Nought would be the length of the 200 (RFC 9110 section 8.6)."""
    exchange.send_whole(304, None, None, b"")
    assert b"Content-Length" not in transport.sent


def test_a_204_never_tells_a_length(exchange, transport):
    exchange.send_whole(204, Headers({"Content-Length": "7"}), None, b"")
    assert b"Length" not in transport.sent


# Whole answers


def test_a_whole_answer_leaves_in_one_write(exchange, transport):
    exchange.send_whole(200, None, "text/plain", b"hello")
    assert transport.writes == 1 and exchange.outcome is Outcome.COMPLETED
    assert transport.sent == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n" + DATE + b"\r\nhello"
    )


def test_the_length_of_a_whole_answer_is_ours(exchange, transport):
    exchange.send_whole(200, Headers({"Content-Length": "7"}), None, b"hello")
    assert b"Content-Length: 5" in lines(transport)[0] and b": 7" not in transport.sent


def test_a_large_whole_answer_is_sent(exchange, transport):
    exchange.send_whole(200, None, None, b"x" * 100_000)
    assert lines(transport)[1] == b"x" * 100_000


# Cutting


def test_a_chunked_body_is_cut_without_its_end(exchange, line, transport):
    start(exchange)
    exchange.write(b"a")
    exchange.abort()
    assert lines(transport)[1] == b"1\r\na\r\n" and transport.closed and not line.resets
    assert exchange.outcome is Outcome.FAILED


def test_a_body_that_ends_with_the_connection_is_cut_by_a_reset(line, transport):
    """Nothing else shows that it was cut."""
    exchange = make(line, version="1.0")
    start(exchange)
    exchange.write(b"a")
    exchange.abort()
    assert line.resets == 1 and transport.aborted


def test_what_has_ended_cannot_be_cut(exchange, transport):
    exchange.send_whole(200, None, None, b"")
    exchange.abort(Outcome.TIMEOUT)
    assert exchange.outcome is Outcome.COMPLETED and not transport.closed


def test_an_answer_that_was_cut_before_it_began_sends_nothing(exchange, transport):
    exchange.abort(Outcome.DISCONNECT)
    assert not transport.sent and transport.closed and exchange.outcome is Outcome.DISCONNECT


# A client that is gone


def test_writing_to_nobody_raises_when_it_is_awaited(exchange, line, transport):
    start(exchange)
    line.flow.connection_lost()
    awaitable = exchange.write(b"a")
    iterator = awaitable.__await__()
    next(iterator)  # not before a turn of the loop
    with pytest.raises(ClientDisconnected):
        next(iterator)
    line.turn()
    assert not transport.sent


@pytest.mark.parametrize("answer", [lambda e: e.send_whole(200, None, None, b"a"), lambda e: (start(e), e.finish())])
def test_an_answer_to_nobody_is_not_complete(exchange, line, transport, answer):
    line.flow.connection_lost()
    answer(exchange)
    assert exchange.outcome is Outcome.DISCONNECT and not transport.sent


@pytest.mark.parametrize("size", [1, 100_000])
def test_nothing_is_given_to_a_transport_that_failed(exchange, line, transport, size):
    """asyncio tells of it a turn later, and complains of every write until then."""
    start(exchange)
    transport.close()
    exchange.write(b"x" * size)
    line.turn()
    assert line.flow.lost and not transport.sent


def test_cutting_what_is_gone_touches_nothing(exchange, line, transport):
    start(exchange)
    exchange.write(b"a")
    line.flow.connection_lost()
    exchange.abort()
    line.turn()
    assert not transport.sent and not transport.closed


# 100 Continue


def waiting(line, **head):
    body = RequestStream(total=5)
    return make(line, "POST", body=body, body_length=5, expect_continue=True, **head)


def test_a_continue_is_sent_once(line, transport):
    exchange = waiting(line)
    exchange.send_continue()
    exchange.send_continue()
    assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_no_continue_without_an_expectation(exchange, transport):
    exchange.send_continue()
    assert not transport.sent


def test_no_continue_behind_the_head_of_the_answer(line, transport):
    exchange = waiting(line)
    start(exchange)
    exchange.send_continue()
    assert not transport.sent


def test_no_continue_for_a_body_that_comes_anyway(line, transport):
    exchange = waiting(line)
    exchange.body.feed(b"a")
    exchange.send_continue()
    assert not transport.sent
