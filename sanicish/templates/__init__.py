"""Templates, streamed: Flask's and Quart's functions, and what an application's templates know.

Jinja is an extra: its room is loaded when the first template is asked for, and never by an import of this one.
"""

import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any

from sanicish.context import CurrentRequest, current_request
from sanicish.streams.flow import READY

__all__ = ["Templates", "stream_template", "stream_template_string"]

Processor = Callable[[], dict[str, Any]]


def _jinja() -> ModuleType:
    """The room that knows Jinja; raises ``ImportError`` with the line that installs it."""
    try:
        return importlib.import_module("sanicish.templates.jinja")
    except ModuleNotFoundError as error:
        raise ImportError("templates need Jinja: pip install 'sanicish[templates]'") from error


class Templates:
    """What the templates of one application are made with, and what they know."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._environment: Any = None
        self._processors: list[Processor] = []
        self.options: dict[str, Any] = {}  # for the environment, until it is made

    @property
    def environment(self) -> Any:
        """Jinja's environment, made when it is first asked for."""
        if self._environment is None:
            jinja = _jinja()
            app = self._app
            known = {
                "app": app,
                "request": CurrentRequest(sys.modules["sanicish.request"]),
                "url_for": app.url_for,
            }
            options = {"enable_async": bool(app.config["TEMPLATING_ENABLE_ASYNC"]), **self.options}
            self._environment = jinja.new_environment(self._folders(), known, options)
        return self._environment

    @environment.setter
    def environment(self, environment: Any) -> None:
        self._environment = environment

    def _folders(self) -> list[str]:
        """Where templates lie: beside the module an application is named after, and where the program was started."""
        folder = os.fspath(self._app.config["TEMPLATING_PATH_TO_TEMPLATES"])
        file = getattr(sys.modules.get(self._app.name), "__file__", None)
        return ([str(Path(file).parent / folder)] if file else []) + [folder]

    def add_processor(self, processor: Processor) -> Processor:
        """Let a plain function say what every template knows, each time one is rendered."""
        if iscoroutinefunction(processor):
            raise TypeError("a context processor is a plain function")
        self._processors.append(processor)
        return processor

    def update(self, context: dict[str, Any]) -> Awaitable[None]:
        """Add what the processors say, but for what the context says itself; may be awaited, as in Quart."""
        given = dict(context)
        for processor in self._processors:
            context.update(processor())
        context.update(given)
        return READY

    def stream(self, name: Any, source: str | None, context: dict[str, Any], buffer: int) -> Any:
        """A template as a body."""
        self.update(context)
        return _jinja().stream_page(self.environment, name, source, context, buffer)


def stream_template(template_name_or_list: Any, /, *, buffer: int = 5, **context: Any) -> Any:
    """A template rendered piece by piece, to be returned from a handler (Flask's and Quart's function).

    It may be awaited once, or not. ``buffer`` pieces that are not empty leave together. Raises ``ImportError`` without
    Jinja, ``jinja2.TemplateNotFound``, and ``RuntimeError`` outside of a request.
    """
    return _templates().stream(template_name_or_list, None, context, buffer)


def stream_template_string(source: str, /, *, buffer: int = 5, **context: Any) -> Any:
    """A template given as text, rendered piece by piece; see ``stream_template``."""
    return _templates().stream(None, source, context, buffer)


def _templates() -> Templates:
    request = current_request.get(None)
    if request is None:
        raise RuntimeError("templates are streamed while a request is answered: there is none here")
    templates: Templates = request.app.templates
    return templates
