"""Heads of requests of which no two are alike, as real clients send them, made from a seed."""

import random
from collections.abc import Callable

__all__ = ["api_heads", "browser_heads"]

_COUNT = 2_000


def api_heads() -> list[bytes]:
    """Those of a program: five fields, another path, query, cookie and request id each time."""
    return _heads(
        lambda dice: (
            b"GET /items/%d?full=yes&page=%d HTTP/1.1\r\nHost: api.example.org:8080\r\nUser-Agent: client/1.0\r\n"
            b"Accept: application/json\r\nCookie: session=%032x\r\nX-Request-ID: %032x\r\n\r\n"
            % (dice.randrange(10**6), dice.randrange(100), dice.getrandbits(128), dice.getrandbits(128))
        )
    )


def browser_heads() -> list[bytes]:
    """Those of a browser: eleven fields."""
    return _heads(
        lambda dice: (
            b"GET /items/%d?full=yes&page=%d HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive\r\n"
            b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
            b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
            b"Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://example.org/items/%d\r\nCookie: session=%032x\r\n"
            b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nDNT: 1\r\n\r\n"
            % (dice.randrange(10**6), dice.randrange(100), dice.randrange(10**6), dice.getrandbits(128))
        )
    )


def _heads(make: Callable[[random.Random], bytes]) -> list[bytes]:
    dice = random.Random(1)
    return [make(dice) for _ in range(_COUNT)]
