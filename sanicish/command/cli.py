"""The command line: ``sanicish module:app``. It knows where an application is found, and nothing of how it is served."""

import importlib
import importlib.metadata
import inspect
import socket
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanicish import porting
from sanicish.app import Sanic
from sanicish.command.flags import Parser, hosting_of, settings_of
from sanicish.command.simple import simple_app
from sanicish.exceptions import InvalidSetting
from sanicish.hosted.mounting import is_asgi, takes_messages
from sanicish.server.link import Link
from sanicish.server.running import MissingExtra, NoWorkers
from sanicish.server.tls import tls_context

__all__ = ["CommandError", "load_app", "main"]


_NO_OPTIONS: Mapping[str, Any] = {}


class CommandError(Exception):
    """What the command cannot do, in one sentence."""


def _version() -> str:
    try:
        return importlib.metadata.version("sanicish")
    except importlib.metadata.PackageNotFoundError:  # run from its source
        return "(not installed)"


def load_app(
    name: str, factory: bool = False, interface: str = "auto", hosting: Mapping[str, Any] = _NO_OPTIONS
) -> Sanic:
    """The application that a name on the command line means; raises ``CommandError`` if there is none.

    An ASGI application is hosted by one of ours; ``hosting`` are options of ``Sanic.mount`` for that. An error inside
    the module that is loaded is raised as it is.
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
    if not factory and (app := _as_app(found, interface, hosting)) is not None:
        return app
    if not _is_factory(found):
        wanted = "a function without arguments that makes an application" if factory else "an application"
        raise CommandError(f"{name} is a {type(found).__name__}, not {wanted}{_hint(found, interface)}")
    made = found()
    if (app := _as_app(made, interface, hosting)) is None:
        raise CommandError(f"{name}() is a {type(made).__name__}, not an application{_hint(made, interface)}")
    return app


def _as_app(found: Any, interface: str, hosting: Mapping[str, Any]) -> Sanic | None:
    """An application of ours: what was found, or one that hosts it; ``None`` if it is none of that interface."""
    if isinstance(found, Sanic) and interface != "asgi":
        if hosting:
            raise CommandError(
                "--shield and --asgi-spec are for ASGI applications of other frameworks; see CANCEL_ON_DISCONNECT"
            )
        return found
    if interface == "sanicish" or not (is_asgi(found) or (interface == "asgi" and callable(found))):
        return None
    app = Sanic("asgi", register=False)
    app.mount("/", found, **hosting)
    return app


def _hint(found: Any, interface: str) -> str:
    """What to do about something that may be an application, but does not look like one."""
    unclear = interface == "auto" and not isinstance(found, Sanic) and takes_messages(found)
    return "; if it is an ASGI application, say --interface asgi" if unclear else ""


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


def _serving_folder(name: str, dotfiles: bool) -> Sanic:
    try:
        return simple_app(name, dotfiles)
    except NotADirectoryError as error:
        raise CommandError(str(error)) from None


def _tls(cert: str | None, key: str | None) -> dict[str, str] | None:
    """Certificate and key, which are looked at now rather than by the first worker."""
    if not cert and not key:
        return None
    if not cert or not key:
        raise CommandError("--cert and --key go together")
    for name in (cert, key):
        if not Path(name).is_file():
            raise CommandError(f"there is no file {name}")
    try:
        tls_context({"cert": cert, "key": key})
    except OSError as error:  # SSLError is one
        raise CommandError(f"cannot use the certificate {cert} with the key {key}: {_reason(error)}") from None
    return {"cert": cert, "key": key}


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
    options = Parser(_version()).parse_args(given)
    Link.inherited()  # as soon as possible: a worker that hangs in what it imports shall say where
    try:
        tls = _tls(options.cert, options.key)
        sock = _inherited(options.fd)
        if options.dotfiles and not options.simple:
            raise CommandError("--dotfiles goes with --simple")
        for name in options.reload_dir:
            if not Path(name).is_dir():
                raise CommandError(f"there is no directory {name}")
        app = (
            _serving_folder(options.app, options.dotfiles)
            if options.simple
            else load_app(options.app, options.factory, options.interface, hosting_of(options))
        )
        app.config.update(settings_of(options))
        _run(app, options, tls, sock)
    except CommandError as error:
        print(f"sanicish: {error}", file=sys.stderr)
        return 1
    return 0


def _run(app: Sanic, options: Namespace, tls: dict[str, str] | None, sock: socket.socket | None) -> None:
    try:
        app.run(
            options.host,
            options.port,
            debug=options.debug or options.dev,
            auto_reload=options.reload or options.dev,
            reload_dir=options.reload_dir,
            ssl=tls,
            unix=options.unix,
            sock=sock,
            backlog=options.backlog,
            access_log=options.access_log,
            motd=options.motd,
            workers=options.workers,
            single_process=options.single_process,
        )
    except OSError as error:
        if hasattr(error, "__notes__"):
            raise  # not the address but a listener failed, and it has said which
        place = options.unix or (f"descriptor {options.fd}" if sock else f"{options.host}:{options.port}")
        raise CommandError(f"cannot listen on {place}: {_reason(error)}") from None
    except (InvalidSetting, MissingExtra, NoWorkers) as error:
        raise CommandError(str(error)) from None
