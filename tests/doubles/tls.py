"""Both ends of TLS, with a certificate that was just made."""

import ssl
from contextlib import suppress

import trustme


class Tls:
    """Contexts of a server and of its clients."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert("localhost").configure_cert(self.server)

    def client(self, *protocols: str) -> ssl.SSLContext:
        """A context that trusts the server and offers these protocols by ALPN."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def client_hello(context: ssl.SSLContext) -> bytes:
    """The first message of a client."""
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()
