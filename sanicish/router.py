"""Path patterns to routes.

A path without parameters is found in a dict. Patterns lie in buckets by their number of segments and their first
segment, so a request is matched against few of them; one that may swallow slashes is always tried. A pattern whose only
parameter is its last segment is a leaf as well: found by what stands before that, and only the segment is matched.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit
from uuid import UUID

from sanicish.debug.backtracking import warn_of_pattern
from sanicish.exceptions import MethodNotAllowed, NotFound, URLBuildError

__all__ = ["Route", "RouteOptions", "Router"]

Handler = Callable[..., Any]

_PARAMETER = re.compile(r"<([^>]*)>")
_PORT = re.compile(r":[0-9]*\Z")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_VALUE_SAFE = ":@!$&'()*+,;=~-._"  # RFC 3986 3.3: what a segment holds as it is
_PATH_SAFE = "/%" + _VALUE_SAFE

# Names of both eras of Sanic; anything else between colon and bracket is a regular expression.
_TYPES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "string": (r"[^/]+", str),
    "str": (r"[^/]+", str),
    "strorempty": (r"[^/]*", str),
    "int": (r"-?[0-9]+", int),
    "number": (r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", float),
    "float": (r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", float),
    "alpha": (r"[A-Za-z]+", str),
    "slug": (r"[a-z0-9]+(?:-[a-z0-9]+)*", str),
    "path": (r"[^/].*?", str),
    "uuid": (r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}", UUID),
    "ymd": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", date.fromisoformat),
}
_HARMLESS = frozenset(expression for expression, _ in _TYPES.values())
# Expressions made of these pieces match no slash: every range of letters and digits lies above it.
_CLASS = r"\[-?(?:\w-\w|\\[dw.\-]|[\w.~@!])*-?\]|\[\^/\]"
_SLASHLESS = re.compile(rf"(?:{_CLASS}|\\[dw.\-]|[\w~@!\-]|\((?:\?:)?|[)|+*?]|\{{[\d,]+\}})*", re.ASCII)

FILE_PARAMETER = "__file_uri__"  # of the routes that serve a directory; ``url_for`` calls it ``filename``

_UNSET: Any = object()
_SURE_DIGITS = 18  # so many always fit ``int``


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What may be set for one route; ``None`` and unset leave it to the settings.

    Times are seconds (``None`` switches the clock off), ``max_body_size`` is bytes.
    """

    ignore_body: bool = False
    unquote: bool = False
    error_format: str | None = None
    timeout: float | None = _UNSET
    idle_timeout: float | None = _UNSET
    write_timeout: float | None = _UNSET
    max_body_size: int | None = None
    half_close: bool = False
    shield: bool = False
    ctx: Mapping[str, Any] = field(default_factory=dict)
    inline: bool = False

    def timeouts(self) -> dict[str, float | None]:
        """The timeouts that differ from the settings, by their names there."""
        given = {"response": self.timeout, "stream_idle": self.idle_timeout, "write": self.write_timeout}
        return {name: value for name, value in given.items() if value is not _UNSET}


class Parameter(NamedTuple):
    """One parameter of a path pattern."""

    name: str
    expression: str
    convert: Callable[[str], Any]

    @property
    def in_segment(self) -> bool:
        """Whether its value is some part of one segment for sure, and never empty."""
        return _SLASHLESS.fullmatch(self.expression) is not None and re.fullmatch(self.expression, "") is None


class Route:
    """One method of one path, and the handler that answers it."""

    __slots__ = (
        "ctx",
        "early_middleware",
        "handler",
        "has_rules",
        "host",
        "method",
        "methods",
        "name",
        "options",
        "parameters",
        "pattern",
        "request_middleware",
        "response_middleware",
        "stream",
        "strict",
        "timeouts",
        "uri",
    )

    def __init__(
        self,
        uri: str,
        method: str,
        handler: Handler,
        *,
        name: str = "",
        host: str | None = None,
        strict: bool = False,
        stream: bool = False,
        options: RouteOptions | None = None,
        methods: Iterable[str] = (),
    ) -> None:
        self.uri = uri
        self.method = method
        self.methods = frozenset(methods) or frozenset({method})
        self.handler = handler
        self.name = name
        self.host = host
        self.strict = strict
        self.stream = stream
        self.options = options or RouteOptions()
        self.timeouts = self.options.timeouts() or None
        self.has_rules = self.options.shield or self.options.half_close or self.timeouts is not None
        self.ctx = SimpleNamespace(**self.options.ctx)
        self.parameters = _read_parameters(uri)
        self.pattern = _compile(uri, self.parameters, strict) if self.parameters else None
        self.early_middleware: list[Handler] = []
        self.request_middleware: list[Handler] = []
        self.response_middleware: list[Handler] = []

    @property
    def path(self) -> str:
        """The pattern, as it was registered."""
        return self.uri

    def __repr__(self) -> str:
        return f"<Route {self.method} {self.uri} {self.name}>"

    def spelled(self, path: str) -> str:
        """A path that this route matched, without the escapes that were undone for it."""
        return path if self.pattern is not None and self.pattern.fullmatch(path) else _normalize(path)

    def build(self, values: dict[str, Any]) -> str:
        """The path with values in place of parameters, taken out of ``values``; raises ``URLBuildError``."""
        parts = _PARAMETER.split(self.uri)
        parts[::2] = [quote(literal, safe=_PATH_SAFE) for literal in parts[::2]]
        for index, parameter in enumerate(self.parameters):
            kind = parts[2 * index + 1]
            try:
                value = str(values.pop(parameter.name))
            except KeyError:
                raise URLBuildError(f"the route {self.name} needs a value for {parameter.name}") from None
            if not re.fullmatch(parameter.expression, value):
                raise URLBuildError(f"{value!r} does not fit <{kind}> of the route {self.name}")
            parts[2 * index + 1] = quote(value, safe=_VALUE_SAFE if parameter.in_segment else "/" + _VALUE_SAFE)
        return "".join(parts)


def _read_parameters(uri: str) -> tuple[Parameter, ...]:
    found: list[Parameter] = []
    for text in _PARAMETER.findall(uri):
        name, colon, kind = text.partition(":")
        name = name.strip()
        if not name.isidentifier():
            raise ValueError(f"{name!r} in the path {uri} cannot name a parameter")
        if any(name == other.name for other in found):
            raise ValueError(f"the path {uri} names the parameter {name} twice")
        expression, convert = _TYPES.get(kind.strip(), (kind, str)) if colon else _TYPES["string"]
        try:
            re.compile(f"(?P<{name}>{expression})")
        except re.error as error:
            raise ValueError(f"<{text}> in the path {uri} is neither a known type nor a pattern: {error}") from None
        if not expression:
            raise ValueError(f"<{text}> in the path {uri} names no type and no pattern")
        found.append(Parameter(name, expression, convert))
    return tuple(found)


def _compile(uri: str, parameters: tuple[Parameter, ...], strict: bool) -> re.Pattern[str]:
    literals = [quote(literal, safe=_PATH_SAFE) for literal in _PARAMETER.split(uri)[::2]]
    end = ""
    # A slash at the end may be there or not, unless it belongs to a path, whose value it ends.
    if not strict and (literals[-1] or parameters[-1].expression != _TYPES["path"][0]):
        literals[-1] = literals[-1].rstrip("/")
        end = "/?"
    expression = re.escape(literals[0])
    for parameter, literal in zip(parameters, literals[1:], strict=True):
        expression += f"(?P<{parameter.name}>{parameter.expression}){re.escape(literal)}"
    return re.compile(expression + end, re.DOTALL)


def _normalize(path: str) -> str:
    """The path with every escape that need not be one undone, and the rest in capitals (RFC 3986 6.2.2)."""

    def undo(match: re.Match[str]) -> str:
        character = chr(int(match[0][1:], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(undo, path)


class _Pattern:
    """The methods that share one path pattern."""

    __slots__ = ("methods", "parameters", "regex")

    def __init__(self, regex: re.Pattern[str], parameters: tuple[Parameter, ...]) -> None:
        self.regex = regex
        self.parameters = parameters
        self.methods: dict[str, Route] = {}

    def values(self, path: str) -> dict[str, Any] | None:
        """The parameters of a path; ``None`` if it does not fit."""
        match = self.regex.fullmatch(path)
        if match is None:
            return None
        try:
            return {name: convert(match[name]) for name, _, convert in self.parameters}
        except ValueError:  # a number with more digits than int() takes, a day that no month has
            return None


class _Leaf(NamedTuple):
    """A pattern whose only parameter is its last segment, as it is matched against that alone."""

    fits: Callable[[str], Any]
    convert: Callable[[str], Any]
    name: str
    methods: dict[str, Route]


def _leaf_prefix(route: Route) -> str | None:
    """What stands before the only parameter of a route, if that is the whole last segment of its path; else ``None``."""
    first, *rest = _PARAMETER.split(route.uri)
    if len(rest) != 2 or not first.endswith("/") or rest[1] not in ("" if route.strict else "/", ""):
        return None
    return quote(first, safe=_PATH_SAFE)


class _Table:
    """The routes of one host, or of any."""

    def __init__(self) -> None:
        self.static: dict[str, dict[str, Route]] = {}
        self._buckets: dict[tuple[int, str | None], list[_Pattern]] = {}
        self._patterns: dict[str, _Pattern] = {}
        self._greedy: list[_Pattern] = []
        # Leaves by what stands before their parameter. The first pattern of a bucket that fits wins: behind one that is
        # no leaf, none is.
        self.leaves: dict[str, list[_Leaf]] = {}
        self._closed: set[tuple[int, str | None]] = set()

    def add(self, route: Route) -> None:
        if route.pattern is None:
            path = quote(route.uri, safe=_PATH_SAFE)
            paths = {path}
            if not route.strict and path != "/":
                paths |= {path.rstrip("/") or "/", path.rstrip("/") + "/"}
            for path in paths:
                self._put(self.static.setdefault(path, {}), route)
            return
        pattern = self._patterns.get(route.pattern.pattern)
        if pattern is None:
            pattern = self._patterns[route.pattern.pattern] = _Pattern(route.pattern, route.parameters)
            if not _HARMLESS.issuperset(parameter.expression for parameter in route.parameters):
                warn_of_pattern(route.pattern.pattern, f"the path {route.uri}")
            self._place(route, pattern)
        self._put(pattern.methods, route)

    def _put(self, methods: dict[str, Route], route: Route) -> None:
        known = methods.get(route.method)
        if known is not None and known.handler is not route.handler:
            raise ValueError(f"a route for {route.method} {route.uri} is registered already")
        methods[route.method] = route

    def _place(self, route: Route, pattern: _Pattern) -> None:
        if not all(parameter.in_segment for parameter in route.parameters):
            self._greedy.append(pattern)
            return
        segments = route.uri.strip("/").split("/")
        first = None if "<" in segments[0] else quote(segments[0], safe=_PATH_SAFE)
        key = len(segments), first
        self._buckets.setdefault(key, []).append(pattern)
        prefix = _leaf_prefix(route)
        if prefix is None or key in self._closed:
            self._closed.add(key)
            return
        name, expression, convert = route.parameters[0]
        fits = bool if expression == _TYPES["str"][0] else re.compile(expression, re.DOTALL).fullmatch
        self.leaves.setdefault(prefix, []).append(_Leaf(fits, convert, name, pattern.methods))

    def find(self, method: str, path: str, allowed: set[str]) -> tuple[Route, dict[str, Any]] | None:
        """The route and its parameters; the methods of paths that fit go to ``allowed``."""
        methods = self.static.get(path)
        if methods is not None:
            route = methods.get(method)
            if route is not None:
                return route, {}
            allowed.update(methods)
        if self._patterns:
            segments = path.strip("/").split("/")
            count = len(segments)
            for bucket in (
                self._buckets.get((count, segments[0])),
                self._buckets.get((count, None)),
                self._greedy,
            ):
                for pattern in bucket or ():
                    values = pattern.values(path)
                    if values is not None:
                        route = pattern.methods.get(method)
                        if route is not None:
                            if route.options.unquote:
                                values = {k: unquote(v) if isinstance(v, str) else v for k, v in values.items()}
                            return route, values
                        allowed.update(pattern.methods)
        return None


def _match_leaf(leaves: list[_Leaf], method: str, segment: str) -> tuple[Route, dict[str, Any]] | None:
    """The route for a last segment; ``None`` does not mean that there is none."""
    for fits, convert, name, methods in leaves:
        route = methods.get(method)
        if route is None:
            continue
        if convert is int and len(segment) <= _SURE_DIGITS and segment.isdecimal() and segment.isascii():
            return route, {name: int(segment)}
        if not fits(segment):
            continue
        try:
            value = convert(segment)
        except ValueError:  # see _Pattern.values
            continue
        if route.options.unquote and isinstance(value, str):
            value = unquote(value)
        return route, {name: value}
    return None


class Router:
    """All routes of an application, whose names begin with ``app`` and a dot."""

    def __init__(self, app: str = "") -> None:
        self._app = app
        self._table = _Table()
        self._hosts: dict[str, _Table] = {}
        self.has_hosts = False  # whether some route is for one host only
        self._names: dict[str, Route] = {}
        self.routes: list[Route] = []

    def add(self, route: Route) -> None:
        """Add a route; raises ``ValueError`` if its method and path are taken."""
        table = self._table if route.host is None else self._hosts.setdefault(route.host.lower(), _Table())
        table.add(route)
        self.has_hosts = bool(self._hosts)
        self.routes.append(route)
        self._names.setdefault(route.name, route)

    def match(self, method: str, path: str, host: str | None) -> tuple[Route, dict[str, Any]]:
        """The route for a request and the values of its parameters.

        Raises ``NotFound``, or ``MethodNotAllowed`` when the path is known under other methods. HEAD is answered by
        the route of GET when it has none of its own.
        """
        if not self.has_hosts:
            table = self._table
            methods = table.static.get(path)
            if methods is not None and method in methods:
                return methods[method], {}
            end = path.rfind("/") + 1
            leaves = table.leaves.get(path[:end])
            if leaves is not None:
                found = _match_leaf(leaves, method, path[end:])
                if found is not None:
                    return found
        allowed: set[str] = set()
        found = self._find(method, path, host, allowed)
        if found is None and "%" in path:
            normal = _normalize(path)
            if normal != path:
                found = self._find(method, normal, host, allowed)
        if found is not None:
            return found
        if allowed:
            if "GET" in allowed:
                allowed.add("HEAD")
            raise MethodNotAllowed(f"Method {method} not allowed for URL {path}", method, sorted(allowed))
        raise NotFound(f"Requested URL {path} not found")

    def _find(self, method: str, path: str, host: str | None, allowed: set[str]) -> tuple[Route, dict[str, Any]] | None:
        tables: tuple[_Table, ...] = (self._table,)
        if self._hosts and host:
            host = host.lower()
            own = self._hosts.get(host) or self._hosts.get(_PORT.sub("", host))
            if own is not None:
                tables = (own, self._table)
        for table in tables:
            found = table.find(method, path, allowed)
            if found is None and method == "HEAD":
                found = table.find("GET", path, allowed)
            if found is not None:
                return found
        return None

    def by_name(self, name: str) -> Route | None:
        """The first route with this name, which may leave out that of the application."""
        return self._names.get(name) or self._names.get(f"{self._app}.{name}")

    def url_for(self, name: str, values: dict[str, Any], server_name: str | None = None) -> str:
        """The address of a route: ``values`` fill its parameters, the rest is the query.

        ``_external``, ``_scheme``, ``_server``, ``_anchor`` and ``_method`` among them say what kind of address.
        """
        anchor, external, scheme, server, method = (
            values.pop(key, None) for key in ("_anchor", "_external", "_scheme", "_server", "_method")
        )
        if scheme and not external:
            raise ValueError("a _scheme needs _external=True")
        if name == "static" or name.endswith(".static"):
            name = values.pop("name", name)
        route = self.by_name(name)
        if route is None:
            raise URLBuildError(f"Endpoint with name `{name}` was not found")
        if method is not None and all(r.method != method for r in self.routes if r.name == route.name):
            raise URLBuildError(f"the route {name} has no method {method}")
        if any(parameter.name == FILE_PARAMETER for parameter in route.parameters) and "filename" in values:
            values[FILE_PARAMETER] = str(values.pop("filename")).lstrip("/")
        path = route.build(values)
        query = f"?{urlencode(values, doseq=True)}" if values else ""
        fragment = f"#{quote(str(anchor), safe='/?' + _VALUE_SAFE)}" if anchor else ""
        if not external:
            return f"{path}{query}{fragment}"
        server = server or route.host or server_name
        if not server:
            raise URLBuildError("a whole address needs _server=, SERVER_NAME or a route with a host")
        if "//" in server:
            parts = urlsplit(server)
            scheme, server = scheme or parts.scheme, parts.netloc
        return f"{scheme or 'http'}://{server}{path}{query}{fragment}"
