"""What keeps the code in order, as far as a program can check it."""

import ast
import re
from configparser import ConfigParser
from pathlib import Path

import pytest

import sanicish
from tests.lowest import constraints

ROOT = Path(sanicish.__file__).parent
MAP = ROOT.parent / "ARCHITECTURE.md"
FILES = sorted(ROOT.rglob("*.py"))
MOST_LINES = 470

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def rooms():
    """Every module of the root and every folder."""
    found = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    return sorted(found - {"__init__", "__main__"})


def tree(path):
    return ast.parse(path.read_text("utf-8"))


def imports(node):
    return [one for one in ast.walk(node) if isinstance(one, ast.Import | ast.ImportFrom)]


@every_file
def test_no_import_inside_a_function_without_a_reason(path):
    lines = path.read_text("utf-8").splitlines()
    functions = [one for one in ast.walk(tree(path)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in {one for function in functions for one in imports(function)}:
        line = lines[node.lineno - 1]
        assert re.search(r"# noqa: PLC0415\W+\w{3,}", line), f"{path.name}:{node.lineno}: {line.strip()}"


@every_file
def test_no_import_for_types_only(path):
    for node in ast.walk(tree(path)):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        assert name != "TYPE_CHECKING", f"{path.name}:{node.lineno}"


@every_file
def test_nobody_inside_imports_the_face(path):
    for node in imports(tree(path)):
        if isinstance(node, ast.Import):
            assert all(name.name != "sanicish" for name in node.names), f"{path.name}:{node.lineno}"
        elif node.module == "sanicish":
            unknown = {name.name for name in node.names} - set(rooms())
            assert not unknown, f"{path.name}:{node.lineno}: {unknown}"
        assert not getattr(node, "level", 0), f"{path.name}:{node.lineno}: imports are written whole"


def docstrings(module):
    """The first statement of a module, class or function, where it is text."""
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


@every_file
def test_only_the_wire_holds_line_breaks_of_http(path):
    """The test client is the other end of the wire, and writes requests; several ranges are a MIME body, and what TCP
    proxies say comes before HTTP."""
    if path.parent.name in ("http1", "testing") or path.name in ("ranges.py", "proxy_protocol.py"):
        return
    module = tree(path)
    told = set(docstrings(module))
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and node not in told and isinstance(node.value, str | bytes):
            end = "\r\n" if isinstance(node.value, str) else b"\r\n"
            assert end not in node.value, f"{path.name}:{node.lineno}"


def test_the_characters_of_a_token_are_written_once():
    assert [path.name for path in FILES if "!#$%&'*+" in path.read_text("utf-8")] == ["grammar.py"]


@every_file
def test_no_file_is_too_long_to_be_one_idea(path):
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES


@every_file
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(tree(path))


def drawn():
    """The band of every module and folder, as the table of the architecture says."""
    table = MAP.read_text("utf-8").partition("## Modules")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if re.match(r"\| *[0-9]+ *\|", line)]
    return {name: int(row[1]) for row in rows for name in re.findall(r"`(\w+)/?`", row[2])}


def built():
    """The band of every module and folder, as the import contract keeps it."""
    contracts = ConfigParser()
    contracts.read(ROOT.parent / "setup.cfg")
    layers = contracts["importlinter:contract:bands"]["layers"].strip().splitlines()
    return {room: band for band, rooms in enumerate(reversed(layers), 1) for room in rooms.split(" : ")}


def test_every_module_has_a_band():
    assert set(built()) == set(rooms())


@pytest.mark.parametrize("room", rooms())
def test_every_module_is_in_the_architecture_in_its_band(room):
    assert drawn().get(room) == built()[room]


def test_every_module_of_the_architecture_exists():
    assert set(drawn()) <= set(rooms())


def test_few_files_stand_in_the_root():
    assert len(list(ROOT.glob("*.py"))) <= 28


@pytest.mark.parametrize("word", ["utils", "util", "base", "common", "manager", "misc", "mixins"])
def test_no_room_is_a_drawer(word):
    assert word not in {path.stem for path in FILES} | {path.parent.name for path in FILES}


def test_every_package_has_a_floor_of_coverage():
    setup = ConfigParser(interpolation=None)
    setup.read(ROOT.parent / "setup.cfg")
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set(setup["floors"]) == packages | {"root"}


def test_every_requirement_has_a_lower_bound():
    assert "httptools==0.8" in constraints()
