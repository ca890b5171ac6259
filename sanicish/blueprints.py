"""A registry with a prefix, mounted on an application later."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from sanicish.registry import ErrorDef, ListenerDef, MiddlewareDef, Registry, RouteDef, StaticDef

__all__ = ["Blueprint", "BlueprintGroup", "Mounted"]

Definition = RouteDef | StaticDef | MiddlewareDef | ListenerDef | ErrorDef


class Blueprint(Registry):
    """Routes, middleware, listeners and exception handlers that go together, under one prefix.

    Its middleware and exception handlers count for its own routes only.
    """

    def __init__(
        self,
        name: str,
        url_prefix: str | None = None,
        host: str | Iterable[str] | None = None,
        version: int | float | str | None = None,
        strict_slashes: bool | None = None,
        version_prefix: str = "/v",
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
        if isinstance(definition, RouteDef):
            definition = replace(
                definition,
                name=f"{self.name}.{definition.name}",
                host=definition.host if definition.host is not None else self.host,
                version=definition.version if definition.version is not None else self.version,
                version_prefix=self.version_prefix if definition.version is None else definition.version_prefix,
            )
        elif isinstance(definition, StaticDef):
            name = definition.options.get("name", "static")
            definition = replace(
                definition,
                options={**definition.options, "name": name if "." in name else f"{self.name}.{name}"},
            )
        self.definitions.append(definition)

    def mounted(self, **options: Any) -> "Iterator[Mounted]":
        """What is to be applied to the application: this blueprint under its prefix, or the one in ``options``."""
        prefix = _tidy(options.get("url_prefix"))
        yield Mounted(self, self.url_prefix if prefix is None else prefix, ())

    @staticmethod
    def group(
        *blueprints: "Blueprint | BlueprintGroup | Iterable[Blueprint]",
        url_prefix: str | None = None,
        version: int | float | str | None = None,
        strict_slashes: bool | None = None,
    ) -> "BlueprintGroup":
        """Blueprints under a common prefix."""
        members: list[Blueprint | BlueprintGroup] = []
        for one in blueprints:
            members += (one,) if isinstance(one, Blueprint | BlueprintGroup) else one
        return BlueprintGroup(members, url_prefix, version, strict_slashes)


class BlueprintGroup:
    """Blueprints, and groups of them, under a common prefix, version and middleware."""

    def __init__(
        self,
        members: Iterable["Blueprint | BlueprintGroup"] = (),
        url_prefix: str | None = None,
        version: int | float | str | None = None,
        strict_slashes: bool | None = None,
    ) -> None:
        self.blueprints = list(members)
        self.url_prefix = _tidy(url_prefix)
        self.version = version
        self.strict_slashes = strict_slashes
        self._middleware = Blueprint("group")

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
        return self._middleware.middleware(*args, **kwargs)

    def on_request(self, *args: Any, **kwargs: Any) -> Any:
        """Decorate a request middleware for all routes of the group."""
        return self._middleware.on_request(*args, **kwargs)

    def on_response(self, *args: Any, **kwargs: Any) -> Any:
        """Decorate a response middleware for all routes of the group."""
        return self._middleware.on_response(*args, **kwargs)

    def exception(self, *exceptions: Any) -> Any:
        """Decorate an exception handler for all routes of the group."""
        return self._middleware.exception(*exceptions)

    def mounted(self, **options: Any) -> "Iterator[Mounted]":
        """What is to be applied to the application, each blueprint under its whole prefix."""
        prefix = _tidy(options.get("url_prefix"))
        own = self.url_prefix if prefix is None else prefix
        for member in self.blueprints:
            for mounted in member.mounted():
                yield Mounted(
                    mounted.blueprint,
                    (own or "") + (mounted.prefix or ""),
                    (*self._middleware.definitions, *mounted.shared),
                    mounted.version if mounted.version is not None else self.version,
                    mounted.strict_slashes if mounted.strict_slashes is not None else self.strict_slashes,
                )


class Mounted:
    """A blueprint and where it is put."""

    __slots__ = ("blueprint", "prefix", "shared", "strict_slashes", "version")

    def __init__(
        self,
        blueprint: Blueprint,
        prefix: str | None,
        shared: tuple[Definition, ...],
        version: int | float | str | None = None,
        strict_slashes: bool | None = None,
    ) -> None:
        self.blueprint = blueprint
        self.prefix = prefix
        self.shared = shared
        self.version = version if version is not None else blueprint.version
        self.strict_slashes = strict_slashes if strict_slashes is not None else blueprint.strict_slashes

    def definitions(self) -> Iterator[Definition]:
        """Every definition as the application takes it."""
        yield from self.shared
        for definition in self.blueprint.definitions:
            if isinstance(definition, RouteDef):
                definition = replace(
                    definition,
                    uri=(self.prefix or "") + definition.uri or "/",
                    version=definition.version if definition.version is not None else self.version,
                    strict_slashes=(
                        definition.strict_slashes if definition.strict_slashes is not None else self.strict_slashes
                    ),
                )
            elif isinstance(definition, StaticDef):
                definition = replace(definition, uri=(self.prefix or "") + definition.uri)
            yield definition


def _tidy(prefix: str | None) -> str | None:
    if not prefix:
        return prefix
    return "/" + prefix.strip("/") if prefix.strip("/") else ""
