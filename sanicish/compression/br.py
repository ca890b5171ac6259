"""Brotli (RFC 7932), with the extra ``br``; loaded on first use."""

import brotli

from sanicish.compression.coders import MakeCoder

__all__ = ["maker"]

_WINDOW = 19  # 512 KiB: what is streamed repeats itself within less


class _Brotli:
    """One stream."""

    __slots__ = ("_stream", "compress", "finish", "flush")

    def __init__(self, level: int) -> None:
        self._stream = brotli.Compressor(quality=level, lgwin=_WINDOW)
        self.compress = self._stream.process
        self.flush = self._stream.flush
        self.finish = self._stream.finish


def maker(level: int) -> MakeCoder:
    """What makes a coder of this level, 0 to 11."""
    return lambda size: _Brotli(level)
