"""Jinja's environment and streams as bodies; loaded when an application asks for its first template.

Jinja streams a template piece by piece, and groups pieces only where it does not wait; async templates are grouped here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
from jinja2.environment import TemplateStream

from sanicish.http.media import guess_type
from sanicish.response.awaitable import awaitable_once
from sanicish.response.iterables import buffered

__all__ = ["AsyncPage", "Environment", "Page", "new_environment", "stream_page"]

_ESCAPED = ("html", "htm", "xml", "xhtml", "svg")


class Page(TemplateStream):
    """A template as it is rendered."""

    def __init__(self, pieces: Iterator[str], content_type: str) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self.content_type = content_type

    def close(self) -> None:
        """Close the template that is being rendered."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


class AsyncPage:
    """An async template as it is rendered."""

    def __init__(self, pieces: Any, content_type: str) -> None:
        self._pieces = pieces
        self.content_type = content_type

    def __aiter__(self) -> Any:
        return aiter(self._pieces)


class Template(jinja2.Template):
    """A template whose stream knows its media type."""

    def stream(self, *args: Any, **kwargs: Any) -> TemplateStream:
        """The template piece by piece, to be returned as a body."""
        return Page(self.generate(*args, **kwargs), _content_type(self.name))


class Environment(jinja2.Environment):
    """An environment whose templates are bodies."""

    template_class = Template


def new_environment(folders: Sequence[str], known: Mapping[str, Any], options: Mapping[str, Any]) -> Environment:
    """An environment that reads templates from folders, escapes HTML by default, and knows some names."""
    environment = Environment(
        **{
            "loader": jinja2.FileSystemLoader(folders),
            "autoescape": jinja2.select_autoescape(_ESCAPED, default_for_string=True),
            **options,
        }
    )
    environment.globals.update(known)
    return environment


def stream_page(
    environment: jinja2.Environment,
    name: str | jinja2.Template | Iterable[str | jinja2.Template] | None,
    source: str | None,
    context: dict[str, Any],
    buffer: int,
) -> Page | AsyncPage:
    """A template, by name or source, as a body of pieces of which ``buffer`` are joined."""
    if source is not None:
        template = environment.from_string(source)
    else:
        assert name is not None
        names = name if isinstance(name, str | jinja2.Template) else list(name)
        template = environment.get_or_select_template(names)
    content_type = _content_type(template.name)
    if environment.is_async:
        pieces = template.generate_async(context)
        return awaitable_once(AsyncPage(buffered(pieces, buffer) if buffer > 1 else pieces, content_type))
    page = Page(template.generate(context), content_type)
    if buffer > 1:
        page.enable_buffering(buffer)
    return awaitable_once(page)


def _content_type(name: str | None) -> str:
    return "text/html; charset=utf-8" if name is None else guess_type(name)
