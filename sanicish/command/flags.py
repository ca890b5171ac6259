"""What can be said on the command line, and which setting it is. It knows nothing of applications and servers."""

import argparse
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from sanicish.config import CHOICES, DEFAULTS, is_forwarded, is_proxy, words

__all__ = ["Parser", "hosting_of", "settings_of"]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def port(text: str) -> int:
    """A port, 0 for any that is free."""
    if text.isascii() and text.isdigit() and int(text) < 65_536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are 0 to 65535")


def workers(text: str) -> int | str:
    """A number of workers, or auto."""
    if text == "auto" or (text.isascii() and text.isdigit() and int(text)):
        return text if text == "auto" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of workers; give 1 or more, or auto")


def seconds(text: str) -> float | None:
    """A time, or none for no limit."""
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", text, re.ASCII):
        return float(text)
    _expect_none(text, "no number of seconds; give for example 2.5, or none")
    return None


def size(text: str) -> int | None:
    """Bytes, with a unit or without, or none for no limit."""
    match = re.fullmatch(r"([0-9]+)([kmg]?i?)b?", text.lower(), re.ASCII)
    if match and match[2] in _UNITS:
        return int(match[1]) * _UNITS[match[2]]
    _expect_none(text, "no size; give for example 500M, or none")
    return None


def count(text: str) -> int | None:
    """A number, or none for no limit."""
    if text.isascii() and text.isdigit():
        return int(text)
    _expect_none(text, "no number; give 0 or more, or none")
    return None


def mode(text: str) -> int:
    """The mode of a file, in octal."""
    if re.fullmatch(r"(0o?)?[0-7]{3}", text):
        return int(text, 8)
    raise argparse.ArgumentTypeError(f"{text!r} is no mode; give three octal digits, for example 660")


def networks(text: str) -> str:
    """Addresses and networks, unix sockets, or everybody."""
    for name in words(text):
        if not is_proxy(name):
            raise argparse.ArgumentTypeError(f"{name!r} is no address and no network")
    return text


def forwarded(text: str) -> str:
    """Fields of proxies by the word behind ``X-Forwarded-``, or none."""
    if text.lower() == "none":
        return ""
    for name in words(text):
        if not is_forwarded(name):
            raise argparse.ArgumentTypeError(f"{name!r} is none of proto, host, port and path")
    return text


def spec_version(text: str) -> str:
    """A version of ASGI's HTTP specification."""
    if re.fullmatch(r"[0-9]+\.[0-9]+", text, re.ASCII):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no version; give for example 2.4")


def path(text: str) -> str:
    """The path of an address."""
    if text.startswith("/"):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is no path; it begins with /")


def _expect_none(text: str, otherwise: str) -> None:
    if text.lower() != "none":
        raise argparse.ArgumentTypeError(f"{text!r} is {otherwise}")


class Flag(NamedTuple):
    """A flag that is a setting."""

    names: str
    setting: str
    kind: Callable[[str], Any]
    shown: str
    help: str


LIMITS = [
    Flag("--limit-body", "REQUEST_MAX_SIZE", size, "SIZE", "body of a request that is not streamed"),
    Flag("--limit-json", "REQUEST_MAX_JSON_SIZE", size, "SIZE", "what request.json parses"),
    Flag("--limit-form", "REQUEST_MAX_FORM_SIZE", size, "SIZE", "what request.form parses, without files"),
    Flag("--limit-head", "REQUEST_MAX_HEADER_SIZE", size, "SIZE", "head of a request"),
    Flag("--limit-connections --limit-concurrency", "MAX_CONNECTIONS", count, "N", "more are refused with 503"),
    Flag(
        "--limit-connections-per-client",
        "MAX_CONNECTIONS_PER_CLIENT",
        count,
        "N",
        "more from one address are refused with 429",
    ),
    Flag("--timeout-request", "REQUEST_TIMEOUT", seconds, "SECONDS", "for the head of a request to come"),
    Flag("--timeout-upload", "REQUEST_IDLE_TIMEOUT", seconds, "SECONDS", "for a body that does not move"),
    Flag("--timeout-response", "RESPONSE_TIMEOUT", seconds, "SECONDS", "until a response begins"),
    Flag("--timeout-write", "WRITE_TIMEOUT", seconds, "SECONDS", "for a client that takes nothing"),
    Flag("--timeout-stream", "STREAM_IDLE_TIMEOUT", seconds, "SECONDS", "for a stream that writes nothing"),
    Flag("--timeout-keep-alive --keep-alive", "KEEP_ALIVE_TIMEOUT", seconds, "SECONDS", "between two requests"),
]

RESTARTS = [
    Flag("--max-requests --limit-max-requests", "MAX_REQUESTS", count, "N", "replace a worker after so many"),
    Flag("--max-memory", "MAX_MEMORY", size, "SIZE", "replace a worker that holds more"),
    Flag("--timeout-start", "START_TIMEOUT", seconds, "SECONDS", "until a worker is ready"),
    Flag("--timeout-worker", "WORKER_TIMEOUT", seconds, "SECONDS", "replace a worker whose loop hangs for so long"),
    Flag(
        "--timeout-graceful-shutdown --graceful-timeout",
        "GRACEFUL_SHUTDOWN_TIMEOUT",
        seconds,
        "SECONDS",
        "for what is open when the server stops",
    ),
    Flag("--drain-delay", "DRAIN_DELAY", seconds, "SECONDS", "go on accepting after SIGTERM, while probes say 503"),
]

PROXIES = [
    Flag("--proxies-count", "PROXIES_COUNT", count, "N", "proxies in front that add to X-Forwarded-For"),
    Flag(
        "--forwarded-fields",
        "FORWARDED_FIELDS",
        forwarded,
        "LIST",
        "X-Forwarded-* fields that proxies set or remove: proto, host, port, path, or none",
    ),
    Flag("--real-ip-header", "REAL_IP_HEADER", str, "NAME", "header in which the proxy tells the client's address"),
    Flag("--forwarded-secret", "FORWARDED_SECRET", str, "TEXT", "proves Forwarded; better set in the environment"),
    Flag("--trusted-proxies --proxy-allow-from", "TRUSTED_PROXIES", networks, "LIST", "who may send a PROXY preamble"),
]


class Parser(argparse.ArgumentParser):
    """The command line, in groups; what is wrong with one is told in one line, with exit code 2."""

    def __init__(self, version: str) -> None:
        super().__init__(
            prog="sanicish",
            usage="sanicish [options] app",
            description="Serve a sanicish application, or any ASGI application.",
            epilog="Every setting can be given in the environment as well: SANICISH_KEEP_ALIVE_TIMEOUT=30; PORT and"
            " WEB_CONCURRENCY are read too. `sanicish port PATH` lists what has to change in code written for Sanic,"
            " Flask or Quart.",
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=34, width=112),
            allow_abbrev=False,
        )
        self._what(version)
        self._hosting()
        self._where()
        self._how()
        self._logs()
        self._settings("limits and timeouts (a setting each; none switches one off)", LIMITS)
        self._settings("workers that are replaced, servers that stop", RESTARTS)
        self._behind_proxies()

    def error(self, message: str) -> NoReturn:
        """End with what is wrong in one line."""
        self.exit(2, f"{self.prog}: {message} (--help tells more)\n")

    def _what(self, version: str) -> None:
        add = self.add_argument
        add("app", help="module:app, module.app, a module with an 'app', or a path to a Python file")
        add("--factory", action="store_true", help="the name is a function that returns the application")
        kinds = ("auto", "sanicish", "asgi")
        add("--interface", choices=kinds, default="auto", help="what it is; auto looks at it (default %(default)s)")
        add("-s", "--simple", action="store_true", help="serve a folder instead: sanicish --simple DIR")
        add("--dotfiles", action="store_true", help="with --simple, serve names that begin with a dot as well")
        add("-v", "--version", action="version", version=f"sanicish {version}")

    def _hosting(self) -> None:
        add = self.add_argument_group("ASGI applications of other frameworks").add_argument
        help = (
            "never cancel the application when a client leaves, or always (default: while it streams, unless it waits"
            " for messages)"
        )
        add("--shield", action=argparse.BooleanOptionalAction, help=help)
        add("--asgi-spec", type=spec_version, metavar="VERSION", help="spec_version to announce, for example 2.4")

    def _where(self) -> None:
        add = self.add_argument_group("where to listen").add_argument
        add("-H", "--host", default="127.0.0.1", help="all addresses of this name (default %(default)s)")
        default = os.environ.get("PORT", "8000")
        add("-p", "--port", type=port, default=default, help="0 is any free port (default %(default)s)")
        add("-u", "--unix", "--uds", metavar="PATH", help="listen on a unix socket instead")
        add("--unix-mode", type=mode, metavar="MODE", dest="UNIX_MODE", help="its mode (default 660)", **_ABSENT)
        add("--fd", type=int, metavar="N", help="listen on a socket that was inherited as descriptor N")
        add("--backlog", type=int, default=100, help="connections the kernel may hold (default %(default)s)")
        add("--reuse-port", action="store_true", dest="REUSE_PORT", help="share the port with others", **_ABSENT)
        add(
            "--cert",
            "--certfile",
            "--ssl-certfile",
            metavar="FILE",
            help="TLS certificate chain; SIGHUP reads it again",
        )
        add("--key", "--keyfile", "--ssl-keyfile", metavar="FILE", help="TLS private key")

    def _how(self) -> None:
        add = self.add_argument_group("how to run").add_argument
        default = os.environ.get("WEB_CONCURRENCY", "1")
        help = "processes that serve, or auto (default %(default)s)"
        add("-w", "--workers", type=workers, default=default, metavar="N", help=help)
        add("--fast", dest="workers", action="store_const", const="auto", help="the same as --workers auto")
        add("-r", "--reload", "--auto-reload", action="store_true", help="new workers when Python files change")
        help = "watch all files of this directory instead; may be repeated"
        add("-R", "--reload-dir", action="append", default=[], metavar="DIR", help=help)
        add("-d", "--dev", action="store_true", help="the same as --debug --reload")
        add("--debug", action="store_true", help="tracebacks on error pages, advice, more in the log")
        add("--loop", choices=("auto", "uvloop", "asyncio"), help="the event loop (default uvloop)")
        add("--single-process", action="store_true", help="serve in this process, whatever else is said")

    def _logs(self) -> None:
        group = self.add_argument_group("what to log")
        switch = argparse.BooleanOptionalAction
        group.add_argument("--access-log", "--access-logs", action=switch, help="log each request")
        levels = CHOICES["LOG_LEVEL"]
        group.add_argument("--log-level", choices=levels, dest="LOG_LEVEL", help="least to be logged", **_ABSENT)
        help = "lines for people (default), or one object a line"
        formats = CHOICES["LOG_FORMAT"]
        group.add_argument("--log-format", choices=formats, dest="LOG_FORMAT", help=help, **_ABSENT)
        help = f"characters of log lines that may wait to be written (default {DEFAULTS['LOG_QUEUE_SIZE']})"
        group.add_argument("--log-queue", type=size, metavar="SIZE", dest="LOG_QUEUE_SIZE", help=help, **_ABSENT)
        group.add_argument("--motd", action=switch, default=True, help="say where it listens")

    def _behind_proxies(self) -> None:
        add = self._settings("behind proxies", PROXIES).add_argument
        help = "connections begin with its preamble, version 1 or 2"
        add("--proxy-protocol", action="store_true", dest="PROXY_PROTOCOL", help=help, **_ABSENT)
        for name, setting, what in (
            ("health", "HEALTH_PATH", "200 until the server stops"),
            ("ready", "READY_PATH", "200 while it is ready"),
        ):
            help = f"answer there (/{name}): {what}, else 503"
            add(f"--{name}-path", nargs="?", const=f"/{name}", type=path, dest=setting, help=help, **_ABSENT)

    def _settings(self, title: str, flags: list[Flag]) -> argparse._ArgumentGroup:
        group = self.add_argument_group(title)
        for flag in flags:
            default = DEFAULTS[flag.setting]
            help = flag.help if default is None else f"{flag.help} (default {default})"
            group.add_argument(
                *flag.names.split(), dest=flag.setting, type=flag.kind, metavar=flag.shown, help=help, **_ABSENT
            )
        return group


_ABSENT: dict[str, Any] = {"default": argparse.SUPPRESS}  # so that what was not said is no setting


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The settings among what was said."""
    said = {name: value for name, value in vars(options).items() if name.isupper()}
    return said if options.loop in (None, "auto") else {**said, "USE_UVLOOP": options.loop == "uvloop"}


def hosting_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of how to host an ASGI application, as options of ``Sanic.mount``."""
    told = {"shield": options.shield, "spec_version": options.asgi_spec}
    return {name: value for name, value in told.items() if value is not None}
