"""The drain before the stop: who asks is told to go elsewhere, and served as long as they come."""

import asyncio
import socket

import pytest

from sanicish.response import stream, text
from sanicish.server.serve import Stage
from tests.doubles.wire import Wire, talk

PROBES = {"HEALTH_PATH": "/health", "READY_PATH": "/ready"}


def request(path="/", method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


@pytest.fixture
def app(app):
    app.config.update(PROBES, DRAIN_DELAY=60, GRACEFUL_SHUTDOWN_TIMEOUT=5)
    app.get("/")(lambda request: text("here"))
    return app


@pytest.fixture
async def server(app):
    """A server, and how to begin and end its drain."""
    made = await app.create_server(port=0, access_log=False)
    drains = []

    def begin():
        made.server.ask_to_stop(drain=True)
        drains.append(asyncio.ensure_future(made.server.drain()))

    made.begin_to_drain = begin
    yield made
    for drain in drains:
        drain.cancel()
    await made.close()


async def ask(server, data):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(data)
        return await wire.answer(data.split()[0].decode())


async def draining(server):
    server.begin_to_drain()
    while server.server.stage is not Stage.DRAINING:
        await asyncio.sleep(0)


# Probes


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_turn_to_503_when_the_drain_begins(server, path):
    answer = await ask(server, request(path))
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"serving\n", "no-store")
    await draining(server)
    answer = await ask(server, request(path))
    assert (answer.status, answer.body) == (503, b"stopping\n")


@pytest.mark.parametrize(("path", "status"), [("/health", 200), ("/ready", 503)])
async def test_only_readiness_waits_for_the_listeners_of_the_start(app, path, status):
    @app.after_server_start
    async def look(app):
        answer = await ask(server, request(path))
        seen.append((answer.status, answer.body))

    seen = []
    server = await app.create_server(port=0, access_log=False, asyncio_server_kwargs={"start_serving": False})
    await server.start_serving()
    await server.close()
    assert seen == [(status, b"starting\n")]


async def test_no_middleware_can_refuse_a_probe(app, server):
    app.on_request(lambda request: text("who are you?", status=401))
    assert (await ask(server, request())).status == 401
    assert (await ask(server, request("/ready"))).status == 200


async def test_a_probe_may_be_head_and_other_methods_are_the_applications(server):
    answer = await ask(server, request("/health", "HEAD"))
    assert (answer.status, answer.body) == (200, b"")
    assert (await ask(server, request("/health", "DELETE"))).status == 404


async def test_without_settings_there_are_no_probes(app):
    app.config.update(HEALTH_PATH=None, READY_PATH=None)
    server = await app.create_server(port=0, access_log=False)
    assert (await ask(server, request("/health"))).status == 404
    assert server.server.handler == app.handle
    await server.close()


# Connections


async def test_new_connections_are_served_once_while_it_drains(server):
    await draining(server)
    answer = await talk(server.sockets[0].getsockname(), request() * 2)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1 and b"Connection: close\r\n" in answer


async def test_idle_connection_stays_for_one_more_request(server):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request())
        assert "connection" not in (await wire.answer()).headers
        await draining(server)
        wire.send(request())
        answer = await wire.answer()
        assert (answer.headers["connection"], answer.body) == ("close", b"here")
        assert await wire.rest() == b""


async def test_answer_that_has_promised_to_keep_the_connection_keeps_it_for_one_more(app, server):
    go = asyncio.Event()

    @app.get("/slow")
    async def slow(request):
        async def write(response):
            await response.write("a")
            await go.wait()
            await response.write("b")

        return stream(write)

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request("/slow"))
        await wire.until(b"a\r\n")
        await draining(server)
        go.set()
        await wire.until(b"0\r\n\r\n")
        wire.send(request())
        answer = await wire.answer()
        assert answer.headers["connection"] == "close"
        assert await wire.rest() == b""


async def test_pipelined_request_behind_a_started_answer_is_the_last(app, server):
    go = asyncio.Event()

    @app.get("/slow")
    async def slow(request):
        async def write(response):
            await response.write("a")
            await go.wait()

        return stream(write)

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request("/slow") + request() * 2)
        await wire.until(b"a\r\n")
        await draining(server)
        go.set()
        rest = await wire.rest()
        assert rest.count(b"HTTP/1.1 200 OK\r\n") == 1 and b"Connection: close\r\n" in rest


async def test_second_word_to_stop_is_forced_even_while_it_drains(server):
    await draining(server)
    server.server.ask_to_stop()
    assert server.server.forced.is_set()


async def test_only_who_asks_for_it_gets_a_drain(server):
    server.server.ask_to_stop()
    await server.server.drain()
    assert server.server.stage is not Stage.DRAINING


# The stop itself


@pytest.mark.parametrize("begun", [b"", request()[:10]], ids=["nothing", "half a head"])
async def test_request_on_its_way_when_the_server_stops_is_answered(server, begun):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(begun)
        while not server.connections or (begun and not next(iter(server.connections)).wire.head_size):
            await asyncio.sleep(0)
        server.close()
        while server.server.stage is not Stage.STOPPING:
            await asyncio.sleep(0)
        wire.send(request()[len(begun) :])
        answer = await wire.rest()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close\r\n" in answer


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
async def test_connections_that_the_system_has_made_are_answered_though_the_server_stops(app, tmp_path, unix):
    """Closing the socket that listens would reset them, and their clients could not know what became of a request."""
    where = {"unix": str(tmp_path / "socket")} if unix else {"port": 0}
    server = await app.create_server(**where, access_log=False)
    address = server.sockets[0].getsockname()
    clients = []
    for _ in range(20):  # all of them before the loop takes a turn
        client = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        client.connect(address)
        client.sendall(request())
        client.setblocking(False)
        clients.append(client)
    server.close()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(10):
            for client in clients:
                assert (await loop.sock_recv(client, 65_536)).startswith(b"HTTP/1.1 200 OK\r\n")
    finally:
        for client in clients:
            client.close()
    await server.wait_closed()


async def test_connection_that_was_promised_may_ask_once_more_when_the_server_stops(app, server):
    """A proxy sends the next request as soon as it has the last byte of a response."""
    go = asyncio.Event()

    @app.post("/slow")
    async def slow(request):
        async def write(response):
            await response.write("a")
            await go.wait()

        return stream(write)

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request("/slow", "POST"))
        await wire.until(b"a\r\n")
        server.close()
        while server.server.stage is not Stage.STOPPING:
            await asyncio.sleep(0)
        go.set()
        await wire.until(b"0\r\n\r\n")
        wire.send(request())
        answer = await wire.answer()
        assert (answer.headers["connection"], answer.body) == ("close", b"here")
        assert await wire.rest() == b""


async def stopping(server):
    server.server.yield_to_successor()
    server.close()
    while server.server.stage is not Stage.STOPPING:
        await asyncio.sleep(0)


async def test_idle_connection_may_ask_once_more_when_a_successor_is_there(server):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request())
        await wire.answer()
        await stopping(server)
        wire.send(request())
        assert (await wire.answer()).headers["connection"] == "close"
        assert await wire.rest() == b""


async def test_a_probe_is_told_of_no_stop_when_a_successor_is_there(server):
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request("/ready"))
        await wire.answer()
        await stopping(server)
        wire.send(request("/ready"))
        assert (await wire.answer()).status == 200


async def test_stream_is_told_of_the_stop_and_its_connection_may_ask_once_more_when_a_successor_is_there(app, server):
    @app.get("/until")
    async def until(request):
        async def write(response):
            await response.write("a")
            await request.shutdown()

        return stream(write)

    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request("/until"))
        await wire.until(b"a\r\n")
        await stopping(server)
        await wire.until(b"0\r\n\r\n")
        wire.send(request())
        assert (await wire.answer()).headers["connection"] == "close"
        assert await wire.rest() == b""


async def test_idle_connection_that_does_not_ask_again_is_closed_though_a_successor_is_there(app, server):
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 0.1
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(request())
        await wire.answer()
        await stopping(server)
        assert await wire.rest() == b""


@pytest.mark.slow
async def test_connection_that_never_asks_does_not_delay_the_stop_for_long(server):
    async with Wire(server.sockets[0].getsockname()) as wire:
        while not server.connections:
            await asyncio.sleep(0)
        server.close()
        assert await wire.rest() == b""


# Servers in a loop of the caller's


async def test_application_that_is_stopped_stops_its_server_in_a_loop(app):
    server = await app.create_server(port=0)
    app.stop()
    await server.wait_closed()
    assert not server.is_serving()


async def test_listener_may_stop_a_server_in_a_loop_while_it_starts(app):
    app.after_server_start(lambda app: app.stop())
    server = await app.create_server(port=0)
    await server.wait_closed()
    assert not server.is_serving()


async def test_steps_of_sanics_calling_order_may_be_forgotten_or_awaited(app):
    server = await app.create_server(port=0)
    server.after_start()
    await server.before_stop()
    await server.close()
    server.after_stop()
