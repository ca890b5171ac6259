"""Accepts connections that have something to do before HTTP: to name their client by a PROXY preamble, to shake hands.

They count as connections meanwhile and have one timeout for all of it. The preamble is taken off the socket before
anything else sees it, so whatever comes behind it, TLS too, is as if there were no proxy.
"""

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Protocol

from sanicish.config import words
from sanicish.log import error_logger, logger
from sanicish.server.protocol import HttpProtocol
from sanicish.server.proxy_protocol import BadPreamble, Preamble, PreambleParser
from sanicish.server.shortage import EXHAUSTED

__all__ = ["Listener", "Trust"]

_AT_ONCE = 100  # connections that are accepted before others get their turn
_PAUSE = 1.0  # seconds without accepting when the process has no descriptor left
_LAST_HANDSHAKE = 0.5  # seconds to end a handshake for, when no more connections are accepted
_PIECE = 4_096


class Trust:
    """Whose word counts: addresses and networks, ``unix`` for peers of unix sockets, ``*`` for everybody."""

    def __init__(self, proxies: str | Iterable[str]) -> None:
        names = words(proxies)
        self._all = "*" in names
        self._unix = "unix" in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name, False) for name in names if name not in ("*", "unix")
        ]

    def __contains__(self, peer: Any) -> bool:
        if self._all or not isinstance(peer, tuple):
            return self._all or self._unix
        address = ip_address(peer[0].partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class Host(Protocol):
    """Who counts the connections."""

    def arrived(self, protocol: HttpProtocol, address: str, /) -> bool: ...

    def named(self, protocol: HttpProtocol, address: str, /) -> None: ...

    def vanished(self, protocol: HttpProtocol, /) -> None: ...

    def exhausted(self, error: OSError, /) -> None: ...


class Listener:
    """Accepts from one listening socket.

    With ``trust``, each connection begins with a preamble, which only trusted peers may send. ``options`` go to
    ``loop.connect_accepted_socket``, ``ssl`` among them. A connection that is not ready for HTTP within ``patience``
    seconds is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        backlog: int,
        host: Host,
        factory: Callable[[], HttpProtocol],
        *,
        trust: Trust | None = None,
        patience: float | None = None,
        options: Mapping[str, Any],
    ) -> None:
        self._sock = sock
        self._host = host
        self._factory = factory
        self._trust = trust
        self._patience = patience
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._coming: dict[asyncio.Task[None], HttpProtocol] = {}
        self._shaking: set[HttpProtocol] = set()  # hands, or is about to speak HTTP
        self._again: asyncio.TimerHandle | None = None
        sock.setblocking(False)
        sock.listen(backlog)
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept no more. Connections without a preamble are closed; handshakes have a moment to end."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._sock)
        for task, protocol in self._coming.items():
            if protocol in self._shaking:
                self._loop.call_later(_LAST_HANDSHAKE, task.cancel)
            else:
                task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                self._host.exhausted(error)
                self._loop.remove_reader(self._sock)
                self._again = self._loop.call_later(_PAUSE, self._loop.add_reader, self._sock, self._accept)
                return
            sock.setblocking(False)
            if self._trust is not None and peer not in self._trust:
                name = peer[0] if isinstance(peer, tuple) else "unix"
                logger.warning("%s is not among TRUSTED_PROXIES and may not speak the PROXY protocol", name)
                sock.close()
                continue
            protocol = self._factory()
            address = peer[0] if isinstance(peer, tuple) and self._trust is None else ""
            if not self._host.arrived(protocol, address):
                sock.close()
                continue
            task = self._loop.create_task(self._take(sock, protocol), name="arrival")
            self._coming[task] = protocol
            task.add_done_callback(partial(self._taken, sock, peer))

    async def _take(self, sock: socket.socket, protocol: HttpProtocol) -> None:
        async with asyncio.timeout(self._patience):
            if self._trust is not None:
                protocol.names = await self._read(sock)
                source = protocol.names[0]
                self._host.named(protocol, source[0] if isinstance(source, tuple) else "")
            self._shaking.add(protocol)
            await self._loop.connect_accepted_socket(lambda: protocol, sock, **self._options)

    def _taken(self, sock: socket.socket, peer: Any, task: asyncio.Task[None]) -> None:
        protocol = self._coming.pop(task)
        self._shaking.discard(protocol)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return
        self._host.vanished(protocol)
        sock.close()
        who = peer[0] if peer else "unix"
        if isinstance(error, BadPreamble | TimeoutError | EOFError | OSError | asyncio.CancelledError):
            logger.debug("%s: closed before HTTP: %s", who, error or "it was not ready in time")
        else:
            error_logger.error("%s: a connection could not be taken", who, exc_info=error)

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
