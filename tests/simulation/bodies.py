"""Bytes that say whose they are: every body repeats the number of its exchange."""

from functools import lru_cache

__all__ = ["pattern"]


@lru_cache(maxsize=512)
def pattern(number: int, size: int, sign: bytes = b"r") -> bytes:
    """``size`` bytes that no other exchange has."""
    unit = b"%b%d." % (sign, number)
    return (unit * (size // len(unit) + 1))[:size]
