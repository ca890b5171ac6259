"""The imports: what is here under another address, and what is not here at all."""

import ast
from collections.abc import Iterator

from sanicish.porting.findings import Edit, Finding
from sanicish.porting.names import FAMILIES, NOTES, Place, is_module, place, substitute
from sanicish.porting.source import FRAMEWORKS, Source

__all__ = ["RULES"]

RULE = "import"


def _foreign(module: str, source: Source) -> bool:
    """Whether a module belongs to a framework that is left, and is not the program's own."""
    root = module.partition(".")[0]
    if root in source.own:
        return False
    return root in FRAMEWORKS[:3] or module.startswith(FAMILIES)


def from_imports(source: Source) -> Iterator[Finding]:
    """``from sanic.response import stream``: each name, and one edit for those that are here."""
    for node in source.nodes:
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module or not _foreign(node.module, source):
            continue
        if node.names[0].name == "*":
            yield source.finding(node, RULE, "name what is imported, so that it can be looked up")
            continue
        places = [(alias, _place(node.module, alias, source)) for alias in node.names]
        unused = [alias for alias, found in places if not found and _unused(source, node.module, alias)]
        kept = [one for one in places if one[0] not in unused]
        edits = _edits(source, node, kept) if unused or any(found for _, found in places) else []
        if any(found for _, found in kept):
            yield _moved(source, node, kept, edits)
        for alias, found in places:
            if found is None:
                advice, must = substitute(node.module, alias.name), not _tried(source, node)
                call = f"from {node.module} import {alias.name}"
                if alias in unused:
                    advice = f"not used in this file: leave it out (else {advice})"
                    yield source.finding(alias, RULE, advice, *edits, must=must, call=call)
                else:
                    yield source.finding(alias, RULE, advice, must=must, call=call)


def _unused(source: Source, module: str, alias: ast.alias) -> bool:
    """Whether a name of a framework is looked up nowhere, and not told as text either, as in ``__all__``."""
    name = alias.asname or alias.name
    return module.partition(".")[0] in FRAMEWORKS and not any(
        (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Constant) and node.value == name)
        for node in source.nodes
    )


def _place(module: str, alias: ast.alias, source: Source) -> Place | None:
    if alias.name == "jsonify" and _jsonify_is_json(source, alias.asname or alias.name):
        return Place("sanicish", "json")
    streamed = _STREAMED.get(alias.name)
    if streamed and _is_returned(source, alias.asname or alias.name):
        return Place("sanicish", streamed)
    return place(module, alias.name)


_STREAMED = {"render_template": "stream_template", "render_template_string": "stream_template_string"}


def _is_returned(source: Source, name: str) -> bool:
    """Whether a function is called in ``return`` statements and nowhere else: then its page may be a stream."""
    uses = [node for node in source.nodes if isinstance(node, ast.Name) and node.id == name]
    return bool(uses) and all(_in_return(source, node) for node in uses)


def _in_return(source: Source, node: ast.Name) -> bool:
    """Whether it stands as ``return f()``, ``return await f()`` or ``return f(), 404``."""
    inner, outer = node, source.parent(node)
    if not isinstance(outer, ast.Call) or outer.func is not inner:
        return False
    call: ast.AST = outer
    above = source.parent(call)
    if isinstance(above, ast.Await):
        call, above = above, source.parent(above)
    if isinstance(above, ast.Tuple) and above.elts[0] is call:
        above = source.parent(above)
    return isinstance(above, ast.Return)


def _jsonify_is_json(source: Source, name: str) -> bool:
    """Whether every call of ``jsonify`` gives it one value, as ``json`` wants it."""
    calls = [call for call in source.calls() if isinstance(call.func, ast.Name) and call.func.id == name]
    return bool(calls) and all(
        len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred) for call in calls
    )


def _tried(source: Source, node: ast.AST) -> bool:
    """Whether the program goes on without this import."""
    return any(isinstance(above, ast.Try) and above.handlers for above in source.around(node))


Places = list[tuple[ast.alias, Place | None]]


def _lines(module: str, places: Places) -> dict[str, str]:
    """For each module one import of all its names: those of this package first, what stays behind last."""
    groups: dict[str, list[str]] = {}
    for alias, found in places:
        bound = alias.asname or alias.name
        where, name = found or (module, alias.name)
        groups.setdefault(where, []).append(name if name == bound else f"{name} as {bound}")
    return {
        where: f"from {where} import {', '.join(groups[where])}"
        for where in sorted(groups, key=lambda where: (where == module, where))
    }


def _moved(source: Source, node: ast.ImportFrom, places: Places, edits: list[Edit]) -> Finding:
    notes = {NOTES[key] for alias, _ in places if (key := f"{node.module}.{alias.name}") in NOTES}
    ours = [line for where, line in _lines(str(node.module), places).items() if where != node.module]
    advice = "; ".join(ours) + (f" ({', '.join(sorted(notes))})" if notes else "")
    return source.finding(node, RULE, advice, *edits)


def _edits(source: Source, node: ast.ImportFrom, places: Places) -> list[Edit]:
    """What makes of a statement the imports of these places."""
    segment, module = source.segment(node), str(node.module)
    lines = _lines(module, places)
    whole = len(places) == len(node.names)
    if whole and len(lines) == 1 and all(found and found.name == alias.name for alias, found in places):
        start, _ = source.span(node)
        begin = start + segment.encode().index(module.encode(), len("from"))
        return [Edit(begin, begin + len(module), next(iter(lines)))]  # the rest stays as it is written
    if "#" in segment:
        return []  # comments between the names, which belong to them
    before, behind = source.line_around(node)
    alone = not before.strip() and not behind.split("#")[0].strip()
    if not lines:
        gone = alone and isinstance(source.parent(node), ast.Module)
        return [source.line_of(node)] if gone else []
    return [source.replaced(node, f"\n{before}".join(lines.values()) if alone else "; ".join(lines.values()))]


def plain_imports(source: Source) -> Iterator[Finding]:
    """``import sanic`` and ``import sanic.response``, with every use of the name."""
    for node in source.nodes:
        if not isinstance(node, ast.Import):
            continue
        for alias in node.names:
            if not _foreign(alias.name, source):
                continue
            root = alias.name.partition(".")[0]
            uses = list(_uses(source, alias.asname or root, alias.name if alias.asname else root))
            lost = sorted({name for _, name in uses if not _found(name)})
            if root != "sanic" or lost:
                yield from _by_hand(source, node, alias, uses)
                continue
            edits = [_module_edit(source, alias)]
            if not alias.asname:
                edits += [source.replaced(name, "sanicish") for name, _ in uses]
            yield source.finding(node, RULE, f"import {_renamed(alias.name)}", *edits)


def _uses(source: Source, bound: str, origin: str) -> Iterator[tuple[ast.Name, str]]:
    """Every use of a module's name, and the longest dotted name that it begins."""
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id == bound and source.origin(node) == origin:
            whole: ast.AST = node
            while isinstance(above := source.parent(whole), ast.Attribute):
                whole = above
            yield node, source.origin(whole)


def _found(dotted: str) -> bool:
    """Whether a dotted name, or what it begins with, is here under the same address."""
    module, *names = dotted.split(".")
    for index, name in enumerate(names):
        found = place(module, name)
        if found is None:
            return False
        module = f"{module}.{name}"
        if name[:1].isupper() or index == 1:
            return True  # a class or a function; what comes behind is a member
    return True


def _renamed(module: str) -> str:
    return "sanicish" + module.removeprefix("sanic")


def _module_edit(source: Source, alias: ast.alias) -> Edit:
    start, _ = source.span(alias)
    return Edit(start, start + len(alias.name), _renamed(alias.name))


def _by_hand(source: Source, node: ast.Import, alias: ast.alias, uses: list[tuple[ast.Name, str]]) -> Iterator[Finding]:
    root = alias.name.partition(".")[0]
    if root not in FRAMEWORKS:
        yield source.finding(node, RULE, substitute(alias.name), must=not _tried(source, node))
        return
    here: set[str] = set()
    for _, dotted in uses:
        module, _, name = dotted.rpartition(".")
        found = place(module, name) if module else None
        here.add(f"{name}: {found.module}.{found.name}" if found else f"{name}: {substitute(module, name)}")
    advice = "; ".join(sorted(here)) or "import sanicish"
    yield source.finding(node, RULE, advice, must=not _tried(source, node))


def members_of_modules(source: Source) -> Iterator[Finding]:
    """``helpers.import_string`` after ``from sanic import helpers``: the module is here, the name is not."""
    for node in source.nodes:
        if not isinstance(node, ast.ImportFrom) or node.module not in ("sanic", "sanicish"):
            continue
        for alias in node.names:
            if not is_module(alias.name):
                continue
            for name, dotted in _uses(source, alias.asname or alias.name, f"{node.module}.{alias.name}"):
                member = dotted.removeprefix(f"{node.module}.{alias.name}").partition(".")[2].partition(".")[0]
                if member and place(f"sanic.{alias.name}", member) is None:
                    yield source.finding(name, RULE, substitute(f"sanic.{alias.name}", member), call=dotted)


RULES = (from_imports, plain_imports, members_of_modules)
