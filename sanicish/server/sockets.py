"""The sockets that are listened on: where they come from, how they are told in words, and what they leave behind.

It knows no loop: who accepts from them is somebody else's business.
"""

import ctypes
import errno
import os
import select
import socket
import stat
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

__all__ = ["Listening"]

# A peer that vanished without a word is asked after by the kernel; connections inherit this from their listener.
_KEEP_ALIVE = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)]

# A filter of packets (Linux, socket(7), SO_ATTACH_FILTER): drop a TCP segment with SYN and without ACK, take all others.
_SO_ATTACH_FILTER = 26
_NO_SYN = [(0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # one of a host's addresses that this machine does not have


class Listening:
    """Sockets of one server; ``close`` takes the file of a unix socket away too, unless it is another's by now."""

    def __init__(self, sockets: Iterable[socket.socket], path: str | None = None, *, shared: bool = False) -> None:
        self.sockets = tuple(sockets)
        self._shared = shared  # others go on to listen on them
        self._path = path
        self._identity = _identity(path) if path else None
        for one in self.sockets:
            if one.family != socket.AF_UNIX:
                _ask_after_peers(one)

    @classmethod
    def on(
        cls,
        host: str | None,
        port: int | None,
        unix: str | None = None,
        sock: socket.socket | Iterable[socket.socket] | None = None,
        *,
        backlog: int = 100,
        mode: int | str = 0o660,
        **options: Any,
    ) -> "Listening":
        """Listen where one is told to: on sockets that are there, a unix socket, or all addresses of a host.

        By default on 127.0.0.1, port 8000; an empty host is every address of this machine. ``options`` are those of
        ``loop.create_server`` that speak of addresses. Raises ``OSError`` when an address cannot be had.
        """
        if sock is not None:
            return cls([sock] if isinstance(sock, socket.socket) else sock, shared=True)
        if unix is not None:
            number = mode if isinstance(mode, int) else int(mode, 8)
            return cls([_unix_socket(unix, backlog, number)], unix)
        host = "127.0.0.1" if host is None else host
        return cls(_tcp_sockets(host, 8000 if port is None else port, backlog, **options))

    @property
    def address(self) -> Any:
        """The address of the first socket: ``(host, port)``, or a path."""
        address = self.sockets[0].getsockname()
        return address[:2] if isinstance(address, tuple) else address

    def url(self, *, tls: bool) -> str:
        """Where a client finds the first of them."""
        address = self.address
        if not isinstance(address, tuple):
            return f"unix:{os.fsdecode(address)}"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if tls else 'http'}://{host}:{address[1]}"

    def turn_away(self) -> None:
        """Let no new connections be made, while those that were made can still be accepted.

        The system resets a connection that was made and not accepted when its socket is closed; a client that has sent
        a request by then cannot know whether it was carried out. Sockets of others are left alone.
        """
        if not self._shared:
            for one in self.sockets:
                if one.family != socket.AF_UNIX:
                    _drop_syn(one)
            self._remove()

    def has_waiting(self) -> bool:
        """Whether a connection was made and not accepted."""
        poll = select.poll()
        for one in self.sockets:
            poll.register(one, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Listen no more, and leave nothing behind."""
        for one in self.sockets:
            one.close()
        self._remove()

    def _remove(self) -> None:
        """Remove the file of a unix socket."""
        if self._path is not None and _identity(self._path) == self._identity:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        self._path = None


def _tcp_sockets(
    host: str,
    port: int,
    backlog: int,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
) -> list[socket.socket]:
    """A socket for every address that a host has; for port 0 all get the one that is free for the first."""
    found = socket.getaddrinfo(host or None, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    sockets: list[socket.socket] = []
    missing = None
    try:
        for kind, _, _, _, address in dict.fromkeys(found):
            if not port and sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            try:
                sockets.append(_tcp_socket(kind, address, backlog, reuse_address is not False, bool(reuse_port)))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                missing = OSError(error.errno, f"cannot bind {host!r}, {port}: {reason}")
                if error.errno not in _NOT_HERE:
                    raise missing from None
        if not sockets:
            raise missing or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _tcp_socket(kind: int, address: Any, backlog: int, again: bool, shared: bool) -> socket.socket:
    sock = socket.socket(kind, socket.SOCK_STREAM)
    try:
        if again and os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.AF_INET6:  # else :: takes 0.0.0.0 as well, and that is on the list itself
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _unix_socket(path: str, backlog: int, mode: int) -> socket.socket:
    """Listen on a unix socket; one that a dead server left behind is replaced, a living one never."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        _make_room(path)
        with suppress(OSError):  # where it works nobody else gets in between bind and chmod
            os.fchmod(sock.fileno(), 0o600)
        sock.bind(path)
        os.chmod(path, mode)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _make_room(path: str) -> None:
    try:
        kind = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(f"{path} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # its backlog is full: somebody is there, and busy
            pass
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, f"another server listens on {path}")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _ask_after_peers(listener: socket.socket) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _drop_syn(listener: socket.socket) -> None:
    """Answer no further SYN, where the system can do that; a client repeats it after a second, and is refused then."""
    if sys.platform == "linux":
        code = b"".join(struct.pack("HBBI", *one) for one in _NO_SYN)
        held = ctypes.create_string_buffer(code, len(code))
        program = struct.pack("HP", len(_NO_SYN), ctypes.addressof(held))
        with suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
