"""Which protocol a connection speaks."""

from typing import Any

from sanicish.config import Limits, Timeouts
from sanicish.http1.connection import Http1Connection
from sanicish.http1.serialize import DateField
from sanicish.streams.flow import FlowControl
from sanicish.wire import DateLine, SocketOwner, Wire

__all__ = ["new_date", "new_wire"]


def new_date() -> DateLine:
    """The Date field that all connections of a server share."""
    return DateField()


def new_wire(transport: Any, flow: FlowControl, limits: Limits, timeouts: Timeouts, owner: SocketOwner) -> Wire:
    """The protocol of a connection that was just made: HTTP/1.1, which TLS connections have negotiated (``alpn``)."""
    return Http1Connection(transport, flow, limits, owner, timeouts.keep_alive != 0)
