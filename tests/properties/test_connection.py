"""Any bytes into a connection end in responses or a close, never in another exception, and never in a hang."""

import asyncio
import logging
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sanicish.config import Config
from sanicish.exceptions import ClientDisconnected, SanicException
from sanicish.http1.serialize import DateField
from sanicish.server.protocol import HttpProtocol
from sanicish.streams.flow import Turn
from tests.cases.requests import ACCEPTED, REJECTED, head, sized
from tests.doubles.answers import read_answers
from tests.doubles.clock import HandTurnedLoop, settle
from tests.doubles.transport import MemoryTransport

CASES = [case.raw for case in (*ACCEPTED, *REJECTED) if len(case.raw) < 300]
PIPELINE = [head(b"GET / HTTP/1.1"), head(b"HEAD / HTTP/1.1"), sized(b"600", b"x" * 600), sized(b"40", b"x" * 40)]

streams = st.lists(
    st.one_of(st.sampled_from(CASES), st.sampled_from(PIPELINE), st.binary(max_size=20), st.just(b"\r\n")),
    min_size=1,
    max_size=6,
).map(b"".join)
cuts = st.lists(st.integers(0, 2**16), max_size=6)
BEHAVIOURS = ["whole", "read", "read one", "stream", "duplex", "fail", "fail late", "idle", "forget"]
ENDS = ["half-close", "lost", "shutdown", "silence"]


class Transport(MemoryTransport):
    """Tells its protocol of its end, as asyncio's do."""

    lost = False

    def close(self):
        if not self.closed:
            super().close()
            asyncio.get_running_loop().call_soon(self.lose)

    def abort(self):
        if not self.closed:
            super().abort()
            asyncio.get_running_loop().call_soon(self.lose)

    def lose(self):
        if not self.lost:
            self.lost = self.closed = True
            self.protocol.connection_lost(None)


class Host:
    """A connection whose handler behaves in one of several ways; it knows what it was asked."""

    cleanup_seconds = 5.0
    access_log = False
    high_water = 65_536

    def __init__(self, behaviours):
        config = Config(
            {"REQUEST_BUFFER_SIZE": 300, "DRAIN_LIMIT": 200, "REQUEST_MAX_HEADER_SIZE": 1000}, load_env=False
        )
        self.loop = HandTurnedLoop()
        self.create_task = self.loop.create_task
        self.call_soon = self.loop.call_soon
        self.turn = Turn(self.loop.call_soon, 1e9)
        self.limits, self.timeouts, self.date = config.limits(), config.timeouts(), DateField()
        self.behaviours = behaviours
        self.methods = []
        self.outcomes = []
        self.gone = 0
        self.transport = Transport()
        self.protocol = self.transport.protocol = HttpProtocol(self)
        self.protocol.connection_made(self.transport)

    def opened(self, protocol):
        pass

    def closed(self, protocol):
        self.gone += 1

    async def handler(self, exchange):
        behaviour = self.behaviours[len(self.methods) % len(self.behaviours)]
        self.methods.append(exchange.head.method)
        exchange.when_over(lambda exchange: self.outcomes.append(exchange.outcome))
        try:
            await self.behave(behaviour, exchange)
        except ClientDisconnected:
            exchange.abort()
        except (SanicException, ZeroDivisionError) as error:
            if exchange.started:
                exchange.abort()
            else:
                exchange.send_whole(getattr(error, "status_code", 500), None, None, b"error")

    async def behave(self, behaviour, exchange):
        body = exchange.body
        if behaviour == "idle":
            await asyncio.Event().wait()
        if behaviour == "forget":
            return
        if behaviour == "fail":
            raise ZeroDivisionError
        if behaviour == "read one":
            await body.read(1)
        if behaviour == "read":
            await body.read_all(500)
        if behaviour in ("whole", "read", "read one"):
            exchange.send_whole(200, None, None, b"whole")
            return
        exchange.start(200, None, None, None)
        await exchange.write(b"piece")
        if behaviour == "duplex":
            async for piece in body:
                await exchange.write(piece)
        if behaviour == "fail late":
            raise ZeroDivisionError
        await exchange.finish()

    async def sweep(self, seconds):
        for _ in range(seconds):
            await self.loop.turn(1)
            if not self.transport.lost:
                self.protocol.sweep(self.loop.now)
                await settle()


async def live(raw, cuts, behaviours, end, abrupt):
    host = Host(behaviours)
    protocol, transport = host.protocol, host.transport
    edges = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    for start, stop in pairwise(edges):
        for _ in range(20):  # a kernel does not deliver what is not read
            if not transport.reading_paused:
                break
            await settle()
        if transport.closed or transport.reading_paused:
            break
        protocol.data_received(raw[start:stop])
        if start % 2:
            await settle()
    if not abrupt:
        await settle()
    if end == "half-close" and not transport.closed and not transport.reading_paused:
        if not protocol.eof_received():
            transport.close()
    elif end == "lost":
        transport.lose()
    elif end == "shutdown":
        protocol.finish(0.5)
    await settle()
    await host.sweep(200)  # longer than any of the timeouts
    return host


class Errors(logging.Handler):
    """Collects what no client may be able to cause."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.lines = []

    def emit(self, record):
        if "was never answered" not in record.getMessage():
            self.lines.append(record.getMessage())


@pytest.mark.slow
@given(
    raw=streams,
    cuts=cuts,
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=3),
    end=st.sampled_from(ENDS),
    abrupt=st.booleans(),
)
@example(raw=PIPELINE[0], cuts=[], behaviours=["whole"], end="lost", abrupt=True)
@example(raw=sized(b"600", b"x" * 600) + PIPELINE[0], cuts=[], behaviours=["whole"], end="silence", abrupt=False)
def test_any_bytes_end_in_answers_or_a_close(raw, cuts, behaviours, end, abrupt):
    errors, logger = Errors(), logging.getLogger("sanicish.error")
    logger.addHandler(errors)
    try:
        host = asyncio.run(live(raw, cuts, behaviours, end, abrupt))
    finally:
        logger.removeHandler(errors)
    assert not errors.lines
    assert host.transport.lost and host.gone, "whatever happens, no connection stays for ever"
    assert len(host.outcomes) == len(host.methods) and None not in host.outcomes, "each exchange has one outcome"
    assert host.protocol.wire.exchange is None
    sent = bytes(host.transport.sent).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    replies = read_answers(sent, *host.methods, "GET")
    assert len(replies) <= len(host.methods) + 1, "one response to each request, and one refusal"
    assert all(reply.whole for reply in replies[:-1]), "nothing stands behind a response that was cut"
