"""Which protocol TLS clients and we speak: HTTP/1.1, or none."""

import asyncio
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.response import text
from sanicish.server.alpn import negotiate, offered
from tests.doubles.tls import Tls, client_hello

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def tls():
    return Tls()


@pytest.fixture
async def address(app, serve, tls):
    @app.get("/")
    async def hello(request):
        return text("hello")

    return await serve(app, ssl=tls.server)


async def talk(address, context):
    """What the server answers, and the protocol that was chosen."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname="localhost")
        writer.write(GET)
        try:
            return await reader.read(), writer.get_extra_info("ssl_object").selected_alpn_protocol()
        finally:
            writer.close()


@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        (["http/1.0", "h3", "http/1.1"], "http/1.1"),
        (["http/1.0"], "http/1.0"),
        ([], None),
    ],
)
async def test_http_1_1_is_chosen_where_it_is_offered(address, tls, offer, chosen):
    answer, protocol = await talk(address, tls.client(*offer))
    assert answer.endswith(b"hello") and protocol == chosen


@pytest.mark.parametrize("offer", [["h2"], ["h2", "h3"], ["spdy/3"], ["http/0.9"]])
async def test_a_client_that_offers_only_other_protocols_is_refused_with_an_alert(address, tls, offer):
    with pytest.raises(ssl.SSLError, match="alert no application protocol"):
        await talk(address, tls.client(*offer))


@pytest.mark.parametrize("offer", ["h2", "http/1.1"])
async def test_a_first_message_may_come_in_pieces(address, tls, offer):
    reader, writer = await asyncio.open_connection(*address)
    hello = client_hello(tls.client(offer))
    for start in range(0, len(hello), 50):
        writer.write(hello[start : start + 50])
        await asyncio.sleep(0.001)
    async with asyncio.timeout(10):
        record = await reader.readexactly(7)
    assert (record == b"\x15\x03\x01\x00\x02\x02\x78") is (offer == "h2")
    writer.close()


async def test_a_context_that_serves_twice_looks_once(app, serve, tls):
    for _ in range(2):
        negotiate(tls.server)
    assert not isinstance(tls.server.wrap_bio._wrap, type(tls.server.wrap_bio))


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x78", b"\x16\x03\x01\x00\x04\x02\0\0\0"]
)
def test_what_is_no_first_message_offers_nothing(data):
    assert offered(data) == []


def test_offers_are_read_from_any_cut(tls):
    hello = client_hello(tls.client("h2", "http/1.1"))
    assert offered(hello) == [b"h2", b"http/1.1"]
    assert {tuple(offered(hello[:end]) or ["more"]) for end in range(len(hello))} == {("more",)}
    assert offered(client_hello(tls.client())) == []


def test_a_first_message_may_be_spread_over_records(tls):
    message = client_hello(tls.client("h2"))[5:]
    pieces = [message[start : start + 20] for start in range(0, len(message), 20)]
    assert offered(b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)) == [b"h2"]


@given(st.binary(), st.integers(0, 400), st.integers(0, 3))
def test_nothing_that_a_client_sends_first_raises(noise, at, kind):
    hello = client_hello(CONTEXT)
    damaged = hello[:at] + noise + hello[at + len(noise) * (kind > 1) :]
    offered(damaged if kind else noise)


CONTEXT = Tls().client("h2", "http/1.1")
