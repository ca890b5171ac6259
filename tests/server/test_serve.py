"""Sockets, and how a server ends: on real sockets, without the framework."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import stat
import sys
import threading

import pytest
import trustme

from sanicish.config import Config
from sanicish.exceptions import ServerError
from sanicish.server import AsyncioServer, Server
from sanicish.server.serve import Stage, new_loop
from sanicish.server.tls import tls_context
from tests.cases.requests import head
from tests.doubles.clock import settle
from tests.doubles.threaded import Threaded
from tests.doubles.wire import Wire

GET = head(b"GET / HTTP/1.1")


class Application:
    """What a server needs of an application: a handler that answers, or waits for ``go``."""

    name = "test"

    def __init__(self, **settings):
        settings = {"GRACEFUL_SHUTDOWN_TIMEOUT": 10, "STREAM_CLEANUP_TIMEOUT": 1, "ACCESS_LOG": False, **settings}
        self.config = Config(settings, load_env=False)
        self.go = asyncio.Event()
        self.go.set()
        self.entered = asyncio.Event()
        self.events = []
        self.reasons = []

    async def handle(self, exchange):
        self.entered.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.reasons.append(exchange.cancel_reason)
            raise
        exchange.send_whole(200, None, None, b"ok")

    async def run_listeners(self, event):
        self.events.append(event)

    def server_stopping(self):
        self.events.append("stopping")


@pytest.fixture
async def start():
    """Start a server for an application; it is stopped after the test."""
    servers = []

    async def started(app, **listen):
        server = Server(app)
        servers.append(server)
        await server.start(**{"port": 0, **listen})
        return server

    yield started
    for server in servers:
        await server.stop(0)


async def opened(server, count):
    """Wait until the server knows of so many connections."""
    async with asyncio.timeout(10):
        while len(server.connections) != count:
            await asyncio.sleep(0.001)


# Listening


async def test_a_free_port_is_told(start):
    server = await start(Application())
    assert server.port > 0 and server.address == ("127.0.0.1", server.port)
    assert server.url == f"http://127.0.0.1:{server.port}"


async def test_an_address_of_ipv6_is_told_as_it_is_written(start):
    server = await start(Application(), host="::1")
    assert server.url == f"http://[::1]:{server.port}"


async def test_a_port_that_is_taken_is_an_error(start):
    server = await start(Application())
    with pytest.raises(OSError, match="in use"):
        await start(Application(), port=server.port)


async def test_a_socket_of_the_callers(start):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = await start(Application(), sock=sock)
    assert server.port == sock.getsockname()[1]


async def test_peers_that_vanish_are_asked_after(start):
    server = await start(Application())
    async with Wire(server.address):
        await opened(server, 1)
        (protocol,) = server.connections
        sock = protocol.conn.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_a_unix_socket(start, tmp_path):
    path = str(tmp_path / "s")
    server = await start(Application(), unix=path)
    assert server.url == f"unix:{path}" and server.port == 0
    async with Wire(path) as wire:
        wire.send(GET)
        assert (await wire.answer()).body == b"ok"


async def test_a_unix_socket_that_a_dead_server_left_is_replaced(start, tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    await start(Application(), unix=path)
    async with Wire(path) as wire:
        wire.send(GET)
        assert (await wire.answer()).body == b"ok"


async def test_what_is_no_socket_is_not_replaced(start, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(FileExistsError):
        await start(Application(), unix=str(path))
    assert path.read_text() == "data"


async def test_a_unix_socket_that_cannot_be_made_leaves_nothing(start, tmp_path):
    with pytest.raises(FileNotFoundError):
        await start(Application(), unix=str(tmp_path / "missing" / "s"))
    assert list(tmp_path.iterdir()) == []


async def test_a_unix_socket_is_gone_with_its_server(start, tmp_path):
    path = str(tmp_path / "s")
    server = await start(Application(), unix=path)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    await server.stop()
    assert not os.path.exists(path)


# TLS


def test_no_tls_without_a_context():
    assert tls_context(None) is None


@pytest.mark.parametrize("half", [{"cert": "x"}, {"key": "x"}, {}])
def test_half_a_tls_configuration_is_an_error(half):
    with pytest.raises(ServerError):
        tls_context(half)


@pytest.fixture
def certificate(tmp_path):
    """An authority, and the paths of a certificate of its own."""
    authority = trustme.CA()
    paths = {"cert": str(tmp_path / "cert"), "key": str(tmp_path / "key")}
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(paths["key"])
    for blob in issued.cert_chain_pems:
        blob.write_to_path(paths["cert"], append=True)
    return authority, paths


@contextlib.asynccontextmanager
async def tls_client(server, authority):
    context = tls_context_of_client(authority)
    reader, writer = await asyncio.open_connection(*server.address, ssl=context, server_hostname="localhost")
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def tls_context_of_client(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_requests_over_tls(start, certificate):
    authority, paths = certificate
    server = await start(Application(), ssl=paths)
    async with tls_client(server, authority) as (reader, writer):
        writer.write(GET * 2)
        for _ in range(2):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")


async def test_a_client_that_leaves_cancels_its_handler_over_tls_too(start, certificate):
    authority, paths = certificate
    app = Application()
    app.go.clear()
    server = await start(app, ssl=paths)
    async with tls_client(server, authority) as (_, writer):
        writer.write(GET)
        await app.entered.wait()
    await opened(server, 0)
    assert app.reasons == ["disconnect"]


async def test_a_refusal_over_tls_arrives_although_the_client_still_sends(start, certificate):
    authority, paths = certificate
    server = await start(Application(), ssl=paths)
    async with tls_client(server, authority) as (reader, writer):
        writer.write(head(b"POST / HTTP/1.1", b"Content-Length: 9000000") + b"x" * 3_000_000)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")


def issue(paths, authority):
    """A new certificate in the same files."""
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(paths["key"])
    issued.cert_chain_pems[0].write_to_path(paths["cert"])


async def shown_certificate(server, authority):
    async with tls_client(server, authority) as (_, writer):
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def test_new_handshakes_take_a_renewed_certificate_and_open_connections_go_on(start, certificate):
    authority, paths = certificate
    server = await start(Application(), ssl=paths)
    before = await shown_certificate(server, authority)
    async with tls_client(server, authority) as (reader, writer):
        issue(paths, authority)
        server.renew_certificate()
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK")
    assert await shown_certificate(server, authority) != before


async def test_certificate_of_no_use_changes_nothing(start, certificate, caplog):
    authority, paths = certificate
    server = await start(Application(), ssl=paths)
    before = await shown_certificate(server, authority)
    with open(paths["key"], "wb") as key:
        key.write(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
    server.renew_certificate()
    assert "the certificate is not renewed" in caplog.text
    assert await shown_certificate(server, authority) == before


# Too many


async def test_a_connection_too_many_gets_503(start):
    server = await start(Application(MAX_CONNECTIONS=2))
    async with Wire(server.address) as one, Wire(server.address) as two:
        await opened(server, 2)
        async with Wire(server.address) as three:
            answer = await three.rest()
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Connection: close" in answer
        for wire in (one, two):
            wire.send(GET)
            assert (await wire.answer()).status == 200


async def test_a_place_that_was_left_is_free_again(start):
    server = await start(Application(MAX_CONNECTIONS=1))
    for _ in range(3):
        async with Wire(server.address) as wire:
            wire.send(GET)
            assert (await wire.answer()).status == 200
        await opened(server, 0)


# Sweeping


async def test_one_connection_that_cannot_be_looked_after_stops_no_clock(start, caplog):
    server = await start(Application(KEEP_ALIVE_TIMEOUT=0.02))
    async with Wire(server.address) as broken, Wire(server.address) as fine:
        fine.send(GET)
        await fine.answer()
        await opened(server, 2)
        for protocol in server.connections:
            if protocol.wire.serial == 0:
                protocol._watch = None
        with caplog.at_level(logging.ERROR, "sanicish"):
            assert await broken.rest() == b""
            assert await fine.rest() == b""
    assert "looking after a connection failed" in caplog.text


async def test_all_connections_are_looked_after_however_many(start, monkeypatch):
    monkeypatch.setattr(sys.modules["sanicish.server.serve"], "_SWEEP_SLICE", 2)
    server = await start(Application(REQUEST_TIMEOUT=0.02))
    async with contextlib.AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(Wire(server.address)) for _ in range(5)]
        assert [await wire.rest() for wire in wires] == [b""] * 5


# Stopping


@pytest.mark.slow
async def test_idle_connections_are_closed_at_once(start):
    server = await start(Application())
    async with Wire(server.address) as fresh, Wire(server.address) as used:
        used.send(GET)
        await used.answer()
        await opened(server, 2)
        await server.stop()
        assert await fresh.rest() == await used.rest() == b""
    assert not server.connections


async def test_an_open_answer_is_finished_and_says_close(start):
    app = Application()
    app.go.clear()
    server = await start(app)
    async with Wire(server.address) as wire:
        wire.send(GET)
        await app.entered.wait()
        stopping = asyncio.ensure_future(server.stop())
        await settle()
        assert not stopping.done() and app.events == ["stopping"]
        app.go.set()
        answer = await wire.rest()
        assert answer.endswith(b"ok") and b"Connection: close" in answer
        await stopping


async def test_nobody_is_let_in_any_more(start):
    app = Application()
    app.go.clear()
    server = await start(app)
    address = server.address
    async with Wire(address) as wire:
        wire.send(GET)
        await app.entered.wait()
        stopping = asyncio.ensure_future(server.stop())
        await settle()
        with pytest.raises(ConnectionError):
            async with Wire(address):
                pass
        app.go.set()
        await stopping


async def test_what_does_not_end_in_time_is_cancelled(start):
    app = Application()
    app.go.clear()
    server = await start(app)
    async with Wire(server.address) as wire:
        wire.send(GET)
        await app.entered.wait()
        await server.stop(grace=0.01)
        assert app.reasons == ["shutdown"] and await wire.rest() == b""


@pytest.mark.parametrize("complete", [True, False])
async def test_a_response_that_ends_with_its_connection_ends_in_a_reset_where_it_is_cut(start, complete):
    app = Application()

    async def handle(exchange):
        exchange.start(200, None, None, None)
        exchange.write(b"x" * (10_000_000 if complete else 10))
        if complete:
            exchange.finish()
        else:
            with contextlib.suppress(asyncio.CancelledError):
                await app.go.wait()
            await asyncio.sleep(0)  # it goes on although it was cancelled

    app.go.clear()
    app.handle = handle
    server = await start(app)
    async with Wire(server.address) as wire:
        wire.send(head(b"GET / HTTP/1.0"))
        await wire.until(b"xxx")
        server.abort()
        with pytest.raises(ConnectionResetError):
            await wire.reader.read()


@pytest.mark.slow
async def test_a_handler_that_never_ends_is_let_go(start, caplog):
    app = Application(STREAM_CLEANUP_TIMEOUT=0.01)
    free = asyncio.Event()

    async def stubborn(exchange):
        app.entered.set()
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    app.handle = stubborn
    server = await start(app)
    async with Wire(server.address) as wire:
        wire.send(GET)
        await app.entered.wait()
        with caplog.at_level(logging.ERROR, "sanicish"):
            await server.stop(grace=0.01)
        assert "never ended" in caplog.text
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        assert not any("HttpProtocol" in name for name in names), "the loop shall not wait for it"
        free.set()


async def test_stopping_twice_is_stopping_once(start):
    app = Application()
    server = await start(app)
    await asyncio.gather(server.stop(), server.stop())
    await server.stop()
    assert app.events == ["stopping"]


@pytest.mark.slow
async def test_a_connection_that_comes_while_stopping_is_closed(start):
    server = await start(Application())
    server.stage = Stage.STOPPING
    async with Wire(server.address) as wire:
        assert await wire.rest() == b""
    server.stage = Stage.SERVING


async def test_stopping_before_starting():
    await Server(Application()).stop()


async def test_who_asks_twice_wants_it_now():
    server = Server(Application())
    server.ask_to_stop()
    assert server.asked.is_set() and not server.forced.is_set()
    server.ask_to_stop()
    assert server.forced.is_set()
    await server.stop()


# In a loop of the caller's

STARTED = ["before_server_start", "after_server_start"]
STOPPED = ["before_server_stop", "stopping", "after_server_stop"]


def in_loop(app):
    server = Server(app)

    async def begin():
        await app.run_listeners("before_server_start")
        await asyncio.sleep(0)
        await server.start(port=0)
        await app.run_listeners("after_server_start")

    return AsyncioServer(server, begin)


async def test_a_server_in_a_loop_serves_within_its_block():
    app = Application()
    async with in_loop(app) as server:
        assert server.is_serving() and app.events == STARTED
        assert server.port == server.sockets[0].getsockname()[1] and not server.connections
        async with Wire(server.sockets[0].getsockname()) as wire:
            wire.send(GET)
            assert (await wire.answer()).body == b"ok"
    assert not server.is_serving() and app.events == STARTED + STOPPED


@pytest.mark.lazy_tasks
async def test_closing_while_it_starts_leaves_nothing_open():
    app = Application()
    server = in_loop(app)
    starting = asyncio.ensure_future(server.start_serving())
    await asyncio.sleep(0)
    assert not server.is_serving()
    await server.close()
    await starting
    assert app.events == STARTED + STOPPED and not server.is_serving()
    assert not any(sock.fileno() >= 0 for sock in server.sockets)


async def test_awaiting_a_server_starts_it():
    app = Application()
    server = in_loop(app)
    await server
    assert server.is_serving()
    await server.close()


async def test_closing_twice_stops_once():
    app = Application()
    server = in_loop(app)
    await server.start_serving()
    await server.start_serving()
    server.close()
    server.close()
    await server.wait_closed()
    assert app.events == STARTED + STOPPED


@pytest.mark.parametrize("end", [lambda server: server.close(), lambda server: server.server.ask_to_stop()])
async def test_serving_for_ever_ends_when_it_is_closed(end):
    app = Application()
    server = in_loop(app)
    serving = asyncio.ensure_future(server.serve_forever())
    while not server.is_serving():
        await asyncio.sleep(0)
    await settle()
    end(server)
    await serving
    assert app.events == STARTED + STOPPED


async def test_serving_for_ever_ends_when_it_is_cancelled():
    app = Application()
    server = in_loop(app)
    serving = asyncio.ensure_future(server.serve_forever())
    await settle()
    while app.events != STARTED:
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert app.events == STARTED + STOPPED


# In a loop of its own


@pytest.mark.parametrize("uvloop", [True, False])
async def test_serve_runs_until_it_is_told_to_stop(uvloop):
    app = Application(USE_UVLOOP=uvloop)
    serving = await Threaded(app).until_ready()
    async with Wire(serving.address) as wire:
        wire.send(GET)
        assert (await wire.answer()).body == b"ok"
    serving.stop()
    await serving.until_done()
    assert app.events == STARTED + STOPPED and serving.error is None


async def test_serve_stops_at_once_when_it_is_told_twice():
    app = Application(GRACEFUL_SHUTDOWN_TIMEOUT=100, STREAM_CLEANUP_TIMEOUT=100)
    entered = threading.Event()

    async def idle(exchange):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            app.events.append("handler ended")

    app.handle = idle
    serving = await Threaded(app).until_ready()
    async with Wire(serving.address) as wire:
        wire.send(GET)
        await asyncio.to_thread(entered.wait, 10)
        serving.stop()
        serving.stop()
        await serving.until_done()
        assert await wire.rest() == b""
    assert app.events == [*STARTED, "before_server_stop", "stopping", "handler ended", "after_server_stop"]


async def test_what_was_begun_is_ended_when_the_address_cannot_be_had():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        app = Application()
        serving = await Threaded(app, port=taken.getsockname()[1]).until_ready()
        await serving.until_done()
    assert isinstance(serving.error, OSError)
    assert app.events == ["before_server_start", "stopping", "after_server_stop"]


def test_the_loop_is_uvloops_unless_the_settings_say_otherwise():
    loops = [new_loop({})(), new_loop({"USE_UVLOOP": False})()]
    names = [type(loop).__module__.partition(".")[0] for loop in loops]
    for loop in loops:
        loop.close()
    assert names == ["uvloop", "asyncio"]
