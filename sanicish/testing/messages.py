"""What a test's client sends and gets: a request as bytes, a response as it was framed on the wire."""

import json as json_module
from collections.abc import Iterable, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from httptools import HttpResponseParser

from sanicish.headers import Headers

__all__ = ["Pairs", "Sent", "TestResponse", "encode_request", "ends_at_head", "target_of"]

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]


class TestResponse:
    """A complete response; ``chunks`` are the pieces as they were framed on the wire."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 0
        self.headers = Headers()
        self.trailers = Headers()  # what arrived behind the body
        self.chunks: list[bytes] = []
        self.complete = False  # the message ended as HTTP says it must
        self.history: list[TestResponse] = []  # the redirects that led here
        self.parser = HttpResponseParser(self)
        self._open: list[bytes] | None = None  # the pieces of a chunk that is still coming
        self._fields = self.headers  # what is being read

    @property
    def status_code(self) -> int:
        """``status``, as others call it."""
        return self.status

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks)

    content = data = body

    @property
    def text(self) -> str:
        """The body as text, in the charset the response names."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.body.decode(charset.partition(";")[0].strip('" ') or "utf-8")

    @property
    def json(self) -> Any:
        """The body read as JSON, ``None`` if it is not."""
        try:
            return json_module.loads(self.body)
        except ValueError:
            return None

    @property
    def content_type(self) -> str | None:
        """The media type."""
        value: str | None = self.headers.get("content-type")
        return value

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that were set."""
        jar: SimpleCookie = SimpleCookie()
        for line in self.headers.getall("set-cookie"):
            jar.load(line)
        return {name: morsel.value for name, morsel in jar.items()}

    async def get_data(self, as_text: bool = False) -> Any:
        """The whole body, as bytes or as text (Quart's call)."""
        return self.text if as_text else self.body

    async def get_json(self) -> Any:
        """The body read as JSON (Quart's call)."""
        return self.json

    def iter_encoded(self) -> Iterable[bytes]:
        """The pieces of the body (Flask's call)."""
        return iter(self.chunks)

    # What httptools calls

    def on_status(self, status: bytes) -> None:
        self._fields = self.headers = Headers()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._fields = self.trailers

    def on_chunk_header(self) -> None:
        self._open = []

    def on_body(self, data: bytes) -> None:
        (self.chunks if self._open is None else self._open).append(data)

    def on_chunk_complete(self) -> None:
        self.close()

    def close(self) -> None:
        """Count what arrived of an open chunk as one."""
        pieces, self._open = self._open, None
        if pieces:
            self.chunks.append(b"".join(pieces))

    def on_message_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.complete = self.status >= 200  # what stands before the response (100 Continue) is not it


class Sent(NamedTuple):
    """A request as bytes."""

    head: bytes
    body: bytes


def ends_at_head(method: str, status: int) -> bool:
    """Whether a response has no body whatever its fields say (RFC 9112 6.3, rule 1); interim ones are no responses here."""
    return status >= 200 and (method == "HEAD" or status in (204, 304))


def encode_request(
    method: str,
    target: str,
    headers: Pairs | None,
    data: Any,
    json: Any,
    files: Pairs | None,
    cookies: Mapping[str, str] | None,
    host: str,
) -> Sent:
    """A request as bytes; ``data`` is bytes, text, or the fields of a form."""
    fields = Headers({"Host": host, "Accept": "*/*", "User-Agent": "sanicish-testing"})
    body = b""
    if json is not None:
        body = json_module.dumps(json).encode()
        fields["Content-Type"] = "application/json"
    elif files is not None:
        boundary = uuid4().hex
        body = _multipart(data or {}, files, boundary)
        fields["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    elif isinstance(data, Mapping | list | tuple):
        body = urlencode(list(_pairs(data)), doseq=True).encode()
        fields["Content-Type"] = "application/x-www-form-urlencoded"
    elif data is not None:
        body = data.encode() if isinstance(data, str) else bytes(data)
    if cookies:
        fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    if body or method in ("POST", "PUT", "PATCH"):
        fields["Content-Length"] = str(len(body))
    given = Headers(headers)
    for name in given:
        fields.pop(name, None)
    fields.extend(given.items())
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return Sent(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"), body)


def _multipart(data: Pairs, files: Pairs, boundary: str) -> bytes:
    parts = [
        f"{_disposition(name)}\r\n\r\n{one}".encode()
        for name, value in _pairs(data)
        for one in (value if isinstance(value, list | tuple) else (value,))
    ]
    for name, given in _pairs(files):
        filename, content, *kind = given if isinstance(given, tuple) else (getattr(given, "name", name), given)
        content = content.read() if hasattr(content, "read") else content
        head = f'{_disposition(name)}; filename="{_quoted(Path(filename).name)}"\r\n'
        head += f"Content-Type: {kind[0] if kind else 'application/octet-stream'}\r\n\r\n"
        parts.append(head.encode() + (content.encode() if isinstance(content, str) else content))
    return b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts) + b"--%b--\r\n" % boundary.encode()


def _disposition(name: str) -> str:
    return f'Content-Disposition: form-data; name="{_quoted(name)}"'


def _quoted(name: str) -> str:
    """A name as browsers write it (HTML, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _pairs(given: Pairs) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else given


_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))  # RFC 9110 5.5, VCHAR: all that goes as it is written


def target_of(uri: str, params: Pairs | None = None) -> str:
    """Path and query of an address, as they stand in a request line; blanks and letters beyond ASCII are encoded."""
    parts = urlsplit(uri)
    target = parts.path or "/"
    query = "&".join(filter(None, (parts.query, urlencode(list(_pairs(params)), doseq=True) if params else "")))
    return quote(f"{target}?{query}" if query else target, safe=_VISIBLE)
