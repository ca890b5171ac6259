"""What every Exchange does, whatever wire carries it: HTTP/1.1, ASGI, and both inside a wrapper or compressed.

A wire that is added has to pass this. Each test is a handler that uses the exchange, and what its client gets.
"""

import asyncio
import zlib

import pytest
from h11 import CLIENT, Connection, Data, EndOfMessage, RemoteProtocolError, Request, Response

from sanicish.compression.exchange import Compression
from sanicish.exceptions import (
    ClientDisconnected,
    ContentLengthMismatch,
    ResponseCut,
    ResponseError,
    StreamClosed,
)
from sanicish.exchange import Outcome, Rules
from sanicish.headers import Headers
from sanicish.wrapped import WrappedExchange
from tests.doubles.asgi import AsgiServer, scope_of
from tests.doubles.wire import Wire, talk

TEXT = "text/plain"
PIECE = b"the same again " * 100  # long enough to be compressed
PATIENCE = 10.0
ACTS = {
    "start": lambda exchange: exchange.start(200, None, TEXT, None),
    "write": lambda exchange: exchange.write(b"more"),
    "flush": lambda exchange: exchange.flush(),
    "finish": lambda exchange: exchange.finish(),
    "send_whole": lambda exchange: exchange.send_whole(500, None, TEXT, b"more"),
}


class Got:
    """What a client got: ``whole`` if the response has ended, and was not cut."""

    def __init__(self, status, headers, body, whole):
        self.status = status
        self.headers = headers
        self.whole = whole
        if headers.get("content-encoding") == "gzip":
            stream = zlib.decompressobj(31)
            body = stream.decompress(body)
            assert stream.eof or not whole
        self.body = body


class Http1:
    """A client on a socket of our server."""

    def __init__(self, app, serve, fields):
        self._app, self._serve, self._fields = app, serve, fields

    async def ask(self, method="GET", body=None):
        address = await self._serve(self._app)
        lines = [f"{method} / HTTP/1.1", "Host: a", "Connection: close", *self._fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        data = await talk(address, "\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return read(data, method)

    async def open(self):
        """A client that sends its request and reads no further than it is asked to."""
        wire = Wire(await self._serve(self._app))
        await wire.__aenter__()
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(f"{one}\r\n".encode() for one in self._fields) + b"\r\n")
        wire.writer.transport.pause_reading()
        return wire


def read(data, method):
    """A response as its client sees it, also a cut one; h11 is the judge."""
    judge = Connection(CLIENT)
    judge.send(Request(method=method, target="/", headers=[("Host", "a")]))
    judge.send(EndOfMessage())
    judge.receive_data(data)
    judge.receive_data(b"")
    status, headers, body = 0, {}, b""
    while True:
        try:
            event = judge.next_event()
        except RemoteProtocolError:
            return Got(status, headers, body, whole=False)
        if isinstance(event, Response):
            status = event.status_code
            headers = {name.decode(): value.decode() for name, value in event.headers}
        elif isinstance(event, Data):
            body += bytes(event.data)
        else:
            return Got(status, headers, body, whole=isinstance(event, EndOfMessage))


class Asgi:
    """A client of an ASGI server that runs our application."""

    def __init__(self, app, serve, fields):
        self._app = app
        self._headers = [tuple(part.encode() for part in one.lower().split(": ", 1)) for one in fields]

    async def ask(self, method="GET", body=None):
        headers = list(self._headers)
        if body is not None:
            headers.append((b"content-length", b"%d" % len(body)))
        server = AsgiServer()
        server.feed(body or b"")
        cut = False
        try:
            async with asyncio.timeout(PATIENCE):
                await self._app(scope_of(method, headers=headers), server.receive, server.send)
        except ResponseCut:
            cut = True
        if not server.sent:
            return Got(0, {}, b"", whole=False)
        headers = {name.decode(): value.decode() for name, value in server.headers.items()}
        return Got(server.status, headers, server.body, whole=server.ended and not cut)


class Nothing:
    """A wrapper that changes nothing."""

    def around(self, answer):
        async def wrapped(app, exchange):
            await answer(app, WrappedExchange(exchange))

        return wrapped


WIRES = {
    "HTTP/1.1": (Http1, None),
    "HTTP/1.1 wrapped": (Http1, Nothing),
    "HTTP/1.1 compressed": (Http1, Compression),
    "ASGI": (Asgi, None),
    "ASGI wrapped": (Asgi, Nothing),
    "ASGI compressed": (Asgi, Compression),
}


class Wires:
    """Answers with a function of the exchange alone, and keeps what became of it."""

    def __init__(self, app, serve, kind, wrapper):
        self.app, self.serve = app, serve
        self.kind, self.wrapper = kind, wrapper
        self.exchange = None
        self.ended = []  # outcomes, as callbacks of the end see them

    def client(self, handler):
        async def answer(app, exchange):
            self.exchange = exchange
            exchange.when_over(lambda ended: self.ended.append(ended.outcome))
            await handler(exchange)

        if self.wrapper is Compression:
            answer = Compression(self.app.config, ["gzip"], min_size=0).around(answer)
        elif self.wrapper is not None:
            answer = self.wrapper().around(answer)
        self.app.handle = lambda exchange: answer(self.app, exchange)
        fields = ["Accept-Encoding: gzip"] if self.wrapper is Compression else []
        return self.kind(self.app, self.serve, fields)

    async def ask(self, handler, **request):
        return await self.client(handler).ask(**request)

    @property
    def compressed(self):
        return self.wrapper is Compression


@pytest.fixture(params=WIRES)
def wires(request, app, serve):
    return Wires(app, serve, *WIRES[request.param])


# Complete responses


async def test_a_whole_response_has_its_status_fields_and_length(wires):
    async def handler(exchange):
        exchange.send_whole(201, Headers({"X-A": "1"}), TEXT, PIECE)

    got = await wires.ask(handler)
    assert (got.status, got.body, got.whole) == (201, PIECE, True)
    assert got.headers["x-a"] == "1"
    assert got.headers["content-type"] == TEXT
    assert "content-length" in got.headers
    assert wires.ended == [Outcome.COMPLETED]


async def test_a_whole_response_to_head_has_the_length_and_no_body(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, b"hello")

    got = await wires.ask(handler, method="HEAD")
    assert (got.status, got.body, got.whole) == (200, b"", True)
    assert wires.compressed or got.headers["content-length"] == "5"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_has_neither_body_nor_type(wires, status):
    async def handler(exchange):
        exchange.send_whole(status, None, TEXT, b"")

    got = await wires.ask(handler)
    assert (got.status, got.body, got.whole) == (status, b"", True)
    assert "content-type" not in got.headers


@pytest.mark.parametrize("again", ["send_whole", "start"])
async def test_a_second_response_is_refused_and_the_first_is_whole(wires, again):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, b"hello")
        with pytest.raises(StreamClosed):
            ACTS[again](exchange)

    got = await wires.ask(handler)
    assert (got.status, got.body, got.whole) == (200, b"hello", True)


async def test_what_was_sent_is_counted_without_its_framing(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, "image/png", b"hello")  # which is not compressed

    await wires.ask(handler)
    assert wires.exchange.bytes_sent == 5
    assert wires.exchange.status == 200


async def test_a_client_that_offers_no_protocol_gets_no_tunnel_but_a_response(wires):
    async def handler(exchange):
        with pytest.raises(ResponseError):
            exchange.tunnel(101, Headers({"Upgrade": "echo"}))
        exchange.send_whole(200, None, TEXT, b"plain")

    got = await wires.ask(handler)
    assert (got.status, got.body, got.whole) == (200, b"plain", True)


async def test_there_is_no_tunnel_behind_a_response(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, b"plain")
        with pytest.raises(StreamClosed):
            exchange.tunnel(101, Headers({"Upgrade": "echo"}))

    assert (await wires.ask(handler)).body == b"plain"


# Streams


async def test_pieces_arrive_as_one_body(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        for number in range(3):
            await exchange.write(b"%d" % number + PIECE)
        await exchange.finish()

    got = await wires.ask(handler)
    assert got.body == b"".join(b"%d" % number + PIECE for number in range(3))
    assert got.whole
    assert wires.ended == [Outcome.COMPLETED]


async def test_pieces_that_are_not_awaited_arrive_too_and_in_order(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        for number in range(50):
            exchange.write(b"%d " % number)
        await exchange.finish()

    got = await wires.ask(handler)
    assert got.body == b"".join(b"%d " % number for number in range(50))


async def test_a_large_piece_arrives_whole(wires):
    large = bytes(range(256)) * 4_096

    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(large)
        await exchange.finish()

    assert (await wires.ask(handler)).body == large


async def test_an_empty_write_does_not_end_the_body(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(b"a")
        await exchange.write(b"")
        await exchange.write(b"b")
        await exchange.finish()

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"ab", True)


async def test_a_stream_of_nothing_is_an_empty_body(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.finish()

    got = await wires.ask(handler)
    assert (got.status, got.body, got.whole) == (200, b"", True)


async def test_a_promised_length_is_told_and_kept(wires):
    async def handler(exchange):
        exchange.start(200, Headers({"Content-Length": "6"}), "image/png", None)
        await exchange.write(b"abc")
        await exchange.write(b"def")
        await exchange.finish()

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"abcdef", True)
    assert got.headers["content-length"] == "6"


async def test_more_than_the_promised_length_is_refused(wires):
    async def handler(exchange):
        exchange.start(200, Headers({"Content-Length": "3"}), TEXT, None)
        await exchange.write(b"abc")
        with pytest.raises(ContentLengthMismatch):
            await exchange.write(b"d")
        await exchange.finish()

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"abc", True)


async def test_less_than_the_promised_length_is_no_end(wires):
    async def handler(exchange):
        exchange.start(200, Headers({"Content-Length": "3"}), TEXT, None)
        await exchange.write(b"ab")
        with pytest.raises(ContentLengthMismatch):
            await exchange.finish()

    got = await wires.ask(handler)
    assert not got.whole
    assert wires.ended == [Outcome.FAILED]


async def test_a_stream_to_head_has_no_body(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        assert exchange.bodiless
        await exchange.write(b"hello")

    got = await wires.ask(handler, method="HEAD")
    assert (got.status, got.body, got.whole) == (200, b"", True)


async def test_a_file_is_sent_from_its_offset(wires, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1_000)

    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        with (tmp_path / "file").open("rb") as opened:
            if not await exchange.send_file(opened.fileno(), 1_000, 200_000):
                opened.seek(1_000)
                await exchange.write(opened.read(200_000))
        await exchange.finish()

    got = await wires.ask(handler)
    assert got.body == (bytes(range(256)) * 1_000)[1_000:201_000]
    assert got.whole


# The head


async def test_nothing_has_started_before_the_head(wires):
    async def handler(exchange):
        assert not exchange.started
        assert exchange.status == 0
        exchange.start(202, None, TEXT, None)
        assert exchange.started
        assert exchange.status == 202
        await exchange.finish()

    assert (await wires.ask(handler)).status == 202


async def test_an_abort_before_there_is_data_is_no_end(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await asyncio.sleep(0)
        exchange.abort()

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"", False)


async def test_a_flush_lets_the_head_leave_alone(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.flush()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        exchange.abort()

    got = await wires.ask(handler)
    assert (got.status, got.whole) == (200, False)


@pytest.mark.parametrize("act", ["write", "flush", "finish"])
async def test_before_the_head_there_is_no_body(wires, act):
    async def handler(exchange):
        with pytest.raises(StreamClosed):
            ACTS[act](exchange)
        exchange.send_whole(200, None, TEXT, b"hello")

    assert (await wires.ask(handler)).body == b"hello"


async def test_a_field_cannot_break_the_line(wires):
    async def handler(exchange):
        headers = Headers()
        with pytest.raises(ValueError):
            headers["X-A"] = "1\r\nX-B: 2"
        exchange.send_whole(200, headers, TEXT, b"hello")

    got = await wires.ask(handler)
    assert "x-b" not in got.headers


# Interim responses


@pytest.mark.parametrize("status", [101, 200, 404])
async def test_a_status_that_is_not_interim_is_refused(wires, status):
    async def handler(exchange):
        with pytest.raises(ResponseError):
            exchange.inform(status)
        exchange.send_whole(200, None, TEXT, b"hello")

    assert (await wires.ask(handler)).body == b"hello"


async def test_a_client_that_did_not_ask_gets_no_interim_response(wires):
    async def handler(exchange):
        assert not exchange.inform(103, Headers({"Link": "</a>; rel=preload"}))
        exchange.send_whole(200, None, TEXT, b"hello")

    assert (await wires.ask(handler)).body == b"hello"


async def test_after_the_head_there_is_no_interim_response(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        with pytest.raises(StreamClosed):
            exchange.inform(103, Headers({"Link": "</a>; rel=preload"}))
        await exchange.finish()

    assert (await wires.ask(handler)).whole


# Ends


@pytest.mark.parametrize("act", ["write", "finish", "start", "send_whole"])
async def test_after_the_end_nothing_is_sent(wires, act):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(b"hello")
        await exchange.finish()
        with pytest.raises(StreamClosed):
            ACTS[act](exchange)

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"hello", True)


async def test_an_abort_is_no_end(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(b"hello")
        await exchange.flush()
        exchange.abort()

    got = await wires.ask(handler)
    assert (got.status, got.whole) == (200, False)
    assert wires.ended == [Outcome.FAILED]


async def test_an_abort_after_the_end_changes_nothing(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, b"hello")
        exchange.abort()

    got = await wires.ask(handler)
    assert (got.body, got.whole) == (b"hello", True)
    assert wires.ended == [Outcome.COMPLETED]


async def test_the_outcome_of_an_abort_is_the_one_that_was_given(wires):
    async def handler(exchange):
        exchange.abort(Outcome.TIMEOUT)

    assert not (await wires.ask(handler)).whole
    assert wires.ended == [Outcome.TIMEOUT]


async def test_a_handler_that_fails_after_the_head_cuts(wires, caplog):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(b"hello")
        raise ZeroDivisionError

    got = await wires.ask(handler)
    assert not got.whole
    assert wires.ended == [Outcome.FAILED]
    assert sum(record.exc_info is not None for record in caplog.records) == 1


async def test_a_handler_that_never_answers_has_no_end(wires, caplog):
    async def handler(exchange):
        pass

    assert not (await wires.ask(handler)).whole
    assert wires.ended == [Outcome.FAILED]
    assert "never answered" in caplog.text


async def test_the_end_is_told_once_and_behind_the_response(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        await exchange.write(b"hello")
        assert wires.ended == []
        await exchange.finish()
        assert exchange.outcome is Outcome.COMPLETED

    await wires.ask(handler)
    assert wires.ended == [Outcome.COMPLETED]


# The request


async def test_the_body_of_a_request_is_read_whole(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, await exchange.body.read_all())

    got = await wires.ask(handler, method="POST", body=PIECE)
    assert got.body == PIECE


async def test_a_request_without_a_body_is_at_its_end(wires):
    async def handler(exchange):
        assert await exchange.body.read() is None
        exchange.send_whole(200, None, TEXT, b"hello")

    assert (await wires.ask(handler)).body == b"hello"


async def test_a_body_can_be_echoed_while_it_arrives(wires):
    async def handler(exchange):
        exchange.start(200, None, TEXT, None)
        async for piece in exchange.body:
            await exchange.write(piece)
        await exchange.finish()

    got = await wires.ask(handler, method="POST", body=PIECE * 100)
    assert (got.body, got.whole) == (PIECE * 100, True)


async def test_a_body_that_nobody_reads_does_not_hold_up_the_response(wires):
    async def handler(exchange):
        exchange.send_whole(200, None, TEXT, b"hello")

    got = await wires.ask(handler, method="POST", body=b"x" * 10_000)
    assert (got.body, got.whole) == (b"hello", True)


async def test_the_head_of_a_request_is_as_it_was_sent(wires):
    async def handler(exchange):
        head = exchange.head
        told = f"{head.method} {head.path} {head.version} {dict(head.fields)[b'host'].decode()}"
        exchange.send_whole(200, None, TEXT, told.encode())

    assert (await wires.ask(handler, method="PUT", body=b"")).body == b"PUT / 1.1 a"


# The client leaves


async def leaves(wires, handler):
    """A client that sends its request and goes once the handler waits."""
    entered = asyncio.Event()

    async def watched(exchange):
        entered.set()
        await handler(exchange)

    client = wires.client(watched)
    if isinstance(client, Http1):
        wire = await client.open()
        await entered.wait()
        wire.reset()
    else:
        server = AsgiServer()
        server.feed()
        task = asyncio.create_task(wires.app(scope_of(headers=client._headers), server.receive, server.send))
        await entered.wait()
        server.leave()
        await task
    async with asyncio.timeout(PATIENCE):
        while not wires.ended:
            await asyncio.sleep(0.001)


async def test_a_handler_whose_client_left_is_cancelled(wires):
    cancelled = []

    async def handler(exchange):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(exchange.cancel_reason)
            raise

    await leaves(wires, handler)
    assert cancelled == ["disconnect"]
    assert wires.ended == [Outcome.DISCONNECT]


async def test_functions_that_asked_are_called_once_when_the_client_leaves(wires):
    told = []

    async def handler(exchange):
        exchange.on("disconnect", lambda: told.append("left"))
        assert not exchange.has("disconnect")
        await asyncio.Event().wait()

    await leaves(wires, handler)
    assert told == ["left"]
    assert wires.exchange.client_left


async def test_a_shielded_handler_goes_on_when_its_client_leaves(wires):
    seen = []

    async def handler(exchange):
        exchange.rules = Rules(shielded=True)
        await exchange.happened("disconnect")
        await asyncio.sleep(0)
        seen.append(exchange.has("disconnect"))

    await leaves(wires, handler)
    assert seen == [True]
    assert wires.exchange.cancel_reason is None


async def test_a_write_to_a_client_that_left_raises_when_it_is_awaited(wires):
    raised = []

    async def handler(exchange):
        exchange.rules = Rules(shielded=True)
        exchange.start(200, None, TEXT, None)
        await exchange.happened("disconnect")
        try:
            await exchange.write(b"hello")
            await exchange.finish()
        except ClientDisconnected as error:
            raised.append(error)

    await leaves(wires, handler)
    assert len(raised) == 1
    assert wires.ended == [Outcome.DISCONNECT]
