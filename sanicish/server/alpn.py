"""Application-layer protocol negotiation (RFC 7301): HTTP/1.1, or no handshake.

OpenSSL as Python sets it up goes on when client and server have no protocol in common, and does not say what the client
offered. So its first message is read here as well, before OpenSSL has it. A client that offers nothing is let in:
browsers open WebSocket connections that way.
"""

import ssl
from collections.abc import Callable
from typing import Any

__all__ = ["negotiate", "offered"]

_SPOKEN = ("http/1.1", "http/1.0")  # the one that is preferred first
_MOST = 65_536  # bytes of a first message that are looked at; OpenSSL refuses a longer one
_HANDSHAKE, _CLIENT_HELLO, _ALPN = 22, 1, 16
_ALERT = b"\x15\x03\x01\x00\x02\x02\x78"  # fatal, no_application_protocol


def negotiate(context: ssl.SSLContext) -> None:
    """Let handshakes with this context choose a protocol that is spoken here, and refuse a client that offers others."""
    context.set_alpn_protocols(list(_SPOKEN))
    if "wrap_bio" not in vars(context):  # not yet
        context.wrap_bio = _Gate(context.wrap_bio)  # type: ignore[method-assign]


class _Gate:
    """Makes the TLS objects of a context look at what a client offers."""

    def __init__(self, wrap: Callable[..., ssl.SSLObject]) -> None:
        self._wrap = wrap

    def __call__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *arguments: Any, **options: Any) -> Any:
        made = self._wrap(incoming, outgoing, *arguments, **options)
        if made.server_side:
            made.do_handshake = _Handshake(made.do_handshake, incoming, outgoing)  # type: ignore[method-assign]
        return made


class _Handshake:
    """Is called whenever bytes have arrived, until the handshake is done."""

    def __init__(self, go_on: Callable[[], None], incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._go_on = go_on
        self._incoming = incoming
        self._outgoing = outgoing
        self._seen: bytes | None = b""  # None once there is nothing more to look for
        self._left = 0  # bytes that OpenSSL left for the next time

    def __call__(self) -> None:
        if self._seen is not None:
            self._look(self._seen)
        self._go_on()
        self._left = self._incoming.pending

    def _look(self, seen: bytes) -> None:
        data = self._incoming.read()
        self._incoming.write(data)
        seen += data[self._left :]
        names = offered(seen)
        self._seen = seen if names is None and len(seen) < _MOST else None
        if names and not {name.encode() for name in _SPOKEN}.intersection(names):
            self._go_on = self._refuse
            self._outgoing.write(_ALERT)
            self._incoming.read()
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "an alert is to be sent first")

    def _refuse(self) -> None:
        raise ssl.SSLError(ssl.SSL_ERROR_SSL, "the client offers no protocol that is spoken here")


def offered(data: bytes) -> list[bytes] | None:
    """The protocols that a ClientHello offers, empty if none; ``None`` if more bytes are needed to tell.

    What is no ClientHello offers nothing: OpenSSL has better words for it.
    """
    message = b""
    while data:
        if data[0] != _HANDSHAKE:
            return []
        size = int.from_bytes(data[3:5])
        if len(data) < 5 + size:
            return None
        message += data[5 : 5 + size]
        data = data[5 + size :]
        if message[:1] not in (b"", bytes([_CLIENT_HELLO])):
            return []
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4]):
            return _names(message)
    return None


def _names(message: bytes) -> list[bytes]:
    pos = 4 + 2 + 32  # type and length, version, random (RFC 8446 section 4.1.2)
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        pos += width + int.from_bytes(message[pos : pos + width])
    end = pos + 2 + int.from_bytes(message[pos : pos + 2])
    pos += 2
    while pos + 4 <= end <= len(message):
        kind, size = int.from_bytes(message[pos : pos + 2]), int.from_bytes(message[pos + 2 : pos + 4])
        if kind == _ALPN:
            return _listed(message[pos + 6 : pos + 4 + size])
        pos += 4 + size
    return []


def _listed(data: bytes) -> list[bytes]:
    names = []
    while data:
        names.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    return names
