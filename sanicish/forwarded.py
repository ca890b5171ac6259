"""What proxies say of the client: Forwarded (RFC 7239), X-Forwarded-* and a single header of one's own.

Only what a trusted proxy wrote counts: ``FORWARDED_SECRET`` proves a Forwarded element, ``PROXIES_COUNT`` says how
many addresses at the end of X-Forwarded-For are proxies' own work, ``REAL_IP_HEADER`` is set by the proxy alone.
Without these settings nothing a client sends is believed.
"""

import re
from typing import Any

from sanicish.config import Config
from sanicish.headers import Headers

__all__ = ["parse_forwarded"]

_TOKEN = r"([\w!#$%&'*+\-.^_`|~]+)"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(rf"\s*{_TOKEN}=(?:{_TOKEN}|{_QUOTED})\s*(?:([;,])|$)")


def parse_forwarded(headers: Headers, config: Config) -> dict[str, Any]:
    """What is known of the client: any of ``for``, ``by``, ``proto``, ``host``, ``port``, ``path``."""
    return _forwarded(headers, config.FORWARDED_SECRET) or _x_forwarded(headers, config)


def _forwarded(headers: Headers, secret: str | None) -> dict[str, Any]:
    """The element of ``Forwarded`` that carries our secret, or the last one that names it as ``by``."""
    if not secret:
        return {}
    for element in reversed(_elements(",".join(headers.getall("forwarded")))):
        if secret in (element.get("secret"), element.get("by")):
            return _tidy(element)
    return {}


def _elements(text: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = [{}]
    pos = 0
    while pos < len(text):
        pair = _PAIR.match(text, pos)
        if pair is None:
            return []  # what cannot be read is not believed
        name, token, quoted, separator = pair.groups()
        elements[-1][name.lower()] = token if token is not None else re.sub(r"\\(.)", r"\1", quoted)
        if separator == ",":
            elements.append({})
        pos = pair.end()
    return elements


def _x_forwarded(headers: Headers, config: Config) -> dict[str, Any]:
    address = headers.get(config.REAL_IP_HEADER) if config.REAL_IP_HEADER else None
    count = config.PROXIES_COUNT
    if not address and count:
        addresses = [a.strip() for a in ",".join(headers.getall(config.FORWARDED_FOR_HEADER)).split(",") if a.strip()]
        if len(addresses) >= count:
            address = addresses[-count]
    if not address:
        return {}
    found = {"for": address}
    for key, name in (("proto", "proto"), ("host", "host"), ("port", "port"), ("path", "path")):
        value = headers.get(f"x-forwarded-{name}")
        if key == "proto":
            value = headers.get("x-scheme") or value
        if value:
            found[key] = value
    return _tidy(found)


def _tidy(found: dict[str, str]) -> dict[str, Any]:
    tidy: dict[str, Any] = {}
    for key, value in found.items():
        if key in ("for", "by"):
            tidy[key] = _address(value)
        elif key in ("proto", "host"):
            tidy[key] = value.lower()
        elif key == "port":
            if value.isascii() and value.isdigit():
                tidy[key] = int(value)
        else:
            tidy[key] = value
    return tidy


def _address(text: str) -> str:
    """An address without port; IPv6 in brackets, as it stands in URLs."""
    text = text.lower()
    if text.startswith("_") or text == "unknown":
        return text
    if text.startswith("["):
        return text[: text.find("]") + 1]
    if text.count(":") > 1:
        return f"[{text}]"
    return text.partition(":")[0]
