"""Whether a response is compressed, and what its head says then.

A response that would be compressed for another client says ``Vary``, so that no cache gives one client what another
one asked for (RFC 9110 12.5.5).
"""

import re
from collections.abc import Iterable, Mapping

from sanicish.compression.coders import Coder, MakeCoder
from sanicish.constants import has_message_body
from sanicish.exchange import RequestHead
from sanicish.headers import Headers, split_tokens
from sanicish.http.negotiation import choose_encoding

__all__ = ["Policy"]

_EVENTS = "text/event-stream"
# What shrinks; images, films, archives and fonts for the web have been compressed already.
_SHRINKS = re.compile(
    r"text/.+"
    r"|application/(?:json|x-ndjson|ndjson|jsonl|json-seq|javascript|x-javascript|ecmascript|xml|xml-dtd|yaml|x-yaml|toml"
    r"|sql|graphql|rtf|wasm|x-sh|x-tar|x-www-form-urlencoded|vnd\.ms-fontobject|manifest)"
    r"|[^/]+/[^;]+\+(?:json|xml|yaml|text)"
    r"|image/(?:bmp|x-icon|vnd\.microsoft\.icon)|font/(?:ttf|otf|collection)"
)
# Someone has encoded it, or has told a digest of its bytes as they are.
_ENCODED = frozenset({"content-encoding", "content-digest", "digest", "content-md5"})


class Policy:
    """What an application has said of compression."""

    def __init__(
        self, coders: Mapping[str, MakeCoder], min_size: int, types: Iterable[str], events: bool, limit: int
    ) -> None:
        self._coders = coders
        self._names = tuple(coders)
        self._min_size = min_size  # bytes; what is smaller is hardly made less
        self._types = frozenset(one.lower() for one in types)
        self._events = events
        self.limit = limit  # bytes that may wait for their turn

    def look(
        self, head: RequestHead, status: int, headers: Headers | None, content_type: str | None, size: int | None
    ) -> tuple[Headers | None, Coder | None]:
        """The fields to send, and what compresses the body if anything does; ``size`` is its bytes, if known."""
        if headers is not None and "content-type" in headers:
            content_type = headers["content-type"]
        if status == 304:
            return self._not_modified(head, headers), None
        if not has_message_body(status) or not self._shrinks(content_type) or _is_closed(headers):
            return headers, None
        fields = Headers() if headers is None else headers.copy()
        _vary(fields)
        if head.method == "HEAD" or status == 206 or (size is not None and size < self._min_size):
            return fields, None
        name = self._wanted(head)
        if name is None:
            return fields, None
        fields["Content-Encoding"] = name
        _weaken(fields)
        for own in ("Content-Length", "Accept-Ranges"):  # both count bytes of what it was before
            if own in fields:
                del fields[own]
        return fields, self._coders[name](size)

    def _wanted(self, head: RequestHead) -> str | None:
        values = [value for name, value in head.fields if name == b"accept-encoding"]
        return choose_encoding(b",".join(values).decode("latin-1"), self._names) if values else None

    def _shrinks(self, content_type: str | None) -> bool:
        media_type = (content_type or "").partition(";")[0].strip().lower()
        if media_type == _EVENTS:
            return self._events
        return media_type in self._types or _SHRINKS.fullmatch(media_type) is not None

    def _not_modified(self, head: RequestHead, headers: Headers | None) -> Headers | None:
        """A 304 says what the 200 would have said (RFC 9110 15.4.5)."""
        if headers is None or "etag" not in headers or _is_closed(headers):
            return headers
        fields = headers.copy()
        _vary(fields)
        if self._wanted(head) is not None:
            _weaken(fields)
        return fields


def _is_closed(headers: Headers | None) -> bool:
    """Whether the application has said that the bytes are to leave as they are."""
    if not headers:
        return False
    if any(name in headers for name in _ENCODED):
        return True
    return "cache-control" in headers and "no-transform" in split_tokens(", ".join(headers.getall("cache-control")))


def _vary(fields: Headers) -> None:
    named = split_tokens(", ".join(fields.getall("vary")))
    if "*" not in named and "accept-encoding" not in named:
        fields.add("Vary", "Accept-Encoding")


def _weaken(fields: Headers) -> None:
    """The same thing, no more the same bytes (RFC 9110 8.8.1)."""
    tag = fields.get("etag")
    if tag is not None and not tag.startswith("W/"):
        fields["ETag"] = f"W/{tag}"
