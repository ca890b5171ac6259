"""Connections that begin with a PROXY preamble or a TLS handshake, on real sockets; and how many there may be."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from sanicish.response import text
from sanicish.server.listener import Trust
from tests.doubles.clock import settle
from tests.doubles.tls import Tls, client_hello
from tests.doubles.wire import Wire, talk

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x01\xbb"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SAID = b"192.0.2.7 40000 198.51.100.1 443"


@pytest.fixture(scope="module")
def tls():
    return Tls()


@pytest.fixture
def plain(app):
    """Without the PROXY protocol."""
    app.config.PROXY_PROTOCOL = False
    return app


@pytest.fixture
def app(app):
    app.config.PROXY_PROTOCOL = True

    @app.get("/")
    async def who(request):
        conn = request.conn_info
        return text(f"{request.ip} {request.port} {conn.server} {conn.server_port}")

    return app


@pytest.mark.parametrize("preamble", [V1, V2], ids=["v1", "v2"])
async def test_client_is_who_the_preamble_says(app, serve, preamble):
    assert (await talk(await serve(app), preamble + GET)).endswith(b"\r\n\r\n" + SAID)


@pytest.mark.parametrize("preamble", [V1, V2], ids=["v1", "v2"])
async def test_preamble_may_come_byte_by_byte(app, serve, preamble):
    async with Wire(await serve(app)) as wire:
        wire.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in preamble:
            wire.send(bytes([byte]))
            await settle()
        wire.send(GET)
        assert (await wire.answer()).body == SAID


@pytest.mark.parametrize("preamble", [LOCAL, b"PROXY UNKNOWN\r\n"], ids=["v2", "v1"])
async def test_proxy_that_speaks_for_itself_is_the_client(app, serve, preamble):
    assert b"\r\n\r\n127.0.0.1 " in await talk(await serve(app), preamble + GET)


@pytest.mark.parametrize(
    "data", [GET, b"PROXY TCP4 nonsense\r\n" + GET, b"\x16\x03\x01\x00"], ids=["none", "bad", "tls"]
)
async def test_connection_without_a_good_preamble_is_closed_without_a_word(app, serve, data):
    assert await talk(await serve(app), data) == b""


async def test_connection_that_ends_within_its_preamble_is_closed(app, serve):
    assert await talk(await serve(app), V1[:20], half_close=True) == b""


async def test_preamble_that_does_not_come_in_time_is_not_waited_for(app, serve):
    app.config.REQUEST_TIMEOUT = 0.05
    assert await talk(await serve(app), V1[:20]) == b""


async def test_only_trusted_proxies_are_believed(app, serve):
    app.config.TRUSTED_PROXIES = "10.0.0.0/8"
    assert await talk(await serve(app), V1 + GET) == b""


@pytest.mark.parametrize(
    ("proxies", "peer", "trusted"),
    [
        ("127.0.0.1, ::1", ("127.0.0.1", 1), True),
        ("127.0.0.1, ::1", ("::1", 1, 0, 0), True),
        ("127.0.0.1", ("::ffff:127.0.0.1", 1, 0, 0), True),
        ("127.0.0.1", ("127.0.0.2", 1), False),
        ("10.0.0.0/8 fd00::/8", ("10.9.8.7", 1), True),
        ("10.0.0.0/8 fd00::/8", ("fd12::1%eth0", 1, 0, 3), True),
        ("10.0.0.0/8 fd00::/8", ("fe80::1", 1, 0, 0), False),
        (["10.1.2.3/8"], ("10.0.0.1", 1), True),
        ("*", ("192.0.2.1", 1), True),
        ("", ("127.0.0.1", 1), False),
        ("", "", False),
        ("unix", "", True),
        ("unix", ("127.0.0.1", 1), False),
        ("*", "", True),
    ],
)
def test_trust_is_told_by_addresses_and_networks(proxies, peer, trusted):
    assert (peer in Trust(proxies)) is trusted


async def test_unix_socket_of_a_proxy_is_trusted_if_that_is_asked_for(app, tmp_path):
    app.config.TRUSTED_PROXIES = "127.0.0.1, unix"
    path = str(tmp_path / "s")
    server = await app.create_server(unix=path, access_log=False)
    assert (await talk(path, V2 + GET)).endswith(SAID)
    await server.close()


async def test_a_peer_of_a_unix_socket_may_not_name_its_client_otherwise(app, tmp_path, caplog):
    path = str(tmp_path / "s")
    server = await app.create_server(unix=path, access_log=False)
    async with Wire(path) as wire:
        assert await wire.rest() == b""
    assert "unix is not among TRUSTED_PROXIES" in caplog.text
    await server.close()


async def test_tls_comes_behind_the_preamble(app, serve, tls):
    sock = socket.create_connection(await serve(app, ssl=tls.server))
    sock.sendall(V2)
    sock.setblocking(False)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(sock=sock, ssl=tls.client(), server_hostname="localhost")
        writer.write(GET)
        assert (await reader.read()).endswith(SAID)
        writer.close()


async def test_who_has_not_said_who_it_is_does_not_delay_the_stop(app):
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(V1[:10])
        await settle()
        await server.close()
        assert await wire.rest() == b""


# TLS


@pytest.mark.parametrize("begun", [b"", b"hello"], ids=["silent", "half a hello"])
async def test_handshake_that_does_not_end_in_time_is_closed(plain, serve, tls, begun):
    plain.config.REQUEST_TIMEOUT = 0.1
    async with Wire(await serve(plain, ssl=tls.server)) as wire:
        wire.send(client_hello(tls.client())[:100] if begun else b"")
        assert await wire.rest() == b""
    server = plain._serving.server
    assert not server._arriving and not server.connections


async def test_handshake_takes_a_place(plain, serve, tls):
    plain.config.update({"MAX_CONNECTIONS": 2, "REQUEST_TIMEOUT": 30})
    address = await serve(plain, ssl=tls.server)
    async with Wire(address) as one, Wire(address):
        await arrivals(plain, 2)
        assert (await ask(address, tls)).startswith(b"HTTP/1.1 503 ")
        one.reset()
        await arrivals(plain, 1)
        assert (await ask(address, tls)).startswith(b"HTTP/1.1 200 ")


async def test_connections_that_are_refused_take_no_place(plain, serve, tls):
    plain.config.MAX_CONNECTIONS = 1
    address = await serve(plain, ssl=tls.server)
    async with Wire(address) as one:
        await arrivals(plain, 1)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(101):
                await stack.enter_async_context(Wire(address))
            await arrivals(plain, 101)  # the one, and as many as are told that there is no place for them
        one.writer.close()
        await arrivals(plain, 0)
        assert (await ask(address, tls)).startswith(b"HTTP/1.1 200 ")


async def test_handshake_in_progress_may_end_when_the_server_stops(plain, tls):
    server = await plain.create_server(port=0, access_log=False, ssl=tls.server)
    sock = socket.create_connection(server.sockets[0].getsockname())
    sock.setblocking(False)
    await arrivals(plain, 1)
    closing = server.close()
    await settle()
    reader, writer = await asyncio.open_connection(sock=sock, ssl=tls.client(), server_hostname="localhost")
    writer.write(GET)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await closing


@pytest.mark.slow
async def test_handshake_that_does_not_end_does_not_delay_the_stop(plain, tls):
    server = await plain.create_server(port=0, access_log=False, ssl=tls.server)
    async with Wire(server.sockets[0].getsockname()) as wire:
        await arrivals(plain, 1)
        async with asyncio.timeout(2):
            await server.close()
            assert await wire.rest() == b""


async def test_client_that_does_not_end_its_session_is_cut(plain, serve, tls):
    plain.config.update({"GRACEFUL_TCP_CLOSE_TIMEOUT": 0.1, "KEEP_ALIVE_TIMEOUT": 0.1})
    address = await serve(plain, ssl=tls.server)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with Wire(address) as wire:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                wire.send(outgoing.read())
                incoming.write(await wire.some())
        client.write(GET.replace(b"Connection: close", b"X: y"))
        wire.send(outgoing.read())
        await wire.rest()  # what it sends to end the session has no response
    assert not plain._serving.server.connections


async def arrivals(app, count):
    """Wait until so many connections are on their way to HTTP."""
    async with asyncio.timeout(10):
        while len(app._serving.server._arriving) != count:
            await asyncio.sleep(0.001)


async def ask(address, tls):
    reader, writer = await asyncio.open_connection(*address, ssl=tls.client(), server_hostname="localhost")
    async with asyncio.timeout(10):
        writer.write(GET)
        try:
            return await reader.read()
        finally:
            writer.close()


# One client


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_client_has_so_many_connections_and_no_more(plain, serve, tls, kind):
    plain.config.MAX_CONNECTIONS_PER_CLIENT = 2
    options = {"ssl": tls.server} if kind == "tls" else {}
    address = await serve(plain, **options)
    other = ("127.0.0.2", 0)

    async def connect(local=None):
        context = {"ssl": tls.client(), "server_hostname": "localhost"} if kind == "tls" else {}
        reader, writer = await asyncio.open_connection(*address, local_addr=local, **context)
        writer.write(GET.replace(b"Connection: close", b"X: y"))
        return (await reader.readuntil(b"\r\n"))[9:12], writer

    async with asyncio.timeout(10):
        found = [await connect() for _ in range(3)] + [await connect(other)]
        assert [status for status, _ in found] == [b"200", b"200", b"429", b"200"]
        found[0][1].close()
        server = plain._serving.server
        while len(server.connections) > 3:
            await asyncio.sleep(0.001)
        status, writer = await connect()
        assert status == b"200"
        for one in (writer, *[one for _, one in found]):
            one.close()


async def test_client_that_a_preamble_names_has_so_many_connections_and_no_more(app, serve):
    app.config.MAX_CONNECTIONS_PER_CLIENT = 1
    address = await serve(app)
    async with Wire(address) as one:
        one.send(V1 + GET.replace(b"Connection: close", b"X: y"))
        assert (await one.answer()).status == 200
        assert (await talk(address, V1 + GET)).startswith(b"HTTP/1.1 429 ")
        assert (await talk(address, V1.replace(b"2.7 ", b"2.8 ") + GET)).startswith(b"HTTP/1.1 200 ")
        assert (await talk(address, b"PROXY UNKNOWN\r\n" + GET)).startswith(b"HTTP/1.1 200 ")
    async with asyncio.timeout(10):
        while not (await talk(address, V1 + GET)).startswith(b"HTTP/1.1 200 "):
            await asyncio.sleep(0.001)


async def test_client_that_a_proxy_names_has_so_many_open_requests_and_no_more(plain, serve):
    """Its connections are the proxy's, who sends requests of all its clients on them."""
    entered, go = asyncio.Event(), asyncio.Event()

    @plain.get("/wait")
    async def wait(request):
        entered.set()
        await go.wait()
        return text("waited")

    plain.config.update({"MAX_CONNECTIONS_PER_CLIENT": 1, "PROXIES_COUNT": 1, "HEALTH_PATH": "/health"})
    address = await serve(plain)

    def get(path, client):
        return b"GET %b HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n\r\n" % (path, client)

    async with Wire(address) as one, Wire(address) as other:
        one.send(get(b"/wait", b"192.0.2.1"))
        await entered.wait()
        for client, path, status in (
            (b"192.0.2.1", b"/", 429),
            (b"192.0.2.2", b"/", 200),
            (b"192.0.2.1", b"/", 429),
            (b"192.0.2.1", b"/health", 200),
        ):
            other.send(get(path, client))
            assert (await other.answer()).status == status
        go.set()
        assert (await one.answer()).body == b"waited"
        other.send(get(b"/", b"192.0.2.1"))
        assert (await other.answer()).status == 200
