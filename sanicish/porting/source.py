"""A program as a tree whose nodes know where they stand, in what, and which name of which library they mean.

Positions are bytes of UTF-8, as ``ast`` counts them. What is good or bad is not known here.
"""

import ast
import re
from collections.abc import Collection, Iterator
from typing import Any

from sanicish.porting.findings import Edit, Finding

__all__ = ["FRAMEWORKS", "AnyFunction", "Source"]

FRAMEWORKS = ("sanic", "flask", "quart", "sanicish")

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef

_LINE_END = re.compile(rb"\r\n|\r|\n")
_SANIC = "sanicish.Sanic"  # what Flask and Quart mean once the imports are moved
_LONGEST = 90  # characters of a call that are shown


class Source:
    """One module; raises ``SyntaxError`` if it is none.

    ``own`` are the modules that come with the program, ``formerly`` the frameworks it used before its imports moved.
    """

    def __init__(self, text: str, own: Collection[str] = (), formerly: Collection[str] = ()) -> None:
        self.data = text.encode()
        self.tree = ast.parse(text)
        self.own = own
        self._lines = [0, *(end.end() for end in _LINE_END.finditer(self.data))]
        self.nodes: list[ast.AST] = list(ast.walk(self.tree))
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._meant = dict(self._imported())
        self.frameworks = {origin.partition(".")[0] for origin in self._meant.values()} & set(FRAMEWORKS)
        self.frameworks |= {
            *formerly,
            *(name.lower() for name in ("Flask", "Quart") if self._meant.get(name) == _SANIC),
        }

    def _imported(self) -> Iterator[tuple[str, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (root, root)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    yield alias.asname or alias.name, f"{node.module}.{alias.name}"

    # Meaning

    @property
    def imported(self) -> Collection[str]:
        """The names that imports have given the module."""
        return self._meant.keys()

    def origin(self, node: ast.AST | None) -> str:
        """The dotted name that an expression means by the imports of the module; empty if it means none of them."""
        if isinstance(node, ast.Name):
            return self._meant.get(node.id, "")
        if isinstance(node, ast.Attribute) and (before := self.origin(node.value)):
            return f"{before}.{node.attr}"
        return ""

    def means(self, node: ast.AST | None, *names: str) -> bool:
        """Whether an expression means one of these names of a framework, whichever module it came by."""
        root, _, name = self.origin(node).partition(".")
        return root in FRAMEWORKS and name.rpartition(".")[2] in names

    def calls(self) -> Iterator[ast.Call]:
        """All calls."""
        return (node for node in self.nodes if isinstance(node, ast.Call))

    # Surroundings

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What a node stands in."""
        return self._parents.get(node)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Everything a node stands in, from the nearest outwards."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def function(self, node: ast.AST) -> AnyFunction | ast.Lambda | None:
        """The function whose body a node is part of."""
        for above in self.around(node):
            if isinstance(above, AnyFunction | ast.Lambda):
                return above
        return None

    def binder(self, name: ast.Name) -> AnyFunction | None:
        """The nearest function around a name that has a parameter of that name."""
        for above in self.around(name):
            if isinstance(above, AnyFunction) and name.id in parameters(above):
                return above
        return None

    # Places

    def span(self, node: Any) -> tuple[int, int]:
        """The bytes from the first to behind the last of a node."""
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def segment(self, node: Any) -> str:
        """The source of a node."""
        start, end = self.span(node)
        return self.data[start:end].decode()

    def line_around(self, node: Any) -> tuple[str, str]:
        """What stands before a node and behind it on its lines."""
        start, end = self.span(node)
        last = _LINE_END.search(self.data, end)
        return (
            self.data[self._lines[node.lineno - 1] : start].decode(),
            self.data[end : last.start() if last else len(self.data)].decode(),
        )

    def line_of(self, node: Any) -> Edit:
        """The edit that takes away the lines of a node, with the end of the last."""
        _, end = self.span(node)
        last = _LINE_END.search(self.data, end)
        return Edit(self._lines[node.lineno - 1], last.end() if last else len(self.data), "")

    def replaced(self, node: Any, text: str) -> Edit:
        """The edit that puts text in the place of a node."""
        return Edit(*self.span(node), text)

    def inserted(self, node: Any, text: str) -> Edit:
        """The edit that puts text before a node."""
        start, _ = self.span(node)
        return Edit(start, start, text)

    def finding(self, node: Any, rule: str, advice: str, *edits: Edit, must: bool = True, call: str = "") -> Finding:
        """A finding at a node."""
        shown = " ".join((call or self.segment(node)).split())
        if len(shown) > _LONGEST:
            shown = shown[: _LONGEST - 1] + "…"
        return Finding(node.lineno, node.col_offset + 1, rule, shown, advice, must, edits)


def parameters(function: AnyFunction) -> list[str]:
    """The names of a function's positional parameters and of those by keyword."""
    given = function.args
    return [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
