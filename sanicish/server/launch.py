"""How a worker is started: it imports the application by its name, or runs the command of this process again.

By name nothing runs twice that stands before ``run()``. That is for applications that a module holds, and that are whole
once it is imported; the first worker finds out whether they are.
"""

import hashlib
import pickle
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from re import Pattern
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

__all__ = ["Launch", "NoWorkers", "Plan", "outline"]

_RUNNERS = {"_pytest": "pytest", "unittest": "unittest", "doctest": "doctest", "nose2": "nose2"}
_SHELLS = {"IPython", "ipykernel", "idlelib", "code"}
_LARGEST_PLAN = 65_536  # bytes that a pair of sockets takes before anybody reads


class NoWorkers(RuntimeError):
    """Workers cannot be started from here; the message says why."""


class Plan(NamedTuple):
    """How a worker gets its application by name."""

    module: str
    attribute: str
    argv: Sequence[str]
    arguments: Mapping[str, Any]  # of run()
    outline: str  # of the application, empty once it is known to be the same
    command: Sequence[str]  # to run if it is not


class Launch:
    """What starts a worker of an application."""

    def __init__(self, app: Any, arguments: Mapping[str, Any]) -> None:
        """``arguments`` are those of ``run`` for a worker. Raises ``NoWorkers``."""
        frames = list(_frames())
        callers = {frame.f_globals.get("__name__", "").partition(".")[0] for frame in frames}
        for package, runner in _RUNNERS.items():
            if package in callers:
                raise NoWorkers(
                    f"run() with workers starts the command of this process again for each worker, and that is {runner}:"
                    " use app.test_client, run(single_process=True), or start sanicish in a process of its own"
                )
        self._command = [sys.executable, *sys.orig_argv[1:]]
        self._plan: Plan | None = None
        if _main_is_plain(frames) or callers & _SHELLS:
            name = _name_of(app)
            if name is not None:
                self._plan = Plan(*name, sys.argv, arguments, outline(app), self._command)
        if self._plan is None and (callers & _SHELLS or not _has_program()):
            raise NoWorkers(
                "run() with workers starts the command of this process again for each worker, and there is none here: put"
                " the application into a module"
            )

    @property
    def command(self) -> list[str]:
        """The command of the next worker."""
        if self._plan is None:
            return self._command
        path = [str(Path(one).absolute()) for one in sys.path]
        code = f"import sys; sys.path[:] = {path!r}; from sanicish.command.worker import main; main()"
        name = f"{self._plan.module}:{self._plan.attribute}"  # for who looks at the processes
        return [sys.executable, *_args_from_interpreter_flags(), "-P", "-c", code, name]

    @property
    def plan(self) -> bytes:
        """What the next worker has to know beside its command."""
        if self._plan is None:
            return b""
        try:
            plan = pickle.dumps(self._plan)
        except (pickle.PicklingError, TypeError, AttributeError):  # TLS as a context, for example
            plan = b""
        if not plan or len(plan) > _LARGEST_PLAN:
            self._plan = None
            return b""
        return plan

    def use_command(self) -> bool:
        """What a module gives is not the whole application: run the command from now on; tells whether that is new."""
        known, self._plan = self._plan is None, None
        return not known

    def confirm(self) -> None:
        """A worker is ready, so the name is enough; that of a later one may stand for new code."""
        if self._plan is not None:
            self._plan = self._plan._replace(outline="")


def _frames() -> Iterator[FrameType]:
    """Who calls, from the innermost on."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _main_is_plain(frames: Sequence[FrameType]) -> bool:
    """Whether the command runs a program of the user's, and nothing else around it, such as ours or a profiler."""
    own = [frame for frame in frames if frame.f_globals.get("__name__") != "runpy"]
    return own[-1].f_globals is vars(sys.modules["__main__"]) and not any(
        frame.f_globals.get("__name__") == "sanicish.command.cli" for frame in own
    )


def _has_program() -> bool:
    """Whether the command of this process does something by itself."""
    file = getattr(sys.modules["__main__"], "__file__", None)  # "<stdin>" is none
    return (file is not None and Path(file).exists()) or "-c" in sys.orig_argv


def _name_of(app: Any) -> tuple[str, str] | None:
    """The module that holds an application, and its name there; the main module only if no other one does."""
    main = sys.modules["__main__"]
    others = [(name, module) for name, module in tuple(sys.modules.items()) if module is not main]
    for name, module in [*others, (_importable_name(main), main)]:
        attribute = _attribute(module, app)
        if attribute is not None and name is not None and name.partition(".")[0] not in ("sanicish", "__mp_main__"):
            return name, attribute
    return None


def _attribute(module: Any, app: Any) -> str | None:
    for name, value in tuple(getattr(module, "__dict__", {}).items()):
        if value is app:
            return str(name)
    return None


def _importable_name(main: Any) -> str | None:
    """The name by which the main module can be imported as well."""
    if main.__spec__ is not None:  # python -m
        return str(main.__spec__.name)
    path = Path(getattr(main, "__file__", None) or "")
    if path.suffix != ".py" or not path.stem.isidentifier():
        return None
    try:
        spec = find_spec(path.stem)
        return path.stem if spec is not None and spec.origin and path.samefile(spec.origin) else None
    except (ImportError, ValueError, OSError):
        return None


# Outlines


def outline(app: Any) -> str:
    """What an application was told, in short: the same in another process that told it the same."""
    return hashlib.sha256(repr(_members(app, set())).encode()).hexdigest()


def _outline(value: Any, seen: set[int]) -> Any:
    if value is None or isinstance(value, str | bytes | int | float | complex | Path | Pattern):
        return repr(value)
    if isinstance(value, tuple):  # which may be shared here and not there
        return [_outline(one, seen) for one in value]
    if isinstance(value, frozenset):
        return sorted(repr(_outline(one, seen)) for one in value)
    if id(value) in seen:
        return ""
    seen.add(id(value))
    if isinstance(value, Mapping):  # whose order may be that of a set, which is another in each process
        items = sorted(((repr(_outline(key, seen)), one) for key, one in value.items()), key=itemgetter(0))
        return [type(value).__name__, *((key, _outline(one, seen)) for key, one in items)]
    if isinstance(value, set):
        return sorted(repr(_outline(one, seen)) for one in value)
    if isinstance(value, list | deque):
        return [_outline(one, seen) for one in value]
    if isinstance(value, partial):
        return [_outline(value.func, seen), _outline(value.args, seen), _outline(value.keywords, seen)]
    if isinstance(value, SimpleNamespace) or type(value).__module__.startswith("sanicish."):
        return _members(value, seen)
    return getattr(value, "__qualname__", None) or type(value).__qualname__  # of a function or class, or some object


def _members(value: Any, seen: set[int]) -> Any:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    members = {name: getattr(value, name, None) for name in slots} | getattr(value, "__dict__", {})
    return [type(value).__qualname__, *((name, _outline(one, seen)) for name, one in members.items())]
