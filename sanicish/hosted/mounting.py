"""Where a hosted application is mounted, and what it is told of a request."""

import inspect
import re
from functools import partial
from typing import Any
from urllib.parse import unquote

from sanicish.constants import HTTP_METHODS
from sanicish.hosted.cycle import Cycle
from sanicish.hosted.lifespan import Lifespan
from sanicish.hosted.messages import Asgi, Scope
from sanicish.registration.registry import Registry
from sanicish.request import Request
from sanicish.response import HTTPResponse

__all__ = ["Asgi", "is_asgi", "mount", "takes_messages"]

# All that a parser takes for a method, and an application may answer; CONNECT asks for a tunnel (RFC 9110 9.3.6).
_MORE_METHODS = (
    "TRACE QUERY PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK SEARCH REPORT MKCALENDAR ACL BIND UNBIND REBIND LINK "
    "UNLINK PURGE NOTIFY SUBSCRIBE UNSUBSCRIBE M-SEARCH MERGE CHECKOUT MKACTIVITY SOURCE"
)
_METHODS = (*HTTP_METHODS, *_MORE_METHODS.split())
_ARGUMENTS = ("scope", "receive", "send")
_BELOW = "__below__"  # the parameter that takes what lies below a mount


def mount(registry: Registry, path: str, application: Asgi, name: str, options: dict[str, Any]) -> None:
    """Let an ASGI application answer ``path`` and all paths below it, and run its lifespan with the server.

    ``options`` are those of a route, and two more. ``shield``: by default a client that leaves cancels the application
    only if it is streaming and waits neither in ``receive`` nor in ``send``; True never cancels it, False always.
    ``spec_version`` is the version of ASGI to announce. Raises ``ValueError`` for one that is none.
    """
    path = f"/{path.strip('/')}".rstrip("/")
    options = dict(options)
    shield = options.pop("shield", None)
    spec_version = options.pop("spec_version", None)
    if spec_version is not None and re.fullmatch(r"[0-9]+\.[0-9]+", str(spec_version)) is None:
        raise ValueError(f"spec_version is a version such as '2.3', not {spec_version!r}")
    lifespan = Lifespan(application)
    registry.register_listener(lifespan.start, "before_server_start")
    registry.register_listener(lifespan.stopping, "before_server_stop")
    registry.register_listener(lifespan.stop, "after_server_stop")
    host = Host(application, lifespan, name, shield is None, spec_version)
    options = {"methods": _METHODS, "stream": True, "strict_slashes": True, "name": name, **options}
    options["shield"] = shield is not False
    if path:
        registry.add_route(host, path, **options)
    registry.add_route(host, f"{path}/<{_BELOW}:.*>", **options)


def is_asgi(found: Any) -> bool:
    """Whether an object looks like an ASGI 3 application: called with scope, receive and send, it can be awaited."""
    if not callable(found):
        return False
    parameters = _parameters(found)
    if inspect.isclass(found):  # its instances are what is awaited
        return hasattr(found, "__await__") and _fits(parameters)
    called = found if inspect.isroutine(found) or isinstance(found, partial) else found.__call__
    if inspect.iscoroutinefunction(inspect.unwrap(called)):
        return _fits(parameters)
    return not inspect.isroutine(found) and len(parameters) == len(_ARGUMENTS) and _fits(parameters)


def takes_messages(found: Any) -> bool:
    """Whether an object can be called with scope, receive and send, whatever it is."""
    return callable(found) and _fits(_parameters(found))


def _parameters(found: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a call; those of its own ``__call__`` for an object whose class has only a place for one."""
    for one in (found, found.__call__):
        try:
            return dict(inspect.signature(one).parameters)
        except (TypeError, ValueError):
            continue
    return {}


def _fits(parameters: dict[str, inspect.Parameter]) -> bool:
    try:
        inspect.Signature(list(parameters.values())).bind(*_ARGUMENTS)
    except TypeError:
        return False
    return True


class Host:
    """The handler of a mount."""

    def __init__(
        self, application: Asgi, lifespan: Lifespan, name: str, cancel_streams: bool, spec_version: str | None
    ) -> None:
        self._application = application
        self._lifespan = lifespan
        self._cancel_streams = cancel_streams
        self._spec_version = spec_version
        self.__name__ = name

    async def __call__(self, request: Request, **values: str) -> HTTPResponse | None:
        scope = _scope(request, self._lifespan.state)
        cycle = Cycle(request, scope, self._lifespan, self._cancel_streams, self._spec_version)
        return await cycle.run(self._application)


def _scope(request: Request, state: dict[str, Any]) -> Scope:
    assert request.uri_template is not None
    literal = request.uri_template.partition(f"<{_BELOW}:")[0]
    depth = literal.rstrip("/").count("/") + 1
    info = request.conn_info
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": request.version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(request.path),
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query_string.encode("latin-1"),
        "root_path": unquote("/".join(request.path.split("/")[:depth])),
        "headers": request.raw_headers,
        "client": (request.remote_addr, 0)
        if request.remote_addr
        else (request.ip, request.port)
        if request.ip
        else None,
        "server": (info.server, info.server_port or None),
        "state": state.copy(),
        "extensions": {"http.response.early_hint": {}, "http.response.pathsend": {}},
    }
