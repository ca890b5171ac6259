"""A registry with a prefix, mounted on an application later."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from sanicish.registration.definitions import Definition, RouteDef, StaticDef
from sanicish.registration.registry import Registry

__all__ = ["Blueprint", "BlueprintGroup", "Mounted"]

Version = int | float | str | None

DEFAULT_PREFIX = "/v"


class Blueprint(Registry):
    """Routes, middleware, listeners and exception handlers that go together, under one prefix.

    Its middleware and exception handlers count for its own routes only.
    """

    def __init__(
        self,
        name: str,
        url_prefix: str | None = None,
        host: str | Iterable[str] | None = None,
        version: Version = None,
        strict_slashes: bool | None = None,
        version_prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self.name = name
        self.url_prefix = _tidy(url_prefix)
        self.host = host if host is None or isinstance(host, str) else tuple(host)
        self.version = version
        self.strict_slashes = strict_slashes
        self.version_prefix = version_prefix
        self.definitions: list[Definition] = []

    def __repr__(self) -> str:
        return f"<Blueprint {self.name} {self.url_prefix or '/'}>"

    def apply(self, definition: Definition) -> None:
        """Keep a definition until the blueprint is mounted."""
        self.definitions.append(definition)

    def mounted(
        self, url_prefix: str | None = None, version: Version = None, strict_slashes: bool | None = None
    ) -> "Iterator[Mounted]":
        """What is to be applied to the application; what is given here replaces the blueprint's own."""
        yield Mounted(
            self,
            _first(_tidy(url_prefix), self.url_prefix, ""),
            _first(version, self.version),
            self.version_prefix,
            _first(strict_slashes, self.strict_slashes),
            (),
        )

    @staticmethod
    def group(
        *blueprints: "Blueprint | BlueprintGroup | Iterable[Blueprint | BlueprintGroup]",
        url_prefix: str | None = "",
        version: Version = None,
        strict_slashes: bool | None = None,
        version_prefix: str = DEFAULT_PREFIX,
    ) -> "BlueprintGroup":
        """Blueprints under a common prefix."""
        members: list[Blueprint | BlueprintGroup] = []
        for one in blueprints:
            members += (one,) if isinstance(one, Blueprint | BlueprintGroup) else one
        return BlueprintGroup(members, url_prefix, version, strict_slashes, version_prefix)


class BlueprintGroup:
    """Blueprints, and groups of them, under a common prefix, version and middleware."""

    def __init__(
        self,
        members: Iterable["Blueprint | BlueprintGroup"] = (),
        url_prefix: str | None = "",
        version: Version = None,
        strict_slashes: bool | None = None,
        version_prefix: str = DEFAULT_PREFIX,
    ) -> None:
        self.blueprints = list(members)
        self.url_prefix = _tidy(url_prefix)
        self.version = version
        self.strict_slashes = strict_slashes
        self.version_prefix = version_prefix
        self._shared = Blueprint("group")

    def append(self, blueprint: "Blueprint | BlueprintGroup") -> None:
        """Add one more."""
        self.blueprints.append(blueprint)

    def __iter__(self) -> Iterator["Blueprint | BlueprintGroup"]:
        return iter(self.blueprints)

    def __len__(self) -> int:
        return len(self.blueprints)

    def __getitem__(self, index: int) -> "Blueprint | BlueprintGroup":
        return self.blueprints[index]

    def middleware(self, *args: Any, **kwargs: Any) -> Any:
        """Decorate a middleware for all routes of the group."""
        return self._shared.middleware(*args, **kwargs)

    def on_request(self, *args: Any, **kwargs: Any) -> Any:
        """Decorate a request middleware for all routes of the group."""
        return self._shared.on_request(*args, **kwargs)

    def on_response(self, *args: Any, **kwargs: Any) -> Any:
        """Decorate a response middleware for all routes of the group."""
        return self._shared.on_response(*args, **kwargs)

    def exception(self, *exceptions: Any) -> Any:
        """Decorate an exception handler for all routes of the group."""
        return self._shared.exception(*exceptions)

    def mounted(
        self, url_prefix: str | None = None, version: Version = None, strict_slashes: bool | None = None
    ) -> "Iterator[Mounted]":
        """What is to be applied to the application, each blueprint under its whole prefix."""
        prefix = _first(_tidy(url_prefix), self.url_prefix, "")
        for member in self.blueprints:
            for one in member.mounted():
                yield one._replace(
                    prefix=prefix + one.prefix,
                    version=_first(one.version, version, self.version),
                    version_prefix=_prefix(one.version_prefix, self.version_prefix),
                    strict_slashes=_first(one.strict_slashes, strict_slashes, self.strict_slashes),
                    shared=(*self._shared.definitions, *one.shared),
                )


class Mounted(NamedTuple):
    """A blueprint and where it is put; ``shared`` is what its groups were told for it."""

    blueprint: Blueprint
    prefix: str
    version: Version
    version_prefix: str
    strict_slashes: bool | None
    shared: tuple[Definition, ...]

    def definitions(self) -> Iterator[Definition]:
        """Every definition as the application takes it: under the blueprint's name, with what it leaves open filled."""
        name = self.blueprint.name
        yield from self.shared
        for definition in self.blueprint.definitions:
            if isinstance(definition, RouteDef | StaticDef):
                definition = replace(
                    definition,
                    name=f"{name}.{definition.name.removeprefix(f'{name}.')}",
                    uri=self.prefix + definition.uri or "/",
                    host=_first(definition.host, self.blueprint.host),
                    version=_first(definition.version, self.version),
                    version_prefix=_prefix(definition.version_prefix, self.version_prefix),
                    strict_slashes=_first(definition.strict_slashes, self.strict_slashes),
                )
            yield definition


def _first(*values: Any) -> Any:
    """The first that is not ``None``."""
    return next((value for value in values if value is not None), None)


def _prefix(inner: str, outer: str) -> str:
    """What stands before the version: the inner one's own, if it has one."""
    return inner if inner != DEFAULT_PREFIX else outer


def _tidy(prefix: str | None) -> str | None:
    if not prefix:
        return prefix
    return "/" + prefix.strip("/") if prefix.strip("/") else ""
