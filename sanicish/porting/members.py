"""What is asked of requests, applications and responses, and is not here or is said in another way."""

import ast
from collections.abc import Iterator

from sanicish.porting.findings import Edit, Finding
from sanicish.porting.names import HOOKS, ON_APPLICATION, ON_REQUEST, ON_RESPONSE, has_member, takes
from sanicish.porting.source import AnyFunction, Source

__all__ = ["RULES"]

_PLAIN = ("form", "files", "json", "args", "cookies", "headers")  # awaited in Quart, there at once here
_SAME_VALUE = {"data": "body"}
_SAME_CALL = {"get_json": "json", "get_data": "body"}
_APPLICATIONS = ("app", "application", "bp", "blueprint")


def _is_request(source: Source, node: ast.AST) -> bool:
    """Whether a name is the request: imported, or a parameter."""
    if not isinstance(node, ast.Name):
        return False
    if source.origin(node):
        return source.means(node, "request")
    return node.id in ("request", "req") and source.binder(node) is not None and not _is_fixture(source, node)


def _is_fixture(source: Source, node: ast.Name) -> bool:
    """Whether it is pytest's ``request``."""
    function = source.binder(node)
    return function is not None and (
        function.name.startswith("test_") or any("fixture" in source.segment(one) for one in function.decorator_list)
    )


def requests(source: Source) -> Iterator[Finding]:
    """``request.get_json()``, ``await request.form``, ``request.user = ...``."""
    of_flask = bool(source.frameworks & {"flask", "quart"})
    for node in source.nodes:
        if not isinstance(node, ast.Attribute) or not _is_request(source, node.value):
            continue
        parent = source.parent(node)
        receiver = source.segment(node.value)
        if isinstance(node.ctx, ast.Store):
            if not has_member("request", node.attr):
                advice = f"a request has no room for it: {receiver}.ctx.{node.attr}"
                yield source.finding(node, "request", advice)
            continue
        whole: ast.expr = node
        name = _SAME_VALUE.get(node.attr)
        if isinstance(parent, ast.Call) and parent.func is node:
            whole, name = parent, _SAME_CALL.get(node.attr)
            if parent.args or parent.keywords:
                name = None
        above = source.parent(whole)
        if isinstance(above, ast.Await):
            if node.attr in _PLAIN and whole is node:
                name = node.attr
            elif node.attr == "body" and whole is node:
                name = "body"
            whole = above if name else whole
        if isinstance(parent, ast.AsyncFor) and parent.iter is node and node.attr == "body":
            advice = "stream=True on the route, and `async for data in request.stream`"
            yield source.finding(node, "request", advice)
        elif name is not None and (isinstance(whole, ast.Await) or of_flask or not has_member("request", node.attr)):
            advice = f"{receiver}.{name}"
            yield source.finding(whole, "request", advice, source.replaced(whole, advice))
        elif node.attr in ON_REQUEST and not has_member("request", node.attr):
            yield source.finding(node, "request", ON_REQUEST[node.attr])


def _is_application(source: Source, node: ast.AST, made: set[str]) -> bool:
    if not isinstance(node, ast.Name):
        return source.means(node, "current_app")
    return node.id in made or node.id in _APPLICATIONS or source.means(node, "current_app")


def _made(source: Source) -> set[str]:
    """The names that applications and blueprints are given."""
    makers = ("Sanic", "Flask", "Quart", "Blueprint")
    return {
        target.id
        for node in source.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and source.means(node.value.func, *makers)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def applications(source: Source) -> Iterator[Finding]:
    """``@app.errorhandler(404)``, ``app.run(threaded=True)``, ``app.test_client()``."""
    made = _made(source)
    for node in source.nodes:
        if not isinstance(node, ast.Attribute) or not _is_application(source, node.value, made):
            continue
        if node.attr in ON_APPLICATION and not _decorates(source, node) and not has_member("application", node.attr):
            yield source.finding(node, "application", ON_APPLICATION[node.attr])
        call = source.parent(node)
        if not isinstance(call, ast.Call) or call.func is not node:
            continue
        if node.attr == "run":
            for keyword in call.keywords:
                if keyword.arg and not takes("run", keyword.arg):
                    edits = [_left_out(source, call, keyword)] if keyword.arg in _OF_OTHERS else []
                    yield source.finding(
                        keyword, "application", f"run() does not take {keyword.arg}=; leave it out", *edits
                    )
        elif node.attr == "test_client" and "flask" in source.frameworks:
            advice = "app.test_client.get(path) gives (request, response); called, it is the asynchronous client"
            yield source.finding(call, "application", advice)


# What says how the servers of Flask and Quart work, and nothing of the application.
_OF_OTHERS = frozenset(
    ["threaded", "processes", "use_reloader", "use_debugger", "use_evalex", "load_dotenv", "passthrough_errors"]
)


def _left_out(source: Source, call: ast.Call, keyword: ast.keyword) -> Edit:
    """The edit that takes an argument away, with the comma before it or behind it."""
    given = [*call.args, *call.keywords]
    index = given.index(keyword)
    start, end = source.span(keyword)
    if index:
        return Edit(source.span(given[index - 1])[1], end, "")
    return Edit(start, source.span(given[1])[0] if len(given) > 1 else end, "")


def _decorates(source: Source, node: ast.Attribute) -> bool:
    """Whether it is one of the decorators that ``hooks`` looks at."""
    above = source.parent(node)
    whole = above if isinstance(above, ast.Call) and above.func is node else node
    function = source.parent(whole)
    return node.attr in HOOKS and isinstance(function, AnyFunction) and whole in function.decorator_list


def constructors(source: Source) -> Iterator[Finding]:
    """``Flask(__name__, static_folder=...)`` and ``Blueprint("name", __name__)``."""
    for call in source.calls():
        kind = "Blueprint" if source.means(call.func, "Blueprint") else "Sanic"
        if kind == "Sanic" and not source.means(call.func, "Flask", "Quart", "Sanic"):
            continue
        if kind == "Blueprint" and len(call.args) > 1 and _is_module_name(call.args[1]):
            _, start = source.span(call.args[0])
            _, end = source.span(call.args[1])
            edit = Edit(start, end, "")
            advice = "the second argument is the prefix here: leave the module's name out"
            yield source.finding(call, "application", advice, edit)
        for keyword in call.keywords:
            if keyword.arg and not takes(kind, keyword.arg):
                advice = _CONSTRUCTED.get(keyword.arg, f"{kind}() does not take it")
                yield source.finding(keyword, "application", advice)


_CONSTRUCTED = {
    "static_folder": "app.static(uri, directory)",
    "static_url_path": "app.static(uri, directory)",
    "template_folder": "app.config.TEMPLATING_PATH_TO_TEMPLATES",
    "import_name": "leave it out",
}


def _is_module_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "__name__"


def responses(source: Source) -> Iterator[Finding]:
    """``response.set_cookie(...)``, ``isinstance(answer, Response)``, ``redirect(url, 301)``."""
    if not source.frameworks & {"flask", "quart", "sanicish"}:
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "set" and _is_headers(node.value):
            advice = "headers[name] = value; a name for a file is filename= of file(), csv() and others"
            yield source.finding(node, "response", advice)
        elif isinstance(node, ast.Attribute) and node.attr in ON_RESPONSE and isinstance(node.value, ast.Name):
            if not has_member("response", node.attr):
                yield source.finding(node, "response", ON_RESPONSE[node.attr])
        elif isinstance(node, ast.Call) and source.means(node.func, "redirect"):
            yield from _redirect(source, node)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance" and len(node.args) == 2:
            if source.means(node.args[1], "Response"):
                advice = "Response() gives an HTTPResponse or a StreamingHTTPResponse: ask for BaseHTTPResponse"
                yield source.finding(node, "response", advice)
        elif isinstance(node, ast.ClassDef):
            for one in node.bases:
                if source.means(one, "Response", "Request") and not source.means(one, "Request"):
                    yield source.finding(one, "response", "derive from HTTPResponse or StreamingHTTPResponse")


def json_values(source: Source) -> Iterator[Finding]:
    """``jsonify(a=1)`` and ``jsonify(1, 2)``: JSON is made of one value, which the arguments become."""
    for call in source.calls():
        if not source.means(call.func, "jsonify") or any(isinstance(one, ast.Starred) for one in call.args):
            continue
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if len(call.args) == 1 and not call.keywords:
            continue
        if not given:
            _, end = source.span(call)
            yield source.finding(call, "response", "one value: {}", Edit(end - 1, end - 1, "{}"))
        elif not call.args or not call.keywords:
            yield source.finding(call, "response", "one value, which the arguments become", *_as_one(source, call))


def _as_one(source: Source, call: ast.Call) -> list[Edit]:
    """Make of several arguments a list, or of keywords a dict."""
    first, last = [*call.args, *call.keywords][0], [*call.args, *call.keywords][-1]
    opened, closed = ("{", "}") if call.keywords else ("[", "]")
    names = [
        Edit(source.span(keyword)[0], source.span(keyword.value)[0], f'"{keyword.arg}": ')
        for keyword in call.keywords
        if keyword.arg
    ]
    begin, end = source.span(first)[0], source.span(last)[1]
    if names and names[0].start == begin:
        names[0] = Edit(begin, names[0].end, opened + names[0].text)
    else:
        names.append(Edit(begin, begin, opened))
    return [*names, Edit(end, end, closed)]


def addresses(source: Source) -> Iterator[Finding]:
    """``url_for(...)`` of Flask, where the request is at hand."""
    if "request" not in source.imported:
        return
    for call in source.calls():
        known = isinstance(call.func, ast.Name) and source.origin(call.func) in ("flask.url_for", "quart.url_for")
        if known and source.function(call):
            name = "request.app.url_for"
            yield source.finding(call, "application", name, source.replaced(call.func, name))


def _is_headers(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "headers"


def _redirect(source: Source, call: ast.Call) -> Iterator[Finding]:
    for keyword in call.keywords:
        if keyword.arg == "code":
            start, _ = source.span(keyword)
            edit = Edit(start, start + len("code"), "status")
            yield source.finding(call, "response", "its status is named status=", edit)
    if source.frameworks & {"flask", "quart"} and len(call.args) == 2:
        yield source.finding(call, "response", "its status is named status=", source.inserted(call.args[1], "status="))


RULES = (requests, applications, constructors, responses, json_values, addresses)
