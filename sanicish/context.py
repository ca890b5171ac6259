"""The request that is being answered, for code that was not handed it: the way of Flask and Quart.

One context variable holds it, set in the task of every exchange. What a request is, is not known here.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any, TypeVar

from sanicish.http.forms import FirstValues

__all__ = ["CurrentRequest", "current_id", "current_request", "finding_request", "stream_with_context"]

T = TypeVar("T")

current_request: ContextVar[Any] = ContextVar("sanicish.request")

_PARAMETERS = frozenset({"args", "form", "files"})


class CurrentRequest:
    """Stands for the request that is being answered, wherever it is asked: ``from sanicish import request``.

    It acts as its users know it from Flask and Quart: an item of ``args``, ``form`` and ``files`` is the first value,
    and a missing one is a 400. Outside of a request it raises ``RuntimeError``; only the names of the module
    ``sanicish.request``, whose place it takes in the package, are there always.
    """

    __slots__ = ("_module",)

    def __init__(self, module: ModuleType) -> None:
        object.__setattr__(self, "_module", module)

    def __getattr__(self, name: str) -> Any:
        request = current_request.get(None)
        if request is None:
            if name in self._module.__all__:
                return getattr(self._module, name)
            if name.startswith("__"):  # tools that look at every object of a module
                raise AttributeError(name)
            raise RuntimeError(f"there is no request here: request.{name} was asked for outside of a handler")
        if not hasattr(type(request), name) and name in self._module.__all__:
            return getattr(self._module, name)
        value = getattr(request, name)
        return FirstValues(value) if name in _PARAMETERS else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_found(), name, value)

    def __getitem__(self, name: str) -> Any:
        return _found()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        _found()[name] = value

    def __delitem__(self, name: str) -> None:
        del _found()[name]

    def __contains__(self, name: object) -> bool:
        return name in _found()

    def __eq__(self, other: object) -> bool:
        return current_request.get(None) is other or self is other

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return current_request.get(None) is not None

    def __repr__(self) -> str:
        request = current_request.get(None)
        return "<no request>" if request is None else repr(request)


def _found() -> Any:
    request = current_request.get(None)
    if request is None:
        raise RuntimeError("there is no request here")
    return request


def current_id() -> str | None:
    """The id of the current request, ``None`` where there is none."""
    request = current_request.get(None)
    return None if request is None else str(request.id)


def stream_with_context(source: Any) -> Any:
    """Keep the request of now for a generator, wherever it will run (Flask's and Quart's function).

    It wraps a generator or any iterable, sync or async, and decorates a function that makes one, whose arguments it
    passes on. A body runs in the context of its request anyhow; this is for what is iterated elsewhere. Raises
    ``RuntimeError`` outside of a request.
    """
    if hasattr(source, "__aiter__"):
        return _AsyncPinned(aiter(source), _found())
    if isinstance(source, Iterable):
        return _Pinned(iter(source), _found())
    if not callable(source):
        raise TypeError(f"stream_with_context takes a generator or a function that makes one, not {source!r}")

    @wraps(source)
    def make(*args: Any, **kwargs: Any) -> Any:
        return stream_with_context(source(*args, **kwargs))

    return make


class _Pinned:
    """An iterator that always sees the same request."""

    __slots__ = ("_iterator", "_request")

    def __init__(self, iterator: Any, request: Any) -> None:
        self._iterator = iterator
        self._request = request

    def __iter__(self) -> "_Pinned":
        return self

    def __next__(self) -> Any:
        return self._seeing(self._iterator.__next__)

    def close(self) -> None:
        close = getattr(self._iterator, "close", None)
        if close is not None:
            self._seeing(close)

    def _seeing(self, act: Callable[[], T]) -> T:
        token = current_request.set(self._request)
        try:
            return act()
        finally:
            current_request.reset(token)


class _AsyncPinned:
    """An async iterator that always sees the same request."""

    __slots__ = ("_iterator", "_request")

    def __init__(self, iterator: Any, request: Any) -> None:
        self._iterator = iterator
        self._request = request

    def __aiter__(self) -> "_AsyncPinned":
        return self

    async def __anext__(self) -> Any:
        return await self._seeing(self._iterator.__anext__)

    async def athrow(self, error: BaseException) -> Any:
        throw = getattr(self._iterator, "athrow", None)
        if throw is None:
            raise error
        return await self._seeing(lambda: throw(error))

    async def aclose(self) -> None:
        close = getattr(self._iterator, "aclose", None)
        if close is not None:
            await self._seeing(close)

    async def _seeing(self, act: Callable[[], Awaitable[T]]) -> T:
        token = current_request.set(self._request)
        try:
            return await act()
        finally:
            current_request.reset(token)


def finding_request(handler: Callable[..., Any], path_names: Collection[str]) -> Callable[..., Any]:
    """A handler to be called with the request, made of one that takes none and finds it in the context.

    A handler takes the request if it has a positional parameter in front of those that its path fills in.
    """
    if _takes_request(handler, path_names):
        return handler

    @wraps(handler)
    def handle(request: Any, **values: Any) -> Any:
        return handler(**values)

    return handle


def _takes_request(handler: Any, path_names: Collection[str]) -> bool:
    """Look at the signature; where a decorator passes on whatever it is given, at that of what it decorates."""
    try:
        parameters = inspect.signature(handler, follow_wrapped=False).parameters.values()
    except (TypeError, ValueError):
        return True
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            return parameter.name not in path_names
        if parameter.kind is parameter.VAR_POSITIONAL:
            wrapped = getattr(handler, "__wrapped__", None)
            return wrapped is None or _takes_request(wrapped, path_names)
    return False
