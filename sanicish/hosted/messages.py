"""The types of ASGI, and how an application is called."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sanicish.interruption import contained

__all__ = ["Asgi", "Message", "Receive", "Scope", "Send", "call"]

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[Any]]


async def call(application: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
    """Call an application; what it returns may be any awaitable, and it may raise before it returns one."""
    await contained(_called(application, scope, receive, send))


async def _called(application: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
    await application(scope, receive, send)
