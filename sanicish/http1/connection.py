"""One connection: the requests on it in order, keep-alive, early errors, and how it ends (RFC 9112 section 9).

One request at a time. What a client sends behind a request that is not answered yet waits *unparsed*, so order, limits
and errors need no queue: a broken second request cannot be seen before the first response has left.

| what happens                          | reading      | then                                                    |
|---------------------------------------|--------------|---------------------------------------------------------|
| head read                             | HEAD -> BODY | the handler starts once this read is used up            |
| data                                  | BODY         | to the request stream; above its mark reading is held   |
| end of message                        | BODY -> HEAD | end of the stream                                       |
| bytes behind a message being answered | HEAD         | kept; above the mark reading is held                    |
| handler done, message complete        | HEAD         | what was kept is read; else the connection is idle      |
| handler done, message incomplete      | BODY         | the rest is dropped up to a limit, else close, lingering |
| broken bytes, nothing open            | -> CLOSED    | answer with their status, close, lingering              |
| broken bytes in an open body          | -> CLOSED    | its reader gets the error; close after the response       |
| peer ends between messages            | -> CLOSED    | close                                                   |
| peer ends behind whole requests       | HEAD         | answer all of them, then close                          |
| peer ends within a body               | -> CLOSED    | its reader gets ``RequestAborted``, after all that arrived |
| connection lost                       | -> CLOSED    | readers and writers wake                                |
| drain                                 |              | the next response says ``Connection: close``              |
| finish                                |              | the open response says ``Connection: close``; idle closes |
"""

import sys
from enum import Enum
from typing import Any

from sanicish.config import Limits
from sanicish.exceptions import RequestAborted, RequestTimeout, SanicException
from sanicish.exchange import Exchange, RequestHead
from sanicish.headers import Headers
from sanicish.http1.exchange import Http1Exchange
from sanicish.http1.fields import Field
from sanicish.http1.parser import RequestParser
from sanicish.http1.serialize import serialize_response
from sanicish.streams.flow import HOLD_BODY, HOLD_PIPELINE, FlowControl
from sanicish.streams.incoming import EMPTY, RequestStream
from sanicish.wire import Phase, SocketOwner

__all__ = ["Http1Connection"]


class Reading(Enum):
    """What the next bytes belong to."""

    HEAD = 1
    BODY = 2
    CLOSED = 3


HEAD, BODY, CLOSED = Reading.HEAD, Reading.BODY, Reading.CLOSED


_FULL = 2**16  # bytes of a read behind which the loop may have the next one at once; uvloop reads 32 times in a turn
_REFUSAL = "text/plain; charset=utf-8"
_FLOOD = 2**18  # bytes behind a refused head: who sends more does not listen


class Http1Connection:
    """The wire's half of a connection; it is given bytes and writes to a transport."""

    __slots__ = (
        "_body",
        "_closing",
        "_feeding",
        "_fresh",
        "_limits",
        "_lingering",
        "_one_more",
        "_owner",
        "_parser",
        "_reading",
        "_tunnelled",
        "_turn",
        "_unread",
        "call_soon",
        "date_line",
        "exchange",
        "flow",
        "has_left",
        "peer_ended",
        "reset",
        "send_file",
        "serial",
        "stopping",
        "to_drain",
        "transport",
        "unsent_limit",
    )

    def __init__(
        self, transport: Any, flow: FlowControl, limits: Limits, owner: SocketOwner, keep_alive: bool = True
    ) -> None:
        self.transport = transport
        self.flow = flow
        self.unsent_limit = limits.unsent
        self.call_soon = owner.call_soon
        self.date_line = owner.date.line
        self.reset = owner.reset
        self.send_file = owner.send_file
        self.has_left = owner.has_left
        self._owner = owner
        self._limits = limits
        self._parser = RequestParser(self, limits)
        self._reading = HEAD
        self._body = EMPTY
        self._unread = b""
        self._feeding = False
        self._fresh = False  # the open exchange was just read and nobody works on it yet
        self._closing = not keep_alive  # no further request will be read
        self._lingering = False
        self._tunnelled = False  # what arrives is not HTTP any more
        self._one_more = False  # the open response has promised that one more request is answered
        self._turn = owner.turn
        self.to_drain = 0  # bytes nobody wants that may still arrive
        self.stopping = False  # the server is
        self.peer_ended = False  # the peer will send no more; it may still listen
        self.exchange: Http1Exchange | None = None
        self.serial = 0  # changes whenever the connection moves on; the sweep compares it

    @property
    def phase(self) -> Phase:
        """What this connection is waiting for."""
        if self.exchange is not None:
            return Phase.EXCHANGE
        if self._lingering:
            return Phase.LINGER
        if self._reading is not HEAD:
            return Phase.DRAIN if self._reading is BODY else Phase.CLOSING
        return Phase.IDLE if self.serial and not self._parser.in_message else Phase.HEAD

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client, or 1 if it is not known how many."""
        size: int = self.transport.get_write_buffer_size()
        return size or int(self.flow.blocked)

    @property
    def head_size(self) -> int:
        """Bytes of a head that has begun to arrive."""
        return self._parser.head_size

    def unsent_of(self, exchange: Exchange) -> int:
        """Those of the open exchange, which are all."""
        return self.unsent

    # Bytes come in

    def receive(self, data: bytes) -> None:
        """Take what the peer sent."""
        if self._unread:
            self._keep(self._unread + data)
            return
        pos, size = 0, len(data)
        feed = self._parser.feed
        self._feeding = True
        try:
            while pos < size and self._reading is not CLOSED:
                if self._reading is HEAD and (self.exchange is not None or self.flow.paused):
                    if self._fresh:
                        self._start()
                        continue
                    self._keep(data[pos:])
                    break
                pos = feed(data, pos)
        except SanicException as error:
            self._refuse(error)
        finally:
            self._feeding = False
        if self._fresh:
            self._start()
        body = self._body
        if self._lingering:
            self.to_drain -= size
            if self.to_drain < 0:
                self.transport.abort()
        elif body is EMPTY:
            return
        else:
            body.deliver()
        if size >= _FULL:
            self._turn.has_read(self.flow)

    def _keep(self, data: bytes) -> None:
        """Bytes behind a request that is not answered yet, or whose response the client has not taken, wait as they are."""
        self._unread = data
        if len(data) > self._limits.buffer:
            self.flow.hold(HOLD_PIPELINE)

    def _start(self) -> None:
        self._fresh = False
        assert self.exchange is not None
        self._owner.start(self.exchange)

    # What the parser says

    def on_head(self, head: RequestHead) -> None:
        self.serial += 1
        if head.body_length == 0:
            self._reading = HEAD  # of the next one
            self._body = EMPTY
            self.exchange = Http1Exchange(head, EMPTY, self._owner.conn, self)
        else:
            self._reading = BODY
            body = RequestStream(
                self.flow,
                HOLD_BODY,
                self._limits.buffer,
                head.body_length,
                self._limits.stream_body,
                self._on_wanted if head.expect_continue else None,
            )
            body.fields = head.fields
            self._body = body
            self.exchange = Http1Exchange(head, body, self._owner.conn, self)
        self._fresh = True

    def on_data(self, data: bytes) -> None:
        if self.exchange is not None:
            self._body.put(data)
        else:
            self.to_drain -= len(data)
            if self.to_drain < 0 and self._reading is not CLOSED:
                self._close(linger=sys.maxsize)

    def on_end(self, trailers: list[Field] | None) -> None:
        if self._reading is CLOSED:  # while the last bytes of what was given up were read
            return
        self._reading = HEAD
        if self.exchange is None:  # the rest of a body nobody wanted
            self._body = EMPTY
            self.serial += 1
            return
        if trailers:
            self._body.trailers = Headers.from_raw(trailers)
        self._body.end()

    def _on_wanted(self) -> None:
        assert self.exchange is not None, "the body of an answered exchange has failed"
        self.exchange.send_continue()

    def tunnel(self) -> None:
        """The bytes behind the request are no HTTP any more: they are the body, up to the end of the connection."""
        exchange = self.exchange
        assert exchange is not None
        self._parser.tunnel()
        self._tunnelled = True
        self._reading = BODY
        self._body = exchange.body = RequestStream(self.flow, HOLD_BODY, self._limits.buffer, None, None)
        data, self._unread = self._unread, b""
        self.flow.release(HOLD_PIPELINE)
        if data:
            self._body.put(data)
            self._body.deliver()
        if self.peer_ended:
            self._end_of_input()

    # Answers

    def may_keep(self, whole: bool) -> bool:
        """Whether the connection can be used again after the response that begins now, or is ``whole`` already."""
        if self._closing or self._reading is CLOSED:
            return False
        if self._reading is HEAD:
            return self._body is EMPTY or not self._body.failed
        if self._body.wanted and not whole:  # its reader may read on while the response is being written
            return not self._body.failed
        return not self._too_much_left()

    def _too_much_left(self) -> bool:
        """Whether the rest of the body is more than it is worth to swallow, or may never arrive."""
        body = self._body
        if body.failed:
            return True
        if self.exchange is not None and self.exchange.owes_100 and not body.received:
            return True  # RFC 9110 10.1.1: the client may send its body, or not; only closing is safe
        return body.total is not None and body.total - body.received > self._limits.drain

    def done(self, exchange: Http1Exchange) -> None:
        """The handler is through with its exchange: go on with the next request, or end."""
        body = self._body
        keep = exchange.keep_alive and not self._closing and self._reading is not CLOSED
        if keep and self._reading is BODY and self._too_much_left():
            keep = False
        if self._one_more:
            self._closing = True
        self.exchange = None
        self.serial += 1
        if self._reading is BODY:  # whoever reads on behind the handler's back must not wait for ever
            body.discard()
            body.fail(RequestAborted("the request was answered before its body had arrived"))
        if self.flow.lost:
            return
        if not keep:
            self._close(linger=0 if body.complete and not self._unread else sys.maxsize)
        elif self._reading is BODY:
            self.to_drain = self._limits.drain
        else:
            if body is not EMPTY:
                body.leave()
                self._body = EMPTY
            if not self._feeding:
                self._go_on()

    def _go_on(self) -> None:
        """Read what was kept, if the client has taken what it was sent: who only asks is not answered without end."""
        if self._unread and not self.flow.paused:
            data, self._unread = self._unread, b""
            self.flow.release(HOLD_PIPELINE)
            self.receive(data)
            if self.peer_ended:
                self._end_of_input()

    def resume(self) -> None:
        """The client has taken what it was sent."""
        if self.exchange is None and self._reading is HEAD:
            self._go_on()

    def _refuse(self, error: SanicException) -> None:
        """The bytes break HTTP: whoever reads them is told, and nothing more is read."""
        exchange = self.exchange
        self._reading = CLOSED
        self._owner.refused(error)
        if exchange is not None and not self._fresh:
            self._body.fail(error)
            return
        if exchange is None and self._body is not EMPTY:  # the rest of a body nobody wants is broken
            self._close(linger=sys.maxsize)
            return
        body = f"{error.message}\n".encode()
        if exchange is not None:
            self._fresh = False
            self.exchange = None
            exchange.send_whole(error.status_code, None, _REFUSAL, body)
        else:
            line = b"Connection: close\r\n"
            answer = serialize_response(error.status_code, _REFUSAL, self.date_line(), line, body)
            self.transport.write(answer[: -len(body)] if self._parser.asks_for_head else answer)
        self._close(linger=sys.maxsize if error.status_code == 413 else _FLOOD)

    # Endings

    def eof(self) -> bool:
        """The peer will send no more; True if the connection should stay open for the response."""
        self.peer_ended = True
        if self.exchange is None and not self._unread:
            self._reading = CLOSED
            return False
        self._end_of_input()
        return True

    def _end_of_input(self) -> None:
        """No more bytes will arrive than those that wait."""
        if self._unread:
            return
        if self._tunnelled:
            self._body.feed_eof()
        elif self._reading is BODY:
            self._body.fail(RequestAborted("the client left in the middle of its body"))
        self._reading = CLOSED
        if self.exchange is None:
            self._close(linger=0)

    def lost(self) -> None:
        """The connection is gone."""
        self._unread = b""
        self.peer_ended = True
        if self._reading is BODY:
            self._body.fail(RequestAborted("the client left in the middle of its body"))
        self._reading = CLOSED
        self._parser.close()
        self.serial += 1

    def refuse(self, error: SanicException) -> None:
        """Answer before any request was read, or to one that does not come to its end, and close."""
        if self.exchange is None and self._reading is HEAD:
            self._refuse(error)

    @property
    def promises(self) -> bool:
        """Whether a response has begun that tells the client that the connection is kept."""
        exchange = self.exchange
        return exchange is not None and exchange.started and exchange.keep_alive

    def drain(self, stopping: bool = False) -> None:
        """Let the next response be the last, and say so; one that has begun has promised to keep the connection.

        ``stopping`` also notifies the stream that is open.
        """
        if self.promises:
            self._one_more = True
        else:
            self._closing = True
        if stopping:
            self._notify_stop()

    def finish(self) -> None:
        """Read no further request; close now if nothing is open."""
        self._closing = True
        self._notify_stop()
        if self.exchange is None and not self._lingering:
            self._close(linger=0)

    def _notify_stop(self) -> None:
        self.stopping = True
        if self.exchange is not None:
            self.exchange.notify("shutdown")

    def expire(self) -> None:
        """The timeout of the phase has run out: for a head, for the next request, or for a peer that should have left."""
        if self._reading is HEAD and not self._lingering and self._parser.in_message:
            self._refuse(RequestTimeout("the head of the request did not arrive in time"))
        else:
            self._lingering = False
            self._close(linger=0)

    def _close(self, linger: int) -> None:
        """Close; lingering means to half-close and swallow a while at most so many bytes, for a plain close would reset
        the response away from a peer that is still sending (RFC 9112 9.6). TLS cannot half-close; there the peer is only
        waited for."""
        self._reading = CLOSED
        self._unread = b""
        if self.transport.is_closing():  # asyncio's TLS can neither be asked nor aborted after a second close()
            return
        if not linger or self.peer_ended or self.flow.lost:
            self.transport.close()
            return
        self._lingering = True
        self.to_drain = linger
        self.serial += 1
        self.flow.release(HOLD_BODY | HOLD_PIPELINE)
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # the peer has reset the connection, and nobody has told us yet
                self.transport.abort()
