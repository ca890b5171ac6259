"""The roof: an application, and how one exchange is answered."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, ClassVar

from sanicish import log
from sanicish.blueprints import Blueprint, BlueprintGroup, Mounted
from sanicish.config import Config
from sanicish.exceptions import (
    ClientDisconnected,
    SanicException,
    ServerError,
    ServiceUnavailable,
)
from sanicish.exchange import Exchange, Outcome
from sanicish.handlers import ErrorHandler
from sanicish.lifecycle import Lifecycle
from sanicish.log import error_logger, logger
from sanicish.registry import ErrorDef, ListenerDef, MiddlewareDef, Registry, RouteDef, StaticDef
from sanicish.request import Request
from sanicish.response import BaseHTTPResponse, HTTPResponse
from sanicish.router import Route, RouteOptions, Router
from sanicish.server import AsyncioServer, HttpProtocol, Server, serve
from sanicish.static import static_routes
from sanicish.streams import EMPTY
from sanicish.testing import SanicTestClient

__all__ = ["Sanic"]

Definition = RouteDef | StaticDef | MiddlewareDef | ListenerDef | ErrorDef
Middleware = Callable[..., Any]


class Sanic(Registry):
    """An application: its routes, middleware, listeners and settings, and the server that serves it.

    ``name`` may be any string. Settings come from the defaults, ``config``, and the environment (``env_prefix``).
    """

    _apps: ClassVar[dict[str, "Sanic"]] = {}

    def __init__(
        self,
        name: str | None = None,
        config: Config | None = None,
        ctx: Any = None,
        error_handler: ErrorHandler | None = None,
        load_env: bool | str = True,
        env_prefix: str | None = "SANICISH_",
        request_class: type[Request] | None = None,
        strict_slashes: bool = False,
        log_config: dict[str, Any] | None = None,
        configure_logging: bool = True,
        dumps: Callable[..., Any] | None = None,
        loads: Callable[..., Any] | None = None,
        register: bool | None = None,
        is_request_stream: bool = True,
    ) -> None:
        self.name = name or "sanicish"
        self.config = config if config is not None else Config(env_prefix=env_prefix, load_env=load_env)
        self.ctx = ctx if ctx is not None else SimpleNamespace()
        self.error_handler = error_handler or ErrorHandler()
        self.request_class = request_class or Request
        self.strict_slashes = strict_slashes
        self.log_config = log_config
        self.configure_logging = configure_logging
        self.dumps = dumps
        self.loads = loads
        self.debug = False
        self.router = Router()
        self.blueprints: dict[str, Blueprint] = {}
        self.lifecycle = Lifecycle()
        self._request_middleware: list[Middleware] = []
        self._early_middleware: list[Middleware] = []
        self._response_middleware: list[Middleware] = []
        self._server: Server | None = None
        if register is not False:
            self._apps[self.name] = self

    def __repr__(self) -> str:
        return f"<Sanic {self.name}>"

    # Looking

    @classmethod
    def get_app(cls, name: str | None = None, *, force_create: bool = False) -> "Sanic":
        """An application by its name, or the only one there is; raises ``SanicException`` for none."""
        if name is None and len(cls._apps) == 1:
            return next(iter(cls._apps.values()))
        found = cls._apps.get(name or "")
        if found is None and force_create:
            return cls(name)
        if found is None:
            known = ", ".join(cls._apps) or "none"
            raise SanicException(f"there is no application named {name!r}; there are: {known}")
        return found

    @classmethod
    def register_app(cls, app: "Sanic") -> None:
        """Let ``get_app`` find an application."""
        cls._apps[app.name] = app

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop the application runs in; raises ``SanicException`` before it does."""
        if self.lifecycle.loop is None:
            raise SanicException("the loop is known once the server has started")
        return self.lifecycle.loop

    @property
    def is_running(self) -> bool:
        """Whether the application is being served."""
        return self.lifecycle.loop is not None

    @property
    def is_stopping(self) -> bool:
        """Whether the server was told to stop."""
        return self.lifecycle.stopping

    shutting_down = is_stopping

    @property
    def listeners(self) -> dict[str, list[Callable[..., Any]]]:
        """The functions to call at each event of the server's life."""
        return self.lifecycle.listeners

    @property
    def is_request_stream(self) -> bool:
        """True: every application can stream (Sanic, first years)."""
        return True

    @property
    def test_client(self) -> SanicTestClient:
        """A client that talks to the application over a real socket."""
        return SanicTestClient(self)

    def update_config(self, source: Any) -> None:
        """Take settings from a mapping, a path to a Python file, or an object."""
        self.config.update_config(source)

    # Being told

    def apply(self, definition: Definition) -> None:
        """Take a definition at once."""
        self._apply(definition, None)

    def blueprint(self, blueprint: Blueprint | BlueprintGroup | Iterable[Blueprint], **options: Any) -> None:
        """Mount a blueprint, a group, or several; ``url_prefix`` replaces its own prefix."""
        if isinstance(blueprint, Blueprint | BlueprintGroup):
            for mounted in blueprint.mounted(**options):
                self._mount(mounted)
        else:
            for one in blueprint:
                self.blueprint(one, **options)

    register_blueprint = blueprint

    def _mount(self, mounted: Mounted) -> None:
        known = self.blueprints.setdefault(mounted.blueprint.name, mounted.blueprint)
        if known is not mounted.blueprint:
            raise SanicException(f"a blueprint named {known.name} is mounted already")
        routes: list[Route] = []
        definitions = list(mounted.definitions())
        for definition in definitions:
            if isinstance(definition, RouteDef | StaticDef):
                routes += self._add_routes(definition)
        for definition in definitions:
            if not isinstance(definition, RouteDef | StaticDef):
                self._apply(definition, routes)

    def _apply(self, definition: Definition, routes: list[Route] | None) -> None:
        """Take a definition, for some routes or for all."""
        if isinstance(definition, RouteDef | StaticDef):
            self._add_routes(definition)
        elif isinstance(definition, MiddlewareDef):
            self._add_middleware(definition, routes)
        elif isinstance(definition, ListenerDef):
            self.lifecycle.add_listener(definition.listener, definition.event)
        else:
            names = None if routes is None else sorted({route.name for route in routes})
            for exception in definition.exceptions:
                self.error_handler.add(exception, definition.handler, names)

    def _add_routes(self, definition: RouteDef | StaticDef) -> list[Route]:
        if isinstance(definition, StaticDef):
            return [route for one in static_routes(definition) for route in self._add_routes(one)]
        uri = definition.uri or "/"
        if definition.version is not None:
            version = str(definition.version).removeprefix("v")
            uri = f"{definition.version_prefix}{version}{uri}"
        strict = definition.strict_slashes
        hosts = definition.host if isinstance(definition.host, tuple) else (definition.host,)
        routes = []
        for host in hosts:
            for method in sorted(definition.methods):
                route = Route(
                    uri,
                    method,
                    definition.handler,
                    name=definition.name,
                    host=host,
                    strict=bool(self.strict_slashes if strict is None else strict),
                    stream=definition.stream,
                    options=definition.options,
                    methods=definition.methods,
                )
                self.router.add(route)
                routes.append(route)
        return routes

    def _add_middleware(self, definition: MiddlewareDef, routes: list[Route] | None) -> None:
        if routes is not None:
            for route in routes:
                if definition.attach_to == "request":
                    route.request_middleware += (definition.middleware,)
                else:
                    route.response_middleware = (definition.middleware, *route.response_middleware)
        elif definition.attach_to == "response":
            self._response_middleware.insert(0, definition.middleware)
        elif definition.before_body:
            self._early_middleware.append(definition.middleware)
        else:
            self._request_middleware.append(definition.middleware)

    def url_for(self, view_name: str, **values: Any) -> str:
        """The path of a route by its name, parameters filled in and the rest as query.

        ``_external=True`` with ``_server`` (or ``SERVER_NAME``) and ``_scheme`` gives a whole address, ``_anchor`` a
        fragment, ``_method`` checks that the route has it. Raises ``URLBuildError``.
        """
        return self.router.url_for(view_name.removeprefix(f"{self.name}."), values, self.config.get("SERVER_NAME"))

    def add_task(self, task: Any, *, name: str | None = None) -> asyncio.Task[Any] | None:
        """Run a coroutine, or a function that makes one (of the app, if it takes it), beside the server.

        Before the server has started the task waits for it. It is cancelled when the server stops.
        """
        return self.lifecycle.add_task(self, task, name)

    # Answering

    async def handle(self, exchange: Exchange) -> None:
        """Answer one exchange, whatever happens."""
        request = self.request_class(exchange, self)
        try:
            await self._answer(request, exchange)
        except asyncio.CancelledError:
            if exchange.outcome is Outcome.COMPLETED:
                return  # HEAD, whose answer is complete before its handler is
            if exchange.cancel_reason == "timeout" and not exchange.started:
                await self._fail(request, exchange, ServiceUnavailable("Response Timeout"))
                return
            task = asyncio.current_task()
            if exchange.cancel_reason is None and task is not None and not task.cancelling():
                await self._fail(request, exchange, ServerError("something the handler waited for was cancelled"))
                return
            raise
        except ClientDisconnected as error:
            logger.debug("%s %s: %s", request.method, request.path, error)
            exchange.abort(Outcome.DISCONNECT)
        except Exception as error:
            await self._fail(request, exchange, error)

    async def _answer(self, request: Request, exchange: Exchange) -> None:
        head = exchange.head
        if head.target == b"*":
            exchange.send_whole(200, None, None, b"")
            return
        missing: SanicException | None = None
        try:
            host = request.host if self.router.has_hosts else None
            route, values = self.router.match(head.method, request.path, host)
        except SanicException as error:
            missing = error
        else:
            request.route = route
            request.match_info = values
        response = await self._run(self._early_middleware, request) if self._early_middleware else None
        if response is None and missing is None:
            self._take_options(route.options, exchange)
            if route.stream:
                request.stream = exchange.body
                self._limit_stream(request, exchange)
            elif exchange.body is not EMPTY and not route.options.ignore_body:
                await request.receive_body()
        if response is None and self._request_middleware:
            response = await self._run(self._request_middleware, request)
        if response is None:
            if missing is not None:
                raise missing
            if route.request_middleware:
                response = await self._run(route.request_middleware, request)
            if response is None:
                response = route.handler(request, **values)
                if hasattr(response, "__await__"):
                    response = await response
        await self._send(request, exchange, response)

    @staticmethod
    def _take_options(options: RouteOptions, exchange: Exchange) -> None:
        """What the route says of clocks and cancelling."""
        if options.shield:
            exchange.shielded = True

    @staticmethod
    def _limit_stream(request: Request, exchange: Exchange) -> None:
        """The size limit of a streamed body; one that the head announces is refused before a byte was read."""
        assert request.stream is not None and request.route is not None
        limit = request.route.options.max_body_size
        if exchange.body is not EMPTY:
            request.stream.limit(limit if limit is not None else request.stream.request_max_size)

    async def _run(self, middleware: Iterable[Middleware], request: Request) -> Any:
        """Call request middleware until one answers."""
        for function in middleware:
            response = function(request)
            if hasattr(response, "__await__"):
                response = await response
            if response is not None:
                return response
        return None

    async def run_response_middleware(self, request: Request, response: Any) -> Any:
        """Let response middleware see, change or replace a response before its head leaves."""
        own = request.route.response_middleware if request.route is not None else ()
        for function in (*own, *self._response_middleware):
            changed = function(request, response)
            if hasattr(changed, "__await__"):
                changed = await changed
            if changed is not None:
                response = changed
        return response

    async def _send(self, request: Request, exchange: Exchange, response: Any) -> None:
        begun = request._response
        if begun is not None:  # the handler answered by respond()
            if response is not None and response is not begun:
                error_logger.error("%s returned a response although it had answered by respond()", request.endpoint)
            if begun.streaming_fn is not None:
                await begun.streaming_fn(begun)
            await begun.eof()
            return
        if not isinstance(response, BaseHTTPResponse):
            response = self._to_response(request, response)
        if self._response_middleware or (request.route is not None and request.route.response_middleware):
            response = await self.run_response_middleware(request, response)
        if isinstance(response, HTTPResponse):
            response.send_to(exchange)
        else:
            await response.stream_to(exchange)

    def _to_response(self, request: Request, value: Any) -> BaseHTTPResponse:
        raise ServerError(
            f"Invalid response type {type(value).__name__} from {request.endpoint} (need HTTPResponse or stream())"
        )

    async def _fail(self, request: Request, exchange: Exchange, error: Exception) -> None:
        """Answer an error; one that comes after the head can only be shown by cutting the answer."""
        if exchange.started:
            self._cut(request, exchange, error)
            return
        try:
            response = await self.error_handler.response(request, error)
            request._response = None
            await self._send(request, exchange, response)
        except asyncio.CancelledError:
            raise
        except ClientDisconnected:
            exchange.abort(Outcome.DISCONNECT)
        except Exception as failure:
            self._cut(request, exchange, failure)

    def _cut(self, request: Request, exchange: Exchange, error: Exception) -> None:
        """End an answer that failed: by a page if nothing of it has left, else without an end."""
        if not exchange.started:
            self.error_handler.log(request, error)
            self.error_handler.default(request, error).send_to(exchange)
            return
        ended = exchange.outcome is not None
        error_logger.error(
            "%s %s failed %s",
            request.method,
            request.path,
            "after its answer" if ended else "after its answer had begun; it was cut",
            exc_info=error,
        )
        exchange.abort(Outcome.FAILED)

    # Being served

    async def run_listeners(self, event: str) -> None:
        """Call the listeners of an event; those of stopping in reverse order."""
        await self.lifecycle.run(self, event)

    def server_stopping(self) -> None:
        """The server closes: idle connections now, the others when they are done."""
        self.lifecycle.stopping = True

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool = False,
        ssl: Any = None,
        sock: Any = None,
        workers: int = 1,
        protocol: type[HttpProtocol] | None = None,
        backlog: int = 100,
        register_sys_signals: bool = True,
        access_log: bool | None = None,
        unix: str | None = None,
        motd: bool = True,
    ) -> None:
        """Serve until SIGINT or SIGTERM; by default on 127.0.0.1, port 8000."""
        self.debug = debug
        if self.configure_logging:
            log.configure(self.log_config)
        if debug:
            for one in (logger, error_logger):
                one.setLevel(logging.DEBUG)
        listen = {
            "host": host,
            "port": port,
            "unix": unix,
            "sock": sock,
            "ssl": ssl,
            "backlog": backlog,
            "protocol": protocol or HttpProtocol,
        }

        def ready(server: Server) -> None:
            self._server = server
            if motd and self.config.get("MOTD", True):
                place = server.url("https" if ssl else "http")
                logger.info("%s on %s (pid %d, Ctrl-C stops)", self.name, place, os.getpid())

        serve(self, listen, register_sys_signals=register_sys_signals, access_log=access_log, on_ready=ready)

    go_fast = run

    def stop(self) -> None:
        """Stop the server, gracefully; may be called from any thread."""
        if self._server is not None:
            self._server.loop.call_soon_threadsafe(self._server.ask_to_stop)

    async def create_server(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool = False,
        ssl: Any = None,
        sock: Any = None,
        protocol: type[HttpProtocol] | None = None,
        backlog: int = 100,
        access_log: bool | None = None,
        unix: str | None = None,
        return_asyncio_server: bool = True,
        asyncio_server_kwargs: dict[str, Any] | None = None,
    ) -> AsyncioServer:
        """A server inside the loop that runs now; it serves at once unless ``start_serving=False`` is among
        ``asyncio_server_kwargs``."""
        self.debug = debug
        options = dict(asyncio_server_kwargs or {})
        at_once = options.pop("start_serving", True)
        server = self._server = Server(self, access_log=access_log)

        async def start() -> None:
            await self.run_listeners("before_server_start")
            await server.start(
                host,
                port,
                unix=unix,
                sock=sock,
                ssl=ssl,
                backlog=backlog,
                protocol=protocol or HttpProtocol,
                **options,
            )
            await self.run_listeners("after_server_start")

        asyncio_server = AsyncioServer(server, start)
        if at_once:
            await asyncio_server.start_serving()
        return asyncio_server
