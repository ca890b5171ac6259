"""An application as a callable of ASGI 3: its exchanges, and its listeners by lifespan."""

from typing import Any, Protocol

from sanicish import life
from sanicish.asgi.call import AsgiCall, Receive, Scope, Send
from sanicish.config import Config
from sanicish.exchange import Handler
from sanicish.log import error_logger, logger

__all__ = ["Application", "Receive", "Scope", "Send", "answer_asgi"]


class Application(Protocol):
    """What an ASGI server needs of the application."""

    config: Config

    @property
    def handle(self) -> Handler: ...

    @property
    def listeners(self) -> dict[str, list[Any]]: ...

    async def run_listeners(self, event: str, /) -> None: ...

    def server_stopping(self) -> None: ...


class _AsgiServer:
    """Who accepts the requests: a server that does so before, between and after our listeners."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def accept(self) -> None: ...

    async def drain(self) -> None: ...

    async def accept_no_more(self) -> None: ...

    async def stop(self) -> None:
        self._app.server_stopping()


async def answer_asgi(app: Application, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one call of an ASGI server: a request, or all the life of the application."""
    kind = scope["type"]
    if kind == "http":
        await AsgiCall(app.handle, app.config, scope, receive, send).run()
    elif kind == "lifespan":
        await _live(app, receive, send)
    elif kind == "websocket":
        await receive()
        await send({"type": "websocket.close"})  # before it was accepted: the client sees a 403
    else:
        raise RuntimeError(f"not a scope of ASGI that is known here: {kind!r}")


async def _live(app: Application, receive: Receive, send: Send) -> None:
    """Run the listeners of start and stop; those of the main process have none here."""
    for event in ("main_process_start", "main_process_stop"):
        if app.listeners.get(event):
            logger.warning("no %s listener is called: the main process is that of an ASGI server", event)
    await receive()
    server = _AsgiServer(app)
    try:
        await life.start(app, server.accept)
    except Exception as error:
        error_logger.exception("the application could not be started")
        await life.stop(app, server, started=False)
        await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await life.stop(app, server)
    await send({"type": "lifespan.shutdown.complete"})
