"""What proxies say of the client: Forwarded (RFC 7239), X-Forwarded-* and a single header of one's own.

Only what a trusted proxy wrote counts. ``FORWARDED_SECRET`` proves a Forwarded element, ``PROXIES_COUNT`` says how
many addresses at the end of X-Forwarded-For proxies have added, ``REAL_IP_HEADER`` is set by the proxy alone. Other
X-Forwarded fields could be the client's own, so ``FORWARDED_FIELDS`` names those that the proxies set or remove.
Without these settings nothing that a client sends is believed.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sanicish.config import Config, words
from sanicish.grammar import TOKEN
from sanicish.headers import Headers

__all__ = ["forwarded_client", "is_proxied", "parse_forwarded"]

# A pair of an element, read from its end: what our proxy added stands there, and no quote that a client left open
# before it can swallow it.
_PAIR_BACKWARDS = re.compile(rf'\s*(?:({TOKEN})|"([^"]*)")=({TOKEN})\s*(?:([;,])|$)', re.ASCII)
_BETWEEN = re.compile(r"[\s,]*", re.ASCII)

_SCHEMES = frozenset({"http", "https", "ws", "wss"})
_X_FIELDS = {
    "proto": ("x-forwarded-proto", "x-scheme"),
    "host": ("x-forwarded-host",),
    "port": ("x-forwarded-port",),
    "path": ("x-forwarded-path",),
}


def is_proxied(config: Config) -> bool:
    """Whether anything that proxies say is believed."""
    return bool(config.FORWARDED_SECRET or config.REAL_IP_HEADER or config.PROXIES_COUNT)


def parse_forwarded(headers: Headers, config: Config) -> dict[str, Any]:
    """What is known of the client: any of ``for``, ``by``, ``proto``, ``host``, ``port``, ``path``."""
    return _forwarded(headers, config.FORWARDED_SECRET) or _x_forwarded(headers, config)


def forwarded_client(fields: Iterable[tuple[bytes, bytes]], config: Config) -> str:
    """The address of the client that a trusted proxy names in these fields, empty if none does."""
    address: str = parse_forwarded(Headers.from_raw(fields), config).get("for", "")
    return address


def _forwarded(headers: Headers, secret: object) -> dict[str, Any]:
    """The last element of ``Forwarded`` that carries our secret, or names it as ``by``."""
    if secret:
        for element in _elements(",".join(headers.getall("forwarded"))):
            if str(secret) in (element.pop("secret", None), element.get("by")):
                return _tidy(element)
    return {}


def _elements(text: str) -> Iterator[dict[str, str]]:
    """The elements, the last one first; they end at what cannot be read."""
    text = text[::-1]
    element: dict[str, str] = {}
    pos = 0
    while pos < len(text):
        if not element and (between := _BETWEEN.match(text, pos)):
            pos = between.end()
        pair = _PAIR_BACKWARDS.match(text, pos)
        if pair is None:
            return
        token, quoted, name, separator = pair.groups()
        value = token[::-1] if token is not None else re.sub(r"\\(.)", r"\1", quoted[::-1])
        element.setdefault(name[::-1].lower(), value)
        pos = pair.end()
        if separator != ";":
            yield element
            element = {}


def _x_forwarded(headers: Headers, config: Config) -> dict[str, Any]:
    told = headers.getall(config.REAL_IP_HEADER) if config.REAL_IP_HEADER else None
    address = told[-1] if told else None  # a proxy that adds instead of setting adds behind the client's own
    count = config.PROXIES_COUNT or 0
    if not address and count > 0:
        addresses = _members(headers, config.FORWARDED_FOR_HEADER)
        address = addresses[-count] if len(addresses) >= count else None
    if not address:
        return {}
    found = {"for": address}
    for key in words(config.FORWARDED_FIELDS):
        if (value := _vouched(headers, key, max(count, 1))) is not None:
            found[key] = value
    return _tidy(found)


def _vouched(headers: Headers, key: str, count: int) -> str | None:
    """What the proxies say under ``X-Forwarded-``: the one value that they set, or the one that the outermost added.

    Values in front of that one are the client's. Fewer than one for each proxy, but more than one, may be so too.
    """
    for name in _X_FIELDS[key]:
        if values := headers.getall(name) if key == "path" else _members(headers, name):
            return values[0] if len(values) == 1 else values[-count] if len(values) >= count else None
    return None


def _members(headers: Headers, name: str) -> list[str]:
    """The members of a list that may be spread over several fields."""
    return [member for part in headers.getall(name) for one in part.split(",") if (member := one.strip(" \t"))]


def _tidy(found: dict[str, str]) -> dict[str, Any]:
    tidy: dict[str, Any] = {}
    for key, value in found.items():
        if key in ("for", "by"):
            if address := _address(value):
                tidy[key] = address
        elif key == "proto":
            if value.lower() in _SCHEMES:
                tidy[key] = value.lower()
        elif key == "host":
            tidy[key] = value.lower()
        elif key == "port":
            if value.isascii() and value.isdigit() and len(value) <= 5 and 0 < int(value) < 65_536:
                tidy[key] = int(value)
        else:
            tidy[key] = value
    return tidy


def _address(text: str) -> str:
    """An address without port, IPv6 in brackets as it stands in URLs; empty for one that says nothing."""
    if text.startswith("["):
        return text[: text.find("]") + 1].lower()
    if text.count(":") > 1:
        return f"[{text.lower()}]"
    name = text.partition(":")[0]
    if name.startswith("_"):
        return name  # obfuscated on purpose (RFC 7239 6.3)
    return "" if name.lower() == "unknown" else name.lower()
