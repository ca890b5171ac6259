"""SQL with which the database itself writes each row of a query as one line of text: CSV as by COPY, or JSON.

So every type that it knows is written as it should be, those of extensions too. Knows nothing of connections.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Column", "changes_data", "csv_header", "csv_lines", "inner", "json_lines", "literal"]

_INTEGERS = frozenset({"int2", "int4", "int8", "oid"})
_DATES = frozenset({"date", "time", "timetz", "timestamp", "timestamptz"})
_NUMBERS = frozenset({"float4", "float8", "numeric"})
_UNQUOTED = _INTEGERS | _NUMBERS | _DATES | {"uuid"}  # a cast gives what COPY writes, and nothing of it needs quotes
_TEXT = frozenset({"text", "varchar"})
_ONE_LINE = _UNQUOTED | _TEXT | {"bool", "bpchar", "jsonb"}  # their JSON has no line breaks; that of json may

_CHANGES = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE | re.DOTALL)


class Column(NamedTuple):
    """A column of a query: its name, and the name of its type if that is one of PostgreSQL's own, else empty text."""

    name: str
    kind: str


def changes_data(sql: str) -> bool:
    """Whether a statement is an INSERT, UPDATE, DELETE or MERGE, which cannot stand in FROM."""
    return _CHANGES.match(sql) is not None


def inner(sql: str) -> str:
    """A query as it can stand in parentheses: without a semicolon, and with a comment at its end ended."""
    return sql.strip().rstrip("; \t\n\r") + "\n"


def literal(text: str) -> str:
    """Text as a literal of SQL, whatever ``standard_conforming_strings`` is."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def csv_header(columns: Sequence[Column]) -> str:
    """The line with the names of the columns."""
    return ",".join([_quoted(column.name, len(columns) == 1) for column in columns]) + "\n"


def _quoted(text: str, alone: bool) -> str:
    if text and not any(mark in text for mark in ',"\n\r') and not (alone and text == "\\."):
        return text
    return '"' + text.replace('"', '""') + '"'


def csv_lines(sql: str, columns: Sequence[Column]) -> str:
    """A query that gives each row of ``sql`` as a line of CSV, byte for byte what ``COPY ... (FORMAT csv)`` writes."""
    texts = [_output(f"q.c{index}", column.kind) for index, column in enumerate(columns)]
    cells = [_csv_cell(f"q.c{index}", column.kind, len(columns) == 1) for index, column in enumerate(columns)]
    return _lines(sql, texts, _joined(cells, ","))


def json_lines(sql: str, columns: Sequence[Column]) -> str:
    """A query that gives each row of ``sql`` as a JSON object without line breaks, as ``row_to_json`` does."""
    pieces = []
    for index, column in enumerate(columns):
        key = ("{" if index == 0 else ",") + json.dumps(column.name, ensure_ascii=False) + ":"
        pieces += [literal(key), _json_value(f"q.c{index}", column.kind)]
    return _lines(sql, [f"q.c{index}" for index in range(len(columns))], " || ".join([*pieces, literal("}")]))


def _lines(sql: str, values: Sequence[str], line: str) -> str:
    """A query that makes a line of each row's values, ``c0`` and so on.

    OFFSET 0 keeps the planner from putting an expression into each place where its value is used: each is computed once.
    """
    names = [f"c{index}" for index in range(len(values))]
    before, table = _named(sql, ", ".join(names))
    chosen = ", ".join(f"{value} AS {name}" for value, name in zip(values, names, strict=True))
    return f"{before}SELECT {line} FROM (SELECT {chosen} FROM {table} OFFSET 0) AS q"


def _named(sql: str, names: str) -> tuple[str, str]:
    """A query as a table ``q`` with these column names: what stands before SELECT, and what behind FROM."""
    if changes_data(sql):
        return f"WITH q({names}) AS ({inner(sql)}) ", "q"
    return "", f"({inner(sql)}) AS q({names})"


def _joined(cells: Sequence[str], separator: str) -> str:
    return f" || {literal(separator)} || ".join(cells)


def _output(name: str, kind: str) -> str:
    """What makes text of a value as its type's own output does, where a cast would not; known types stay as they are."""
    if kind in _UNQUOTED or kind in _TEXT or kind == "bool":
        return name
    # IS NULL is also true of a composite value whose fields are all NULL, and that is written.
    return f"CASE WHEN {name} IS DISTINCT FROM NULL THEN concat({name}) END"


def _csv_cell(name: str, kind: str, alone: bool) -> str:
    if kind == "bool":
        return f"CASE WHEN {name} THEN 't' WHEN NOT {name} THEN 'f' ELSE '' END"
    if kind in _UNQUOTED:
        return f"coalesce({name}::text, '')"
    text = f'({name} COLLATE "C")'  # any collation can do what is done here, but this one is the fastest
    marks = " + ".join(f"strpos({text}, {mark})" for mark in ("','", "'\"'", "E'\\n'", "E'\\r'"))
    last = f" OR {text} = E'\\\\.'" if alone else ""  # alone on its line it would be the end of the data
    return f"""CASE WHEN {text} = '' OR {marks} > 0{last} THEN '"' || replace({text}, '"', '""') || '"' """ + (
        f"ELSE coalesce({text}, '') END"
    )


def _json_value(name: str, kind: str) -> str:
    if kind == "bool":
        return f"CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' ELSE 'null' END"
    if kind in _INTEGERS and kind != "oid":
        return f"coalesce({name}::text, 'null')"
    value = f"to_json({name})::text"
    if kind not in _ONE_LINE:
        value = f"translate({value}, E'\\n\\r', '  ')"  # between tokens only: within a string JSON has none
    return f"coalesce({value}, 'null')"
