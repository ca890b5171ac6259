"""The roof: an application, what it was told, and the server that serves it.

How one exchange is answered stands in ``answering``; what can be registered, in ``registry``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

from sanicish import log
from sanicish.answering import answer, pass_response, prepare
from sanicish.asgi.application import Receive, Scope, Send, answer_asgi
from sanicish.blueprints import Blueprint, BlueprintGroup, Mounted
from sanicish.compression.exchange import Compression
from sanicish.config import Config
from sanicish.context import current_id, finding_request
from sanicish.debug.advisor import Advisor
from sanicish.exceptions import SanicException
from sanicish.exchange import Answer, Exchange
from sanicish.handlers import ErrorHandler
from sanicish.hosted import Asgi, mount
from sanicish.live.open_exchanges import OpenStream, open_streams
from sanicish.log import error_logger, logger
from sanicish.registration.definitions import Definition, ListenerDef, MiddlewareDef, RouteDef, SignalDef, StaticDef
from sanicish.registration.lifecycle import Lifecycle
from sanicish.registration.registry import Registry
from sanicish.request import Request
from sanicish.router import Route, Router
from sanicish.server import AsyncioServer, HttpProtocol
from sanicish.server.running import Serving, directories, listening, worker_count
from sanicish.server.serve import new_loop
from sanicish.signals import SERVER_SIGNALS, Signals
from sanicish.static import static_routes
from sanicish.templates import Templates
from sanicish.testing import SanicTestClient

__all__ = ["Sanic"]


class Sanic(Registry):
    """An application: its routes, middleware, listeners and settings, and the server that serves it.

    ``name`` may be any string. Settings come from the defaults and the environment (``env_prefix``); a ``Config`` of
    your own is taken as it is, any other mapping is laid over the defaults.
    """

    _apps: ClassVar[dict[str, "Sanic"]] = {}

    def __init__(
        self,
        name: str | None = None,
        config: Config | Mapping[str, Any] | None = None,
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
        self.config = config if isinstance(config, Config) else Config(config, env_prefix, load_env)
        self.ctx = ctx if ctx is not None else SimpleNamespace()
        self.error_handler = error_handler or ErrorHandler()
        self.request_class = request_class or Request
        self.strict_slashes = strict_slashes
        self.log_config = log_config
        self.configure_logging = configure_logging
        self.dumps = dumps
        self.loads = loads
        self.debug = False
        self._advisor: Advisor | None = None
        self.compression: Compression | None = None
        self._answer: Answer = answer
        self.router = Router(self.name)
        self.blueprints: dict[str, Blueprint] = {}
        self.lifecycle = Lifecycle()
        self.watchers: list[Callable[[Exchange], None]] = []  # told of every exchange when its handler begins
        self.templates = Templates(self)
        self.early_middleware: list[Callable[..., Any]] = []
        self.request_middleware: list[Callable[..., Any]] = []
        self.response_middleware: list[Callable[..., Any]] = []
        self.signals = Signals(self)
        self._serving = Serving(self)
        if register is not False:
            self._apps[self.name] = self

    def __repr__(self) -> str:
        return f"<Sanic {self.name}>"

    # Looking

    @classmethod
    def get_app(cls, name: str | None = None, *, force_create: bool = False) -> "Sanic":
        """An application by its name, or the only one there is; raises ``SanicException`` for none.

        ``force_create`` makes one of that name instead.
        """
        if name is None and len(cls._apps) == 1:
            return next(iter(cls._apps.values()))
        found = cls._apps.get(name) if name is not None else None
        if found is None and force_create:
            return cls(name)
        if found is None:
            wanted = "no application" if name is None else f"no application named {name!r}"
            raise SanicException(f"{wanted} can be told from the {len(cls._apps)} known: {', '.join(cls._apps)}")
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

    def streams(self, most: int | None = None) -> list[OpenStream]:
        """Every exchange that is open in this process now, the oldest first, at ``most`` so many (see ``OpenStream``)."""
        return open_streams(self.connections, self, most)

    @property
    def connections(self) -> Collection[HttpProtocol]:
        """The connections that are open in this process."""
        return self._serving.server.connections if self._serving.server is not None else ()

    # Being told

    def apply(self, definition: Definition) -> None:
        """Take a definition at once."""
        self._apply(definition, None)

    def blueprint(
        self,
        blueprint: Blueprint | BlueprintGroup | Iterable[Blueprint | BlueprintGroup],
        *,
        url_prefix: str | None = None,
        version: int | float | str | None = None,
        strict_slashes: bool | None = None,
    ) -> None:
        """Mount a blueprint, a group, or several; what is given here replaces what they say themselves."""
        if isinstance(blueprint, Blueprint | BlueprintGroup):
            for mounted in blueprint.mounted(url_prefix, version, strict_slashes):
                self._mount(mounted)
        else:
            for one in blueprint:
                self.blueprint(one, url_prefix=url_prefix, version=version, strict_slashes=strict_slashes)

    register_blueprint = blueprint

    def mount(self, path: str, application: Asgi, name: str = "asgi", **options: Any) -> None:
        """Let an ASGI application answer ``path`` and all below it, with lifespan; ``options`` are those of a route."""
        mount(self, path, application, name, options)

    def _mount(self, mounted: Mounted) -> None:
        name = mounted.blueprint.name
        again = name in self.blueprints
        if self.blueprints.setdefault(name, mounted.blueprint) is not mounted.blueprint:
            raise SanicException(f"another blueprint named {name} is mounted already")
        routes: list[Route] = []
        definitions = list(mounted.definitions())
        for definition in definitions:
            if isinstance(definition, RouteDef | StaticDef):
                routes += self._add_routes(definition)
        for definition in definitions:
            if isinstance(definition, ListenerDef) and again:
                continue  # a second place for the routes is no second start of the server
            if not isinstance(definition, RouteDef | StaticDef):
                self._apply(definition, routes)

    def _apply(self, definition: Definition, routes: list[Route] | None) -> None:
        """Take a definition, for some routes or for all."""
        if isinstance(definition, RouteDef | StaticDef):
            self._add_routes(definition)
        elif isinstance(definition, MiddlewareDef):
            self._add_middleware(definition, [self] if routes is None else routes)
        elif isinstance(definition, ListenerDef):
            self.lifecycle.add_listener(definition.listener, definition.event)
        elif isinstance(definition, SignalDef):
            self.signals.add(definition.handler_for(self), definition.event)
        else:
            names = None if routes is None else sorted({route.name for route in routes})
            for exception in definition.exceptions:
                self.error_handler.add(exception, definition.handler, names)

    def _add_routes(self, definition: RouteDef | StaticDef) -> list[Route]:
        if isinstance(definition, StaticDef):
            return [route for one in static_routes(definition) for route in self._add_routes(one)]
        uri = definition.uri or "/"
        if definition.version is not None:
            version = str(definition.version).strip("/").removeprefix("v")
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
                    name=f"{self.name}.{definition.name}",
                    host=host,
                    strict=self.strict_slashes if strict is None else strict,
                    stream=definition.stream,
                    options=definition.options,
                    methods=definition.methods,
                )
                route.handler = finding_request(route.handler, [one.name for one in route.parameters])
                self.router.add(route)
                routes.append(route)
        return routes

    @staticmethod
    def _add_middleware(definition: MiddlewareDef, where: Sequence["Sanic | Route"]) -> None:
        for one in where:
            if definition.attach_to == "response":
                one.response_middleware.insert(0, definition.middleware)
            elif definition.before_body:
                one.early_middleware.append(definition.middleware)
            else:
                one.request_middleware.append(definition.middleware)

    def url_for(self, view_name: str, **values: Any) -> str:
        """The path of a route by its name, with the application's name or without; the rest of ``values`` is the query.

        ``_external=True`` with ``_server`` (or ``SERVER_NAME``) and ``_scheme`` gives a whole address, ``_anchor`` a
        fragment, ``_method`` checks that the route has it. Raises ``URLBuildError``.
        """
        return self.router.url_for(view_name, values, self.config.get("SERVER_NAME"))

    def add_task(self, task: Any, *, name: str | None = None) -> asyncio.Task[Any] | None:
        """Run a coroutine, or a function that makes one (of the app, if it takes it), beside the server.

        Before the server has started the task waits for it. It is cancelled when the server stops.
        """
        return self.lifecycle.add_task(self, task, name)

    # Templates (the extra ``templates``)

    @property
    def jinja_env(self) -> Any:
        """Jinja's environment, made when it is first asked for; one of your own may be put in its place."""
        return self.templates.environment

    @jinja_env.setter
    def jinja_env(self, environment: Any) -> None:
        self.templates.environment = environment

    @property
    def jinja_options(self) -> dict[str, Any]:
        """Arguments for Jinja's environment, to be set before it is made."""
        return self.templates.options

    def compress(self, *encodings: str, **options: Any) -> None:
        """Compress answers for clients that take it, as they are written; see ``Compression`` for the options."""
        self.compression = Compression(self.config, encodings, **options)
        self._debug(self.debug)

    def context_processor(self, processor: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        """Decorate a plain function that says what every template knows."""
        return self.templates.add_processor(processor)

    def update_template_context(self, context: dict[str, Any]) -> Awaitable[None]:
        """Add to a context what the context processors say; may be awaited, or not."""
        return self.templates.update(context)

    # Answering

    def handle(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """Answer one exchange, whatever happens."""
        if self.watchers:
            for watch in self.watchers:
                watch(exchange)
        return self._answer(self, exchange)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application as an ASGI server calls it (ASGI 3)."""
        await answer_asgi(self, scope, receive, send)

    def run_response_middleware(self, request: Request, response: Any) -> Coroutine[Any, Any, Any]:
        """Let response middleware see, change or replace a response before its head leaves."""
        return pass_response(self, request, response)

    def dispatch(self, event: str, *, context: dict[str, Any] | None = None) -> Coroutine[Any, Any, None]:
        """Tell all handlers of a signal."""
        return self.signals.dispatch(event, context)

    def event(self, event: str, timeout: float | None = None) -> Coroutine[Any, Any, dict[str, Any]]:
        """Wait for a signal; gives what is told with it."""
        return self.signals.event(event, timeout)

    # Being served

    async def run_listeners(self, event: str) -> None:
        """Call the listeners of an event; those of stopping in reverse order."""
        await self.lifecycle.run(self, event)
        if event == "before_server_start":
            prepare(self)
        if self._advisor is not None:
            self._advisor.on_event(event)
        if self.signals and event in SERVER_SIGNALS:
            await self.signals.dispatch(SERVER_SIGNALS[event], {"app": self})

    def server_stopping(self) -> None:
        """The server closes: idle connections now, the others when they are done."""
        self.lifecycle.stopping = True

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        debug: bool = False,
        auto_reload: bool | None = None,
        ssl: Any = None,
        sock: Any = None,
        workers: int | str = 1,
        max_requests: int | None = None,
        protocol: type[HttpProtocol] | None = None,
        backlog: int = 100,
        register_sys_signals: bool = True,
        access_log: bool | None = None,
        unix: str | None = None,
        reload_dir: Any = None,
        single_process: bool = False,
        motd: bool = True,
        stop_event: Any = None,
        log_config: dict[str, Any] | None = None,
    ) -> None:
        """Serve until SIGINT, SIGTERM or ``stop()``; by default on 127.0.0.1, port 8000.

        With more than one of ``workers`` (``"auto"``: one for each processor), or with ``max_requests``, this process
        supervises others on one listening socket: the dead are started again, and SIGHUP replaces them one by one.
        They import the application by name or, where that is not the whole of it, run the command of this process
        again; in a worker ``run`` never returns. ``max_requests`` is how many one worker answers before it is replaced.
        With ``auto_reload`` they are replaced whenever a Python file below this directory changes, with ``reload_dir``
        any file of that directory, or of several; the extra ``reload``.

        Raises ``OSError`` when the address cannot be had, ``SystemExit`` when no worker starts, ``NoWorkers`` where the
        command cannot be run again, as in a test, and ``InvalidSetting`` for a setting of no use. In a thread that is
        not the main one ``register_sys_signals=False`` is needed.
        """
        self.config.check()
        self._debug(debug)
        if self.configure_logging:
            form, level, size = (self.config[name] for name in ("LOG_FORMAT", "LOG_LEVEL", "LOG_QUEUE_SIZE"))
            log.configure(self.log_config or log_config, form, level, current_id, size)
        if debug:
            for one in (logger, error_logger):
                one.setLevel(logging.DEBUG)
        if stop_event is not None or log_config is not None:
            logger.warning("run() no longer takes stop_event and log_config: call stop(), and Sanic(log_config=...)")
        if max_requests is not None:
            self.config.MAX_REQUESTS = max_requests
        if access_log is not None:
            self.config.ACCESS_LOG = access_log
        self._serving.run(
            listening(host, port, unix, sock, ssl, backlog, protocol),
            workers=worker_count(workers),
            single_process=single_process,
            reload=directories(auto_reload, reload_dir, self.config),
            register_sys_signals=register_sys_signals,
            motd=motd,
            again={"debug": debug, "access_log": access_log, "max_requests": max_requests, "log_config": log_config},
        )

    go_fast = run

    def _debug(self, debug: bool) -> None:
        """Choose, once for every start, how to answer: with advice or without, compressed or not."""
        self.debug = debug
        self._advisor = Advisor(self.config, answer) if debug else None
        chosen = answer if self._advisor is None else self._advisor.answer
        self._answer = chosen if self.compression is None else self.compression.around(chosen)

    @property
    def serve_location(self) -> str:
        """Where the application is served (``http://127.0.0.1:8000``), empty when it is not (Sanic 21.12)."""
        return self._serving.url

    def run_in_main_process(self, event: str) -> None:
        """Call listeners outside of any server, in a loop of their own."""
        if self.listeners.get(event):
            with asyncio.Runner(loop_factory=new_loop(self.config)) as runner:
                runner.run(self.run_listeners(event))

    def stop(self) -> None:
        """Stop the server, gracefully; may be called from any thread, and from a listener before it serves."""
        self._serving.stop()

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
        return_asyncio_server: bool = False,
        asyncio_server_kwargs: dict[str, Any] | None = None,
    ) -> AsyncioServer:
        """A server inside the loop that runs now, whatever ``return_asyncio_server`` says.

        It serves at once unless ``start_serving=False`` is among ``asyncio_server_kwargs``; the others go to
        ``loop.create_server``. Raises ``OSError`` when the address cannot be had.
        """
        self.config.check()
        self._debug(debug)
        if access_log is not None:
            self.config.ACCESS_LOG = access_log
        listen = listening(host, port, unix, sock, ssl, backlog, protocol)
        return await self._serving.create(listen, asyncio_server_kwargs)
