"""A value that may be awaited once, for code written for frameworks where the call that made it is a coroutine.

Decorators await what they are given until it is no longer awaitable. Such a loop ends only if awaiting a value gives one
that is not awaitable.
"""

from collections.abc import Generator
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["awaitable_once"]

T = TypeVar("T")


def awaitable_once(value: T) -> T:
    """Let a value be awaited, or used as it is: the first await gives the value itself and makes it plain again."""
    if not hasattr(value, "__await__"):
        plain: type = type(value)
        value.__class__ = _awaitable(plain)
    return value


@lru_cache(maxsize=64)  # subclasses may be made at run time
def _awaitable(plain: type) -> type:
    """A subclass of the same layout, so that its instances can change their class to it and back."""

    def __await__(self: Any) -> Generator[Any, None, Any]:
        self.__class__ = plain
        yield from ()
        return self

    members = {"__slots__": (), "__await__": __await__, "__module__": plain.__module__, "__doc__": plain.__doc__}
    return type(plain)(plain.__name__, (plain,), members)
