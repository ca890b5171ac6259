"""What an application can be told, as data: nothing here does anything, so it can be kept, copied and changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanicish.router import RouteOptions

__all__ = ["Definition", "ErrorDef", "ListenerDef", "MiddlewareDef", "RouteDef", "StaticDef"]


@dataclass(frozen=True, slots=True)
class RouteDef:
    """A handler for some methods of a path."""

    handler: Callable[..., Any]
    uri: str
    methods: frozenset[str]
    name: str
    host: str | tuple[str, ...] | None = None
    strict_slashes: bool | None = None
    stream: bool = False
    version: int | float | str | None = None
    version_prefix: str = "/v"
    options: RouteOptions = field(default_factory=RouteOptions)


@dataclass(frozen=True, slots=True)
class StaticDef:
    """A file or directory to serve under a path."""

    uri: str
    path: Path
    name: str
    host: str | tuple[str, ...] | None = None
    strict_slashes: bool | None = None
    version: int | float | str | None = None
    version_prefix: str = "/v"
    pattern: str = r"/?.+"
    use_modified_since: bool = True
    content_type: str | None = None
    index: tuple[str, ...] = ()
    follow_external_symlink_files: bool = False
    follow_external_symlink_dirs: bool = False
    max_age: float | None = None
    precompressed: bool = False
    dotfiles: bool = True


@dataclass(frozen=True, slots=True)
class MiddlewareDef:
    """A function to call with each request, or with each request and its response."""

    middleware: Callable[..., Any]
    attach_to: str
    before_body: bool = False


@dataclass(frozen=True, slots=True)
class ListenerDef:
    """A function to call when the server starts or stops."""

    listener: Callable[..., Any]
    event: str


@dataclass(frozen=True, slots=True)
class ErrorDef:
    """A function that answers for exceptions of these classes."""

    handler: Callable[..., Any]
    exceptions: tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class SignalDef:
    """A function to be told of an event."""

    handler: Callable[..., Any]
    event: str
    with_app: bool = False  # it takes the application and an exception

    def handler_for(self, app: Any) -> Callable[..., Any]:
        """What to call when an application has something to tell."""
        return (lambda exception: self.handler(app, exception)) if self.with_app else self.handler


Definition = RouteDef | StaticDef | MiddlewareDef | ListenerDef | SignalDef | ErrorDef
