"""All that server and framework say to each other.

An exchange is one request and its one response (RFC 9110 section 3.9). The server makes exchanges and knows nothing of
routes; the framework answers them and knows nothing of sockets. Whatever changes every response wraps an exchange.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from inspect import iscoroutinefunction
from types import MappingProxyType, SimpleNamespace
from typing import Any, Literal, NamedTuple

from sanicish.headers import Headers, Trailers
from sanicish.interruption import is_of_signal
from sanicish.log import error_logger
from sanicish.streams.incoming import RequestStream

__all__ = [
    "DEFAULT_RULES",
    "OVER",
    "Answer",
    "ConnInfo",
    "Exchange",
    "Handler",
    "Notice",
    "Outcome",
    "RequestHead",
    "Rules",
]


class Outcome(StrEnum):
    """How an exchange ended; every exchange has exactly one."""

    COMPLETED = "completed"
    FAILED = "failed"
    DISCONNECT = "client left"
    TIMEOUT = "timed out"
    SHUTDOWN = "shut down"


class _Head(NamedTuple):
    method: str
    target: bytes
    version: str
    fields: tuple[tuple[bytes, bytes], ...]
    keep_alive: bool
    body_length: int | None
    expect_continue: bool
    protocol: str
    path: str
    query_string: str


class RequestHead(_Head):
    """A request line and its fields, as they were read. It cannot be changed: more than one request may have it.

    ``target`` is bytes in origin form or ``*``, ``path`` the target without its query, as text, still percent-encoded,
    ``query_string`` what follows the first ``?``; ``fields`` pairs of lower-case name and value, in order, as bytes.
    ``body_length`` is bytes, 0 for no body and ``None`` for a chunked one. ``protocol`` is what the client offers to
    switch to, in lower case, empty if nothing (``Upgrade``, RFC 9110 7.8; ``:protocol``, RFC 8441).
    """

    # A tuple, for nothing else that cannot be changed is made as fast.
    __slots__ = ()

    def __new__(
        cls,
        method: str,
        target: bytes,
        version: str = "1.1",
        fields: tuple[tuple[bytes, bytes], ...] = (),
        keep_alive: bool = True,
        body_length: int | None = 0,
        expect_continue: bool = False,
        protocol: str = "",
    ) -> "RequestHead":
        """Path and query are read out of the target."""
        path, _, query_string = target.decode("latin-1").partition("?")
        return _Head.__new__(
            cls, method, target, version, fields, keep_alive, body_length, expect_continue, protocol, path, query_string
        )


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


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one exchange and differs from the settings of the server.

    ``timeouts`` are seconds by their names in ``config.Timeouts``, ``None`` switches one off.
    """

    timeouts: Mapping[str, float | None] | None = None
    shielded: bool = False  # the handler runs to its end even when the client is gone
    half_close: bool = False  # a client that ends its side waits for the response, and is not leaving

    def with_timeouts(self, timeouts: Mapping[str, float | None]) -> "Rules":
        """The same rules with these timeouts added."""
        return replace(self, timeouts={**(self.timeouts or {}), **timeouts})


DEFAULT_RULES = Rules()

Notice = Literal["disconnect", "shutdown", "end"]
OVER: Any = MappingProxyType({"end": ()})  # the notices of an exchange that has ended, and nothing else has happened

_LONGEST_ID = 200  # characters


class Exchange(ABC):
    """One request and its one response.

    ``start`` or ``send_whole`` once; ``write`` any number of times after ``start``; ``finish`` or ``abort`` at the
    end. After the first byte of a head there is no second one: an error then means ``abort``.
    """

    __slots__ = (
        "body",
        "bytes_sent",
        "cancel_reason",
        "conn",
        "head",
        "head_sent_at",
        "notices",
        "outcome",
        "request_id",
        "route_name",
        "rules",
        "started_at",
        "status",
        "trailers",
    )

    def __init__(self, head: RequestHead, body: RequestStream, conn: ConnInfo) -> None:
        self.head = head
        self.body = body
        self.conn = conn
        self.rules = DEFAULT_RULES
        self.route_name = ""  # of the route that matched
        self.request_id: Any = None  # once somebody has asked for it
        self.status = 0  # of the response, once a head was sent or is about to be
        self.bytes_sent = 0  # of the body of the response
        self.trailers: Trailers | None = None  # to be sent behind the body, where that can be
        self.started_at = 0.0  # on the monotonic clock: when the handler started; 0 before that
        self.head_sent_at = 0.0  # and when the head of a streamed response was sent
        self.outcome: Outcome | None = None  # None until the exchange has ended
        self.cancel_reason: str | None = None  # why the handler was cancelled, if it was
        # Who waits for what, and () for what has happened.
        self.notices: dict[Notice, Any] | None = None

    @property
    def started(self) -> bool:
        """Whether a head was sent, or is about to be."""
        return self.status != 0

    @property
    def streamed(self) -> bool:
        """Whether the response is written piece by piece."""
        return self.head_sent_at != 0.0

    @property
    def client_left(self) -> bool:
        """Whether the client left before the response was complete, as far as anybody can tell."""
        return self._has_happened("disconnect")

    def client_request_id(self, field: bytes | None) -> str | None:
        """What the client calls this request in a field, whose name is given in lower case.

        It goes into logs, responses and other services, so it is taken only if it is plain: visible ASCII, and short.
        """
        for name, value in self.head.fields:
            if name == field:
                plain = 0 < len(value) <= _LONGEST_ID and all(0x20 < byte < 0x7F for byte in value)
                return value.decode() if plain else None
        return None

    # What may happen meanwhile

    def on(self, notice: Notice, function: Callable[[], Any]) -> None:
        """Call a plain function when something happens, in the context of now; or now if it has happened."""
        if iscoroutinefunction(function):
            raise TypeError("a plain function is called; for more, let it call app.add_task()")
        if self.has(notice):
            function()
        else:
            self._wait(notice, partial(copy_context().run, function))

    def when_over(self, function: "Callable[[Exchange], Any]") -> None:
        """Call a function once the exchange has ended and its handler too, or now if that has been."""
        if self._has_happened("end"):
            self._call("end", function, self)
        else:
            self._wait("end", function)

    async def happened(self, notice: Notice) -> None:
        """Wait until something happens."""
        event = asyncio.Event()
        self.on(notice, event.set)
        await event.wait()

    def notify(self, notice: Notice) -> None:
        """Record that something happened, and call the functions that wait for it."""
        for function in self._happens(notice):
            self._call(notice, function)

    def over(self) -> None:
        """The exchange has ended, and its handler too: call whoever waits for that, once."""
        for function in self._happens("end"):
            self._call("end", function, self)

    def has(self, notice: Notice) -> bool:
        """Whether the client has left, the server is about to stop, or the exchange and its handler have ended."""
        return self._has_happened(notice)

    def _has_happened(self, notice: Notice) -> bool:
        return self.notices is not None and self.notices.get(notice) == ()

    def _happens(self, notice: Notice) -> Iterable[Callable[..., Any]]:
        """Record it; returns who has waited for it."""
        notices = self.notices or {}
        self.notices = {**notices, notice: ()}
        waiting: Iterable[Callable[..., Any]] = notices.get(notice, ())
        return waiting

    def _wait(self, notice: Notice, function: Callable[..., Any]) -> None:
        notices = self.notices
        if notices is None or notices is OVER:
            notices = self.notices = dict(notices or {})
        notices.setdefault(notice, []).append(function)

    def _call(self, notice: Notice, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            if is_of_signal(error):
                raise
            error_logger.exception("a function to be called on the %s of %s failed", notice, self.head.path)

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
        """Whether the response that was started has no body whatever is written (HEAD, 204, 304)."""

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

    async def send_file(self, descriptor: int, offset: int, count: int) -> bool:
        """Send ``count`` bytes of an open file from ``offset`` on; False, and nothing is sent, where ``write`` is the way.

        Raises ``ResponseError`` if the file has become shorter, and what ``write`` raises.
        """
        return False

    @abstractmethod
    def flush(self) -> Awaitable[None]:
        """Let everything that was written leave now, the head alone too."""

    @abstractmethod
    def finish(self) -> Awaitable[None]:
        """End the body; raises ``ContentLengthMismatch`` if some of the promised length is missing."""

    @abstractmethod
    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        """A complete response in one call."""

    @abstractmethod
    def tunnel(self, status: int, headers: Headers) -> None:
        """Send a head behind which neither body has framing or length: the client has asked for ``head.protocol``.

        From here on ``body`` is what the client sends, ``write`` sends as it is, ``finish`` ends the connection.
        Timeouts of request and response are off. Raises ``StreamClosed`` once the response has started, and
        ``ResponseError`` where no tunnel can be had (RFC 9110 7.8).
        """

    @abstractmethod
    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        """Stop without an end, so that what was sent cannot be taken for whole."""


Handler = Callable[[Exchange], Awaitable[None]]
Answer = Callable[[Any, Exchange], Coroutine[Any, Any, None]]  # of an application
