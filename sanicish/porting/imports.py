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
        if any(found for _, found in places):
            yield _moved(source, node, places)
        for alias, found in places:
            if found is None:
                advice = substitute(node.module, alias.name)
                if not _used(source, alias.asname or alias.name):
                    advice = f"not used in this file; else {advice}"
                call = f"from {node.module} import {alias.name}"
                yield source.finding(alias, RULE, advice, must=not _tried(source, node), call=call)


def _used(source: Source, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in source.nodes)


def _place(module: str, alias: ast.alias, source: Source) -> Place | None:
    if alias.name == "jsonify" and _jsonify_is_json(source, alias.asname or alias.name):
        return Place("sanicish", "json")
    return place(module, alias.name)


def _jsonify_is_json(source: Source, name: str) -> bool:
    """Whether every call of ``jsonify`` gives it one value, as ``json`` wants it."""
    calls = [call for call in source.calls() if isinstance(call.func, ast.Name) and call.func.id == name]
    return bool(calls) and all(
        len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred) for call in calls
    )


def _tried(source: Source, node: ast.AST) -> bool:
    """Whether the program goes on without this import."""
    return any(isinstance(above, ast.Try) and above.handlers for above in source.around(node))


def _moved(source: Source, node: ast.ImportFrom, places: list[tuple[ast.alias, Place | None]]) -> Finding:
    groups: dict[str, list[str]] = {}
    for alias, found in places:
        bound = alias.asname or alias.name
        module, name = found or (str(node.module), alias.name)
        groups.setdefault(module, []).append(name if name == bound else f"{name} as {bound}")
    # Each module once, those of this package first, what stays behind last.
    modules = sorted(groups, key=lambda module: (module == node.module, module))
    lines = [f"from {module} import {', '.join(groups[module])}" for module in modules]
    ours = [line for line, module in zip(lines, modules, strict=True) if module != node.module]
    notes = {NOTES[key] for alias, _ in places if (key := f"{node.module}.{alias.name}") in NOTES}
    advice = "; ".join(ours) + (f" ({', '.join(sorted(notes))})" if notes else "")
    edits = _edits(source, node, places, lines)
    return source.finding(node, RULE, advice, *edits)


def _edits(
    source: Source, node: ast.ImportFrom, places: list[tuple[ast.alias, Place | None]], lines: list[str]
) -> list[Edit]:
    segment = source.segment(node)
    if len(lines) == 1 and all(found and found.name == alias.name for alias, found in places):
        start, _ = source.span(node)
        begin = start + segment.encode().index(str(node.module).encode(), len("from"))
        return [Edit(begin, begin + len(str(node.module)), lines[0].split()[1])]  # the rest stays as it is written
    if "#" in segment:
        return []  # comments between the names, which belong to them
    before, behind = source.line_around(node)
    alone = not before.strip() and not behind.split("#")[0].strip()
    return [source.replaced(node, f"\n{before}".join(lines) if alone else "; ".join(lines))]


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
