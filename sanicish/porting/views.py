"""Views of Flask and Quart: the converters in their paths, their options, and what they do to the loop."""

import ast
import re
from collections.abc import Iterator

from sanicish.porting.findings import Edit, Finding
from sanicish.porting.source import AnyFunction, Source

__all__ = ["RULES"]

_DECORATORS = frozenset({"route", "get", "post", "put", "patch", "delete", "add_url_rule"})
_CONVERTER = re.compile(r"<(string|int|float|path|uuid):([A-Za-z_]\w*)>")
_CONVERTERS = frozenset({"string", "int", "float", "path", "uuid"})
_TYPES = _CONVERTERS | {"str", "number"}
_TEXT_VALUE = re.compile(r"<(?:(?:string|path):)?[A-Za-z_]\w*>")
_WITH_ARGUMENTS = re.compile(r"<\w+\([^)]*\):\w+>")
_OPTIONS = {
    "defaults": "defaults of the function's parameters, and a second route",
    "endpoint": "name=",
    "subdomain": "host=",
    "websocket": "no websockets here",
    "provide_automatic_options": "leave it out",
    "redirect_to": "a handler that returns redirect()",
}


def _routes(source: Source) -> Iterator[ast.Call]:
    """The calls that register a handler of a path."""
    if not source.frameworks & {"flask", "quart", "sanicish"}:
        return
    for call in source.calls():
        named = isinstance(call.func, ast.Attribute) and call.func.attr in _DECORATORS
        if named and call.args and _text(call.args[0]).startswith("/"):
            yield call


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def converters(source: Source) -> Iterator[Finding]:
    """``<int:id>`` is ``<id:int>`` here."""
    for call in _routes(source):
        path = call.args[0]
        text = _text(path)
        if _WITH_ARGUMENTS.search(text):
            yield source.finding(path, "path", "a converter takes no arguments here: <name:regular expression>")
        types = _CONVERTERS if source.frameworks & {"flask", "quart"} else _TYPES
        turned = [one for one in _CONVERTER.finditer(text) if one[2] not in types]
        if turned:
            written = source.segment(path)
            edits = [source.replaced(path, _CONVERTER.sub(r"<\2:\1>", written))]
            plain = len(_CONVERTER.findall(written)) == len(turned)
            yield source.finding(path, "path", _CONVERTER.sub(r"<\2:\1>", text), *(edits if plain else ()))


def quoted_values(source: Source) -> Iterator[Finding]:
    """Text in a path is decoded by Flask and Quart, and left as it was sent by Sanic since 21.3, and here."""
    if not source.frameworks & {"flask", "quart"}:
        return
    for call in _routes(source):
        told = any(keyword.arg in ("unquote", None) for keyword in call.keywords)
        if not told and _TEXT_VALUE.search(_text(call.args[0])):
            _, end = source.span([*call.args, *(keyword.value for keyword in call.keywords)][-1])
            advice = "unquote=True decodes what stands in the path, as Flask and Quart do"
            yield source.finding(call, "path", advice, Edit(end, end, ", unquote=True"))


def options(source: Source) -> Iterator[Finding]:
    """Options of routes that are said otherwise."""
    for call in _routes(source):
        for keyword in call.keywords:
            if keyword.arg in _OPTIONS:
                yield source.finding(keyword, "path", _OPTIONS[keyword.arg])


def plain_views(source: Source) -> Iterator[Finding]:
    """A view that is a plain function runs in the loop; said once for a module."""
    if not source.frameworks & {"flask", "quart"}:
        return
    routes = set(_routes(source))
    views = [
        node
        for node in source.nodes
        if isinstance(node, ast.FunctionDef) and any(one in routes for one in node.decorator_list)
    ]
    if views:
        first = min(views, key=lambda view: view.lineno)
        advice = (
            "plain functions run in the loop: what waits in one (a database, another server) holds up everybody; "
            "make it `async def`, or `await asyncio.to_thread(...)`. Sync generators run in threads, and may block"
        )
        count = f" and {len(views) - 1} more" if len(views) > 1 else ""
        yield source.finding(first, "plain-view", advice, must=False, call=f"def {first.name}(){count}")


def plain_text(source: Source) -> Iterator[Finding]:
    """Text is HTML in Flask and Quart, and plain text here."""
    if not source.frameworks & {"flask", "quart"}:
        return
    advice = "text is text/plain here, where Flask and Quart say HTML: "
    routes = set(_routes(source))
    for node in source.nodes:
        if isinstance(node, ast.Return) and node.value is not None and _is_markup(node.value):
            within = source.function(node)
            if isinstance(within, AnyFunction) and any(one in routes for one in within.decorator_list):
                yield source.finding(node.value, "plain-text", advice + "return html(...)", must=False)
        elif isinstance(node, ast.Call) and source.means(node.func, "Response"):
            told = {one.arg for one in node.keywords} & {"mimetype", "content_type", "headers", None}
            if not told and len(node.args) < 3 and not _is_sentence(node.args[:1]):
                yield source.finding(node, "plain-text", advice + 'mimetype="text/html"', must=False)


def _is_markup(node: ast.expr) -> bool:
    """Whether text begins with a tag."""
    if isinstance(node, ast.BinOp):  # "<h1>%s</h1>" % name, "<h1>" + name
        return _is_markup(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _is_markup(node.func.value)
    first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else node
    return _text(first).lstrip().startswith("<")


def _is_sentence(body: list[ast.expr]) -> bool:
    """Whether a body is no page: there is none, or it is text without a tag in front."""
    return not body or (bool(_text(body[0])) and not _is_markup(body[0]))


RULES = (converters, quoted_values, options, plain_views, plain_text)
