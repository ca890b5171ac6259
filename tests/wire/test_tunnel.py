"""A tunnel: behind a 101 the connection is no longer HTTP, and both bodies have no length (RFC 9110 7.8)."""

import asyncio

import pytest

from sanicish.exceptions import RequestAborted, ResponseError, StreamClosed
from sanicish.exchange import Outcome
from sanicish.headers import Headers
from tests.doubles.wire import Wire, talk

ASK = b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"
UPGRADE = Headers({"Upgrade": "echo"})


async def echo(exchange):
    exchange.tunnel(101, UPGRADE)
    while (data := await exchange.body.read()) is not None:
        await exchange.write(data)
    await exchange.finish()


@pytest.fixture
def tunnel(app, serve):
    """Serves with a handler of the exchange alone, and keeps the exchange."""

    class Tunnel:
        exchange = None
        outcome = None

        async def open(self, handler=echo, **options):
            async def handle(exchange):
                self.exchange = exchange
                self.outcome = asyncio.get_running_loop().create_future()
                exchange.when_over(lambda ended: self.outcome.set_result(ended.outcome))
                await handler(exchange)

            app.handle = handle
            return await serve(app, **options)

        async def ended(self):
            async with asyncio.timeout(10):
                return await self.outcome

    return Tunnel()


async def test_the_head_says_that_the_protocol_is_switched(tunnel):
    async with Wire(await tunnel.open()) as wire:
        wire.send(ASK)
        head = await wire.until(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
        assert {b"Upgrade: echo", b"Connection: Upgrade"} <= set(lines)
        assert b"content-length" not in head.lower() and b"transfer-encoding" not in head.lower()
        assert tunnel.exchange.status == 101 and tunnel.exchange.streamed


async def test_bytes_go_both_ways_as_they_are(tunnel):
    async with Wire(await tunnel.open()) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        for data in (b"a", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", bytes(range(256)) * 10):
            wire.send(data)
            assert await wire.exactly(len(data)) == data


async def test_what_was_sent_right_behind_the_head_is_not_lost(tunnel):
    async with Wire(await tunnel.open()) as wire:
        wire.send(ASK + b"early")
        await wire.until(b"\r\n\r\n")
        assert await wire.exactly(5) == b"early"
        wire.send(b" late")
        assert await wire.exactly(5) == b" late"


@pytest.mark.parametrize("size", [1, 7])
async def test_a_head_in_pieces_opens_a_tunnel_too(tunnel, size):
    async with Wire(await tunnel.open()) as wire:
        for start in range(0, len(ASK), size):
            wire.send(ASK[start : start + size])
            await asyncio.sleep(0)
        await wire.until(b"\r\n\r\n")
        wire.send(b"x")
        assert await wire.exactly(1) == b"x"


async def test_a_client_that_ends_its_side_ends_the_body_and_gets_the_rest(tunnel):
    async with Wire(await tunnel.open()) as wire:
        wire.send(ASK + b"last")
        wire.half_close()
        assert (await wire.rest()).endswith(b"\r\n\r\nlast")
    assert await tunnel.ended() is Outcome.COMPLETED


async def test_a_client_that_ends_its_side_is_waited_for_as_long_as_the_handler_wants(tunnel):
    go = asyncio.Event()

    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        assert await exchange.body.read() is None
        await go.wait()
        await exchange.write(b"at last")
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        wire.half_close()
        await asyncio.sleep(0.1)  # longer than the grace for a client that has ended its side
        go.set()
        assert await wire.rest() == b"at last"
    assert await tunnel.ended() is Outcome.COMPLETED


async def test_finish_ends_the_connection(tunnel):
    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        await exchange.write(b"bye")
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        assert (await wire.rest()).endswith(b"\r\n\r\nbye")
        wire.half_close()


async def test_a_handler_that_fails_is_seen_as_a_reset_not_as_an_end(tunnel):
    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        await exchange.write(b"half")
        await exchange.body.read()
        exchange.abort()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        await wire.until(b"half")
        wire.send(b"x")
        with pytest.raises(ConnectionResetError):
            await wire.exactly(1)


async def test_a_client_that_resets_fails_the_body_and_the_writes(tunnel):
    seen = asyncio.Event()

    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        with pytest.raises(RequestAborted):
            await exchange.body.read()
        seen.set()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        wire.reset()
        async with asyncio.timeout(10):
            await seen.wait()
    assert await tunnel.ended() is Outcome.DISCONNECT


async def test_a_sender_waits_for_a_handler_that_does_not_read(tunnel):
    read = asyncio.Event()
    sent = bytes(range(256)) * 4_096 * 16  # 16 MiB, more than all buffers between

    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        await read.wait()
        got = 0
        while got < len(sent):
            got += len(await exchange.body.read())
        await exchange.write(b"all")
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        wire.send(sent)
        async with asyncio.timeout(10):
            while not tunnel.exchange.body.unread:
                await asyncio.sleep(0)
        assert tunnel.exchange.body.unread < 2**20
        read.set()
        assert await wire.exactly(3) == b"all"


async def test_a_quiet_tunnel_has_no_timeout(tunnel, app):
    app.config.update(REQUEST_TIMEOUT=0.05, RESPONSE_TIMEOUT=0.05, STREAM_IDLE_TIMEOUT=0.05, BODY_TIMEOUT=0.05)
    async with Wire(await tunnel.open()) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        wire.send(b"still here")
        assert await wire.exactly(10) == b"still here"


async def test_a_stop_is_told_to_the_handler(tunnel, app):
    async def handler(exchange):
        exchange.tunnel(101, UPGRADE)
        await exchange.happened("shutdown")
        await exchange.write(b"going away")
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        await wire.until(b"\r\n\r\n")
        app.stop()
        assert await wire.exactly(10) == b"going away"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",  # not named in Connection
        b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n",
        b"GET /echo HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    ],
)
async def test_a_client_that_offers_no_protocol_gets_no_tunnel(tunnel, head):
    async def handler(exchange):
        assert exchange.head.protocol == ""
        with pytest.raises(ResponseError):
            exchange.tunnel(101, UPGRADE)
        exchange.send_whole(426, UPGRADE, None, b"")

    assert (await talk(await tunnel.open(handler), head, half_close=True)).startswith(b"HTTP/1.1 426 ")


async def test_an_offer_that_is_not_taken_is_an_ordinary_request(tunnel):
    async def handler(exchange):
        assert exchange.head.protocol == "echo"
        exchange.send_whole(200, None, None, b"plain")

    async with Wire(await tunnel.open(handler)) as wire:
        for _ in range(2):
            wire.send(ASK)
            assert (await wire.answer()).body == b"plain"


async def test_a_tunnel_needs_a_request_whose_body_was_read(tunnel):
    refused = asyncio.Event()

    async def handler(exchange):
        with pytest.raises(ResponseError):
            exchange.tunnel(101, UPGRADE)
        refused.set()
        while await exchange.body.read() is not None:
            pass
        exchange.tunnel(101, UPGRADE)
        await exchange.write(await exchange.body.read())
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n"))
        async with asyncio.timeout(10):
            await refused.wait()
        wire.send(b"bodyline")
        await wire.until(b"\r\n\r\n")
        assert await wire.exactly(4) == b"line"


async def test_a_tunnel_cannot_follow_a_response(tunnel):
    async def handler(exchange):
        exchange.start(200, None, None, None)
        with pytest.raises(StreamClosed):
            exchange.tunnel(101, UPGRADE)
        await exchange.finish()

    async with Wire(await tunnel.open(handler)) as wire:
        wire.send(ASK)
        assert (await wire.answer()).status == 200
