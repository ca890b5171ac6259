"""The waist: all that server and application say to each other.

An exchange is one request and its one response (RFC 9110 section 3.9). The wire wing makes exchanges and knows
nothing of routes; the framework wing answers them and knows nothing of sockets. Whatever wants to change an
answer wraps an Exchange.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from inspect import iscoroutinefunction
from types import SimpleNamespace
from typing import Any, Literal

from sanicish.exceptions import ResponseError
from sanicish.headers import Headers, Trailers
from sanicish.interruption import is_of_signal
from sanicish.log import error_logger
from sanicish.streams.files import read_at
from sanicish.streams.incoming import RequestStream

__all__ = ["Answer", "ConnInfo", "Exchange", "Handler", "Notice", "Outcome", "RequestHead", "WrappedExchange"]


class Outcome(StrEnum):
    """How an exchange ended; every exchange has exactly one."""

    COMPLETED = "completed"
    FAILED = "failed"
    DISCONNECT = "client left"
    TIMEOUT = "timed out"
    SHUTDOWN = "shut down"


@dataclass(frozen=True, slots=True, eq=False)
class RequestHead:
    """A request line and its fields, as they were read. It cannot be changed, for requests of many clients share it.

    ``target`` is bytes in origin form or ``*``, ``path`` the target without its query, as text, still percent-encoded;
    ``fields`` pairs of lower-case name and value, in order, as bytes.
    ``body_length`` is bytes, 0 for no body and ``None`` for a chunked one.
    """

    method: str
    target: bytes
    version: str = "1.1"
    fields: tuple[tuple[bytes, bytes], ...] = ()
    keep_alive: bool = True
    body_length: int | None = 0
    expect_continue: bool = False
    path: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.target.partition(b"?")[0].decode("latin-1"))

    @property
    def query_string(self) -> str:
        """What follows the first ``?`` of the target, as text."""
        return self.target.partition(b"?")[2].decode("latin-1")


Notice = Literal["disconnect", "shutdown"]


class ConnInfo:
    """Who is at the other end, and what the application keeps for as long as the connection lives (``ctx``)."""

    __slots__ = ("_ctx", "_peer", "peername", "sockname", "ssl_object", "transport")

    def __init__(self, transport: Any = None) -> None:
        get = transport.get_extra_info if transport is not None else _nothing
        self.transport = transport
        self.peername = get("peername")
        self.sockname = get("sockname")
        self.ssl_object = get("ssl_object")
        self._ctx: SimpleNamespace | None = None
        self._peer = ""

    @property
    def ctx(self) -> SimpleNamespace:
        """Free for the application."""
        if self._ctx is None:
            self._ctx = SimpleNamespace()
        return self._ctx

    @property
    def ssl(self) -> bool:
        """Whether the connection is TLS."""
        return self.ssl_object is not None

    def _address(self, name: Any, index: int) -> Any:
        return name[index] if isinstance(name, tuple) and len(name) > index else None

    @property
    def client_ip(self) -> str:
        """The peer's address, empty on a unix socket."""
        return self._address(self.peername, 0) or ""

    client = client_ip

    @property
    def peer(self) -> str:
        """The peer's address and port as one, as they stand in logs; ``unix`` on a unix socket."""
        if not self._peer:
            ip = self.client_ip
            self._peer = f"{f'[{ip}]' if ':' in ip else ip}:{self.client_port}" if ip else "unix"
        return self._peer

    @property
    def client_port(self) -> int:
        """The peer's port, 0 on a unix socket."""
        return self._address(self.peername, 1) or 0

    @property
    def server(self) -> str:
        """The address that was connected to, a path on a unix socket."""
        return self._address(self.sockname, 0) or (self.sockname if isinstance(self.sockname, str) else "")

    @property
    def server_port(self) -> int:
        """The port that was connected to, 0 on a unix socket."""
        return self._address(self.sockname, 1) or 0


def _nothing(name: str) -> None:
    return None


_LONGEST_ID = 200  # characters
_READ = 262_144  # bytes of a file that are read at once; more make nothing faster


class Exchange(ABC):
    """One request and its one response.

    ``start`` or ``send_whole`` once; ``write`` any number of times after ``start``; ``finish`` or ``abort`` at the
    end. After the first byte of a head there is no second one: an error then means ``abort``.
    """

    __slots__ = (
        "began",
        "body",
        "bytes_sent",
        "cancel_reason",
        "client_left",
        "clocks",
        "conn",
        "half_close",
        "head",
        "left",
        "notices",
        "on_end",
        "outcome",
        "request_id",
        "shielded",
        "started",
        "status",
        "streamed",
        "trailers",
    )

    def __init__(self, head: RequestHead, body: RequestStream, conn: ConnInfo) -> None:
        self.head = head
        self.body = body
        self.conn = conn
        self.started = False  # a head has left, or is about to
        self.streamed = False  # and is written piece by piece
        self.status = 0  # of the answer, once started
        self.bytes_sent = 0  # of the answer's body
        self.trailers: Trailers | None = None  # to be sent behind it, where that can be
        self.began = 0.0  # on the monotonic clock: when its handler did; 0 before that
        self.left = 0.0  # and when the head of a streamed answer did
        self.request_id: Any = None  # once somebody has asked for it
        self.outcome: Outcome | None = None  # None until the exchange has ended
        self.cancel_reason: str | None = None  # why the handler was cancelled, if it was
        self.client_left = False  # before the response was complete, as far as anybody can tell
        self.clocks: Mapping[str, float | None] | None = None  # those that differ from the server's, by name
        self.shielded = False  # the handler runs to its end even when the client is gone
        self.half_close = False  # a client that ends its side is waiting for the answer, not leaving
        self.on_end: Sequence[Callable[[Exchange], Any]] | None = None  # called once, with the outcome; () after that
        self.notices: dict[Notice, list[Callable[[], Any]]] | None = None  # who wants to be told of what

    def told_id(self, field: bytes | None) -> str | None:
        """What the client calls this request in a field, whose name is given in lower case.

        It goes into logs, answers and other services, so it is taken only if it is plain: visible ASCII, and short.
        """
        for one, value in self.head.fields:
            if one == field:
                plain = 0 < len(value) <= _LONGEST_ID and all(0x20 < byte < 0x7F for byte in value)
                return value.decode() if plain else None
        return None

    # The end

    def when_over(self, function: "Callable[[Exchange], Any]") -> None:
        """Call a function once the exchange has ended and its handler too, or now if that has been."""
        waiting = self.on_end
        if waiting is not None and not waiting:
            self._tell(function)
        else:
            self.on_end = [*(waiting or ()), function]

    def over(self) -> None:
        """The exchange has ended, and its handler too: call whoever waits for that, once."""
        waiting, self.on_end = self.on_end, ()
        for function in waiting or ():
            self._tell(function)

    def _tell(self, function: "Callable[[Exchange], Any]") -> None:
        try:
            function(self)
        except BaseException as error:
            if is_of_signal(error):
                raise
            error_logger.exception("a callback at the end of %s failed", self.head.path)

    # What may happen meanwhile

    def on(self, notice: "Notice", function: Callable[[], Any]) -> None:
        """Call a plain function when something happens, in the context of now; or now if it has happened."""
        if iscoroutinefunction(function):
            raise TypeError("a plain function is called; for more, let it call app.add_task()")
        if self.has(notice):
            function()
            return
        if self.notices is None:
            self.notices = {}
        self.notices.setdefault(notice, []).append(partial(copy_context().run, function))

    async def happened(self, notice: "Notice") -> None:
        """Wait until something happens."""
        event = asyncio.Event()
        self.on(notice, event.set)
        await event.wait()

    def notify(self, notice: "Notice") -> None:
        """Record that something happened, and call the functions that wait for it."""
        if notice == "disconnect":
            self.client_left = True
        for function in self.notices.pop(notice, ()) if self.notices else ():
            try:
                function()
            except BaseException as error:
                if is_of_signal(error):
                    raise
                error_logger.exception("a function to be called on %s failed", notice)

    def has(self, notice: "Notice") -> bool:
        """Whether the client has left, or the server is about to stop."""
        return notice == "disconnect" and self.client_left

    @property
    def congested(self) -> bool:
        """Whether the client is behind: more waits for it than should, or it is gone."""
        return False

    @property
    def unsent(self) -> int:
        """Bytes that were written and wait for the client, as far as that is known."""
        return 0

    @property
    def takes_trailers(self) -> bool:
        """Whether the client asked for trailers (RFC 9110 sections 6.5.1 and 10.1.4), or is to get them unasked."""
        return False

    @property
    @abstractmethod
    def bodiless(self) -> bool:
        """Whether the answer that was started has no body whatever is written (HEAD, 204, 304)."""

    @abstractmethod
    def inform(self, status: int, headers: Headers | None = None) -> bool:
        """Send an interim response now (RFC 9110 15.2); False if this client is not known to understand it.

        Raises ``StreamClosed`` once the response has started, ``ResponseError`` for a status that is not interim.
        """

    @abstractmethod
    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        """Choose the framing and hold the head until there is something to send with it.

        ``chunked``: True asks for it, False asks for none, ``None`` lets ``Content-Length`` decide.
        Raises ``StreamClosed`` if a head has left already.
        """

    @abstractmethod
    def write(self, data: bytes) -> Awaitable[None]:
        """Frame and send; awaiting the result waits while the client is slow and lets others run.

        Raises ``StreamClosed`` after the end, ``ContentLengthMismatch`` beyond the promised length and
        ``WriteBufferFull`` when too much was written without awaiting.
        """

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Write ``count`` bytes of an open file from ``offset`` on, in the way that is fastest here.

        Raises ``ResponseError`` if the file has become shorter, and what ``write`` raises.
        """
        while count:
            data = await read_at(descriptor, offset, min(count, _READ))
            if not data:
                raise ResponseError(f"the file became {count} bytes shorter while it was sent")
            await self.write(data)
            offset += len(data)
            count -= len(data)

    @abstractmethod
    def flush(self) -> Awaitable[None]:
        """Let everything that was written leave now, the head alone too."""

    @abstractmethod
    def finish(self) -> Awaitable[None]:
        """End the body; raises ``ContentLengthMismatch`` if some of the promised length is missing."""

    @abstractmethod
    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        """A complete answer in one call."""

    @abstractmethod
    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        """Stop without an end, so that what was sent cannot be taken for whole."""


class WrappedExchange(Exchange):
    """An exchange around another one: what it does not change itself, the other one does and knows."""

    __slots__ = ("inner",)

    def __init__(self, inner: Exchange) -> None:
        self.inner = inner

    def notify(self, notice: Notice) -> None:
        """Record that something happened, and call the functions that wait for it."""
        self.inner.notify(notice)

    def has(self, notice: Notice) -> bool:
        """Whether the client has left, or the server is about to stop."""
        return self.inner.has(notice)

    @property
    def congested(self) -> bool:
        """Whether the client is behind: more waits for it than should, or it is gone."""
        return self.inner.congested

    @property
    def unsent(self) -> int:
        """Bytes of the answer that wait in memory for the client."""
        return self.inner.unsent

    @property
    def takes_trailers(self) -> bool:
        """Whether the client asked for trailers, or is to get them unasked."""
        return self.inner.takes_trailers

    @property
    def bodiless(self) -> bool:
        """Whether the answer that was started has no body whatever is written (HEAD, 204, 304)."""
        return self.inner.bodiless

    def inform(self, status: int, headers: Headers | None = None) -> bool:
        """Send an interim response now; False if this client is not known to understand it."""
        return self.inner.inform(status, headers)

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        """Choose the framing and hold the head until there is something to send with it."""
        self.inner.start(status, headers, content_type, chunked)

    def write(self, data: bytes) -> Awaitable[None]:
        """Frame and send."""
        return self.inner.write(data)

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """Write ``count`` bytes of an open file."""
        await self.inner.send_file(descriptor, offset, count)

    def flush(self) -> Awaitable[None]:
        """Let everything that was written leave now."""
        return self.inner.flush()

    def finish(self) -> Awaitable[None]:
        """End the body."""
        return self.inner.finish()

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        """A complete answer in one call."""
        self.inner.send_whole(status, headers, content_type, body)

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        """Stop without an end."""
        self.inner.abort(outcome)


def _of_inner(name: str) -> property:
    return property(lambda self: getattr(self.inner, name), lambda self, value: setattr(self.inner, name, value))


for _name in Exchange.__slots__:
    setattr(WrappedExchange, _name, _of_inner(_name))


Handler = Callable[[Exchange], Awaitable[None]]
Answer = Callable[[Any, Exchange], Coroutine[Any, Any, None]]  # of an application
