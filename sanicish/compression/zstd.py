"""Zstandard (RFC 8878), with the extra ``zstd``; loaded on first use."""

import zstandard

from sanicish.compression.coders import MakeCoder

__all__ = ["maker"]


class _Zstd:
    """One stream; its compressor is its own, for one can write but one stream at a time."""

    __slots__ = ("_stream", "compress")

    def __init__(self, level: int, size: int | None) -> None:
        # Browsers read windows of at most 8 MiB (RFC 9659), which is more than any level below 20 takes.
        self._stream = zstandard.ZstdCompressor(level=level).compressobj(-1 if size is None else size)
        self.compress = self._stream.compress

    def flush(self) -> bytes:
        return self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._stream.flush()


def maker(level: int) -> MakeCoder:
    """What makes a coder of this level, 1 to 19; raises ``ValueError`` for another."""
    if not 1 <= level <= 19:
        raise ValueError(f"not a level: {level}")
    return lambda size: _Zstd(level, size)
