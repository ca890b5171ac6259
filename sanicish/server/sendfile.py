"""A file to a socket by the kernel, past the transport.

uvloop has no sendfile of its own. So the transport is drained, and ``os.sendfile`` writes to a duplicate of its
socket, woken by the loop. The transport goes on reading meanwhile, and tells when the client leaves.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from sanicish.exceptions import ResponseError
from sanicish.streams.files import warm
from sanicish.streams.flow import FlowControl

__all__ = ["can_send_files", "send_file"]

_BLOCK = 1 << 20  # bytes in one call: others get their turn in between


def can_send_files(transport: Any) -> bool:
    """Whether the kernel can write to this transport's socket: it is no TLS, and there is such a call."""
    return hasattr(os, "sendfile") and transport.get_extra_info("ssl_object") is None


async def send_file(
    loop: asyncio.AbstractEventLoop,
    transport: Any,
    flow: FlowControl,
    high: int,
    descriptor: int,
    offset: int,
    count: int,
    went: Callable[[int], None],
) -> None:
    """Send ``count`` bytes of an open file from ``offset`` on, behind what the transport was given.

    ``went`` is told how many bytes the kernel took, each time it took some.
    Raises ``ClientDisconnected``, or ``ResponseError`` if the file has become shorter.
    """
    try:
        transport.set_write_buffer_limits(high=0)  # it tells now if it is not empty, and when it is
        if flow.paused:
            await flow
        if flow.lost:
            await flow  # raises
        sock = os.dup(transport.get_extra_info("socket").fileno())
    finally:
        if not flow.lost:
            transport.set_write_buffer_limits(high=high)
    try:
        while count:
            size = min(count, _BLOCK)
            await warm(descriptor, offset, size)
            if flow.lost:
                await flow  # raises
            try:
                sent = os.sendfile(sock, descriptor, offset, size)
            except BlockingIOError:
                await _writable(loop, sock, flow)
                continue
            except (BrokenPipeError, ConnectionResetError):
                # Nothing else may notice: after the peer's FIN the transport neither reads nor writes.
                transport.abort()
                flow.connection_lost()
                await flow  # raises
            if not sent:
                raise ResponseError(f"the file became {count} bytes shorter while it was sent")
            offset += sent
            count -= sent
            went(sent)
            if flow.must_wait:
                await flow
    finally:
        os.close(sock)


async def _writable(loop: asyncio.AbstractEventLoop, sock: int, flow: FlowControl) -> None:
    """Wait until the socket takes more; timeouts see a writer that waits."""

    def ready() -> None:
        loop.remove_writer(sock)  # it stays ready until the turn of this writer
        flow.resume_writing()

    loop.add_writer(sock, ready)
    flow.pause_writing()
    flow.blocked = True
    try:
        await flow
    finally:
        flow.blocked = False
        loop.remove_writer(sock)
        if flow.paused:
            flow.resume_writing()
