"""Decoders that read as far as there is something to read."""

import zlib

import brotli
import zstandard

ENCODINGS = ("gzip", "zstd", "br")


class Decoder:
    """Reads one encoding, piece by piece; ``whole`` once it has seen the end."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        if encoding == "gzip":
            self._stream = zlib.decompressobj(31)
            self.read = self._stream.decompress
        elif encoding == "zstd":
            self._stream = zstandard.ZstdDecompressor().decompressobj()
            self.read = self._stream.decompress
        else:
            self._stream = brotli.Decompressor()
            self.read = self._read_all

    def _read_all(self, data: bytes) -> bytes:
        """This one gives what it has a buffer at a time."""
        found = piece = self._stream.process(data)
        while piece:
            piece = self._stream.process(b"")
            found += piece
        return found

    @property
    def whole(self) -> bool:
        return self._stream.is_finished() if self._encoding == "br" else self._stream.eof


def decode(encoding: str, data: bytes) -> bytes:
    decoder = Decoder(encoding)
    found = decoder.read(data)
    assert decoder.whole
    return found
