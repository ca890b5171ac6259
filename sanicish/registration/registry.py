"""The decorators, written once: what an application and a blueprint can be told.

A registry turns every call into a definition. An application applies definitions at once, a blueprint keeps them
until it is mounted.
"""

from collections.abc import Callable, Iterable
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from sanicish.constants import HTTP_METHODS
from sanicish.headers import is_field_name
from sanicish.registration.definitions import (
    Definition,
    ErrorDef,
    ListenerDef,
    MiddlewareDef,
    RouteDef,
    SignalDef,
    StaticDef,
)
from sanicish.router import RouteOptions
from sanicish.views import CompositionView

__all__ = ["LISTENERS", "Registry"]

F = TypeVar("F", bound=Callable[..., Any])

LISTENERS = (
    "main_process_start",
    "main_process_stop",
    "before_server_start",
    "after_server_start",
    "before_server_stop",
    "after_server_stop",
)


class Registry:
    """What can be registered, and how it is said."""

    def apply(self, definition: Definition) -> None:
        """Take a definition; each kind of registry does with it what it must."""
        raise NotImplementedError

    # Routes

    def route(
        self,
        uri: str,
        methods: Iterable[str] = frozenset({"GET"}),
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        stream: bool = False,
        version: int | float | str | None = None,
        name: str | None = None,
        ignore_body: bool = False,
        version_prefix: str = "/v",
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of ``uri``.

        ``<name>``, ``<name:type>`` and ``<name:regex>`` in it become arguments; ``stream=True`` gives the handler
        ``request.stream`` instead of a body that was read. More options: ``timeout``, ``idle_timeout`` and
        ``write_timeout`` (seconds, ``None`` is for ever), ``max_body_size`` (bytes), ``half_close``, ``shield``, ``inline``
        (sync generators run in the loop, not in a thread), ``unquote``, ``error_format``, and ``ctx_<name>`` for ``request.route.ctx``.
        """

        def decorate(handler: F) -> F:
            self.add_route(
                handler,
                uri,
                methods,
                host,
                strict_slashes,
                version,
                name,
                stream,
                ignore_body=ignore_body,
                version_prefix=version_prefix,
                **options,
            )
            return handler

        return decorate

    def add_route(
        self,
        handler: Any,
        uri: str,
        methods: Iterable[str] | None = None,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        version: int | float | str | None = None,
        name: str | None = None,
        stream: bool = False,
        version_prefix: str = "/v",
        **options: Any,
    ) -> Any:
        """Register a handler of ``uri``; a view brings its own methods, each with its own ``stream`` mark."""
        if uri and not uri.startswith("/"):
            uri = "/" + uri
        given = {key[4:]: options.pop(key) for key in list(options) if key.startswith("ctx_")}
        route_options = RouteOptions(ctx=given, **options)
        streaming, plain = self._split_methods(handler, methods, stream)
        for group, is_stream in ((plain, False), (streaming, True)):
            if group:
                self.apply(
                    RouteDef(
                        handler,
                        uri,
                        frozenset(group),
                        name or _name_of(handler),
                        _hosts(host),
                        strict_slashes,
                        is_stream,
                        version,
                        version_prefix,
                        route_options,
                    )
                )
        return handler

    @staticmethod
    def _split_methods(handler: Any, methods: Iterable[str] | None, stream: bool) -> tuple[set[str], set[str]]:
        """The methods to register as streaming, and those to register as plain."""
        given = None if methods is None else {method.upper() for method in _several(methods)}
        view = getattr(handler, "view_class", None)
        if view is not None:
            known = {m for m in HTTP_METHODS if hasattr(view, m.lower())} if given is None else given
            streaming = {m for m in known if stream or getattr(getattr(view, m.lower(), None), "is_stream", False)}
        elif isinstance(handler, CompositionView):
            known = set(handler.handlers)
            streaming = known if stream else set(handler.streams)
        else:
            known = {"GET"} if given is None else given
            streaming = known if stream or getattr(handler, "is_stream", False) else set()
        unknown = [method for method in known if not is_field_name(method)]  # RFC 9110 9.1: a method is a token
        if unknown or not known:
            raise ValueError(f"not a method of HTTP: {unknown}" if unknown else "a route needs a method")
        return streaming, known - streaming

    def get(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        version: int | float | str | None = None,
        name: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of GET."""
        return self.route(uri, ("GET",), host, strict_slashes, stream, version, name, **options)

    def head(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        version: int | float | str | None = None,
        name: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of HEAD; without one, HEAD is answered by the handler of GET."""
        return self.route(uri, ("HEAD",), host, strict_slashes, stream, version, name, **options)

    def options(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        version: int | float | str | None = None,
        name: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of OPTIONS."""
        return self.route(uri, ("OPTIONS",), host, strict_slashes, stream, version, name, **options)

    def delete(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        version: int | float | str | None = None,
        name: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of DELETE."""
        return self.route(uri, ("DELETE",), host, strict_slashes, stream, version, name, **options)

    def post(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        stream: bool = False,
        version: int | float | str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of POST."""
        return self.route(uri, ("POST",), host, strict_slashes, stream, version, name, **options)

    def put(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        stream: bool = False,
        version: int | float | str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of PUT."""
        return self.route(uri, ("PUT",), host, strict_slashes, stream, version, name, **options)

    def patch(
        self,
        uri: str,
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        stream: bool = False,
        version: int | float | str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler of PATCH."""
        return self.route(uri, ("PATCH",), host, strict_slashes, stream, version, name, **options)

    def stream(
        self,
        uri: str,
        methods: Iterable[str] = frozenset({"POST"}),
        host: str | Iterable[str] | None = None,
        strict_slashes: bool = False,
        **options: Any,
    ) -> Callable[[F], F]:
        """Decorate a handler that reads its body as a stream: ``route(uri, stream=True)`` for POST (Sanic, 2017)."""
        return self.route(uri, methods, host, strict_slashes, True, **options)

    def websocket(self, *args: Any, **options: Any) -> Any:
        """Raises ``NotImplementedError``: there are no websockets yet."""
        raise NotImplementedError("no websockets yet: a request and a response that stream at once may do instead")

    add_websocket_route = enable_websocket = websocket

    def static(
        self,
        uri: str,
        file_or_directory: str | bytes | PathLike[str],
        pattern: str = r"/?.+",
        use_modified_since: bool = True,
        use_content_range: bool = False,
        stream_large_files: bool | int = False,
        name: str = "static",
        host: str | Iterable[str] | None = None,
        strict_slashes: bool | None = None,
        content_type: str | None = None,
        version: int | float | str | None = None,
        version_prefix: str = "/v",
        index: str | Iterable[str] | None = None,
        follow_external_symlink_files: bool = False,
        follow_external_symlink_dirs: bool = False,
        *,
        max_age: float | None = None,
        precompressed: bool = False,
        dotfiles: bool = True,
    ) -> None:
        """Serve a file, or the files of a directory, under ``uri``.

        ``pattern`` is a regular expression for what follows ``uri``; ``index`` names the files that stand for their
        directory; ``max_age`` is in seconds. ``precompressed`` sends ``name.br``, ``name.zst`` or ``name.gz`` to
        clients that take it. ``dotfiles=False`` hides files and directories whose names begin with a dot, except
        ``.well-known``. Ranges are always served and files always streamed, so ``use_content_range`` and
        ``stream_large_files`` do nothing.
        """
        path = file_or_directory.decode() if isinstance(file_or_directory, bytes) else file_or_directory
        self.apply(
            StaticDef(
                uri if uri.startswith("/") else "/" + uri,
                Path(path),
                name,
                _hosts(host),
                strict_slashes,
                version,
                version_prefix,
                pattern,
                use_modified_since,
                content_type,
                () if index is None else tuple(_several(index)),
                follow_external_symlink_files,
                follow_external_symlink_dirs,
                max_age,
                precompressed,
                dotfiles,
            )
        )

    # Middleware, exceptions, listeners

    def middleware(self, middleware_or_request: Any, attach_to: str = "request") -> Any:
        """Decorate a middleware: bare, or with ``"request"`` or ``"response"``."""
        if callable(middleware_or_request):
            return self.register_middleware(middleware_or_request, attach_to)
        return partial(self.register_middleware, attach_to=middleware_or_request)

    def register_middleware(
        self, middleware: Callable[..., Any], attach_to: str = "request", *, before_body: bool = False
    ) -> Callable[..., Any]:
        """Call a function with each request, or with each request and response; what it returns is the response.

        On routes that are not streaming, request middleware sees a body that was read; with ``before_body`` it runs
        before a byte of it has been asked for.
        """
        if attach_to not in ("request", "response"):
            raise ValueError(f"middleware is attached to 'request' or 'response', not {attach_to!r}")
        self.apply(MiddlewareDef(middleware, attach_to, before_body))
        return middleware

    def on_request(self, middleware: Callable[..., Any] | None = None, *, before_body: bool = False) -> Any:
        """Decorate a request middleware."""
        if middleware is None:
            return partial(self.register_middleware, attach_to="request", before_body=before_body)
        return self.register_middleware(middleware, "request", before_body=before_body)

    def on_response(self, middleware: Callable[..., Any] | None = None) -> Any:
        """Decorate a response middleware; it runs before the head leaves and never buffers a stream."""
        if middleware is None:
            return partial(self.register_middleware, attach_to="response")
        return self.register_middleware(middleware, "response")

    def exception(self, *exceptions: Any) -> Callable[[F], F]:
        """Decorate a function ``(request, exception)`` that answers for these classes of exception."""
        classes: list[type[BaseException]] = []
        for given in exceptions:
            classes += given if isinstance(given, list | tuple | set | frozenset) else (given,)
        if not classes or not all(isinstance(one, type) and issubclass(one, BaseException) for one in classes):
            raise TypeError("exception() takes the classes of exception that the function answers for")

        def decorate(handler: F) -> F:
            self.apply(ErrorDef(handler, tuple(classes)))
            return handler

        return decorate

    def listener(self, listener_or_event: Any, event: str | None = None) -> Any:
        """Decorate a function to call when the server starts or stops, with ``(app, loop)`` or ``(app)``."""
        if callable(listener_or_event):
            if event is None:
                raise ValueError("a listener needs the name of an event")
            return self.register_listener(listener_or_event, event)
        return partial(self.register_listener, event=listener_or_event)

    def register_listener(self, listener: Callable[..., Any], event: str) -> Callable[..., Any]:
        """Call a function at an event of the server's life."""
        if event not in LISTENERS:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(LISTENERS)}")
        self.apply(ListenerDef(listener, event))
        return listener

    def main_process_start(self, listener: F) -> F:
        """Call a function in the main process before any server starts."""
        self.register_listener(listener, "main_process_start")
        return listener

    def main_process_stop(self, listener: F) -> F:
        """Call a function in the main process after all servers have stopped."""
        self.register_listener(listener, "main_process_stop")
        return listener

    def before_server_start(self, listener: F) -> F:
        """Call a function before the server accepts connections."""
        self.register_listener(listener, "before_server_start")
        return listener

    def after_server_start(self, listener: F) -> F:
        """Call a function once the server accepts connections."""
        self.register_listener(listener, "after_server_start")
        return listener

    def before_server_stop(self, listener: F) -> F:
        """Call a function when the server was told to stop, before open streams are waited for."""
        self.register_listener(listener, "before_server_stop")
        return listener

    def after_server_stop(self, listener: F) -> F:
        """Call a function when the last connection is closed."""
        self.register_listener(listener, "after_server_stop")
        return listener

    # Signals

    def signal(self, event: str) -> Callable[[F], F]:
        """Decorate a function to be told of an event, such as ``http.stream.aborted``; see ``Signals``."""

        def decorate(handler: F) -> F:
            self.add_signal(handler, event)
            return handler

        return decorate

    def add_signal(self, handler: Callable[..., Any], event: str) -> None:
        """Call a function with what is told of an event; raises ``InvalidSignal`` when it is applied."""
        self.apply(SignalDef(handler, event))

    def report_exception(self, handler: F) -> F:
        """Call ``handler(app, exception)`` for each exception of a request or a task; it answers nothing (Sanic 23.6)."""
        self.apply(SignalDef(handler, "server.exception.report", with_app=True))
        return handler

    catch_exception = report_exception  # its name in Sanic 22.3


def _several(names: str | Iterable[str]) -> Iterable[str]:
    """One name or many, as many."""
    return (names,) if isinstance(names, str) else names


def _hosts(host: str | Iterable[str] | None) -> str | tuple[str, ...] | None:
    return host if host is None or isinstance(host, str) else tuple(host)


def _name_of(handler: Any) -> str:
    name = getattr(handler, "__name__", None) or getattr(handler, "name", None)
    if isinstance(handler, partial):
        name = _name_of(handler.func)
    return name or type(handler).__name__
