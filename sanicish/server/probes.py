"""Health and readiness, for who sits in front of several servers (HAProxy, Kubernetes).

They are answered before the application is asked, so that no middleware of its own can refuse them.
"""

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from sanicish.exchange import Exchange, Handler
from sanicish.headers import Headers

__all__ = ["with_probes"]

_HEADERS = Headers({"Cache-Control": "no-store"})


class Probed(Protocol):
    """What is asked of the server."""

    @property
    def state(self) -> str: ...


def with_probes(handler: Handler, server: Probed, config: Mapping[str, Any]) -> Handler:
    """A handler that answers ``HEALTH_PATH`` and ``READY_PATH`` itself; the same one if neither is set.

    Health is 200 until the server begins to stop; readiness also waits for the listeners of the start.
    """
    fit = {config["HEALTH_PATH"]: ("starting", "serving"), config["READY_PATH"]: ("serving",)}
    fit.pop(None, None)
    if not fit:
        return handler

    async def answer(exchange: Exchange) -> None:
        state = server.state
        status = 200 if state in fit[exchange.head.path] else 503
        exchange.send_whole(status, _HEADERS, "text/plain; charset=utf-8", f"{state}\n".encode())

    def probing(exchange: Exchange) -> Awaitable[None]:
        if exchange.head.path in fit and exchange.head.method in ("GET", "HEAD"):
            return answer(exchange)
        return handler(exchange)

    return probing
