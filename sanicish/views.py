"""Classes as handlers, and the mark of handlers that read their body as a stream."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from sanicish.constants import HTTP_METHODS
from sanicish.exceptions import InvalidUsage, MethodNotAllowed

__all__ = ["CompositionView", "HTTPMethodView", "stream"]

F = TypeVar("F", bound=Callable[..., Any])


def stream(func: F) -> F:
    """Mark a handler or a view's method as one that reads ``request.stream``."""
    func.is_stream = True  # type: ignore[attr-defined]
    return func


class HTTPMethodView:
    """A handler with a method for each method of HTTP: ``get``, ``post`` and so on, plain or async.

    ``decorators`` wrap the handler, the first one innermost.
    """

    decorators: ClassVar[list[Callable[..., Any]]] = []

    def __init_subclass__(
        cls, attach: Any = None, uri: str = "", methods: Iterable[str] = frozenset(), **options: Any
    ) -> None:
        super().__init_subclass__()
        if attach is not None:
            cls.attach(attach, uri, methods=methods, **options)

    @classmethod
    def attach(cls, to: Any, uri: str, *, methods: Iterable[str] = frozenset(), **options: Any) -> None:
        """Register the view on an application or a blueprint (Sanic 21.9)."""
        if methods:
            options["methods"] = methods
        to.add_route(cls.as_view(), uri, **options)

    def dispatch_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the method that the request names; HEAD is answered by ``get`` if there is no ``head``."""
        handler = getattr(self, request.method.lower(), None)
        if handler is None and request.method == "HEAD":
            handler = getattr(self, "get", None)
        if handler is None:
            raise MethodNotAllowed(
                f"Method {request.method} not allowed for URL {request.path}", request.method, self.allowed()
            )
        return handler(request, *args, **kwargs)

    @classmethod
    def allowed(cls) -> list[str]:
        """The methods of HTTP that this view has."""
        return [method for method in HTTP_METHODS if hasattr(cls, method.lower())]

    @classmethod
    def as_view(cls, *class_args: Any, **class_kwargs: Any) -> Callable[..., Any]:
        """A handler that makes a view for each request, with these arguments, and lets it answer."""

        def view(request: Any, *args: Any, **kwargs: Any) -> Any:
            return cls(*class_args, **class_kwargs).dispatch_request(request, *args, **kwargs)

        handler: Any = view
        for decorator in cls.decorators:
            handler.__module__ = cls.__module__
            handler = decorator(handler)
        handler.view_class = cls
        handler.__doc__ = cls.__doc__
        handler.__module__ = cls.__module__
        handler.__name__ = cls.__name__
        return handler  # type: ignore[no-any-return]


class CompositionView:
    """A handler made of handlers, one for each method: ``view.add(["POST"], handler, stream=True)``."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[..., Any]] = {}
        self.streams: set[str] = set()
        self.name = type(self).__name__

    def add(self, methods: Iterable[str], handler: Callable[..., Any], stream: bool = False) -> None:
        """Let a handler answer these methods; raises ``InvalidUsage`` for one that is unknown or taken."""
        for method in methods:
            if method not in HTTP_METHODS:
                raise InvalidUsage(f"{method} is not a valid HTTP method.")
            if method in self.handlers:
                raise InvalidUsage(f"Method {method} is already registered.")
            self.handlers[method] = handler
            if stream or getattr(handler, "is_stream", False):
                self.streams.add(method)

    def __call__(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        method = "GET" if request.method == "HEAD" and "HEAD" not in self.handlers else request.method
        return self.handlers[method](request, *args, **kwargs)
