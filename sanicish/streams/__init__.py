"""Streams of bytes: request bodies as they arrive, flow control, files, and iterators that run in threads."""

from sanicish.streams.incoming import EMPTY, RequestStream

__all__ = ["EMPTY", "RequestStream"]
