"""A protocol on one connection: what stands between a transport and the exchanges that it carries.

A wire is given bytes and makes exchanges. It knows no socket, no event loop and no handler. The server uses a protocol
only through this interface; HTTP/1.1 (``http1.connection``) is the first one.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, Protocol

from sanicish.exceptions import BadRequest, SanicException
from sanicish.exchange import ConnInfo, Exchange
from sanicish.streams.flow import FlowControl, Turn

__all__ = ["DateLine", "Phase", "SendFile", "SocketOwner", "TlsOnPlainPort", "Wire"]

# Sends bytes of an open file past the transport: descriptor, offset, count, and who is called with how many were sent.
SendFile = Callable[[int, int, int, Callable[[int], None]], Awaitable[None]]


class TlsOnPlainPort(BadRequest):
    """The client speaks TLS to a connection that does not."""


class Phase(Enum):
    """What a connection is waiting for; each phase has its own timeout."""

    IDLE = "between requests"
    HEAD = "a head, the first one or one that has begun"
    EXCHANGE = "a request is being answered"
    DRAIN = "the rest of a body nobody wants"
    LINGER = "the peer, to see the last response and leave"
    CLOSING = "the last bytes, to be taken by the peer"


class DateLine(Protocol):
    """The Date field of now, as a protocol writes it."""

    def line(self) -> bytes:
        """The field."""


class SocketOwner(Protocol):
    """What a wire needs of whoever owns the transport."""

    conn: ConnInfo
    date: DateLine
    call_soon: Callable[..., Any]
    turn: Turn
    send_file: SendFile | None
    has_left: Callable[[], bool] | None

    def start(self, exchange: Any, /) -> None:
        """Run the handler for an exchange."""

    def reset(self) -> None:
        """Close so that the peer sees an error, not an end."""

    def refused(self, error: SanicException, /) -> None:
        """A request broke the protocol; the wire has answered it."""


class Wire(Protocol):
    """One protocol on one connection.

    Three calls end it: ``drain`` (the next response is the last one, and says so), ``finish`` (nothing further; close
    when what is open is done), and ``abort`` of whoever owns the transport.
    """

    flow: FlowControl
    serial: int  # changes whenever the connection moves on
    peer_ended: bool  # the peer will send no more; it may still read
    to_drain: int  # bytes that nobody wants and that may still arrive

    @property
    def phase(self) -> Phase:
        """What the connection is waiting for."""

    @property
    def head_size(self) -> int:
        """Bytes of a head that has begun to arrive."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer, or 1 if it is not known how many."""

    def unsent_of(self, exchange: Exchange, /) -> int:
        """Those of one exchange."""

    @property
    def promises(self) -> bool:
        """Whether a response that has begun tells the client that the connection is kept."""

    def receive(self, data: bytes, /) -> None:
        """Take what the peer sent."""

    def eof(self) -> bool:
        """The peer will send no more; True if the connection stays open for what is being answered."""

    def resume(self) -> None:
        """The peer has taken most of what it was sent."""

    def lost(self) -> None:
        """The connection is gone."""

    def done(self, exchange: Any, /) -> None:
        """The handler of an exchange has ended, and the exchange with it."""

    def refuse(self, error: SanicException, /) -> None:
        """Answer before any request was read, or one that does not arrive whole, and close."""

    def expire(self) -> None:
        """The timeout of the phase has run out."""

    def drain(self, stopping: bool = False) -> None:
        """Let the next response be the last; ``stopping`` also notifies the streams that are open."""

    def finish(self) -> None:
        """Read no further request, and close when nothing is open."""
