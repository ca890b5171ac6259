"""The command line: ``sanicish module:app``. It knows where an application is found, and nothing of how it is served."""

import argparse
import importlib
import importlib.metadata
import inspect
import socket
import ssl
import sys
from pathlib import Path
from typing import Any, NoReturn

from sanicish import porting
from sanicish.app import Sanic
from sanicish.hosted import is_asgi
from sanicish.server.tls import tls_context
from sanicish.simple import simple_app

__all__ = ["CommandError", "load_app", "main"]


class CommandError(Exception):
    """What the command cannot do, in one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help tells more)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="sanicish",
        description="Serve a sanicish application.",
        epilog="`sanicish port PATH` lists what has to change in code written for Sanic, Flask or Quart."
        " Settings are also read from SANICISH_* in the environment, for example SANICISH_KEEP_ALIVE_TIMEOUT=30.",
    )
    parser.add_argument("app", help="module:app, module.app, a module with an 'app', or a path to a Python file")
    parser.add_argument("--factory", action="store_true", help="the name is a function that returns the application")
    parser.add_argument(
        "--interface",
        choices=("auto", "sanicish", "asgi"),
        default="auto",
        help="what the application is; auto looks at it (default %(default)s)",
    )
    parser.add_argument("-s", "--simple", action="store_true", help="serve a folder instead: sanicish --simple DIR")
    parser.add_argument("-v", "--version", action="version", version=f"sanicish {_version()}")
    where = parser.add_argument_group("where to listen")
    where.add_argument("-H", "--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    where.add_argument("-p", "--port", type=_port, default=8000, help="0 is any free port (default %(default)s)")
    where.add_argument("-u", "--unix", "--uds", metavar="PATH", help="listen on a unix socket instead")
    where.add_argument("--fd", type=int, metavar="N", help="listen on a socket that was inherited as descriptor N")
    where.add_argument("--backlog", type=int, default=100, help="connections the kernel may hold (default %(default)s)")
    where.add_argument("--cert", "--certfile", metavar="FILE", help="TLS certificate chain")
    where.add_argument("--key", "--keyfile", metavar="FILE", help="TLS private key")
    how = parser.add_argument_group("how to run")
    how.add_argument(
        "-w", "--workers", type=_workers, default=1, metavar="N", help="processes that serve, or auto (default 1)"
    )
    how.add_argument("--max-requests", type=int, metavar="N", help="replace a worker after so many requests")
    how.add_argument("--single-process", action="store_true", help="serve in this process, whatever else is said")
    how.add_argument("--debug", action="store_true", help="tracebacks on error pages, more in the log")
    how.add_argument("--access-log", "--access-logs", action=argparse.BooleanOptionalAction, help="log each request")
    how.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error", "critical"), help="least to be logged"
    )
    how.add_argument("--log-format", choices=("text", "json"), help="lines for people (default), or one object a line")
    how.add_argument("--motd", action=argparse.BooleanOptionalAction, default=True, help="say where it listens")
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 65_536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are 0 to 65535")


def _workers(text: str) -> int | str:
    if text == "auto" or (text.isascii() and text.isdigit() and int(text)):
        return text if text == "auto" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of workers; give 1 or more, or auto")


def _version() -> str:
    try:
        return importlib.metadata.version("sanicish")
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return "(not installed)"


def load_app(name: str, factory: bool = False, interface: str = "auto") -> Sanic:
    """The application that a name on the command line means; raises ``CommandError`` if there is none.

    One of ASGI is hosted by an application of ours.
    An error inside the module that is loaded comes out as it is.
    """
    place, _, attribute = name.partition(":")
    if place.endswith(".py") or "/" in place:
        module = _load_file(Path(place))
    else:
        module, attribute = _load_named(place, attribute)
    found = module
    for part in (attribute or "app").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CommandError(f"{place} has no {attribute or 'app'}") from None
    if not factory and (app := _as_app(found, interface)) is not None:
        return app
    if not _is_factory(found):
        wanted = "a function without arguments that makes an application" if factory else "an application"
        raise CommandError(f"{name} is a {type(found).__name__}, not {wanted}")
    made = found()
    if (app := _as_app(made, interface)) is None:
        raise CommandError(f"{name}() is a {type(made).__name__}, not an application")
    return app


def _as_app(found: Any, interface: str) -> Sanic | None:
    """An application of ours: what was found, or one that hosts it; ``None`` if it is none of that interface."""
    if isinstance(found, Sanic) and interface != "asgi":
        return found
    if interface == "sanicish" or not (is_asgi(found) or (interface == "asgi" and callable(found))):
        return None
    app = Sanic("asgi", register=False)
    app.mount("/", found)
    return app


def _is_factory(found: Any) -> bool:
    """Whether it can be called without arguments."""
    try:
        inspect.signature(found).bind()
    except (TypeError, ValueError):
        return False
    return True


def _load_named(place: str, attribute: str) -> tuple[Any, str]:
    """The module of ``module`` or ``module.attribute``, and the attribute."""
    if not all(part.isidentifier() for part in place.split(".")):
        raise CommandError(f"{place!r} cannot be the name of a module")
    sys.path.insert(0, str(Path.cwd()))
    module = _import(place)
    if module is None and not attribute and "." in place:
        inner, _, attribute = place.rpartition(".")
        module = _import(inner)
    if module is None:
        raise CommandError(f"there is no module named {place}")
    return module, attribute


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            return None
        raise  # the module is there, but something that it imports is not


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))
    module = importlib.import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise CommandError(f"{path} cannot be loaded: another module is named {path.stem} already")
    return module


def _serving_folder(name: str) -> Sanic:
    try:
        return simple_app(name)
    except NotADirectoryError as error:
        raise CommandError(str(error)) from None


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if not cert and not key:
        return None
    if not cert or not key:
        raise CommandError("--cert and --key go together")
    for name in (cert, key):
        if not Path(name).is_file():
            raise CommandError(f"there is no file {name}")
    try:
        return tls_context({"cert": cert, "key": key})
    except OSError as error:  # SSLError is one
        raise CommandError(f"cannot use the certificate {cert} with the key {key}: {_reason(error)}") from None


def _inherited(descriptor: int | None) -> socket.socket | None:
    try:
        return None if descriptor is None else socket.socket(fileno=descriptor)
    except OSError as error:
        raise CommandError(f"descriptor {descriptor} is no socket: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """The last part of it: what comes before names the address once more."""
    return (error.strerror or str(error)).rpartition(": ")[2]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives its exit code: 0, or 1 with one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["port"]:
        return porting.main(given[1:])
    options = _parser().parse_args(given)
    try:
        context = _tls(options.cert, options.key)
        sock = _inherited(options.fd)
        app = (
            _serving_folder(options.app)
            if options.simple
            else load_app(options.app, options.factory, options.interface)
        )
    except CommandError as error:
        print(f"sanicish: {error}", file=sys.stderr)
        return 1
    if options.log_level:
        app.config.LOG_LEVEL = options.log_level
    if options.log_format:
        app.config.LOG_FORMAT = options.log_format
    try:
        app.run(
            options.host,
            options.port,
            debug=options.debug,
            ssl=context,
            unix=options.unix,
            sock=sock,
            backlog=options.backlog,
            access_log=options.access_log,
            motd=options.motd,
            workers=options.workers,
            max_requests=options.max_requests,
            single_process=options.single_process,
        )
    except OSError as error:
        if hasattr(error, "__notes__"):
            raise  # not the address but a listener failed, and it has said which
        place = options.unix or (f"descriptor {options.fd}" if sock else f"{options.host}:{options.port}")
        print(f"sanicish: cannot listen on {place}: {_reason(error)}", file=sys.stderr)
        return 1
    return 0
