"""Functions of Flask and Quart that are called around requests: the same is here, by another name and with the request."""

import ast
import re
from collections.abc import Iterator

from sanicish.porting.findings import Edit, Finding
from sanicish.porting.names import HOOKS, ON_APPLICATION, has_member
from sanicish.porting.source import AnyFunction, Source, parameters

__all__ = ["RULES"]

_CLASSES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "PayloadTooLarge",
}


def hooks(source: Source) -> Iterator[Finding]:
    """``@app.before_request`` is ``@app.on_request``, and its function is given the request."""
    if not source.frameworks & {"flask", "quart", "sanicish"}:
        return
    for node in source.nodes:
        if not isinstance(node, AnyFunction):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if (
                isinstance(called, ast.Attribute)
                and called.attr in HOOKS
                and not has_member("application", called.attr)
            ):
                edits = _edits(source, node, decorator, called)
                yield source.finding(called, "application", ON_APPLICATION[called.attr], *edits)


def _edits(source: Source, function: AnyFunction, decorator: ast.expr, called: ast.Attribute) -> list[Edit]:
    """What makes a hook of it; nothing where a look is needed."""
    name, taken = HOOKS[called.attr]
    given = parameters(function)
    if len(given) != taken or function.args.vararg or function.args.kwarg or "_" in given:
        return []
    _, end = source.span(called)
    renamed = Edit(end - len(called.attr), end, name)
    if not isinstance(decorator, ast.Call):
        return [renamed, _first_parameter(source, function)]
    if called.attr != "errorhandler" or len(decorator.args) != 1 or decorator.keywords:
        return [] if decorator.args or decorator.keywords else [renamed, _first_parameter(source, function)]
    caught = decorator.args[0]
    if not isinstance(caught, ast.Constant):
        return [renamed, _first_parameter(source, function)]
    cls = _CLASSES.get(caught.value) if isinstance(caught.value, int) else None
    if cls is None:
        return []
    known = [] if cls in source.imported else [_import_of(source, cls)]
    return [*known, renamed, source.replaced(caught, cls), _first_parameter(source, function)]


def _first_parameter(source: Source, function: AnyFunction) -> Edit:
    """The edit that gives a function one more parameter in front."""
    start, _ = source.span(function)
    bracket = re.compile(rb"def\s+\w+\s*\(").search(source.data, start)
    begin = bracket.end() if bracket else start
    return Edit(begin, begin, "_, " if parameters(function) else "_")


def _import_of(source: Source, cls: str) -> Edit:
    """The edit that imports an exception, before the first import of the module."""
    first = next(
        node
        for node in source.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__"
    )
    return source.inserted(first, f"from sanicish.exceptions import {cls}\n")


RULES = (hooks,)
