"""Settings, with Sanic's names and the seed era's defaults.

Sizes are bytes, times are seconds; ``None`` switches a limit or a clock off.
"""

import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from sanicish.exceptions import InvalidSetting, LoadFileException, PyFileError

__all__ = ["CHOICES", "DEFAULTS", "Config", "Limits", "Timeouts", "is_forwarded", "is_proxy", "words"]

DEFAULTS: dict[str, Any] = {
    # requests
    "REQUEST_MAX_SIZE": 100_000_000,  # body of a route that is not streaming
    "REQUEST_STREAM_MAX_SIZE": None,  # body of a streaming route
    "REQUEST_BUFFER_SIZE": 65_536,  # unread body held per connection
    "REQUEST_BUFFER_QUEUE_SIZE": 100,  # accepted for Sanic's sake; bytes are what counts here
    "REQUEST_MAX_HEADER_SIZE": 16_384,
    "REQUEST_MAX_HEADERS": 100,
    "REQUEST_MAX_TARGET_SIZE": 8_192,
    "REQUEST_MAX_JSON_SIZE": 4_194_304,  # bytes that request.json parses; max_body_size= of a route comes before it
    "REQUEST_MAX_FORM_SIZE": 1_048_576,  # bytes of a urlencoded form, or of all fields of a multipart form but its files
    "REQUEST_MAX_FORM_PARTS": 1_000,  # fields and files of a form
    "REQUEST_MAX_FORM_HEADER": 8_192,  # header of one part of a form
    "REQUEST_TIMEOUT": 60,  # from the first byte of a head to its last; absolute
    "REQUEST_IDLE_TIMEOUT": 60,  # a body that does not move
    "REQUEST_MIN_RATE": 240,  # bytes a second of a body that is awaited as a whole
    "REQUEST_STREAM_MIN_RATE": None,  # bytes a second of a body that a streaming route waits for
    "REQUEST_HEAD_MIN_RATE": None,  # bytes a second of a head that has begun
    "REQUEST_ID_HEADER": "X-Request-ID",
    "REQUEST_ID_IN_RESPONSE": False,  # whether answers tell it, in the same header
    # responses
    "RESPONSE_TIMEOUT": 60,  # until the response starts; never applies to a stream that has begun
    "RESPONSE_BUFFER_SIZE": 65_536,  # unsent bytes above which an awaited write waits
    "RESPONSE_BUFFER_LIMIT": 16 * 1024 * 1024,  # unsent bytes above which a write without await raises
    "WRITE_TIMEOUT": 60,  # a client that takes nothing
    "WRITE_MIN_RATE": None,  # bytes a second that a client takes while something waits for it
    "STREAM_IDLE_TIMEOUT": None,  # a stream that writes nothing
    "STREAM_CLEANUP_TIMEOUT": 5,
    "SYNC_THREADS": 64,  # threads that sync generators run in, in each process
    "SYNC_THREAD_TIMEOUT": 5,  # how long a new stream waits for one of them; then it is a 503
    "FAIRNESS_SLICE": 0.002,  # how long all handlers together may write before others get their turn
    "COMPRESS": False,  # for clients that take it: true, or encodings: "zstd, br, gzip"
    "JSON_NAN": "error",  # NaN and infinities, which JSON does not have: error, or null
    # connections
    "KEEP_ALIVE": True,
    "KEEP_ALIVE_TIMEOUT": 5,
    "DRAIN_LIMIT": 65_536,  # unread body swallowed to keep a connection
    "LINGER_TIMEOUT": 2,  # how long a refused sender may be silent before its connection is closed
    "LINGER_TOTAL_TIMEOUT": 30,  # how long it may go on sending, so that it sees the response
    "GRACEFUL_SHUTDOWN_TIMEOUT": 15.0,
    "DRAIN_DELAY": None,  # how long SIGTERM is told to probes and clients before the listening socket closes
    "GRACEFUL_TCP_CLOSE_TIMEOUT": 5.0,
    "MAX_CONNECTIONS": None,  # of a worker; connections above it get a 503
    "MAX_CONNECTIONS_PER_CLIENT": None,  # of one IPv4 address or IPv6 /64 network; more get a 429
    "CANCEL_ON_DISCONNECT": True,
    "UNIX_MODE": 0o660,  # who may connect to a unix socket: its owner and its group; as text in octal
    "REUSE_PORT": False,  # whether other processes may listen on the same port; some connections are lost at a restart
    # processes
    "START_TIMEOUT": 120,  # until a worker is ready; then it is killed
    "WORKER_TIMEOUT": 60,  # without a sign of life from its event loop, then a worker is replaced; off in debug mode
    "MAX_REQUESTS": None,  # after which a worker is replaced
    "MAX_MEMORY": None,  # bytes above which a worker is replaced
    # probes
    "HEALTH_PATH": None,  # 200 until the server begins to stop, then 503
    "READY_PATH": None,  # the same, but 503 until the start is complete
    # proxies
    "PROXY_PROTOCOL": False,  # every connection begins with a preamble that tells who its client is
    "TRUSTED_PROXIES": "127.0.0.1, ::1",  # who may send it: addresses and networks, unix for peers of unix sockets, or *
    "FORWARDED_SECRET": None,
    "REAL_IP_HEADER": None,
    "PROXIES_COUNT": None,
    "FORWARDED_FOR_HEADER": "X-Forwarded-For",
    "SERVER_NAME": None,  # host, or scheme and host, of the application's addresses, whatever host a client names
    "FORWARDED_FIELDS": "proto",  # X-Forwarded-* that proxies set or remove: any of proto, host, port, path
    # debug mode
    "DEBUG_BLOCKING_TIME": 0.1,  # how long the loop may stand still before the code that keeps it is named
    # everything else
    "ACCESS_LOG": True,
    "LOG_FORMAT": "text",  # text or json; Sanic(log_config=) says it by itself
    "LOG_LEVEL": None,  # the least to be logged (debug, info, warning, error, critical)
    "LOG_QUEUE_SIZE": 4 * 1024 * 1024,  # characters of log lines that wait to be written; further ones are dropped
    "FALLBACK_ERROR_FORMAT": "auto",  # auto, html, json, text
    "USE_UVLOOP": True,
    "MOTD": True,
    "TEMPLATING_PATH_TO_TEMPLATES": "templates",
    "TEMPLATING_ENABLE_ASYNC": False,
    "LOGO": None,
    "REGISTER": True,
    "AUTO_EXTEND": True,
    "AUTO_RELOAD": False,
}

_NUMBERS = frozenset({name for name, value in DEFAULTS.items() if type(value) in (int, float)} - {"UNIX_MODE"}) | {
    "REQUEST_STREAM_MAX_SIZE",
    "REQUEST_STREAM_MIN_RATE",
    "REQUEST_HEAD_MIN_RATE",
    "WRITE_MIN_RATE",
    "STREAM_IDLE_TIMEOUT",
    "DRAIN_DELAY",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_CLIENT",
    "MAX_REQUESTS",
    "MAX_MEMORY",
    "PROXIES_COUNT",
}
_WHOLE = (
    "SYNC_THREADS",
    "REQUEST_MAX_HEADER_SIZE",
    "REQUEST_MAX_HEADERS",
    "REQUEST_MAX_TARGET_SIZE",
)  # and never without a limit
_NEEDED = frozenset(
    {
        "DRAIN_LIMIT",
        "FAIRNESS_SLICE",
        "REQUEST_BUFFER_SIZE",
        "REQUEST_MAX_FORM_HEADER",
        "REQUEST_MAX_FORM_PARTS",
        "RESPONSE_BUFFER_LIMIT",
        "RESPONSE_BUFFER_SIZE",
        "STREAM_CLEANUP_TIMEOUT",
    }
)  # numbers that may be large, and never None
_NAMES = ("REQUEST_ID_HEADER", "REAL_IP_HEADER", "FORWARDED_FOR_HEADER")
CHOICES = {
    "JSON_NAN": ("error", "null"),
    "LOG_FORMAT": ("text", "json"),
    "LOG_LEVEL": ("debug", "info", "warning", "error", "critical"),
    "FALLBACK_ERROR_FORMAT": ("auto", "html", "json", "text"),
}
_FORWARDED = frozenset({"proto", "host", "port", "path"})
_TEXT = frozenset({"FORWARDED_SECRET", "JSON_NAN", "UNIX_MODE"})  # never read as a number or truth: 0123 is not 123

_TRUE = frozenset({"y", "yes", "yep", "yup", "t", "true", "on", "enable", "enabled"})
_FALSE = frozenset({"n", "no", "f", "false", "off", "disable", "disabled"})


def _convert(text: str) -> Any:
    """A setting as the environment spells it: number, truth, nothing, or text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    word = text.lower()
    if word in ("none", "null"):
        return None
    return True if word in _TRUE else False if word in _FALSE else text


def _meant(name: str) -> str | None:
    """The setting that a name is close to, by its letters or by its words in any order; ``None`` if it is none."""

    def likeness(setting: str) -> float:
        words, own = ("_".join(sorted(one.split("_"))) for one in (name, setting))
        return max(SequenceMatcher(None, name, setting).ratio(), SequenceMatcher(None, words, own).ratio())

    nearest = max(DEFAULTS, key=likeness)
    return nearest if likeness(nearest) > _CLOSE else None


_CLOSE = 0.8  # GRACEFUL_SHUTDOWN and PROXY_COUNT are close to settings, READ_TIMEOUT and HTTP_TIMEOUT are not


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def words(value: Any) -> list[str]:
    """The words of a setting that is a list, or text with commas or blanks between them; ``None`` is empty."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return list(value) if isinstance(value, Iterable) else [] if value is None else [value]


def is_forwarded(name: object) -> bool:
    """Whether something can stand in ``FORWARDED_FIELDS``."""
    return name in _FORWARDED


def is_proxy(name: object) -> bool:
    """Whether something can stand in ``TRUSTED_PROXIES``."""
    try:
        return name in ("*", "unix") or (isinstance(name, str) and bool(ip_network(name, False)))
    except ValueError:
        return False


class Limits(NamedTuple):
    """The settings that the wire looks at for every connection, read once (bytes and counts)."""

    head: int
    fields: int
    target: int
    buffer: int
    drain: int
    unsent: int
    stream_body: int | None


class Timeouts(NamedTuple):
    """How long each thing may take, in seconds, and how slow a body may be, in bytes a second; ``None`` is off."""

    head: float | None
    body_idle: float | None
    response: float | None
    write: float | None
    stream_idle: float | None
    keep_alive: float | None
    linger: float | None
    close: float | None
    body_rate: float | None
    head_rate: float | None = None
    write_rate: float | None = None
    stream_body_rate: float | None = None
    linger_total: float | None = None


class Config(dict[str, Any]):
    """Settings by name, as attributes or as items; an unknown attribute raises ``AttributeError``.

    They come from Sanic's defaults, then the mapping ``defaults``, then the environment, then upper-case keywords; the
    later one wins. ``converters`` read the text of the environment before we do, or raise ``ValueError``.
    """

    def __init__(
        self,
        defaults: Mapping[str, Any] | None = None,
        env_prefix: str | None = "SANICISH_",
        load_env: bool | str = True,
        keep_alive: bool | None = None,
        *,
        converters: Iterable[Callable[[str], Any]] = (),
        **settings: Any,
    ) -> None:
        super().__init__(DEFAULTS)
        object.__setattr__(self, "_converters", list(converters))
        object.__setattr__(self, "_variables", {})  # of the environment, by the names of the settings they gave
        object.__setattr__(self, "_doubted", set())
        self.update(defaults or {})
        if keep_alive is not None:
            self["KEEP_ALIVE"] = keep_alive
        if isinstance(load_env, str):  # Sanic to 20.12: load_env="MYAPP_"
            env_prefix = load_env
        if load_env and env_prefix:
            self.load_environment_vars(env_prefix)
        for name, value in settings.items():
            if not name.isupper():
                raise TypeError(f"Config takes settings in upper case, not {name!r}")
            self[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"Config has no {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def load_environment_vars(self, prefix: str = "SANICISH_") -> None:
        """Take every ``PREFIX_NAME=value`` of the environment, read as number, truth, ``none`` or text."""
        for variable, text in os.environ.items():
            name = variable.removeprefix(prefix)
            if name.isupper() and variable.startswith(prefix):
                self._variables[name] = variable
                self[name] = text if name in _TEXT else self._read(text)

    def register_type(self, converter: Callable[[str], Any]) -> None:
        """Let a function read the text of the environment before all others do; ``ValueError`` leaves it to them."""
        self._converters.append(converter)

    def _read(self, text: str) -> Any:
        for converter in reversed(self._converters):
            try:
                return converter(text)
            except ValueError:
                pass
        return _convert(text)

    def from_object(self, source: object) -> None:
        """Take the upper-case attributes of an object."""
        self.update({name: getattr(source, name) for name in dir(source) if name.isupper()})

    def from_pyfile(self, path: str | os.PathLike[str]) -> bool:
        """Run a Python file and take its upper-case names; raises ``LoadFileException`` or ``PyFileError``."""
        module = types.ModuleType("config")
        module.__file__ = str(path)
        try:
            source = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a NUL in the path
            raise LoadFileException(f"could not load config file {path}: {error}") from error
        try:
            exec(compile(source, str(path), "exec"), module.__dict__)
        except Exception as error:
            raise PyFileError(path) from error
        self.from_object(module)
        return True

    def from_envvar(self, name: str) -> bool:
        """Run the Python file that an environment variable names."""
        path = os.environ.get(name)
        if not path:
            raise LoadFileException(f"the environment variable {name} is not set, so there is no config file to load")
        return self.from_pyfile(path)

    def update_config(self, source: Any) -> None:
        """Take settings from a mapping, a path to a Python file, or any object with upper-case names."""
        if isinstance(source, str | os.PathLike):
            self.from_pyfile(source)
        elif isinstance(source, Mapping):
            self.update({name: value for name, value in source.items() if name.isupper()})
        else:
            self.from_object(source)

    @property
    def id_field(self) -> bytes | None:
        """The name of the field in which clients say what they call a request, in lower case."""
        name = self.get("REQUEST_ID_HEADER")
        return name.lower().encode() if name else None

    def check(self) -> None:
        """Raise ``InvalidSetting`` for a value that no server can work with; a server asks before it starts."""
        for name in sorted(_NUMBERS):
            value = self.get(name)
            if value is None and name not in _NEEDED:
                continue
            if value is None or not (_is_number(value) and value >= 0):
                none = "" if name in _NEEDED else " or none"
                raise InvalidSetting(f"the setting {name} is a number from 0 on{none}, not {value!r}")
        for name in _WHOLE:
            if not isinstance(self.get(name), int):
                raise InvalidSetting(f"the setting {name} is a whole number, not {self.get(name)!r}")
        for name in _NAMES:
            if not isinstance(self.get(name), str | None):
                raise InvalidSetting(f"the setting {name} is the name of a header or none, not {self.get(name)!r}")
        for name, choices in CHOICES.items():
            value = self.get(name)
            if value is None and DEFAULTS[name] is None:
                continue
            if not isinstance(value, str) or value.lower() not in choices:
                raise InvalidSetting(f"the setting {name} is one of {', '.join(choices)}, not {value!r}")
        mode = self.get("UNIX_MODE")
        if not (re.fullmatch("(0o?)?[0-7]{3}", mode) if isinstance(mode, str) else mode in range(0o1000)):
            raise InvalidSetting(f"the setting UNIX_MODE is a mode such as 0o660, not {mode!r}")
        for name, kinds, fits in (
            ("TRUSTED_PROXIES", "addresses and networks, unix, or *", is_proxy),
            ("FORWARDED_FIELDS", "proto, host, port and path, or empty", is_forwarded),
        ):
            wrong = [word for word in words(self.get(name)) if not fits(word)]
            if wrong:
                raise InvalidSetting(f"the setting {name} is a list of {kinds}, not {wrong[0]!r}")

    def doubts(self) -> Iterator[str]:
        """A sentence for each name that is no setting but close to one, the first time it is asked for."""
        for name in [name for name in self if name not in DEFAULTS and name not in self._doubted]:
            self._doubted.add(name)
            if not name.startswith("_") and (meant := _meant(name)) is not None:
                variable = self._variables.get(name)
                told = f"{name} (from {variable} in the environment)" if variable else name
                yield f"there is no setting {told}; did you mean {meant}?"

    def limits(self) -> Limits:
        """What the wire keeps to; taken when a server starts."""
        return Limits(
            head=self["REQUEST_MAX_HEADER_SIZE"],
            fields=self["REQUEST_MAX_HEADERS"],
            target=self["REQUEST_MAX_TARGET_SIZE"],
            buffer=self["REQUEST_BUFFER_SIZE"],
            drain=self["DRAIN_LIMIT"],
            unsent=self["RESPONSE_BUFFER_LIMIT"],
            stream_body=self["REQUEST_STREAM_MAX_SIZE"],
        )

    def timeouts(self) -> Timeouts:
        """The timeouts of a server; routes and responses may set their own for one exchange."""
        return Timeouts(
            head=self["REQUEST_TIMEOUT"],
            body_idle=self["REQUEST_IDLE_TIMEOUT"],
            response=self["RESPONSE_TIMEOUT"],
            write=self["WRITE_TIMEOUT"],
            stream_idle=self["STREAM_IDLE_TIMEOUT"],
            keep_alive=self["KEEP_ALIVE_TIMEOUT"] if self["KEEP_ALIVE"] else 0,
            linger=self["LINGER_TIMEOUT"],
            close=self["GRACEFUL_TCP_CLOSE_TIMEOUT"],
            body_rate=self["REQUEST_MIN_RATE"],
            head_rate=self["REQUEST_HEAD_MIN_RATE"],
            write_rate=self["WRITE_MIN_RATE"],
            stream_body_rate=self["REQUEST_STREAM_MIN_RATE"],
            linger_total=self["LINGER_TOTAL_TIMEOUT"],
        )
