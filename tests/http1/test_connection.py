"""One connection, row by row of its table: no loop, no socket. The test is the handler."""

import asyncio
import gc
import weakref

import pytest

from sanicish.config import Config
from sanicish.exceptions import BadRequest, PayloadTooLarge, RequestAborted, RequestTimeout, ServiceUnavailable
from sanicish.exchange import ConnInfo
from sanicish.http1.connection import Http1Connection, Phase
from sanicish.http1.parser import RequestParser
from sanicish.http1.serialize import DateField
from sanicish.streams.flow import HOLD_BODY, HOLD_PIPELINE, HOLD_TURN, FlowControl, Turn
from sanicish.streams.incoming import EMPTY
from tests.cases.requests import chunked, head, sized
from tests.doubles.transport import MemoryTransport

LIMITS = Config(load_env=False).limits()._replace(buffer=1000, drain=500)
GET = head(b"GET / HTTP/1.1")
GET_1 = head(b"GET /1 HTTP/1.1")
GET_2 = head(b"GET /2 HTTP/1.1")
OK = b"HTTP/1.1 200 OK\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = head(b"POST / HTTP/1.1", b"Expect: 100-continue", b"Content-Length: 5")


class Shell:
    """The owner of the socket, without the socket; ``started`` are the exchanges whose handler would run."""

    def __init__(self, transport=None, limits=LIMITS, **options):
        self.conn = ConnInfo()
        self.date = DateField(lambda: 0)
        self.send_file = self.has_left = None
        self.turn = Turn(lambda function: None)
        self.started = []
        self.refusals = []
        self.transport = transport or MemoryTransport()
        self.flow = FlowControl(self.transport, self.turn)
        self.connect(limits, **options)

    def connect(self, limits=LIMITS, **options):
        self.connection = Http1Connection(self.transport, self.flow, limits, self, **options)

    def call_soon(self, function):
        function()

    def start(self, exchange):
        self.started.append(exchange)

    def reset(self):
        self.transport.abort()

    def refused(self, error):
        self.refusals.append(error)

    # What the tests do

    def receive(self, *pieces):
        for piece in pieces:
            self.connection.receive(piece)

    def answer(self, body=b"ok", status=200):
        """Answer the open request, as a handler does."""
        exchange = self.connection.exchange
        exchange.send_whole(status, None, None, body)
        self.connection.done(exchange)

    @property
    def targets(self):
        return [exchange.head.target for exchange in self.started]

    @property
    def sent(self):
        return bytes(self.transport.sent)

    @property
    def statuses(self):
        return [int(part[:3]) for part in self.sent.split(b"HTTP/1.1 ")[1:]]

    @property
    def phase(self):
        return self.connection.phase

    @property
    def lingering(self):
        return self.phase is Phase.LINGER and self.transport.ended and not self.transport.closed


@pytest.fixture
def shell():
    return Shell()


def read(body):
    """What a reader gets that need not wait."""
    try:
        body.read().send(None)
    except StopIteration as result:
        return result.value
    raise AssertionError("the reader waits")


# head read, handler done


def test_a_handler_starts_when_the_head_is_there(shell):
    shell.receive(GET[:-1])
    assert shell.started == []
    shell.receive(GET[-1:])
    assert shell.targets == [b"/"] and shell.phase is Phase.EXCHANGE


def test_a_request_without_a_body_has_the_empty_stream(shell):
    shell.receive(GET)
    assert shell.started[0].body is EMPTY


def test_an_answered_connection_is_idle(shell):
    shell.receive(GET)
    shell.answer()
    assert shell.phase is Phase.IDLE and not shell.transport.closed


def test_requests_follow_one_another(shell):
    for target in (b"/1", b"/2", b"/3"):
        shell.receive(head(b"GET %b HTTP/1.1" % target))
        shell.answer()
    assert shell.targets == [b"/1", b"/2", b"/3"] and shell.statuses == [200] * 3


@pytest.mark.parametrize("raw", [head(b"GET / HTTP/1.1", b"Connection: close"), head(b"GET / HTTP/1.0")])
def test_a_connection_that_shall_close_closes_after_the_answer(shell, raw):
    shell.receive(raw)
    assert not shell.transport.closed
    shell.answer()
    assert shell.transport.closed and b"Connection: close" in shell.sent


def test_nothing_is_read_behind_a_request_that_closes(shell):
    shell.receive(head(b"GET / HTTP/1.1", b"Connection: close") + GET_2)
    shell.answer()
    shell.receive(GET_2)
    assert shell.targets == [b"/"] and shell.statuses == [200]


def test_without_keep_alive_every_answer_closes():
    shell = Shell(keep_alive=False)
    shell.receive(GET)
    shell.answer()
    assert b"Connection: close" in shell.sent and shell.transport.closed


# data, end of message


def test_a_body_goes_to_the_stream(shell):
    shell.receive(sized(b"10", b"hello"))
    body = shell.started[0].body
    assert read(body) == b"hello" and not body.complete
    shell.receive(b"world")
    assert read(body) == b"world" and body.complete


def test_a_body_that_came_with_its_head_is_there_when_the_handler_starts(shell):
    shell.receive(chunked(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"))
    body = shell.started[0].body
    assert body.complete and read(body) == b"hello" and body.trailers["x"] == "y"


def test_a_handler_starts_before_its_body_is_there(shell):
    shell.receive(sized(b"5"))
    assert len(shell.started) == 1


def test_above_the_mark_reading_is_held(shell):
    shell.receive(sized(b"5000", b"x" * 1001))
    assert shell.flow.holding == HOLD_BODY and shell.transport.reading_paused


def test_below_the_mark_reading_goes_on(shell):
    shell.receive(sized(b"5000", b"x" * 1001))
    read(shell.started[0].body)
    assert not shell.flow.holding


# bytes behind a request that is being answered


def test_the_second_request_waits_for_the_first_answer(shell):
    shell.receive(GET_1 + GET_2)
    assert shell.targets == [b"/1"]
    shell.answer(b"one")
    assert shell.targets == [b"/1", b"/2"]
    shell.answer(b"two")
    assert shell.sent.index(b"one") < shell.sent.index(b"two")


def test_the_second_request_waits_in_whatever_pieces_it_comes(shell):
    shell.receive(GET_1, *[bytes([byte]) for byte in GET_2])
    assert shell.targets == [b"/1"]
    shell.answer()
    assert shell.targets == [b"/1", b"/2"]


def test_a_request_behind_a_body_waits_too(shell):
    shell.receive(sized(b"5", b"hello" + GET_2))
    assert shell.targets == [b"/"]
    shell.answer()
    assert shell.targets == [b"/", b"/2"]


def test_half_a_request_that_waited_goes_on_with_the_other_half(shell):
    shell.receive(GET_1 + GET_2[:10])
    shell.answer()
    assert shell.phase is Phase.HEAD
    shell.receive(GET_2[10:])
    assert shell.targets == [b"/1", b"/2"]


def test_too_much_that_waits_holds_reading(shell):
    shell.receive(GET_1 + GET_2 * 100)
    assert shell.flow.holding == HOLD_PIPELINE


def test_reading_goes_on_when_little_is_left_to_wait(shell):
    shell.receive(GET_1 + GET_2 * 50)
    while shell.connection.exchange is not None:
        assert bool(shell.flow.holding) == (len(shell.connection._unread) > LIMITS.buffer)
        shell.answer()
    assert len(shell.started) == 51 and not shell.flow.holding


def test_a_request_waits_until_the_client_has_taken_the_responses_before_it(shell):
    shell.receive(GET_1 + GET_2)
    shell.flow.pause_writing()
    shell.answer()
    shell.receive(GET)
    assert shell.targets == [b"/1"] and not shell.flow.holding
    shell.receive(GET * 50)
    assert shell.flow.holding == HOLD_PIPELINE
    shell.flow.resume_writing()
    shell.connection.resume()
    assert shell.targets == [b"/1", b"/2"]
    for _ in range(52):
        shell.answer()
    assert len(shell.targets) == 53 and not shell.flow.holding


def test_a_peer_that_ends_behind_a_request_that_waits_for_it_gets_its_answer(shell):
    shell.flow.pause_writing()
    shell.receive(GET_1)
    assert shell.connection.eof() and shell.targets == []
    shell.flow.resume_writing()
    shell.connection.resume()
    shell.answer()
    assert shell.statuses == [200] and shell.transport.closed


def test_an_error_behind_a_request_waits_for_its_answer(shell):
    shell.receive(GET_1 + b"\x00\r\n\r\n")
    assert shell.sent == b""
    shell.answer(b"one")
    assert shell.statuses == [200, 400] and shell.lingering


def test_a_flood_behind_a_refused_head_is_cut(shell):
    shell.receive(b"\x00\r\n\r\n")
    assert shell.statuses == [400] and shell.lingering
    shell.receive(*[b"x" * 65_536] * 3)
    assert shell.lingering
    shell.receive(b"x" * 65_536)
    assert shell.transport.aborted


def test_a_body_that_comes_fast_lets_others_have_their_turn(shell, monkeypatch):
    later, now = [], [1.0]
    monkeypatch.setattr("sanicish.streams.flow.monotonic", lambda: now[0])
    shell.turn = Turn(later.append)
    shell.connect()
    shell.receive(sized(b"2000000", b""))
    body = shell.started[0].body
    for after, holding in ((0, 0), (0.001, 0), (0.002, HOLD_TURN)):
        now[0] = 1.0 + after
        shell.receive(b"x" * 65_536)
        assert len(read(body)) == 65_536
        assert shell.flow.holding == holding
    later.pop()()
    assert not shell.flow.holding
    shell.receive(b"x" * 65_536)
    read(body)
    assert (shell.flow.holding, len(later)) == (0, 1)


def test_the_sender_of_a_refused_body_may_go_on_for_a_while(shell):
    shell.receive(sized(b"10000000", b"x" * 100))
    shell.answer(status=413)
    shell.receive(*[b"x" * 65_536] * 20)
    assert shell.lingering


def test_an_answer_in_pieces_is_not_broken_into(shell):
    shell.receive(GET_1 + b"\x00\r\n\r\n")
    exchange = shell.started[0]
    exchange.start(200, None, None, None)
    exchange.write(b"a")
    exchange.write(b"b")
    exchange.finish()
    assert shell.statuses == [200]
    shell.connection.done(exchange)
    assert shell.statuses == [200, 400]


# handler done, message incomplete


def test_the_small_rest_of_a_body_is_swallowed(shell):
    shell.receive(sized(b"400", b"x" * 100))
    shell.answer()
    assert shell.phase is Phase.DRAIN and b"Connection" not in shell.sent
    shell.receive(b"x" * 300 + GET_2)
    assert shell.targets == [b"/", b"/2"]


def test_the_small_rest_of_a_chunked_body_is_swallowed(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.answer()
    shell.receive(b"5\r\nworld\r\n0\r\nX: y\r\n\r\n" + GET_2)
    assert shell.targets == [b"/", b"/2"]


def test_a_large_rest_closes_and_says_so(shell):
    shell.receive(sized(b"601", b"x" * 100))
    shell.answer()
    assert b"Connection: close" in shell.sent and shell.lingering


def test_a_rest_that_turns_out_large_closes(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.answer()
    shell.receive(b"1000\r\n" + b"x" * 600)
    assert shell.lingering


def test_nothing_is_read_behind_a_rest_that_turned_out_large(shell):
    """Not even when its end and the next request are in the same bytes."""
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.answer()
    shell.receive(b"258\r\n" + b"x" * 600 + b"\r\n0\r\n\r\n" + GET_2)
    assert shell.targets == [b"/"] and shell.lingering


def test_nothing_is_read_behind_a_sized_rest_that_was_given_up():
    shell = Shell(limits=LIMITS._replace(drain=50))
    shell.receive(sized(b"400", b"x" * 350))
    exchange = shell.started[0]
    exchange.start(200, None, None, None)
    exchange.body.wanted = True
    exchange.finish()
    shell.connection.done(exchange)
    assert shell.phase is Phase.DRAIN
    shell.receive(b"x" * 50 + GET_2)
    assert shell.targets == [b"/", b"/2"]


def test_a_rest_that_is_broken_closes_without_a_second_answer(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.answer()
    shell.receive(b"x\r\n")
    assert shell.statuses == [200] and shell.lingering


def test_a_held_body_that_nobody_wants_is_let_go(shell):
    shell.receive(sized(b"1400", b"x" * 1001))
    assert shell.flow.holding
    shell.answer()
    assert not shell.flow.holding and shell.phase is Phase.DRAIN


@pytest.mark.parametrize("raw", [sized(b"1001", b"x" * 1001), chunked(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")])
def test_a_whole_body_above_the_mark_that_nobody_read_holds_no_further_request(shell, raw):
    shell.receive(raw)  # in one read
    assert shell.flow.holding == HOLD_BODY
    stream = shell.started[0].body
    shell.answer()
    assert not shell.flow.holding
    shell.receive(GET_1)
    shell.answer()
    assert shell.targets == [b"/", b"/1"]
    assert stream.unread == 1001  # whoever has it may read it


def test_who_reads_on_behind_the_answer_is_told(shell):
    shell.receive(sized(b"400", b"x"))
    body = shell.started[0].body
    shell.answer()
    with pytest.raises(RequestAborted):
        read(body)


def test_a_whole_answer_says_close_although_somebody_has_begun_to_read(shell):
    shell.receive(sized(b"5000", b"x" * 100))
    read(shell.started[0].body)
    shell.answer()
    assert b"Connection: close" in shell.sent


def test_a_streamed_answer_does_not_say_close_while_somebody_reads(shell):
    shell.receive(sized(b"5000", b"x" * 100))
    exchange = shell.started[0]
    read(exchange.body)
    exchange.start(200, None, None, None)
    exchange.write(b"a")
    assert b"Connection" not in shell.sent


def test_a_streamed_answer_that_left_too_much_unread_closes(shell):
    shell.receive(sized(b"5000", b"x" * 100))
    exchange = shell.started[0]
    read(exchange.body)
    exchange.start(200, None, None, None)
    exchange.write(b"a")
    exchange.finish()
    shell.connection.done(exchange)
    assert shell.lingering


# 100 Continue


def test_a_continue_is_sent_when_somebody_waits_for_the_body(shell):
    shell.receive(EXPECT)
    assert shell.sent == b""

    async def handler():
        reader = asyncio.ensure_future(shell.started[0].body.read())
        await asyncio.sleep(0)
        assert shell.sent == CONTINUE
        shell.receive(b"hello")
        assert await reader == b"hello"

    asyncio.run(handler())
    shell.answer()
    assert shell.statuses == [100, 200] and shell.phase is Phase.IDLE


def test_an_answer_without_reading_sends_no_continue_and_closes(shell):
    """The client may send its body or not: only closing is safe (RFC 9110 section 10.1.1)."""
    shell.receive(EXPECT)
    shell.answer()
    assert shell.statuses == [200] and b"Connection: close" in shell.sent and shell.lingering


def test_a_body_that_came_without_waiting_closes_nothing(shell):
    shell.receive(EXPECT + b"hello")
    shell.answer()
    assert shell.statuses == [200] and shell.phase is Phase.IDLE


# broken bytes


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x00\r\n\r\n", 400),
        (head(b"GET / HTTP/2.0"), 505),
        (b"GET /" + b"a" * 9000, 414),
        (head(b"BREW / HTTP/1.1"), 501),
    ],
)
def test_broken_bytes_are_answered_and_the_connection_lingers(shell, raw, status):
    shell.receive(raw)
    assert shell.statuses == [status] and b"Connection: close" in shell.sent and shell.lingering
    assert [error.status_code for error in shell.refusals] == [status]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"HEAD / HTTP/1.1\r\n\r\n", 400),
        (b"\r\nHEAD / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"HEAD /" + b"a" * 9000, 414),
        (head(b"HEAD / HTTP/1.1", b"Expect: more"), 417),
        (b"HEAD / HTTP/1.1\r\nX: " + b"a" * 17_000, 431),
        (head(b"HEAD / HTTP/2.0"), 505),
    ],
)
@pytest.mark.parametrize("size", [1_000_000, 1], ids=["at once", "byte by byte"])
def test_a_head_request_that_is_refused_gets_no_body(shell, raw, status, size):
    for start in range(0, len(raw), size):
        if shell.phase is Phase.LINGER:
            break
        shell.receive(raw[start : start + size])
    assert shell.statuses == [status] and shell.sent.endswith(b"\r\n\r\n") and shell.lingering


def test_a_head_request_that_does_not_arrive_in_time_gets_no_body(shell):
    shell.receive(b"HEAD / HTTP/1.1\r\nX: ")
    shell.connection.refuse(RequestTimeout("late"))
    assert shell.statuses == [408] and shell.sent.endswith(b"\r\n\r\n")


def test_a_refusal_is_one_sentence_of_known_length(shell):
    shell.receive(b"\x00\r\n\r\n")
    lines, _, body = shell.sent.partition(b"\r\n\r\n")
    assert b"Content-Length: %d\r\n" % len(body) in lines and b"Date: " in lines and body.endswith(b"\n")


def test_nothing_is_read_behind_broken_bytes(shell):
    shell.receive(b"\x00\r\n\r\n" + GET)
    shell.receive(GET)
    assert shell.started == [] and shell.statuses == [400]


def test_a_head_that_is_condemned_in_the_same_read_starts_no_handler(shell):
    shell.receive(chunked(b"x\r\n"))
    assert shell.started == [] and shell.statuses == [400] and shell.lingering


def test_a_condemned_head_request_gets_no_body(shell):
    shell.receive(head(b"HEAD / HTTP/1.1", b"Transfer-Encoding: chunked") + b"x\r\n")
    assert shell.statuses == [400] and shell.sent.endswith(b"\r\n\r\n")


def test_the_reader_of_a_broken_body_is_told(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.receive(b"x\r\n")
    body = shell.started[0].body
    assert shell.sent == b"" and read(body) == b"hello"
    with pytest.raises(BadRequest):
        read(body)


def test_after_a_broken_body_the_connection_closes(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    shell.receive(b"x\r\n")
    shell.answer(status=400)
    assert b"Connection: close" in shell.sent and shell.lingering


def test_after_a_body_that_is_too_large_the_connection_closes(shell):
    shell.receive(sized(b"10", b"hello"))
    with pytest.raises(PayloadTooLarge):
        shell.started[0].body.limit(9)
    shell.answer(status=413)
    assert b"Connection: close" in shell.sent and shell.lingering


@pytest.mark.parametrize("raw", [sized(b"10", b"helloworld"), chunked(b"a\r\nhelloworld\r\n0\r\n\r\n")])
def test_after_a_body_that_is_too_large_and_all_there_the_connection_closes_too(shell, raw):
    shell.receive(raw)
    with pytest.raises(PayloadTooLarge):
        shell.started[0].body.limit(9)
    shell.answer(status=413)
    assert b"Connection: close" in shell.sent


def test_a_streamed_answer_to_a_broken_body_says_close(shell):
    shell.receive(chunked(b"5\r\nhello\r\n"))
    exchange = shell.started[0]
    read(exchange.body)
    exchange.body.fail(RequestTimeout())
    exchange.start(408, None, None, None)
    exchange.finish()
    assert b"Connection: close" in shell.sent


def test_the_rest_of_a_body_that_stopped_coming_is_not_waited_for(shell):
    shell.receive(sized(b"10", b"hello"))
    shell.started[0].body.fail(RequestTimeout())
    shell.answer(status=408)
    assert b"Connection: close" in shell.sent and shell.lingering


# peer ends


def test_a_peer_that_ends_between_requests_lets_close(shell):
    shell.receive(GET)
    shell.answer()
    assert not shell.connection.eof()


def test_a_peer_that_ends_within_a_head_lets_close(shell):
    shell.receive(GET[:10])
    assert not shell.connection.eof() and shell.started == []


def test_a_peer_that_ends_behind_its_request_gets_its_answer(shell):
    shell.receive(GET)
    assert shell.connection.eof()
    shell.answer()
    assert shell.statuses == [200] and b"Connection: close" in shell.sent and shell.transport.closed


def test_a_peer_that_ends_behind_several_requests_gets_all_answers(shell):
    shell.receive(GET_1 + GET_2 + GET)
    assert shell.connection.eof()
    for _ in range(3):
        assert not shell.transport.closed
        shell.answer()
    assert shell.targets == [b"/1", b"/2", b"/"] and shell.transport.closed
    assert shell.sent.count(b"Connection: close") == 1, "on the last one"


def test_a_peer_that_ends_behind_half_a_request_gets_the_answers_before_it(shell):
    shell.receive(GET_1 + GET_2[:-1])
    assert shell.connection.eof()
    shell.answer()
    assert shell.statuses == [200] and shell.transport.closed


def test_a_peer_that_ends_within_a_body_aborts_it_after_what_came(shell):
    shell.receive(sized(b"10", b"hello"))
    assert shell.connection.eof()
    body = shell.started[0].body
    assert read(body) == b"hello"
    with pytest.raises(RequestAborted):
        read(body)


def test_a_peer_that_ends_within_a_body_that_waited_aborts_it(shell):
    shell.receive(GET_1 + sized(b"10", b"hello"))
    shell.connection.eof()
    shell.answer()
    body = shell.started[1].body
    assert read(body) == b"hello"
    with pytest.raises(RequestAborted):
        read(body)


def test_a_peer_that_has_ended_is_not_lingered_for(shell):
    shell.receive(sized(b"5000", b"x"))
    shell.connection.eof()
    shell.answer()
    assert shell.transport.closed and not shell.transport.ended


# connection lost


def test_the_reader_of_a_lost_connection_is_told_after_what_came(shell):
    shell.receive(sized(b"10", b"hello"))
    shell.connection.lost()
    body = shell.started[0].body
    assert read(body) == b"hello"
    with pytest.raises(RequestAborted):
        read(body)


def test_a_lost_connection_starts_no_handler(shell):
    shell.receive(GET_1 + GET_2)
    shell.flow.connection_lost()
    shell.connection.lost()
    shell.answer()
    assert shell.targets == [b"/1"] and not shell.transport.closed, "it is closed already"


@pytest.mark.parametrize("raw", [GET, sized(b"5", b"he"), chunked(b"5\r\nhe"), GET_1 + GET_2, b"GET"])
def test_a_lost_connection_leaves_its_parser_without_a_cycle(raw, monkeypatch):
    class Known(RequestParser):
        __slots__ = ("__weakref__",)

    monkeypatch.setattr("sanicish.http1.connection.RequestParser", Known)
    shell = Shell()
    shell.receive(raw)
    gone = weakref.ref(shell.connection._parser)
    gc.collect()
    gc.disable()
    try:
        shell.connection.lost()
        shell.connection._parser = None
        assert gone() is None
    finally:
        gc.enable()


# shutdown


def test_shutdown_closes_an_idle_connection(shell):
    shell.connection.finish()
    assert shell.transport.closed


def test_shutdown_lets_the_open_answer_end_and_says_close(shell):
    shell.receive(GET)
    shell.connection.finish()
    assert not shell.transport.closed
    shell.answer()
    assert b"Connection: close" in shell.sent and shell.transport.closed


def test_shutdown_reads_no_further_request(shell):
    shell.receive(GET_1 + GET_2)
    shell.connection.finish()
    shell.answer()
    assert shell.targets == [b"/1"] and shell.lingering, "for the client may still be sending"


def test_shutdown_lets_a_body_come_to_its_end(shell):
    shell.receive(sized(b"10", b"hello"))
    shell.connection.finish()
    shell.receive(b"world")
    assert shell.started[0].body.complete


def test_shutdown_does_not_cut_a_lingering_answer(shell):
    shell.receive(b"\x00\r\n\r\n")
    shell.connection.finish()
    assert shell.lingering


# Being told to refuse


def test_a_connection_may_be_refused_before_it_says_anything(shell):
    shell.connection.refuse(ServiceUnavailable("full"))
    assert shell.statuses == [503] and shell.lingering


def test_a_head_that_does_not_end_may_be_refused(shell):
    shell.receive(GET[:10])
    shell.connection.refuse(RequestTimeout("late"))
    assert shell.statuses == [408] and shell.lingering


def test_an_open_request_is_not_refused(shell):
    shell.receive(GET)
    shell.connection.refuse(RequestTimeout("late"))
    assert shell.sent == b""


# Lingering


def test_whatever_comes_while_lingering_is_dropped(shell):
    shell.receive(b"\x00\r\n\r\n")
    shell.receive(GET, b"\x00" * 10_000)
    assert shell.statuses == [400] and shell.started == [] and shell.lingering


def test_a_peer_that_floods_behind_a_refused_head_is_cut_although_it_announced_a_body(shell):
    shell.receive(chunked(b"zz\r\n"))
    assert shell.statuses == [400]
    for _ in range(5):
        shell.receive(b"x" * 65_536)
    assert shell.transport.aborted


def test_a_peer_that_ends_while_lingering_lets_close(shell):
    shell.receive(b"\x00\r\n\r\n")
    assert not shell.connection.eof()


def test_lingering_goes_on_reading(shell):
    shell.receive(sized(b"5000", b"x" * 1500))
    assert shell.flow.holding
    shell.answer()
    assert shell.lingering and not shell.transport.reading_paused


def test_who_cannot_half_close_lingers_all_the_same():
    """TLS: the response has its length, and the client is given time to see it."""

    class Tls(MemoryTransport):
        def can_write_eof(self):
            return False

        def write_eof(self):
            raise AssertionError("not possible")

    shell = Shell(Tls())
    shell.receive(sized(b"5000", b"x"))
    shell.answer()
    assert shell.phase is Phase.LINGER and not shell.transport.closed


def test_who_is_gone_already_is_not_lingered_for():
    class Reset(MemoryTransport):
        def write_eof(self):
            raise OSError("Transport endpoint is not connected")

    shell = Shell(Reset())
    shell.receive(b"\x00\r\n\r\n")
    assert shell.transport.aborted


def test_a_cut_answer_is_not_lingered_for(shell):
    shell.receive(sized(b"5000", b"x"))
    exchange = shell.started[0]
    exchange.start(200, None, None, None)
    exchange.abort()
    shell.connection.done(exchange)
    assert shell.transport.closed and not shell.transport.ended


# What it is waiting for


def test_a_new_connection_waits_for_its_first_head(shell):
    assert shell.phase is Phase.HEAD


def test_a_connection_that_has_answered_waits_for_a_head_when_one_begins(shell):
    shell.receive(GET)
    shell.answer()
    shell.receive(b"\r\n")
    assert shell.phase is Phase.IDLE, "blank lines are no beginning"
    shell.receive(b"G")
    assert shell.phase is Phase.HEAD


def test_it_knows_whether_a_head_has_begun(shell):
    assert not shell.connection.head_size
    shell.receive(b"G")
    assert shell.connection.head_size


def test_a_connection_that_closes_waits_for_its_last_bytes():
    shell = Shell(MemoryTransport(room=0))
    shell.receive(head(b"GET / HTTP/1.0"))
    shell.answer()
    assert shell.phase is Phase.CLOSING


def test_the_serial_moves_with_every_request(shell):
    serials = [shell.connection.serial]
    for _ in range(2):
        shell.receive(GET)
        serials.append(shell.connection.serial)
        shell.answer()
        serials.append(shell.connection.serial)
    assert serials == sorted(set(serials))
