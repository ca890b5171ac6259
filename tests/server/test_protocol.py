"""asyncio's callbacks, the handler's task and what ends it: on a transport of the memory, by a clock turned by hand."""

import asyncio
import logging

import pytest

from sanicish.config import Config
from sanicish.exceptions import ClientDisconnected, RequestAborted, RequestTimeout, ServiceUnavailable
from sanicish.exchange import Outcome, Rules
from sanicish.http1.serialize import DateField
from sanicish.server.protocol import HttpProtocol
from sanicish.streams.flow import Turn
from sanicish.wire import Phase
from tests.cases.requests import head, sized
from tests.doubles.clock import HandTurnedLoop, settle
from tests.doubles.transport import MemoryTransport

GET = head(b"GET / HTTP/1.1")


class Transport(MemoryTransport):
    """Tells its protocol of its end, as asyncio's do."""

    def close(self):
        if not self.closed:
            super().close()
            self._tell(None)

    def abort(self):
        if not self.aborted:
            super().abort()
            self._tell(None)

    def _tell(self, error):
        if not self.waiting or self.aborted:
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)


class Host:
    """What connections share, without a server; and one client."""

    def __init__(self, handler, room=None, access_log=False, slice_seconds=1e9, **settings):
        self.loop = HandTurnedLoop()
        self.create_task = self.loop.create_task
        self.call_soon = self.loop.call_soon
        config = Config(settings, load_env=False)
        self.handler = handler
        self.limits = config.limits()
        self.timeouts = config.timeouts()
        self.date = DateField()
        self.turn = Turn(self.loop.call_soon, slice_seconds)
        self.high_water = config["RESPONSE_BUFFER_SIZE"]
        self.cleanup_seconds = config["STREAM_CLEANUP_TIMEOUT"]
        self.access_log = access_log
        self.id_field = b"x-request-id"
        self.gone = []
        self.transport = Transport(room)
        self.protocol = self.transport.protocol = HttpProtocol(self)
        self.protocol.connection_made(self.transport)

    def client_of(self, exchange):
        return exchange.conn.peer

    def opened(self, protocol):
        pass

    def closed(self, protocol):
        self.gone.append(protocol)

    async def send(self, *pieces):
        for piece in pieces:
            self.protocol.data_received(piece)
        await settle()

    async def lose(self):
        self.transport.closed = True
        self.protocol.connection_lost(ConnectionResetError())
        await settle()

    async def cancel_and_settle(self):
        self.protocol.cancel("shutdown")
        await settle()

    async def half_close(self):
        keep = self.protocol.eof_received()
        if not keep:
            self.transport.close()
        await settle()
        return keep

    async def sweep(self, seconds):
        """Let time pass in sweeps of a second."""
        for _ in range(round(seconds)):
            await self.loop.turn(1)
            self.protocol.sweep(self.loop.now)
            await settle()

    @property
    def exchange(self):
        return self.protocol.wire.exchange

    @property
    def sent(self):
        return bytes(self.transport.sent)


class Handler:
    """A handler that does one thing, and remembers how it ended."""

    def __init__(self, do):
        self.do = do
        self.exchanges = []
        self.ended = []

    async def __call__(self, exchange):
        self.exchanges.append(exchange)
        try:
            await self.do(exchange)
        except BaseException as error:
            self.ended.append(error)
            raise
        self.ended.append(None)

    @property
    def reason(self):
        return self.exchanges[0].cancel_reason

    @property
    def outcome(self):
        return self.exchanges[0].outcome


def answering(status=200, body=b"ok"):
    async def do(exchange):
        exchange.send_whole(status, None, None, body)

    return Handler(do)


def idling():
    async def do(exchange):
        await asyncio.Event().wait()

    return Handler(do)


def streaming():
    """Writes whenever ``more`` is set."""

    async def do(exchange):
        exchange.start(200, None, None, None)
        await exchange.flush()
        while True:
            await do.more.wait()
            do.more.clear()
            await exchange.write(b"x")

    do.more = asyncio.Event()
    return Handler(do)


def reading(between=None):
    """Reads its body, and waits for ``between`` before each piece but the first."""

    async def do(exchange):
        do.got = b""
        while (piece := await exchange.body.read()) is not None:
            do.got += piece
            if between is not None:
                await between.wait()
                between.clear()
        exchange.send_whole(200, None, None, do.got)

    return Handler(do)


# The handler and its end


async def test_a_request_is_answered_by_the_handler():
    host = Host(answering())
    await host.send(GET)
    assert host.sent.endswith(b"\r\n\r\nok") and host.exchange is None


async def test_one_handler_after_another():
    host = Host(answering())
    await host.send(GET * 3)
    assert len(host.handler.ended) == 3 and host.sent.count(b"200 OK") == 3


async def test_a_handler_that_fails_is_logged_and_its_connection_closed(caplog):
    async def fail(exchange):
        raise ZeroDivisionError

    host = Host(Handler(fail))
    with caplog.at_level(logging.ERROR, "sanicish"):
        await host.send(GET)
    assert host.sent == b"" and host.gone and host.handler.outcome is Outcome.FAILED
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]


async def test_a_handler_that_does_not_answer_is_logged_and_its_connection_closed(caplog):
    async def forget(exchange):
        pass

    host = Host(Handler(forget))
    with caplog.at_level(logging.ERROR, "sanicish"):
        await host.send(GET)
    assert host.gone and "never answered" in caplog.text


async def test_what_waits_for_the_end_is_told_of_the_outcome():
    told = []

    async def do(exchange):
        exchange.when_over(lambda exchange: told.append(exchange.outcome))
        exchange.when_over(lambda exchange: told.append(exchange.outcome))
        exchange.send_whole(200, None, None, b"")

    await Host(Handler(do)).send(GET)
    assert told == [Outcome.COMPLETED] * 2


async def test_what_fails_at_the_end_is_logged_and_disturbs_nobody(caplog):
    told = []

    async def do(exchange):
        exchange.when_over(lambda exchange: 1 / 0)
        exchange.when_over(told.append)
        exchange.send_whole(200, None, None, b"")

    host = Host(Handler(do))
    with caplog.at_level(logging.ERROR, "sanicish"):
        await host.send(GET + GET)
    assert len(told) == 2 and len(caplog.records) == 2 and host.sent.count(b"200 OK") == 2


async def test_a_handler_that_was_cancelled_from_within_is_no_disconnect():
    async def do(exchange):
        raise asyncio.CancelledError

    host = Host(Handler(do))
    await host.send(GET)
    assert host.handler.reason == "abort" and host.handler.outcome is Outcome.FAILED


# Clients that leave


async def test_a_client_that_is_gone_cancels_an_idle_handler_at_once():
    host = Host(idling())
    await host.send(GET)
    await host.lose()
    assert isinstance(host.handler.ended[0], asyncio.CancelledError)
    assert (host.handler.reason, host.handler.outcome) == ("disconnect", Outcome.DISCONNECT)
    assert host.gone == [host.protocol]


@pytest.mark.lazy_tasks
@pytest.mark.parametrize("end", [lambda host: host.lose(), lambda host: host.cancel_and_settle()])
async def test_a_handler_that_is_cancelled_before_it_ran_leaves_nothing_open(end):
    host = Host(idling())
    host.protocol.data_received(GET)
    exchange = host.exchange
    await end(host)
    assert host.handler.exchanges == [] and exchange.outcome is not None
    assert host.exchange is None and host.transport.closed and host.gone


async def test_a_client_that_is_gone_cancels_a_stream_between_two_writes():
    host = Host(streaming())
    await host.send(GET)
    await host.lose()
    assert host.handler.outcome is Outcome.DISCONNECT


async def test_a_client_that_is_gone_wakes_a_writer():
    async def do(exchange):
        exchange.start(200, None, None, None)
        while True:
            await exchange.write(b"x" * 100_000)

    host = Host(Handler(do), room=0)
    await host.send(GET)
    assert host.handler.ended == []
    await host.lose()
    assert len(host.handler.ended) == 1 and host.handler.outcome is Outcome.DISCONNECT


async def test_the_handler_of_a_client_that_is_gone_may_clean_up():
    async def do(exchange):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            do.cleaned = True

    host = Host(Handler(do))
    await host.send(GET)
    await host.lose()
    assert do.cleaned


async def test_a_shielded_handler_runs_to_its_end():
    go = asyncio.Event()

    async def do(exchange):
        exchange.rules = Rules(shielded=True)
        await go.wait()
        exchange.send_whole(200, None, None, b"")

    host = Host(Handler(do))
    await host.send(GET)
    await host.lose()
    assert host.handler.ended == [] and host.gone == [], "the server still has it to wait for"
    go.set()
    await settle()
    assert host.handler.ended == [None] and host.handler.outcome is Outcome.DISCONNECT and host.gone


async def test_a_shielded_handler_whose_client_is_gone_has_no_clocks():
    async def do(exchange):
        exchange.rules = Rules(shielded=True)
        await asyncio.Event().wait()

    host = Host(Handler(do), RESPONSE_TIMEOUT=10, REQUEST_BUFFER_SIZE=10)
    await host.send(sized(b"100", b"x" * 50))
    assert host.protocol.flow.holding
    await host.lose()
    await host.sweep(100)
    assert host.handler.ended == []


async def test_a_reader_is_told_of_a_cut_after_what_came_and_is_not_cancelled():
    host = Host(reading())
    await host.send(sized(b"10", b"hello"))
    await host.lose()
    assert isinstance(host.handler.ended[0], RequestAborted)
    assert host.handler.do.got == b"hello" and host.handler.reason is None


async def test_a_handler_that_has_not_begun_to_read_is_cancelled_when_its_body_is_cut():
    host = Host(idling())
    await host.send(sized(b"10", b"hello"))
    await host.lose()
    assert host.handler.reason == "disconnect"


async def test_a_slow_reader_has_time_as_long_as_it_reads():
    go = asyncio.Event()
    host = Host(reading(go))
    await host.send(sized(b"99999", b"a" * 3000), b"b" * 3000, b"c" * 3000)
    await host.lose()
    for _ in range(3):
        await host.loop.turn(0.9)
        go.set()
        await settle()
    assert isinstance(host.handler.ended[0], RequestAborted) and len(host.handler.do.got) == 9000


async def test_a_reader_that_stops_reading_is_cancelled():
    host = Host(reading(asyncio.Event()))
    await host.send(sized(b"99999", b"a" * 3000), b"b" * 3000)
    await host.lose()
    await host.loop.turn(0.9)
    assert host.handler.ended == []
    await host.loop.turn(0.2)
    assert host.handler.reason == "disconnect" and host.handler.outcome is Outcome.DISCONNECT


async def test_a_reader_that_goes_on_without_reading_is_cancelled():
    async def do(exchange):
        try:
            await exchange.body.read_all()
        except RequestAborted:
            await asyncio.Event().wait()

    host = Host(Handler(do))
    await host.send(sized(b"10", b"hello"))
    await host.lose()
    assert host.handler.ended == []
    await host.loop.turn(2)
    assert host.handler.reason == "disconnect"


async def test_a_writer_that_has_heard_that_its_client_is_gone_cleans_up_undisturbed():
    """A write may find that out a turn before the transport tells."""
    gate, cleaned = asyncio.Event(), []

    async def do(exchange):
        exchange.start(200, None, None, None)
        try:
            await exchange.write(b"x")
        finally:
            await gate.wait()
            cleaned.append(True)

    host = Host(Handler(do))
    host.protocol.flow.connection_lost()
    await host.send(GET)
    await host.lose()
    gate.set()
    await settle()
    assert cleaned == [True]
    assert isinstance(host.handler.ended[0], ClientDisconnected) and host.handler.reason == "disconnect"


async def test_a_writer_that_has_heard_that_its_client_is_gone_and_stays_is_cancelled(caplog):
    async def do(exchange):
        exchange.start(200, None, None, None)
        try:
            await exchange.write(b"x")
        except ClientDisconnected:
            await asyncio.Event().wait()

    host = Host(Handler(do), STREAM_CLEANUP_TIMEOUT=2)
    host.protocol.flow.connection_lost()
    await host.send(GET)
    await host.lose()
    await host.sweep(1)
    assert host.handler.ended == []
    await host.sweep(2)
    assert isinstance(host.handler.ended[0], asyncio.CancelledError)
    assert "goes on 2 s after" in caplog.text


# Clients that end their side


@pytest.mark.lazy_tasks
async def test_a_half_closed_client_gets_a_quick_answer():
    host = Host(answering())
    host.protocol.data_received(GET)
    assert await host.half_close()
    assert host.sent.endswith(b"ok") and host.transport.closed


async def test_a_half_closed_client_gets_all_answers():
    host = Host(answering())
    host.protocol.data_received(GET * 3)
    await host.half_close()
    assert host.sent.count(b"200 OK") == 3 and host.transport.closed


async def test_a_client_that_ended_its_side_and_is_sent_nothing_has_left():
    host = Host(idling())
    await host.send(GET)
    await host.half_close()
    assert host.handler.ended == []
    await host.loop.turn(0.1)
    assert host.handler.reason == "disconnect" and host.handler.outcome is Outcome.DISCONNECT


async def test_a_stream_to_a_client_that_ended_its_side_goes_on_while_it_is_taken():
    """A peer that has gone altogether would have answered by a reset."""
    host = Host(streaming())
    await host.send(GET)
    await host.half_close()
    for _ in range(3):
        host.handler.do.more.set()
        await settle()
        await host.loop.turn(10)
    assert host.handler.ended == [] and host.sent.count(b"1\r\nx\r\n") == 3


async def test_a_silent_stream_to_a_client_that_ended_its_side_is_cancelled():
    host = Host(streaming())
    await host.send(GET)
    await host.half_close()
    await host.loop.turn(0.1)
    assert host.handler.reason == "disconnect"


async def test_a_slow_client_that_ended_its_side_has_not_left():
    async def do(exchange):
        exchange.start(200, None, None, None)
        await exchange.write(b"x" * 100_000)
        await exchange.finish()

    host = Host(Handler(do), room=100)
    await host.send(GET)
    await host.half_close()
    await host.loop.turn(10)
    host.transport.take()
    await settle()
    assert host.handler.outcome is Outcome.COMPLETED and host.sent.endswith(b"0\r\n\r\n")


async def test_an_exchange_may_wait_for_a_half_closed_client():
    go = asyncio.Event()

    async def do(exchange):
        exchange.rules = Rules(half_close=True)
        await go.wait()
        exchange.send_whole(200, None, None, b"late")

    host = Host(Handler(do))
    await host.send(GET)
    await host.half_close()
    await host.loop.turn(100)
    go.set()
    await settle()
    assert host.sent.endswith(b"late")


async def test_a_half_closed_client_of_a_second_request_is_watched_too():
    async def do(exchange):
        if len(host.handler.exchanges) == 2:
            await asyncio.Event().wait()
        exchange.send_whole(200, None, None, b"")

    host = Host(Handler(do))
    host.protocol.data_received(GET * 2)
    await host.half_close()
    assert len(host.handler.exchanges) == 2 and len(host.handler.ended) == 1
    await host.loop.turn(0.1)
    assert host.handler.exchanges[1].cancel_reason == "disconnect"


async def test_a_client_that_ends_its_side_within_its_body_is_told_to_the_reader():
    host = Host(reading())
    await host.send(sized(b"10", b"hello"))
    await host.half_close()
    assert isinstance(host.handler.ended[0], RequestAborted) and host.handler.do.got == b"hello"


async def test_an_idle_connection_whose_client_ends_is_closed():
    host = Host(answering())
    await host.send(GET)
    assert not await host.half_close()
    assert host.gone


async def test_tls_knows_no_half_close():
    host = Host(idling())
    host.protocol.conn.ssl_object = object()
    await host.send(GET)
    assert not await host.half_close()


# Timeouts


async def test_a_head_that_does_not_end_gets_408():
    host = Host(answering(), REQUEST_TIMEOUT=10)
    await host.send(GET[:10])
    await host.sweep(12)
    assert host.sent.startswith(b"HTTP/1.1 408 ") and b"Connection: close" in host.sent


async def test_a_head_that_drips_gets_408():
    host = Host(answering(), REQUEST_TIMEOUT=10)
    for byte in GET[:12]:
        await host.send(bytes([byte]))
        await host.sweep(1)
    assert host.sent.startswith(b"HTTP/1.1 408 ")


async def test_a_connection_that_never_says_anything_is_closed_without_a_word():
    host = Host(answering(), REQUEST_TIMEOUT=10, KEEP_ALIVE_TIMEOUT=1)
    await host.sweep(9)
    assert not host.transport.closed
    await host.sweep(3)
    assert host.transport.closed and host.sent == b""


async def test_a_connection_without_a_further_request_is_closed():
    host = Host(answering(), KEEP_ALIVE_TIMEOUT=5)
    await host.send(GET)
    await host.sweep(4)
    assert not host.transport.closed
    await host.sweep(3)
    assert host.gone


async def test_without_keep_alive_a_first_request_has_its_time():
    host = Host(answering(), KEEP_ALIVE=False)
    await host.sweep(5)
    await host.send(GET)
    assert b"Connection: close" in host.sent and host.gone


async def test_an_answer_that_does_not_begin_is_cancelled_for_time():
    async def do(exchange):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            assert exchange.cancel_reason == "timeout"
            exchange.send_whole(503, None, None, b"")

    host = Host(Handler(do), RESPONSE_TIMEOUT=10)
    await host.send(GET)
    await host.sweep(12)
    assert host.sent.startswith(b"HTTP/1.1 503 ") and host.handler.outcome is Outcome.COMPLETED


async def test_a_silent_stream_is_cancelled_if_that_was_asked_for():
    host = Host(streaming(), STREAM_IDLE_TIMEOUT=10)
    await host.send(GET)
    await host.sweep(12)
    assert (host.handler.reason, host.handler.outcome) == ("timeout", Outcome.TIMEOUT)
    assert not host.sent.endswith(b"0\r\n\r\n")


async def test_a_silent_stream_is_left_alone_otherwise():
    host = Host(streaming())
    await host.send(GET)
    await host.sweep(1000)
    assert host.handler.ended == []


async def test_a_body_that_stops_coming_is_told_to_its_reader():
    host = Host(reading(), REQUEST_IDLE_TIMEOUT=10)
    await host.send(sized(b"10", b"hello"))
    await host.sweep(12)
    assert isinstance(host.handler.ended[0], RequestTimeout) and host.handler.reason is None


async def test_a_client_that_takes_nothing_is_reset():
    async def do(exchange):
        exchange.start(200, None, None, None)
        while True:
            await exchange.write(b"x" * 100_000)

    host = Host(Handler(do), room=0, WRITE_TIMEOUT=10)
    await host.send(GET)
    await host.sweep(12)
    assert host.transport.aborted
    assert (host.handler.reason, host.handler.outcome) == ("timeout", Outcome.TIMEOUT)


async def test_an_answer_that_is_never_taken_is_reset_after_its_handler():
    host = Host(answering(body=b"x" * 1000), room=0, GRACEFUL_TCP_CLOSE_TIMEOUT=5)
    await host.send(head(b"GET / HTTP/1.0"))
    assert host.protocol.wire.phase is Phase.CLOSING
    await host.sweep(7)
    assert host.transport.aborted


async def test_a_peer_that_does_not_leave_is_left():
    host = Host(answering(), LINGER_TIMEOUT=2)
    await host.send(b"\x00\r\n\r\n")
    assert host.transport.ended and not host.transport.closed
    await host.sweep(4)
    assert host.gone


async def test_a_peer_that_goes_on_sending_what_was_refused_is_left_in_the_end():
    host = Host(answering(), LINGER_TIMEOUT=2, LINGER_TOTAL_TIMEOUT=30)
    await host.send(sized(b"100000000", b"x" * 1000))
    for seconds in range(60):
        if host.gone:
            break
        await host.send(b"x" * 1000)
        await host.sweep(1)
    assert host.sent.count(b"200 OK") == 1 and 29 <= seconds <= 32


async def test_a_transport_that_does_not_close_is_aborted():
    host = Host(answering(), KEEP_ALIVE_TIMEOUT=2, GRACEFUL_TCP_CLOSE_TIMEOUT=5)
    host.transport.close = lambda: None  # as one of TLS does, whose peer does not end its side
    await host.send(GET)
    await host.sweep(3)
    assert host.protocol.wire.phase is Phase.CLOSING
    await host.sweep(6)
    assert host.transport.aborted and host.gone


async def test_a_peer_that_does_not_take_its_refusal_is_left_too():
    host = Host(answering(), room=0, LINGER_TIMEOUT=2, GRACEFUL_TCP_CLOSE_TIMEOUT=5)
    await host.send(b"\x00\r\n\r\n")
    await host.sweep(7)
    assert host.transport.aborted and host.gone


async def test_a_handler_that_ignores_its_cancellation_does_not_keep_its_client_waiting(caplog):
    go = asyncio.Event()

    async def do(exchange):
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                do.cancelled += 1

    do.cancelled = 0
    host = Host(Handler(do), RESPONSE_TIMEOUT=10, STREAM_CLEANUP_TIMEOUT=5)
    await host.send(GET)
    await host.sweep(12)
    assert do.cancelled == 1 and not host.transport.closed
    with caplog.at_level(logging.ERROR, "sanicish"):
        await host.sweep(5)
    assert do.cancelled >= 2 and host.transport.aborted and "after it was cancelled" in caplog.text
    go.set()
    await settle()
    assert host.gone


# Being told by the server


async def test_a_connection_may_be_refused():
    host = Host(answering())
    host.protocol.refuse(ServiceUnavailable("full"))
    assert host.sent.startswith(b"HTTP/1.1 503 ") and host.sent.endswith(b"full\n")


async def test_a_reason_is_told_once():
    host = Host(idling())
    await host.send(GET)
    host.protocol.cancel("shutdown")
    host.protocol.cancel("timeout")
    await settle()
    assert (host.handler.reason, host.handler.outcome) == ("shutdown", Outcome.SHUTDOWN)


async def test_nothing_is_written_after_an_abort():
    async def do(exchange):
        exchange.start(200, None, None, None)
        try:
            while True:
                await exchange.write(b"x")
        except ClientDisconnected:
            exchange.write(b"late")
            raise

    host = Host(Handler(do), room=0, slice_seconds=0)
    await host.send(GET)
    host.protocol.abort()
    await settle()
    assert b"late" not in host.sent + host.transport.waiting and host.handler.ended


async def test_a_client_that_speaks_tls_is_told_of_in_the_log(caplog):
    host = Host(answering())
    with caplog.at_level(logging.WARNING, "sanicish"):
        await host.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert host.sent.startswith(b"HTTP/1.1 400 ") and "speaks TLS" in caplog.text


async def test_shutdown_is_passed_on():
    host = Host(answering())
    host.protocol.finish(0.5)
    await settle()
    assert host.gone


# The access log


async def line_of(caplog, handler, *pieces, lose=False):
    with caplog.at_level(logging.INFO, "sanicish.access"):
        host = Host(handler, access_log=True)
        await host.send(*pieces)
        if lose:
            await host.lose()
    (record,) = [record for record in caplog.records if record.name == "sanicish.access"]
    return record.getMessage()


async def test_the_access_log_tells_what_was_asked_and_answered(caplog):
    line = await line_of(caplog, answering(), head(b"GET /a?b HTTP/1.1"))
    assert line.startswith("GET /a?b 200 · 2 B in ") and line.endswith(" · 127.0.0.1:50000")


async def test_the_access_log_tells_how_a_stream_ended(caplog):
    assert "client left" in await line_of(caplog, streaming(), GET, lose=True)


async def test_the_access_log_tells_what_was_refused(caplog):
    assert " 400 " in await line_of(caplog, answering(), b"\x00\r\n\r\n")


@pytest.mark.lazy_tasks
async def test_a_handler_that_never_ran_took_no_time(caplog):
    with caplog.at_level(logging.INFO, "sanicish.access"):
        host = Host(answering(), access_log=True)
        host.protocol.data_received(GET)
        host.protocol.cancel("shutdown")
        await settle()
    (record,) = [record for record in caplog.records if record.name == "sanicish.access"]
    assert record.duration == 0 and record.outcome == "shut down"
