"""Requests as bytes, and what they mean: the ones that are taken, and the ones that are refused with their status.

In the order of RFC 9112 and RFC 9110, whose sections are named. Every case stands for itself: a head, its body, its end.
"""

from typing import NamedTuple


class Accepted(NamedTuple):
    """A request that is understood."""

    name: str
    section: str
    raw: bytes
    method: str = "GET"
    target: bytes = b"/"
    version: str = "1.1"
    body: bytes = b""
    keep_alive: bool = True
    fields: tuple[tuple[bytes, bytes], ...] = ()  # those that must be among the fields
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    h11_refuses: str = ""  # why the stricter reading of h11 does not matter


class Rejected(NamedTuple):
    """A request that is refused."""

    name: str
    section: str
    raw: bytes
    status: int


def head(line: bytes, *fields: bytes, host: bytes = b"Host: a") -> bytes:
    """A head of a request line, a Host field and others."""
    return b"\r\n".join((line, *((host,) if host else ()), *fields)) + b"\r\n\r\n"


def chunked(*rest: bytes) -> bytes:
    """A POST with a chunked body, given as it stands on the wire."""
    return head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked") + b"".join(rest)


def sized(length: bytes, body: bytes = b"") -> bytes:
    """A POST with a Content-Length, given as it stands on the wire."""
    return head(b"POST / HTTP/1.1", b"Content-Length: " + length) + body


GET = b"GET / HTTP/1.1"
_ROBUST = "9112 2.2 and 3 let a server be lenient here; h11 is not"

ACCEPTED = (
    # RFC 9112 2.2: message parsing
    Accepted("the least of all requests", "9112 2.1", head(GET)),
    Accepted("one blank line before", "9112 2.2", b"\r\n" + head(GET), h11_refuses=_ROBUST),
    Accepted("many blank lines before", "9112 2.2", b"\r\n" * 8 + head(GET), h11_refuses=_ROBUST),
    # RFC 9112 2.3: version
    Accepted("HTTP/1.0 without Host", "9112 2.3", head(b"GET / HTTP/1.0", host=b""), version="1.0", keep_alive=False),
    Accepted("HTTP/1.0 with Host", "9112 2.3", head(b"GET / HTTP/1.0"), version="1.0", keep_alive=False),
    # RFC 9112 3: request line
    Accepted("two blanks in the request line", "9112 3", head(b"GET  /  HTTP/1.1"), h11_refuses=_ROBUST),
    Accepted("a method that is known to few", "9112 3.1", head(b"PROPFIND / HTTP/1.1"), method="PROPFIND"),
    Accepted("a method with a dash", "9112 3.1", head(b"M-SEARCH / HTTP/1.1"), method="M-SEARCH"),
    Accepted("a target of 8000 bytes", "9110 4.1", head(b"GET /%b HTTP/1.1" % (b"a" * 7999)), target=b"/" + b"a" * 7999),
    # RFC 9112 3.2: request target
    Accepted("a path and a query", "9112 3.2.1", head(b"GET /a/b?c=d&e HTTP/1.1"), target=b"/a/b?c=d&e"),
    Accepted("an empty query", "9112 3.2.1", head(b"GET /? HTTP/1.1"), target=b"/?"),
    Accepted("a question mark in the query", "9112 3.2.1", head(b"GET /a?b?c HTTP/1.1"), target=b"/a?b?c"),
    Accepted("escapes stay as they are", "9112 3.2.1", head(b"GET /%2e%2E/%00 HTTP/1.1"), target=b"/%2e%2E/%00"),
    Accepted("two slashes begin a path, not a host", "9112 3.2.1", head(b"GET //evil/x HTTP/1.1"), target=b"//evil/x"),
    Accepted(
        "dots are not resolved by the parser", "9112 3.2.1", head(b"GET /a/../b/./c HTTP/1.1"), target=b"/a/../b/./c"
    ),
    Accepted("the absolute form", "9112 3.2.2", head(b"GET http://a/b?c HTTP/1.1"), target=b"/b?c"),
    Accepted("the absolute form without a path", "9112 3.2.2", head(b"GET http://a HTTP/1.1"), target=b"/"),
    Accepted("the absolute form with a query alone", "9112 3.2.2", head(b"GET http://a?b HTTP/1.1"), target=b"/?b"),
    Accepted(
        "the host of the absolute form replaces Host",
        "9112 3.2.2",
        head(b"GET http://b:81/x HTTP/1.1"),
        target=b"/x",
        fields=((b"host", b"b:81"),),
    ),
    Accepted("the absolute form with https", "9112 3.2.2", head(b"GET HTTPS://a/ HTTP/1.1"), target=b"/"),
    Accepted("the asterisk", "9112 3.2.4", head(b"OPTIONS * HTTP/1.1"), method="OPTIONS", target=b"*"),
    Accepted(
        "the absolute form of the asterisk",
        "9112 3.2.4",
        head(b"OPTIONS http://a HTTP/1.1"),
        method="OPTIONS",
        target=b"*",
    ),
    # RFC 9112 5: fields
    Accepted("an empty value", "9112 5.1", head(GET, b"X:"), fields=((b"x", b""),)),
    Accepted("blanks around a value", "9112 5.1", head(GET, b"X: \t a b \t "), fields=((b"x", b"a b"),)),
    Accepted("no blank before a value", "9112 5.1", head(GET, b"X:a"), fields=((b"x", b"a"),)),
    Accepted("names in any case", "9110 5.1", head(GET, b"x-Y: z", host=b"hOST: a"), fields=((b"x-y", b"z"),)),
    Accepted(
        "one name twice, in order", "9110 5.3", head(GET, b"X: 1", b"X: 2"), fields=((b"x", b"1"), (b"x", b"2"))
    ),
    Accepted("obs-text in a value", "9110 5.5", head(GET, b"X: \xc3\xa9"), fields=((b"x", b"\xc3\xa9"),)),
    Accepted("a tab within a value", "9110 5.5", head(GET, b"X: a\tb"), fields=((b"x", b"a\tb"),)),
    Accepted(
        "an underscore is no dash", "9110 5.1", head(GET, b"Content_Length: 5"), fields=((b"content_length", b"5"),)
    ),
    Accepted("a hundred fields", "9110 5.4", head(GET, *[b"X: y"] * 99)),
    # RFC 9110 7.2: Host
    Accepted("an empty Host", "9110 7.2", head(GET, host=b"Host:")),
    Accepted("Host with a port", "9110 7.2", head(GET, host=b"Host: example.com:8000")),
    Accepted("Host with an address", "9110 7.2", head(GET, host=b"Host: 127.0.0.1:1")),
    Accepted("Host with an address of IPv6", "9110 7.2", head(GET, host=b"Host: [::1]:8000")),
    Accepted("Host with an underscore", "9110 7.2", head(GET, host=b"Host: my_service")),
    # RFC 9112 6: bodies
    Accepted("a body of known length", "9112 6.2", sized(b"5", b"hello"), method="POST", body=b"hello"),
    Accepted("a body that looks like a request", "9112 6.2", sized(b"18", GET + b"\r\n\r\n"), "POST", body=GET + b"\r\n\r\n"),
    Accepted("a length of zero", "9112 6.2", sized(b"0"), method="POST"),
    Accepted("a length with zeros before it", "9110 8.6", sized(b"005", b"hello"), method="POST", body=b"hello"),
    Accepted("blanks around a length", "9112 5.1", sized(b" 5 \t", b"hello"), method="POST", body=b"hello"),
    Accepted("no length and no coding", "9112 6.3", head(b"POST / HTTP/1.1"), method="POST"),
    Accepted("GET with a body", "9110 9.3.1", head(GET, b"Content-Length: 2") + b"ab", body=b"ab"),
    Accepted("DELETE with a body", "9110 9.3.5", head(b"DELETE / HTTP/1.1", b"Content-Length: 2") + b"ab", "DELETE", body=b"ab"),
    Accepted(
        "a body in HTTP/1.0",
        "9112 6.2",
        head(b"POST / HTTP/1.0", b"Content-Length: 2") + b"ab",
        method="POST",
        version="1.0",
        body=b"ab",
        keep_alive=False,
    ),
    # RFC 9112 7.1: chunked
    Accepted("one chunk", "9112 7.1", chunked(b"5\r\nhello\r\n0\r\n\r\n"), method="POST", body=b"hello"),
    Accepted("several chunks", "9112 7.1", chunked(b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), method="POST", body=b"hello"),
    Accepted("no chunk but the last", "9112 7.1", chunked(b"0\r\n\r\n"), method="POST"),
    Accepted("sizes in both cases", "9112 7.1", chunked(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), "POST", body=b"0123456789" * 2),
    Accepted("zeros before a size", "9112 7.1", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), method="POST", body=b"hello"),
    Accepted("blank lines within a chunk", "9112 7.1", chunked(b"8\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"), "POST", body=b"\r\n" * 4),
    Accepted("a chunk that looks like an end", "9112 7.1", chunked(b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "POST", body=b"0\r\n\r\n"),
    Accepted("chunk extensions", "9112 7.1.1", chunked(b"5;a=b;c=\"d;e\"\r\nhello\r\n0;f\r\n\r\n"), "POST", body=b"hello"),
    Accepted("the coding in capitals", "9112 7", head(b"POST / HTTP/1.1", b"Transfer-Encoding: Chunked") + b"0\r\n\r\n", "POST"),
    Accepted(
        "trailers",
        "9112 7.1.2",
        chunked(b"1\r\na\r\n0\r\nDigest: x\r\nX-Rows:  3 \r\n\r\n"),
        method="POST",
        body=b"a",
        trailers=((b"digest", b"x"), (b"x-rows", b"3")),
    ),
    Accepted(
        "trailers that have no business there",
        "9110 6.5.1",
        chunked(b"0\r\nHost: evil\r\nAuthorization: x\r\nCookie: y\r\nX-Forwarded-For: z\r\nOk: 1\r\n\r\n"),
        method="POST",
        fields=((b"host", b"a"),),
        trailers=((b"ok", b"1"),),
    ),
    Accepted("a trailer that would close", "9110 6.5.1", chunked(b"0\r\nConnection: close\r\n\r\n"), method="POST"),
    # RFC 9112 9: connections
    Accepted("close", "9112 9.3", head(GET, b"Connection: close"), keep_alive=False),
    Accepted("close among others, in capitals", "9112 9.3", head(GET, b"Connection: x, CLOSE ,y"), keep_alive=False),
    Accepted("close in a second field", "9112 9.3", head(GET, b"Connection: x", b"Connection: close"), keep_alive=False),
    Accepted("something like close", "9112 9.3", head(GET, b"Connection: closed")),
    Accepted("keep-alive in HTTP/1.0", "9112 9.3", head(b"GET / HTTP/1.0", b"Connection: Keep-Alive"), version="1.0"),
    Accepted(
        "close wins over keep-alive",
        "9112 9.3",
        head(b"GET / HTTP/1.0", b"Connection: keep-alive, close"),
        version="1.0",
        keep_alive=False,
    ),
    # RFC 9110 7.8: an upgrade that is not taken
    Accepted("an upgrade to HTTP/2", "9110 7.8", head(GET, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")),
    Accepted("an upgrade to WebSocket", "9110 7.8", head(GET, b"Connection: Upgrade", b"Upgrade: websocket")),
    Accepted("an upgrade with a body", "9110 7.8", head(b"POST / HTTP/1.1", b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 5") + b"hello", "POST", body=b"hello"),
    Accepted(
        "an upgrade with a chunked body",
        "9110 7.8",
        head(b"POST / HTTP/1.1", b"Connection: upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked")
        + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        method="POST",
        body=b"hello",
        trailers=((b"x", b"y"),),
    ),
    # RFC 9110 10.1.1: expectations
    Accepted("an expectation", "9110 10.1.1", head(b"POST / HTTP/1.1", b"Expect: 100-Continue", b"Content-Length: 1") + b"a", "POST", body=b"a"),
    Accepted("an expectation without a body", "9110 10.1.1", head(GET, b"Expect: 100-continue")),
    Accepted(
        "any expectation in HTTP/1.0",
        "9110 10.1.1",
        head(b"GET / HTTP/1.0", b"Expect: anything"),
        version="1.0",
        keep_alive=False,
    ),
)  # fmt: skip

REJECTED = (
    # RFC 9112 2.2: message parsing
    Rejected("a bare CR after the request line", "9112 2.2", b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    Rejected("a bare LF after the request line", "9112 2.2", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    Rejected("a bare LF after a field", "9112 2.2", head(GET, b"X: y\nZ: z"), 400),
    Rejected("a bare CR in a value", "9112 2.2", head(GET, b"X: y\rZ: z"), 400),
    Rejected("a bare LF at the end of the head", "9112 2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Rejected("a blank before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    Rejected("a blank before the method", "9112 2.2", b" " + head(GET), 400),
    Rejected("no request at all", "9112 2.2", b"\x00\x01\x02\x03\r\n\r\n", 400),
    Rejected("TLS on a plain port", "9112 2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    Rejected("a response instead of a request", "9112 2.1", b"HTTP/1.1 200 OK\r\n\r\n", 501),
    # RFC 9112 2.3: version
    Rejected("no version", "9112 2.3", b"GET /\r\n\r\n", 400),
    Rejected("no version, and fields", "9112 2.3", b"GET /\r\nHost: a\r\n\r\n", 400),
    Rejected("no version, ended by LF", "9112 2.3", b"GET /\nHost: a\r\n\r\n", 400),
    Rejected("HTTP/0.9", "9112 2.3", head(b"GET / HTTP/0.9"), 400),
    Rejected("HTTP/1.2", "9112 2.3", head(b"GET / HTTP/1.2"), 505),
    Rejected("HTTP/2.0", "9112 2.3", head(b"GET / HTTP/2.0"), 505),
    Rejected("HTTP/3.0", "9112 2.3", head(b"GET / HTTP/3.0"), 505),
    Rejected("the preface of HTTP/2", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Rejected("a version of two digits", "9112 2.3", head(b"GET / HTTP/1.10"), 400),
    Rejected("a version without a dot", "9112 2.3", head(b"GET / HTTP/11"), 400),
    Rejected("a version in small letters", "9112 2.3", head(b"GET / http/1.1"), 400),
    Rejected("another protocol", "9112 2.3", head(b"GET / RTSP/1.1"), 400),
    Rejected("yet another protocol", "9112 2.3", head(b"GET / ICE/1.0"), 400),
    # RFC 9112 3: request line
    Rejected("a tab in the request line", "9112 3", head(b"GET\t/\tHTTP/1.1"), 400),
    Rejected("a blank after the version", "9112 3", head(b"GET / HTTP/1.1 "), 400),
    Rejected("no target", "9112 3", head(b"GET HTTP/1.1"), 400),
    Rejected("a blank within the target", "9112 3.2", head(b"GET /a b HTTP/1.1"), 400),
    Rejected("a method nobody knows", "9110 15.6.2", head(b"BREW / HTTP/1.1"), 501),
    Rejected("a method in small letters", "9110 9.1", head(b"get / HTTP/1.1"), 501),
    Rejected("a method longer than it is", "9110 9.1", head(b"GETS / HTTP/1.1"), 501),
    Rejected("a method of another protocol", "9110 9.1", head(b"DESCRIBE / HTTP/1.1"), 501),
    Rejected("a method that is no token", "9112 3.1", head(b"G(T / HTTP/1.1"), 400),
    Rejected("CONNECT", "9110 9.3.6", head(b"CONNECT a:443 HTTP/1.1"), 501),
    Rejected("CONNECT with a path", "9110 9.3.6", head(b"CONNECT /x HTTP/1.1"), 501),
    Rejected("a target of 9000 bytes", "9110 15.5.15", head(b"GET /%b HTTP/1.1" % (b"a" * 9000)), 414),
    Rejected("a target without an end", "9110 15.5.15", b"GET /" + b"a" * 20_000, 414),
    Rejected("a long target that goes wrong at last", "9110 15.5.15", b"GET /" + b"a" * 9000 + b"\x01", 414),
    # RFC 9112 3.2: request target
    Rejected("a path without a slash", "9112 3.2.1", head(b"GET a HTTP/1.1"), 400),
    Rejected("a fragment", "9112 3.2.1", head(b"GET /a#b HTTP/1.1"), 400),
    Rejected("a percent sign alone", "3986 2.1", head(b"GET /% HTTP/1.1"), 400),
    Rejected("a percent sign and one digit", "3986 2.1", head(b"GET /%2 HTTP/1.1"), 400),
    Rejected("a percent sign and no digits", "3986 2.1", head(b"GET /?a=%zz HTTP/1.1"), 400),
    Rejected("8-bit bytes in the target", "3986 2", head(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    Rejected("a control byte in the target", "3986 2", head(b"GET /\x01 HTTP/1.1"), 400),
    Rejected("DEL in the target", "3986 2", head(b"GET /\x7f HTTP/1.1"), 400),
    Rejected("NUL in the target", "3986 2", head(b"GET /\x00 HTTP/1.1"), 400),
    Rejected("the absolute form without a host", "9110 4.2.1", head(b"GET http:///x HTTP/1.1"), 400),
    Rejected("the absolute form with a port alone", "9110 4.2.1", head(b"GET http://:80/ HTTP/1.1"), 400),
    Rejected("the absolute form with a user", "9110 4.2.4", head(b"GET http://u:p@a/ HTTP/1.1"), 400),
    Rejected("the absolute form with two users", "9110 4.2.4", head(b"GET http://a@b@c/ HTTP/1.1"), 400),
    Rejected("the absolute form of another scheme", "9110 4.2", head(b"GET ftp://a/ HTTP/1.1"), 400),
    Rejected("the asterisk with GET", "9112 3.2.4", head(b"GET * HTTP/1.1"), 400),
    Rejected("more than the asterisk", "9112 3.2.4", head(b"OPTIONS *x HTTP/1.1"), 400),
    # RFC 9112 3.2, RFC 9110 7.2: Host
    Rejected("no Host", "9112 3.2", head(GET, host=b""), 400),
    Rejected("no Host beside the absolute form", "9112 3.2", head(b"GET http://a/ HTTP/1.1", host=b""), 400),
    Rejected("two Hosts", "9112 3.2", head(GET, b"Host: b"), 400),
    Rejected("the same Host twice", "9112 3.2", head(GET, b"Host: a"), 400),
    Rejected("two Hosts in HTTP/1.0", "9112 3.2", head(b"GET / HTTP/1.0", b"Host: b"), 400),
    *(
        Rejected(f"Host: {value.decode('latin-1')}", "9110 7.2", head(GET, host=b"Host: " + value), 400)
        for value in (
            b"a b", b"user@a", b"a,b", b"a, a", b"a/b", b"a?b", b"a#b", b"a:80:90", b"a:b", b"a:-1", b"a:123456",
            b"[::1", b"::1", b"[::1]x", b"[g::1]", b"<script>", b"a\\b", b"a%41", b"\xe9", b"a;b", b"'a'", b"http://a",
        )
    ),
    # RFC 9112 5: fields
    Rejected("a blank before the colon", "9112 5.1", head(GET, b"X : y"), 400),
    Rejected("no colon", "9112 5", head(GET, b"X"), 400),
    Rejected("no name", "9112 5", head(GET, b": y"), 400),
    Rejected("a name that is no token", "9110 5.1", head(GET, b"X(: y"), 400),
    Rejected("an 8-bit name", "9110 5.1", head(GET, b"\xe9: y"), 400),
    Rejected("a folded line", "9112 5.2", head(GET, b"X: y\r\n z"), 400),
    Rejected("NUL in a value", "9110 5.5", head(GET, b"X: a\x00b"), 400),
    Rejected("a control byte in a value", "9110 5.5", head(GET, b"X: a\x01b"), 400),
    Rejected("DEL in a value", "9110 5.5", head(GET, b"X: a\x7fb"), 400),
    Rejected("a hundred and one fields", "9110 5.4", head(GET, *[b"X: y"] * 100), 431),
    Rejected("a head of 20 kB", "9110 5.4", head(GET, b"X: " + b"y" * 20_000), 431),
    Rejected("a value without an end", "9110 5.4", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000, 431),
    Rejected("a name without an end", "9110 5.4", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"y" * 20_000, 431),
    Rejected("blank lines without an end", "9112 2.2", b"\r\n" * 10_000, 431),
    # RFC 9112 6: bodies
    *(
        Rejected(f"Content-Length: {value.decode()}", "9110 8.6", sized(value, b"hello"), 400)
        for value in (b"+5", b"-5", b"5 5", b"5,5", b"5, 5", b"0x5", b"5_0", b"5.0", b"5;", b"", b"a", b"9" * 20, b"9" * 30)
    ),
    Rejected("a length with zeros without end", "9110 8.6", sized(b"0" * 30 + b"5", b"hello"), 400),
    Rejected("Content-Length in 8-bit digits", "9110 8.6", sized(b"\xb2", b"hello"), 400),
    Rejected("two lengths that differ", "9112 6.3", head(b"POST / HTTP/1.1", b"Content-Length: 5", b"Content-Length: 6"), 400),
    Rejected("two lengths that agree", "9112 6.3", head(b"POST / HTTP/1.1", b"Content-Length: 5", b"Content-Length: 5"), 400),
    Rejected("a length and a coding", "9112 6.3", head(b"POST / HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    Rejected("a coding and a length", "9112 6.3", head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n", 400),
    *(
        Rejected(f"Transfer-Encoding: {value.decode()!r}", "9112 6.1", head(b"POST / HTTP/1.1", b"Transfer-Encoding: " + value) + b"0\r\n\r\n", status)
        for value, status in (
            (b"gzip, chunked", 501), (b"foo, chunked", 501), (b"chunked, gzip", 400), (b"gzip", 501), (b"identity", 501),
            (b"xchunked", 501), (b"chunkedx", 501), (b"chunked, chunked", 400), (b",chunked", 501), (b"chunked,", 400),
            (b"chunked;a=b", 501), (b"\x0bchunked", 400), (b'"chunked"', 501), (b"", 400),
        )
    ),
    Rejected("a coding in two fields", "9112 6.1", head(b"POST / HTTP/1.1", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 501),
    Rejected("chunked twice", "9112 6.1", head(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    Rejected("a coding in HTTP/1.0", "9112 6.1", head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    Rejected("a coding in HTTP/1.0 that wants to stay", "9112 6.1", head(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked", b"Connection: keep-alive") + b"0\r\n\r\n", 400),
    Rejected("a space before the colon of a coding", "9112 5.1", head(b"POST / HTTP/1.1", b"Transfer-Encoding : chunked") + b"0\r\n\r\n", 400),
    # RFC 9112 7.1: chunked
    *(
        Rejected(f"the chunk {raw.decode('latin-1')!r}", "9112 7.1", chunked(raw), 400)
        for raw in (
            b"g\r\n", b"-1\r\n", b"+1\r\na\r\n", b"0x1\r\na\r\n", b"1_0\r\n", b"\r\n", b" 1\r\na\r\n", b"1 \r\na\r\n",
            b"1\ra\r\n0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n", b"1\r\na0\r\n\r\n", b"1\r\na\n0\r\n\r\n",
            b"1\r\na\r0\r\n\r\n", b"fffffffffffffffff\r\na", b"11111111111111111\r\na", b"\xb2\r\na\r\n",
            b"1;\x00\r\na\r\n", b"1;a\rb\r\na\r\n",
        )
    ),
    Rejected("a chunk size ended by LF", "9112 7.1", chunked(b"1\na\r\n0\r\n\r\n"), 400),
    Rejected("an extension ended by LF", "9112 7.1.1", chunked(b"1;a\nb\r\n0\r\n\r\n"), 400),
    Rejected("a last chunk ended by LF", "9112 7.1", chunked(b"0\n\r\n"), 400),
    Rejected("a body ended by LF", "9112 7.1", chunked(b"0\r\n\n"), 400),
    Rejected("a trailer without a colon", "9112 7.1.2", chunked(b"0\r\nX\r\n\r\n"), 400),
    Rejected("a folded trailer", "9112 7.1.2", chunked(b"0\r\nX: y\r\n z\r\n\r\n"), 400),
    Rejected("a length among the trailers", "9110 6.5.1", chunked(b"0\r\nContent-Length: 5\r\n\r\n"), 400),
    Rejected("a coding among the trailers", "9110 6.5.1", chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400),
    Rejected("an extension without an end", "9112 7.1.1", chunked(b"1;" + b"a" * 100_000), 400),
    Rejected("zeros without an end", "9112 7.1", chunked(b"0" * 100_000), 400),
    Rejected("a trailer without an end", "9112 7.1.2", chunked(b"0\r\nX: " + b"a" * 100_000), 400),
    Rejected("trailers without an end", "9112 7.1.2", chunked(b"0\r\n" + b"X: y\r\n" * 20_000), 400),
    # RFC 9110 10.1.1: expectations
    Rejected("an expectation nobody knows", "9110 10.1.1", head(b"POST / HTTP/1.1", b"Expect: 200-ok", b"Content-Length: 1") + b"a", 417),
    Rejected("one expectation too many", "9110 10.1.1", head(GET, b"Expect: 100-continue, x"), 417),
)  # fmt: skip
