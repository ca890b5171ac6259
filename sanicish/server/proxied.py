"""Connections that come through a TCP proxy: its preamble is taken off the socket before anything else sees it.

So whatever comes behind, TLS too, is as if there were no proxy.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sanicish.log import error_logger, logger
from sanicish.server.preamble import BadPreamble, Preamble, PreambleParser

__all__ = ["ProxiedListener", "Trust"]

_AT_ONCE = 100  # connections that are accepted before others get their turn
_PAUSE = 1.0  # seconds without accepting when the process has no descriptor left
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PIECE = 4_096

Welcome = Callable[[socket.socket, Preamble], Awaitable[Any]]


class Trust:
    """Whose word counts: addresses and networks, ``*`` for everybody; whoever comes by a unix socket always."""

    def __init__(self, proxies: str | Iterable[str]) -> None:
        names = proxies.replace(",", " ").split() if isinstance(proxies, str) else list(proxies)
        self._all = "*" in names
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(name, False) for name in names if name != "*"]

    def __contains__(self, peer: Any) -> bool:
        if self._all or not isinstance(peer, tuple):
            return True
        address = ip_address(peer[0].partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class ProxiedListener:
    """Accepts from a listening socket; who is trusted and sends a preamble within ``patience`` seconds is welcome."""

    def __init__(
        self, sock: socket.socket, backlog: int, trust: Trust, patience: float | None, welcome: Welcome
    ) -> None:
        self._sock = sock
        self._trust = trust
        self._patience = patience
        self._welcome = welcome
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        sock.listen(backlog)
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept no more; who has not said yet who it is has to go."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._sock)
        for task in self._coming:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                error_logger.error("cannot accept for %g s: %s", _PAUSE, error.strerror)
                self._loop.remove_reader(self._sock)
                self._again = self._loop.call_later(_PAUSE, self._loop.add_reader, self._sock, self._accept)
                return
            sock.setblocking(False)
            if peer not in self._trust:
                logger.warning("%s is not among TRUSTED_PROXIES and may not speak the PROXY protocol", peer[0])
                sock.close()
                continue
            task = self._loop.create_task(self._take(sock, peer), name="preamble")
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    async def _take(self, sock: socket.socket, peer: Any) -> None:
        try:
            async with asyncio.timeout(self._patience):
                preamble = await self._read(sock)
            await self._welcome(sock, preamble)
        except (BadPreamble, TimeoutError, EOFError, OSError) as error:
            logger.debug("%s: closed: %s", peer[0] if peer else "unix", error or "no PROXY preamble came in time")
            sock.close()
        except BaseException:
            sock.close()
            raise

    async def _read(self, sock: socket.socket) -> Preamble:
        """The preamble and not a byte more, for what follows may be the beginning of TLS."""
        parser = PreambleParser()
        while parser.found is None:
            with suppress(BlockingIOError):
                if data := sock.recv(_PIECE, socket.MSG_PEEK):
                    sock.recv(parser.feed(data))
                    continue
                raise EOFError("left before its PROXY preamble")
            await self._readable(sock)
        return parser.found

    async def _readable(self, sock: socket.socket) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_reader(sock, tell)
        try:
            await ready
        finally:
            self._loop.remove_reader(sock)
