"""The Exchange of ASGI: what is written becomes messages, which somebody else takes and sends.

The server under us frames, so this room keeps to what was promised and knows nothing of chunks or connections.
"""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from sanicish.constants import has_message_body, is_interim
from sanicish.exceptions import ContentLengthMismatch, ResponseError, StreamClosed, WriteBufferFull
from sanicish.exchange import ConnInfo, Exchange, Notice, Outcome, RequestHead
from sanicish.headers import Headers, promised_length, split_tokens
from sanicish.log import error_logger
from sanicish.streams.flow import READY, STOP, FlowControl
from sanicish.streams.incoming import RequestStream

__all__ = ["AsgiExchange", "Message"]

Message = dict[str, Any]

# The framing is the server's, and HTTP/2 knows none of these (RFC 9113 8.2.2).
_NOT_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})


class AsgiExchange(Exchange):
    """One request and its response under another server.

    ``wake`` is called when there is something to take; ``high`` and ``limit`` are bytes: above the one an awaited write
    waits, above the other a write raises.
    """

    __slots__ = (
        "_bodiless",
        "_ending",
        "_flow",
        "_high",
        "_hints",
        "_informs",
        "_left",
        "_limit",
        "_message",
        "_open",
        "_pending",
        "_pieces",
        "_push",
        "_wake",
    )

    def __init__(
        self,
        head: RequestHead,
        body: RequestStream,
        conn: ConnInfo,
        flow: FlowControl,
        wake: Callable[[], None],
        high: int,
        limit: int,
        hints: bool = False,
    ) -> None:
        super().__init__(head, body, conn)
        self._flow = flow
        self._wake = wake
        self._high = high
        self._limit = limit
        self._message: Message | None = None  # the head, until it is taken
        self._open = False  # between start and end
        self._bodiless = False
        self._left: int | None = None  # bytes of what was promised
        self._pieces: list[bytes] = []
        self._pending = 0  # bytes in them
        self._push = False  # the head shall leave, if alone
        self._ending = False  # the end is to be told
        self._informs = hints  # the server takes early hints
        self._hints: list[Message] = []

    def has(self, notice: Notice) -> bool:
        return notice == "disconnect" and (self._flow.lost or super().has(notice))

    @property
    def congested(self) -> bool:
        return self._flow.paused or self._flow.lost

    @property
    def unsent(self) -> int:
        return self._pending

    @property
    def bodiless(self) -> bool:
        return self._bodiless

    # The head

    def inform(self, status: int, headers: Headers | None = None) -> bool:
        """Early hints where the server has the extension for them; it sends 100 by itself, and has no other."""
        if self.started:
            raise StreamClosed("an interim response was sent after the response had started")
        if not is_interim(status):
            raise ResponseError(f"not the status of an interim response: {status!r}")
        links = [value.encode("latin-1") for value in headers.getall("link", ())] if headers else []
        if status != 103 or not links or not self._informs or self._flow.lost:
            return False
        self._hints.append({"type": "http.response.early_hint", "links": links})
        self._wake()
        return True

    def start(self, status: int, headers: Headers | None, content_type: str | None, chunked: bool | None) -> None:
        if self.started:
            raise StreamClosed("this request has been answered already")
        length = promised_length(headers)
        if chunked and self.head.version == "1.1":
            length = None
        self._begin(status, headers, content_type, length)
        self._left = length
        self._open = True
        self.head_sent_at = monotonic()

    def _begin(self, status: int, headers: Headers | None, content_type: str | None, length: int | None) -> None:
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise ResponseError(f"not the status of a response: {status!r}")
        if not has_message_body(status):
            length = 0 if status == 205 else length if status == 304 else None  # RFC 9110 8.6, 15.3.6
            if status != 205:
                content_type = None
        fields = [] if headers is None else headers.without(_NOT_OURS)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        if content_type and (headers is None or "content-type" not in headers):
            raw.insert(0, (b"content-type", content_type.encode("latin-1")))
        if length is not None:
            raw.append((b"content-length", b"%d" % length))
        if headers and self.head.version.startswith("1") and "close" in split_tokens(headers.get("connection", "")):
            raw.append((b"connection", b"close"))
        self._message = {"type": "http.response.start", "status": status, "headers": raw}
        self._bodiless = self.head.method == "HEAD" or not has_message_body(status)
        self.status = status

    # The body

    def write(self, data: bytes) -> Awaitable[None]:
        if not self._open:
            if self.outcome is Outcome.COMPLETED and self.head.method == "HEAD":
                return STOP
            raise self._closed()
        flow = self._flow
        size = len(data)
        if flow.lost:
            return flow
        if self._bodiless:
            return self._drop(size)
        if flow.paused and self._pending + size > self._limit:
            raise WriteBufferFull(f"more than {self._limit} bytes wait for the client; await write()")
        if self._left is not None:
            if size > self._left:
                raise ContentLengthMismatch(f"{size} bytes written where {self._left} are left of Content-Length")
            self._left -= size
        if size:
            self._pieces.append(data)
            self._pending += size
            self.bytes_sent += size
            if self._pending > self._high:
                flow.pause_writing()
        else:
            self._push = True
        self._wake()
        return flow if flow.paused or monotonic() > flow.turn.ends else READY

    def flush(self) -> Awaitable[None]:
        if not self._open and self.outcome is None:
            raise self._closed()
        self._push = True
        self._wake()
        return self._flow if self._flow.must_wait else READY

    def finish(self) -> Awaitable[None]:
        if not self._open:
            raise self._closed()
        if self._flow.lost:
            self._end(Outcome.DISCONNECT)
            return self._flow
        if self._left and not self._bodiless:
            raise ContentLengthMismatch(f"the body ended {self._left} bytes before its Content-Length")
        self._end(Outcome.COMPLETED)
        return self._flow if self._flow.must_wait else READY

    def send_whole(self, status: int, headers: Headers | None, content_type: str | None, body: bytes) -> None:
        if self.started:
            raise StreamClosed("this request has been answered already")
        length: int | None = len(body)
        if self.head.method == "HEAD" or status == 304:  # what a GET, or a 200, would have had
            promised = promised_length(headers)
            length = promised if promised is not None or status == 304 else length
        self._begin(status, headers, content_type, length)
        if body and not self._bodiless:
            self._pieces.append(body)
            self.bytes_sent = len(body)
        elif body and self.head.method != "HEAD":
            self._warn_dropped(len(body))
        self._end(Outcome.DISCONNECT if self._flow.lost else Outcome.COMPLETED)

    def tunnel(self, status: int, headers: Headers) -> None:
        if self.started:
            raise StreamClosed("this request has been answered already")
        raise ResponseError("an ASGI server offers no tunnel")

    def abort(self, outcome: Outcome = Outcome.FAILED) -> None:
        if self.outcome is None:
            self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        self._open = False
        self._ending = outcome is Outcome.COMPLETED
        self.outcome = outcome
        self._wake()

    def _closed(self) -> ResponseError:
        return StreamClosed("the response has ended" if self.outcome is not None else "the response has not begun")

    def _drop(self, size: int) -> Awaitable[None]:
        """Data for a response without a body: not sent, and after HEAD not made either."""
        if self.head.method == "HEAD":
            self.finish()
            return STOP
        if size:
            self._warn_dropped(size)
        return READY

    def _warn_dropped(self, size: int) -> None:
        error_logger.warning("status %s allows no body: %s bytes of a response were dropped", self.status, size)

    # What is to be sent

    def take(self) -> list[Message]:
        """The messages to send now; the head only with something behind it, for until then it is nobody's."""
        ending, pieces = self._ending, self._pieces
        started = False
        messages, self._hints = self._hints, []
        if self._message is not None and (pieces or ending or self._push):
            messages.append(self._message)
            self._message = None
            started = True
        if started or pieces or ending:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            messages.append({"type": "http.response.body", "body": body, "more_body": not ending})
            self._pieces = []
            self._pending = 0
            self._ending = False
        self._push = False
        return messages

    def taken(self) -> None:
        """What was taken has been sent: there is room again."""
        if self._flow.paused and self._pending <= self._high:
            self._flow.resume_writing()
