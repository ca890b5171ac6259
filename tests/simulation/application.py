"""The application that all worlds are served by, one after the other."""

from contextvars import ContextVar
from functools import cache

from sanicish import Sanic
from sanicish.response import HTTPResponse, StreamingHTTPResponse
from tests.simulation import handlers, uploads
from tests.simulation.kinds import KINDS, note

__all__ = ["the_app"]

_OWNER: ContextVar[int] = ContextVar("owner")

assert handlers and uploads  # they make the kinds


def _wrapped(function):
    async def handler(request, number: int):
        world = request.app.ctx.world
        record = world.begin(request, number)
        if _OWNER.get(None) is not None:
            record.fail("context", f"exchange {number} began in the context of {_OWNER.get()}")
        _OWNER.set(number)
        try:
            response = function(request, world.specs[number], record)
            if hasattr(response, "__await__"):
                response = await response
            if isinstance(response, HTTPResponse | StreamingHTTPResponse):
                note(response, record)
            return response
        finally:
            record.ended += 1
            world.see_left(request, record)

    return handler


@cache
def the_app():
    """The application; its ``ctx.world`` is the world that runs."""
    app = Sanic("simulation", configure_logging=False, register=False, load_env=False)
    for name, (function, options) in KINDS.items():
        handler = _wrapped(function)
        app.add_route(handler, f"/{name}/<number:int>", methods=["GET", "POST", "HEAD"], name=name, **options)
    return app
