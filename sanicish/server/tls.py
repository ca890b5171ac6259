"""TLS contexts, and certificates that are renewed while the server runs."""

import ssl as tls
from collections.abc import Mapping
from typing import Any

from sanicish.exceptions import ServerError

__all__ = ["renew_certificate", "tls_context"]


def tls_context(ssl: Any) -> tls.SSLContext | None:
    """A TLS context from what ``run(ssl=)`` takes: a context, or a mapping with ``cert`` and ``key`` paths."""
    if ssl is None or isinstance(ssl, tls.SSLContext):
        return ssl
    context = tls.create_default_context(purpose=tls.Purpose.CLIENT_AUTH)
    _load(context, ssl)
    return context


def renew_certificate(context: tls.SSLContext, ssl: Mapping[str, Any]) -> None:
    """Read the files again: new handshakes take what they hold now, open connections stay as they are.

    Raises ``OSError``, and leaves the context as it was, if the files are of no use.
    """
    _load(tls.create_default_context(purpose=tls.Purpose.CLIENT_AUTH), ssl)  # half of a pair must not be taken
    _load(context, ssl)


def _load(context: tls.SSLContext, ssl: Mapping[str, Any]) -> None:
    cert = ssl.get("cert") or ssl.get("certificate")
    key = ssl.get("key") or ssl.get("keyfile")
    if not cert or not key:
        raise ServerError("ssl needs both a cert and a key")
    context.load_cert_chain(cert, keyfile=key, password=ssl.get("password"))
