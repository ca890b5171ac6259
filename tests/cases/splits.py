"""The four ways in which the bytes of a case arrive; none of them may make a difference."""

import random
from itertools import pairwise

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"

WAYS = ("whole", "byte by byte", "split at random", "with the next request behind it")


def split(raw: bytes, way: str) -> list[bytes]:
    """The pieces in which ``raw`` arrives."""
    if way == "whole":
        return [raw]
    if way == "byte by byte":
        return [raw[i : i + 1] for i in range(len(raw))]
    if way == "split at random":
        dice = random.Random(raw)
        cuts = sorted({0, len(raw), *(dice.randrange(len(raw)) for _ in range(1 + len(raw) // 16))})
        return [raw[start:end] for start, end in pairwise(cuts)]
    return [raw + NEXT]
