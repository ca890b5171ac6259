"""How many connections there may be: in all, and of one client. It knows no socket."""

from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address

from sanicish.exceptions import SanicException, ServiceUnavailable
from sanicish.exchange import Exchange, Handler

__all__ = ["Places", "with_client_limit"]

_REFUSALS = 100  # connections above a limit that are told so at the same time; others are closed without a response
_SUBSCRIBER = 64  # bits of an IPv6 address that a provider assigns; the rest its customer chooses


def _client(address: str) -> str:
    """What counts as one client: an IPv4 address, or the network of an IPv6 address; empty if there is no address."""
    if ":" not in address:
        return address
    try:
        found = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or int(found) >> _SUBSCRIBER)


def _too_many(most: int) -> SanicException:
    return SanicException(f"more than {most} connections from one client; close some of them", 429)


class Places:
    """Counts connections; those above a limit take no place, but of them too there are only so many at a time."""

    def __init__(self, most: int | None, most_of_one: int | None) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken = 0
        self._of: dict[str, int] = {}
        self._refused = 0

    def take(self, address: str) -> str:
        """Take a place for a client's address, empty if it is not known; returns what to ``leave`` with.

        Raises ``ServiceUnavailable`` when there is none, 429 when the client has too many.
        """
        client = ""
        if self._most is not None and self._taken >= self._most:
            raise ServiceUnavailable("too many connections; try again later")
        if self._most_of_one is not None and (client := _client(address)):
            count = self._of.get(client, 0)
            if count >= self._most_of_one:
                raise _too_many(self._most_of_one)
            self._of[client] = count + 1
        self._taken += 1
        return client

    def leave(self, client: str) -> None:
        """Give a place back."""
        self._taken -= 1
        if client:
            _subtract(self._of, client)

    def refuse(self) -> bool:
        """Count a connection that gets no place; False if it has to be closed without a response."""
        if self._refused >= _REFUSALS:
            return False
        self._refused += 1
        return True

    def refused(self) -> None:
        """A connection that got no place is gone."""
        self._refused -= 1


def _subtract(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def with_client_limit(handler: Handler, most: int, client_of: Callable[[Exchange], str]) -> Handler:
    """A handler for servers behind a proxy, where many clients share a connection: counts a client's open requests."""
    counts: dict[str, int] = {}

    async def counted(exchange: Exchange, client: str) -> None:
        counts[client] = counts.get(client, 0) + 1
        try:
            await handler(exchange)
        finally:
            _subtract(counts, client)

    async def refused(exchange: Exchange) -> None:
        error = _too_many(most)
        exchange.send_whole(error.status_code, None, "text/plain; charset=utf-8", f"{error.message}\n".encode())

    def limited(exchange: Exchange) -> Awaitable[None]:
        client = _client(client_of(exchange))
        if not client:
            return handler(exchange)
        return refused(exchange) if counts.get(client, 0) >= most else counted(exchange, client)

    return limited
