"""The PROXY protocol's preamble, whatever the addresses, however the bytes are cut, whatever follows."""

import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicish.server.proxy_protocol import BadPreamble, Preamble, PreambleParser

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ports = st.integers(0, 65_535)
hosts = {socket.AF_INET: st.ip_addresses(v=4), socket.AF_INET6: st.ip_addresses(v=6)}


@st.composite
def told(draw):
    """A preamble of either version, and what it says."""
    family = draw(st.sampled_from(list(hosts)))
    source, destination = ((draw(hosts[family]), draw(ports)) for _ in range(2))
    said = tuple((socket.inet_ntop(family, host.packed), port) for host, port in (source, destination))
    if draw(st.booleans()):
        kind = "TCP4" if family == socket.AF_INET else "TCP6"
        data = f"PROXY {kind} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()
        said = tuple((str(host), port) for host, port in (source, destination))
    else:
        extra = draw(st.binary(max_size=300))
        addresses = source[0].packed + destination[0].packed + source[1].to_bytes(2) + destination[1].to_bytes(2)
        code = b"\x11" if family == socket.AF_INET else b"\x21"
        data = SIGNATURE + b"\x21" + code + (len(addresses) + len(extra)).to_bytes(2) + addresses + extra
    return data, Preamble(*said)


def take(data, cuts):
    """Feed the pieces as a socket would that is peeked at; gives what was found and what is left."""
    parser, left = PreambleParser(), data
    edges = [*sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    for edge in edges:
        while parser.found is None and (piece := left[: edge - (len(data) - len(left))]):
            left = left[parser.feed(piece) :]
    return parser.found, left


@given(told(), st.binary(max_size=200), st.lists(st.integers(1, 400)))
def test_what_is_told_is_found_and_not_a_byte_behind_it_is_taken(preamble, behind, cuts):
    data, said = preamble
    assert take(data + behind, cuts) == (said, behind)


@given(told(), st.data())
def test_half_a_preamble_is_never_taken_for_a_whole_one(preamble, data):
    whole, _ = preamble
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert take(part, []) == (None, b"")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_preamble_wait_for_more_or_are_refused(data):
    try:
        found, left = take(data, [])
    except BadPreamble:
        return
    assert found is not None or left == b""


@given(told(), st.data())
def test_one_wrong_bit_never_raises_anything_but_refusal(preamble, data):
    whole = bytearray(preamble[0])
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(BadPreamble):
        take(bytes(whole), [])


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        SIGNATURE + b"\x20\x00\x00\x00",
        SIGNATURE + b"\x20\x11\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x00\x00\x03abc",
    ],
    ids=["v1 unknown", "v1 unknown with addresses", "v2 local", "v2 local with addresses", "v2 unspecified"],
)
def test_a_proxy_may_speak_for_itself_or_not_know(data):
    assert take(data + b"GET", []) == (Preamble(), b"GET")


def test_addresses_of_unix_sockets_are_paths():
    fields = b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0")
    assert take(SIGNATURE + b"\x21\x31\x00\xd8" + fields, [])[0] == ("/run/client", "/run/server")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 ::1 ::2 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 \xd9\xa1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        SIGNATURE + b"\x11\x11\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x22\x11\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x41\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x13\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x11\x00\x0b" + b"\1" * 11,
        SIGNATURE + b"\x21\x21\x00\x0c" + b"\1" * 12,
        SIGNATURE + b"\x21\x31\x00\x0c" + b"\1" * 12,
    ],
    ids=repr,
)
def test_what_is_no_preamble_is_refused(data):
    with pytest.raises(BadPreamble):
        take(data, [])
