"""Server-sent events (WHATWG HTML, section 9.2): text that a browser's ``EventSource`` reads, one event a write.

It knows nothing of who makes the events; a channel shares them among many clients.
"""

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, Protocol, runtime_checkable

from sanicish.context import current_request
from sanicish.response import StreamingHTTPResponse
from sanicish.response.complete import HeaderMap
from sanicish.response.formats import app_dumps
from sanicish.response.iterables import Body

__all__ = ["Ending", "Event", "EventSender", "Source", "encode_event", "plain_id", "sse"]

_LINES = re.compile(r"\r\n|\r|\n")
_UNSAFE = re.compile(r"[\r\n\0]")
_PING = b": ping\n\n"  # a comment: the browser tells nobody, and every proxy on the way sees that the stream lives

# nginx gathers answers unless it is told not to, and an event that waits for others is no event.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Event:
    """One event: ``data`` is text, or anything else as JSON; ``retry`` is milliseconds until the client comes back."""

    __slots__ = ("comment", "data", "event", "id", "retry")

    def __init__(
        self,
        data: Any = None,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        self.data = data
        self.event = event
        self.id = id
        self.retry = retry
        self.comment = comment

    def encode(self) -> bytes:
        """The event as it stands on the wire; line breaks in ``event`` and ``id``, which would end them, are left out."""
        lines = [f": {line}" for line in _LINES.split(self.comment)] if self.comment is not None else []
        if self.event is not None:
            lines.append(f"event: {_UNSAFE.sub('', self.event)}")
        if self.id is not None:
            lines.append(f"id: {_UNSAFE.sub('', str(self.id))}")
        if self.retry is not None:
            lines.append(f"retry: {int(self.retry)}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINES.split(_text(self.data))]
        return ("\n".join(lines) + "\n\n").encode() if lines else b""


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, bytes | bytearray | memoryview):
        return str(data, "utf-8")
    text = app_dumps()(data)
    return text if isinstance(text, str) else str(text, "utf-8")


def plain_id(id: Any) -> str:
    """An id as clients tell it in ``Last-Event-ID``: without what ends its line, and blanks around it."""
    return _UNSAFE.sub("", str(id)).strip(" \t")


def encode_event(value: Any) -> bytes:
    """An ``Event`` as it is; anything else is the data of one."""
    return value.encode() if isinstance(value, Event) else Event(value).encode()


class EventSender:
    """What a callback sends events with."""

    __slots__ = ("_response", "last_event_id")

    def __init__(self, response: StreamingHTTPResponse, last_event_id: str | None) -> None:
        self._response = response
        self.last_event_id = last_event_id  # of the client that comes back: what it saw last

    def send(
        self,
        data: Any = None,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> Awaitable[None]:
        """Send an event now; awaiting it waits while the client is slow."""
        whole = data if isinstance(data, Event) else Event(data, event, id, retry, comment)
        return self._response.write(whole.encode())


@runtime_checkable
class Source(Protocol):
    """Whatever sends its events by itself, such as a ``Channel``."""

    async def stream_to(self, response: StreamingHTTPResponse, last_event_id: str | None) -> None:
        """Send events until there are no more."""


@runtime_checkable
class Ending(Source, Protocol):
    """A source that can be over for good."""

    def is_over(self, last_event_id: str | None) -> bool:
        """Whether there is nothing left for a client that has seen this event, and never will be."""


class _Pinger:
    """Sends a comment whenever nothing was sent for a while."""

    __slots__ = ("_half", "_idle", "_response", "_sent", "_timer")

    def __init__(self, response: StreamingHTTPResponse, seconds: float) -> None:
        self._response = response
        self._half = seconds / 2
        self._sent = -1
        self._idle = False
        self._timer = asyncio.get_running_loop().call_later(self._half, self._look)

    def _look(self) -> None:
        sent = self._response.bytes_sent
        if sent != self._sent:
            self._sent = sent
            self._idle = False
        elif not self._idle:
            self._idle = True
        else:
            self._response.write(_PING)
            self._sent = self._response.bytes_sent
            self._idle = False
        self._timer = asyncio.get_running_loop().call_later(self._half, self._look)

    def stop(self) -> None:
        self._timer.cancel()


class _Events:
    """Writes the events of a source, and pings in between."""

    __slots__ = ("_body", "_last_event_id", "_ping", "_source")

    def __init__(self, source: Any, ping: float | None, last_event_id: str | None) -> None:
        self._source = source
        self._ping = ping
        self._last_event_id = last_event_id
        self._body = None if isinstance(source, Source) or callable(source) else Body(source, encode=encode_event)

    async def __call__(self, response: StreamingHTTPResponse) -> None:
        await response.flush()  # the browser shall know at once that it is connected
        pinger = _Pinger(response, self._ping) if self._ping else None
        try:
            if self._body is not None:
                await self._body(response)
            elif isinstance(self._source, Source):
                await self._source.stream_to(response, self._last_event_id)
            else:
                await self._source(EventSender(response, self._last_event_id))
        finally:
            if pinger is not None:
                pinger.stop()

    async def close(self) -> None:
        """Close the source without having asked it for anything."""
        if self._body is not None:
            await self._body.close()


def sse(
    source: Any,
    ping: float | None = 15,
    status: int = 200,
    headers: HeaderMap = None,
    last_event_id: str | None = None,
) -> StreamingHTTPResponse:
    """A response of server-sent events.

    ``source`` is an iterable, sync or async, of ``Event`` or of data; or a ``Channel``; or a callback that is given
    an ``EventSender``. ``ping`` is after how many seconds without an event a comment is sent, so that no proxy takes
    the stream for dead; ``None`` is never. The head leaves at once. An event stream may be as slow as it likes.

    ``last_event_id`` stands for a missing ``Last-Event-ID``: a page that makes a new ``EventSource`` can only say it in
    the URL.

    Once a ``Channel`` is closed, a client that has seen its last event gets 204 without a body, the only response on
    which a browser's ``EventSource`` does not reconnect (WHATWG HTML, section 9.2.3). While the server stops it gets an
    empty stream, so that it comes back to the next one.
    """
    if not (
        isinstance(source, Source) or callable(source) or hasattr(source, "__aiter__") or hasattr(source, "__iter__")
    ):
        raise TypeError(f"sse() takes an iterable, a channel or a function, not {type(source).__name__}")
    request = current_request.get(None)
    last_event_id = _last_event_id(request) or last_event_id or None
    fields = {**_HEADERS, **dict(headers or {})}
    if isinstance(source, Ending) and source.is_over(last_event_id) and not _is_stopping(request):
        return StreamingHTTPResponse(None, 204, fields, None)
    response = StreamingHTTPResponse(
        _Events(source, ping, last_event_id), status, fields, "text/event-stream; charset=utf-8"
    )
    response.timeout = None
    return response


def _last_event_id(request: Any) -> str | None:
    """The id that a client saw last; browsers send it in UTF-8 (WHATWG HTML, section 9.2.3)."""
    value: str | None = request.headers.get("last-event-id") if request is not None else None
    if value is None or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except ValueError:
        return value


def _is_stopping(request: Any) -> bool:
    """Whether the server is; without a request nobody knows, and nobody is sent away for good."""
    return request is None or request.app.is_stopping
