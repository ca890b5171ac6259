"""Connections that begin with the preamble of the PROXY protocol, on real sockets."""

import asyncio
import socket
import ssl

import pytest
import trustme

from sanicish.response import text
from sanicish.server.proxied import Trust
from tests.doubles.clock import settle
from tests.doubles.wire import Wire, talk

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x9c\x40\x01\xbb"
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SAID = b"192.0.2.7 40000 198.51.100.1 443"


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
        ("", "", True),
    ],
)
def test_trust_is_told_by_addresses_and_networks(proxies, peer, trusted):
    assert (peer in Trust(proxies)) is trusted


async def test_unix_socket_of_a_proxy_is_trusted(app, tmp_path):
    path = str(tmp_path / "s")
    server = await app.create_server(unix=path, access_log=False)
    assert (await talk(path, V2 + GET)).endswith(SAID)
    await server.close()


async def test_tls_comes_behind_the_preamble(app):
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    server = await app.create_server(port=0, access_log=False, ssl=context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    sock = socket.create_connection(server.sockets[0].getsockname())
    sock.sendall(V2)
    sock.setblocking(False)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(sock=sock, ssl=trusting, server_hostname="localhost")
        writer.write(GET)
        assert (await reader.read()).endswith(SAID)
        writer.close()
        await server.close()


async def test_who_has_not_said_who_it_is_does_not_delay_the_stop(app):
    server = await app.create_server(port=0, access_log=False)
    async with Wire(server.sockets[0].getsockname()) as wire:
        wire.send(V1[:10])
        await settle()
        await server.close()
        assert await wire.rest() == b""
