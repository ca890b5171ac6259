"""Bytes to heads, data and ends (RFC 9112), by httptools and the checks it leaves to us.

Law: one message end per feed. httptools is given heads alone, cut at the blank line where they end; bodies do not pass
through it. So nothing of a second message is ever looked at before the first one was dealt with, and any split of the
bytes tells the same story.
"""

import re
import sys
from contextlib import suppress
from typing import NoReturn, Protocol

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from sanicish.config import Limits
from sanicish.exceptions import (
    BadRequest,
    ExpectationFailed,
    HeaderFieldsTooLarge,
    MethodNotImplemented,
    SanicException,
    URITooLong,
    VersionNotSupported,
)
from sanicish.exchange import RequestHead
from sanicish.grammar import TOKEN
from sanicish.http1.chunks import ChunkedBody
from sanicish.http1.fields import Field
from sanicish.http1.plain import BAD_ESCAPE, END, HOST, METHODS, PlainHeads
from sanicish.wire import TlsOnPlainPort

__all__ = ["RequestParser", "Sink"]

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)([^#]*)")
_FOREIGN = re.compile(rb"[^\r\n]* (?:RTSP|ICE)/")  # llhttp reports their 1.0 and 1.1 as HTTP's
_TOKEN = re.compile(TOKEN.encode())

_HOST_FIELD, _LENGTH, _CODING, _CONNECTION, _EXPECT, _UPGRADE = range(6)
_SPECIAL = {
    b"host": _HOST_FIELD,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"upgrade": _UPGRADE,
}
_SMALL = 2_048  # bytes of a chunk that is cheaper to join with others than to hand on alone


class Sink(Protocol):
    """Who is told what the bytes say, in order; a message without a body has ended with its head."""

    def on_head(self, head: RequestHead, /) -> None: ...

    def on_data(self, data: bytes, /) -> None: ...

    def on_end(self, trailers: list[Field] | None, /) -> None: ...


class RequestParser:
    """Reads one connection's requests; after an error it is dead and must not be fed again."""

    __slots__ = (
        "_chunks",
        "_fields",
        "_head",
        "_head_size",
        "_left",
        "_limits",
        "_parser",
        "_plain",
        "_raw",
        "_sink",
        "_tail",
        "_target",
    )

    def __init__(self, sink: Sink, limits: Limits) -> None:
        self._sink = sink
        self._limits = limits
        self._plain = PlainHeads(limits)
        self._parser: HttpRequestParser | None = None  # for heads that are not plain
        self._head: RequestHead | None = None  # just read, not yet delivered
        self._left = 0  # bytes still to arrive of a body of known length
        self._chunks: ChunkedBody | None = None  # the body of unknown length that is being read
        self._tail = b""  # the last bytes fed: a blank line may have begun in them
        self._raw = b""  # the head that is being read, as far as it arrived
        self._head_size = 0
        self._target = b""
        self._fields: list[Field] = []

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and not ended; the blank lines allowed before a request are none of it."""
        return self._chunks is not None or self._left > 0 or bool(self._raw.lstrip(b"\r\n"))

    def tunnel(self) -> None:
        """What follows is not HTTP: all of it is data, without an end."""
        self._left = sys.maxsize

    def close(self) -> None:
        """Feed it no more: parser and callbacks let go of each other, so that no cycle is left to be collected."""
        self._parser = None
        self._sink = None  # type: ignore[assignment]

    @property
    def asks_for_head(self) -> bool:
        """Whether the head that is being read is that of a HEAD request, whose response has no body."""
        return self._raw.lstrip(b"\r\n").startswith(b"HEAD ")

    @property
    def head_size(self) -> int:
        """Bytes of the head that is being read, as far as it has arrived."""
        return self._head_size

    @property
    def left(self) -> int:
        """Bytes still to arrive of a body of known length, 0 otherwise."""
        return self._left

    def feed(self, data: bytes, pos: int = 0) -> int:
        """Read on from ``pos``, at most to the end of one head or one message; returns where the rest begins.

        Raises a ``SanicException`` with the status to refuse the message with.
        """
        if self._left:
            return self._pass_on(data, pos)
        if self._chunks is not None:
            return self._decode(self._chunks, data, pos)
        if not self._raw:
            plain = self._plain
            end = len(data)
            if data == plain.raw and not pos:
                head = plain.head
            elif pos or plain.pipelined or data[-4:] != END:
                end = data.find(END, pos) + 4
                raw = data[pos:end]
                head = None if end < 4 else plain.head if raw == plain.raw else plain.read(raw)
            else:  # one head and nothing else, as most reads are
                head = plain.read(data)
            if head is not None:
                if head.body_length != 0:
                    self._begin_body(head.body_length)
                self._sink.on_head(head)
                return end
        return self._read(data, pos)

    def _read(self, data: bytes, pos: int) -> int:
        """Give httptools what belongs to the head, as far as it has arrived."""
        end = self._next_stop(data, pos)
        self._head_size += end - pos
        piece = data if pos == 0 and end == len(data) else data[pos:end]
        self._raw = self._raw + piece if self._raw else piece
        upgrade = self._feed(piece)
        if self._head is not None:
            self._deliver_head(self._head, upgrade)
        else:
            self._tail = (self._tail + data[max(pos, end - 3) : end])[-3:]
            if self._head_size >= self._limits.head:
                raise HeaderFieldsTooLarge(f"the head is larger than {self._limits.head} bytes")
        return end

    def _feed(self, piece: bytes) -> bool:
        """Give a piece to httptools; True if it sees an upgrade, which is not taken."""
        if self._parser is None:
            self._parser = HttpRequestParser(self)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade:
            return True
        except HttpParserCallbackError as error:
            self._raise_cause(error)
        except HttpParserError as error:
            if not str(error).startswith("Data after"):
                raise self._refusal(error) from None
        else:
            return False
        # llhttp took the last message for the last one, by its own reading of Connection. Whether a connection goes on
        # is decided in one place, and who feeds us has decided that it does.
        self._parser = None
        return self._feed(piece)

    def _next_stop(self, data: bytes, pos: int) -> int:
        """The end of the next blank line, or of what may be looked at in one go."""
        most = pos + self._limits.head - self._head_size
        if self._tail:  # the blank line may lie across the border of two reads
            across = (self._tail + data[pos : pos + 3]).find(END)
            if across >= 0:
                return pos + across + 4 - len(self._tail)
        end = data.find(END, pos, most)
        return end + 4 if end >= 0 else min(most, len(data))

    def _decode(self, chunks: ChunkedBody, data: bytes, pos: int) -> int:
        """Hand on what a chunked body says; a read full of small chunks is one piece."""
        pieces: list[bytes] = []
        try:
            return chunks.feed(data, pos, pieces)
        finally:
            if len(pieces) * _SMALL > len(data):
                pieces = [b"".join(pieces)]
            for piece in pieces:
                self._sink.on_data(piece)
            if chunks.ended:
                self._chunks = None
                self._sink.on_end(chunks.trailers)

    def _pass_on(self, data: bytes, pos: int) -> int:
        """Hand on a piece of a body of known length, uncopied when all of it is body."""
        end = pos + self._left
        if end >= len(data):
            piece = data[pos:] if pos else data
            end = len(data)
        else:
            piece = data[pos:end]
        self._left -= len(piece)
        self._sink.on_data(piece)
        if not self._left:
            self._sink.on_end(None)
        return end

    def _deliver_head(self, head: RequestHead, upgrade: bool) -> None:
        self._head = None
        self._raw = self._tail = b""
        self._head_size = 0
        length = head.body_length
        if length != 0 or upgrade:
            self._parser = None  # this one waits for a body now
        self._begin_body(length)
        self._sink.on_head(head)

    def _begin_body(self, length: int | None) -> None:
        if length is None:
            self._chunks = ChunkedBody(self._limits.fields)
        else:
            self._left = length

    # Callbacks of httptools: they only build, and nothing of the application runs inside them.

    def on_url(self, url: bytes) -> None:
        self._target += url  # may come in parts
        if len(self._target) > self._limits.target:
            raise self._too_long()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._fields) >= self._limits.fields:
            raise HeaderFieldsTooLarge(f"the head has more than {self._limits.fields} fields")
        self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        target, self._target = self._target, b""
        fields, self._fields = self._fields, []
        self._head = self._read_head(target, fields)

    # What a head says

    def _read_head(self, target: bytes, fields: list[Field]) -> RequestHead:
        assert self._parser is not None, "it calls us"
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            if version == "0.9":
                raise BadRequest("a request line needs a version")
            raise VersionNotSupported(f"HTTP/{version} is not spoken here")
        if (b" RTSP/" in self._raw or b" ICE/" in self._raw) and _FOREIGN.match(self._raw.lstrip(b"\r\n")):
            raise BadRequest("that is not HTTP")
        raw_method = self._parser.get_method()
        method = METHODS.get(raw_method) or raw_method.decode("latin-1")
        if method == "CONNECT":
            raise MethodNotImplemented("this server is no proxy")

        hosts = 0
        length = coding = host = expect = None
        connection = upgrade = b""
        for name, value in fields:
            special = _SPECIAL.get(name)
            if special is None:
                continue
            if special == _HOST_FIELD:
                hosts += 1
                host = value
            elif special == _CONNECTION:
                connection += b"," + value
            elif special == _LENGTH:
                length = value
            elif special == _CODING:
                if coding is not None:
                    raise MethodNotImplemented("only a single transfer coding is understood, chunked")
                coding = value
            elif special == _UPGRADE:
                upgrade += b", " + value if upgrade else value
            else:
                expect = value if expect is None else expect + b"," + value

        if hosts != 1 and (hosts or version == "1.1"):
            raise BadRequest("a request needs exactly one Host field")
        if host is not None and not HOST.fullmatch(host):
            raise BadRequest("the Host field is not a host")
        target = self._read_target(method, target, fields)

        body_length: int | None = 0
        if coding is not None:
            if version == "1.0":
                raise BadRequest("HTTP/1.0 knows no transfer codings")
            if not coding:
                raise BadRequest("Transfer-Encoding names no coding")
            if coding.lower() != b"chunked":
                raise MethodNotImplemented("the only transfer coding understood is chunked")
            body_length = None
        elif length is not None:
            if not length.isdigit() or len(length) > 19:  # int() alone would take signs, blanks, underscores
                raise BadRequest("Content-Length is not a number")
            body_length = int(length)

        keep_alive = version == "1.1"
        protocol = ""
        if connection:
            tokens = [token.strip(b" \t").lower() for token in connection.split(b",")]
            keep_alive = b"close" not in tokens and (keep_alive or b"keep-alive" in tokens)
            if upgrade and version == "1.1" and b"upgrade" in tokens:  # RFC 9110 7.8
                protocol = upgrade.decode("latin-1").lower()
        expect_continue = False
        if expect is not None and version == "1.1":
            if any(one.strip(b" \t").lower() not in (b"100-continue", b"") for one in expect.split(b",")):
                raise ExpectationFailed("the only expectation understood is 100-continue")
            expect_continue = body_length != 0
        return RequestHead(method, target, version, tuple(fields), keep_alive, body_length, expect_continue, protocol)

    def _read_target(self, method: str, target: bytes, fields: list[Field]) -> bytes:
        """The target in origin form (RFC 9112 3.2); the host of an absolute form replaces the Host field."""
        if b"#" in target:
            raise BadRequest("a request target has no fragment")
        if b"%" in target and BAD_ESCAPE.search(target):
            raise BadRequest("a percent sign in the request target is not followed by two hexadecimal digits")
        if target.startswith(b"/"):
            return target
        if target == b"*":
            if method != "OPTIONS":
                raise BadRequest("the target * is for OPTIONS alone")
            return target
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise BadRequest("the request target is neither a path nor an http address")
        host, rest = absolute.groups()
        if not HOST.fullmatch(host) or host.startswith(b":"):
            raise BadRequest("the request target names no valid host")
        fields[:] = [field for field in fields if field[0] != b"host"]
        fields.insert(0, (b"host", host))
        if not rest and method == "OPTIONS":
            return b"*"  # RFC 9112 3.2.4
        return rest if rest.startswith(b"/") else b"/" + rest

    # What went wrong

    def _raise_cause(self, error: HttpParserCallbackError) -> NoReturn:
        cause = error.__context__
        if isinstance(cause, SanicException):
            raise cause from None
        raise error

    def _refusal(self, error: HttpParserError) -> SanicException:
        text = str(error)
        if isinstance(error, HttpParserInvalidMethodError):
            return self._method_refusal()
        if isinstance(error, HttpParserInvalidURLError):
            target = self._accepted().lstrip(b"\r\n").partition(b" ")[2].lstrip(b" ")
            if len(target) > self._limits.target:
                return self._too_long()
        if text.startswith("Invalid method for"):
            return MethodNotImplemented("the method of the request is none of HTTP's")
        if "HTTP version" in text or "PRI" in text:  # PRI begins the preface of HTTP/2 (RFC 9113 3.4)
            return VersionNotSupported("only HTTP/1.0 and HTTP/1.1 are spoken here")
        return BadRequest(f"the request is not valid HTTP: {text}")

    def _too_long(self) -> SanicException:
        return URITooLong(f"the request target is longer than {self._limits.target} bytes")

    def _method_refusal(self) -> SanicException:
        """501 for a method that is only unknown, 400 for what is none (RFC 9110 9.1, 15.6.2)."""
        start = self._raw.lstrip(b"\r\n")
        begun = len(self._raw) - len(start)
        if _TOKEN.fullmatch(self._raw[begun : len(self._accepted()) + 1]):
            return MethodNotImplemented("the method of the request is not known here")
        if start[:1] == b"\x16":
            return TlsOnPlainPort("these bytes are TLS, but this port speaks plain HTTP")
        return BadRequest("the request does not begin with a method")

    def _accepted(self) -> bytes:
        """The bytes of the head before the one that broke it.

        httptools does not tell, so they are found again, byte by byte; the response to a broken request shall not
        depend on how its bytes were split.
        """
        probe = HttpRequestParser(_Deaf())
        end = 0
        with suppress(HttpParserError):
            for end in range(len(self._raw)):
                probe.feed_data(self._raw[end : end + 1])
        return self._raw[:end]


class _Deaf:
    """A listener for the probe that wants to hear nothing."""
