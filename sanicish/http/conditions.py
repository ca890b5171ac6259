"""When a client's copy is good enough, or its wish out of date: validators and preconditions (RFC 9110 8.8, 13)."""

import os
import re
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any, NamedTuple

__all__ = ["Validators", "file_validators", "http_date", "precondition", "range_is_wanted"]

_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_SETTLED = 2.0  # seconds after which a file that changes again gets another time of modification, on any file system

Get = Callable[[str], Any]  # the value of a request's field, ``None`` if it has none


class Validators(NamedTuple):
    """What tells one state of a thing from another: ``etag`` as it is sent, ``modified`` in seconds since the epoch."""

    etag: str | None = None
    modified: float | None = None


def file_validators(found: os.stat_result) -> Validators:
    """Of a file, by when it was changed, and its size.

    Weak as long as it might change again without another time of modification (RFC 9110 8.8.1).
    """
    tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
    return Validators(tag if time() - found.st_mtime > _SETTLED else f"W/{tag}", found.st_mtime)


@lru_cache(maxsize=1_024)
def http_date(seconds: float) -> str:
    """A time as it stands in a field (RFC 9110 5.6.7)."""
    return formatdate(int(seconds), usegmt=True)


def _seconds(text: str) -> int | None:
    """A time out of a field; ``None`` if it is none, for such a field counts as not sent (RFC 9110 13.1.3)."""
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError):
        return None


def _strong_match(text: str, etag: str | None) -> bool:
    """RFC 9110 8.8.3.2: equal, and neither of them weak."""
    return etag is not None and etag in {match[0] for match in _TAG.finditer(text) if not match[1]}


def _weak_match(text: str, etag: str | None) -> bool:
    return etag is not None and etag.removeprefix("W/") in {
        match[0].removeprefix("W/") for match in _TAG.finditer(text)
    }


def precondition(method: str, get: Get, state: Validators) -> int | None:
    """The status that answers a request whose preconditions do not hold: 304 or 412; ``None`` if they hold.

    In the order of RFC 9110 13.2.2. ``state`` is of what is there.
    """
    reads = method in ("GET", "HEAD")
    wanted = get("if-match")
    if wanted is not None:
        if wanted.strip() != "*" and not _strong_match(wanted, state.etag):
            return 412
    else:
        since = get("if-unmodified-since")
        if since is not None and state.modified is not None:
            limit = _seconds(since)
            if limit is not None and int(state.modified) > limit:
                return 412
    known = get("if-none-match")
    if known is not None:
        if known.strip() == "*" or _weak_match(known, state.etag):
            return 304 if reads else 412
    elif reads and state.modified is not None:
        since = get("if-modified-since")
        if since is not None:
            limit = _seconds(since)
            if limit is not None and int(state.modified) <= limit:
                return 304
    return None


def range_is_wanted(get: Get, state: Validators) -> bool:
    """Whether ``Range`` counts: ``If-Range`` is missing, or names this very state (RFC 9110 13.1.5)."""
    condition = get("if-range")
    if condition is None:
        return True
    if '"' in condition:
        return _strong_match(condition.strip(), state.etag)
    # A date is a strong validator only once it cannot stand for two states (RFC 9110 8.8.2.2).
    if state.modified is None or state.etag is None or state.etag.startswith("W/"):
        return False
    return _seconds(condition) == int(state.modified)
