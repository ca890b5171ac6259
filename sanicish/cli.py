"""The command line: ``sanicish module:app``."""

import argparse
import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from typing import Any

from sanicish.app import Sanic

__all__ = ["load_app", "main"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sanicish",
        description="Serve a sanicish application.",
        epilog="Settings are also read from SANICISH_* in the environment, for example SANICISH_KEEP_ALIVE_TIMEOUT=30.",
    )
    parser.add_argument("app", help="module:app, module.app, a module with an 'app', or a path to a Python file")
    parser.add_argument("--factory", action="store_true", help="the name is a function that returns the application")
    parser.add_argument("-v", "--version", action="version", version=f"sanicish {_version()}")
    where = parser.add_argument_group("where to listen")
    where.add_argument("-H", "--host", help="address to listen on (default 127.0.0.1)")
    where.add_argument("-p", "--port", type=int, help="port to listen on, 0 for a free one (default 8000)")
    where.add_argument("-u", "--unix", "--uds", metavar="PATH", help="listen on a unix socket instead")
    where.add_argument("--backlog", type=int, default=100, help="connections the kernel may hold (default 100)")
    where.add_argument("--cert", "--certfile", metavar="FILE", help="TLS certificate chain")
    where.add_argument("--key", "--keyfile", metavar="FILE", help="TLS private key")
    how = parser.add_argument_group("how to run")
    how.add_argument("--debug", action="store_true", help="tracebacks on error pages, more in the log")
    how.add_argument("--access-log", "--access-logs", action=argparse.BooleanOptionalAction, help="log each request")
    how.add_argument("--motd", action=argparse.BooleanOptionalAction, default=True, help="say where it listens")
    return parser


def _version() -> str:
    return importlib.metadata.version("sanicish")


def load_app(name: str, factory: bool = False) -> Sanic:
    """The application that a name on the command line means; raises ``LookupError`` with a sentence if there is none."""
    module_name, colon, attribute = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        module = _load_file(Path(module_name))
    else:
        sys.path.insert(0, str(Path.cwd()))
        if not colon and not importlib.util.find_spec(module_name.partition(".")[0]):
            raise LookupError(f"there is no module named {module_name}")
        module = _load_module(module_name)
        if module is None and not colon and "." in module_name:
            module_name, _, attribute = module_name.rpartition(".")
            module = _load_module(module_name)
        if module is None:
            raise LookupError(f"there is no module named {module_name}")
    found: Any = module
    for part in (attribute or "app").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LookupError(f"{module_name} has no {attribute or 'app'}") from None
    if factory or (callable(found) and not isinstance(found, Sanic)):
        found = found()
    if not isinstance(found, Sanic):
        raise LookupError(f"{name} is a {type(found).__name__}, not a Sanic application")
    return found


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise  # the module is there, but something that it imports is not


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise LookupError(f"there is no file {path}")
    sys.path.insert(0, str(path.parent.resolve()))
    return importlib.import_module(path.stem)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 1 with one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        app = load_app(options.app, options.factory)
        if bool(options.cert) != bool(options.key):
            raise LookupError("--cert and --key go together")
        app.run(
            options.host,
            options.port,
            debug=options.debug,
            ssl={"cert": options.cert, "key": options.key} if options.cert else None,
            unix=options.unix,
            backlog=options.backlog,
            access_log=options.access_log,
            motd=options.motd,
        )
    except LookupError as error:
        print(f"sanicish: {error.args[0]}", file=sys.stderr)
        return 1
    except OSError as error:
        place = options.unix or f"{options.host or '127.0.0.1'}:{8000 if options.port is None else options.port}"
        print(f"sanicish: cannot listen on {place}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0
