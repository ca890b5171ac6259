"""Arguments for statements that take none, such as COPY: each ``$1`` of a query is replaced by a literal.

The database makes the literal, of the type that it gave the parameter, and only where SQL has a parameter: not in
strings, quoted names, dollar quotes and comments.
"""

import re
from collections.abc import Sequence
from typing import Any

from asyncpg import Type

from sanicish.postgres.describing import describe
from sanicish.postgres.leasing import Connection
from sanicish.postgres.lines import Column

__all__ = ["replaced", "whole_query"]

_TOKEN = re.compile(
    r"""
    (?P<comment>/\*)                                           # they nest
    | --[^\r\n]*
    | [eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | \$(?P<number>\d+)
    | \w[\w$]*                                                 # a$1 is a name
    """,
    re.DOTALL | re.VERBOSE,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")


async def whole_query(connection: Connection, sql: str, args: Sequence[Any]) -> tuple[str, Sequence[Column]]:
    """``sql`` with its arguments in it, and its columns.

    Raises what asyncpg raises for wrong arguments, and for what is not one whole query of its own, so that nothing in
    it can end the statement it is put into.
    """
    columns, parameters = await describe(connection, sql, args)
    if len(parameters) != len(args):
        raise ValueError(f"the query has {len(parameters)} parameters, and {len(args)} arguments were given")
    if not args:
        return sql, columns
    if connection.get_settings().standard_conforming_strings != "on":
        raise ValueError("arguments of COPY need standard_conforming_strings = on")
    types = [_type_name(type) for type in parameters]
    literals = ", ".join(f"quote_literal(${number}::{type}::text)" for number, type in enumerate(types, 1))
    prepared = await connection.prepare(f"SELECT {literals}", name="")
    values = zip(await prepared.fetchrow(*args) or (), types, strict=True)
    return replaced(sql, [f"({text or 'NULL'}::{type})" for text, type in values]), columns


def _type_name(type: Type) -> str:
    name, array = (type.name[:-2], "[]") if type.name.endswith("[]") else (type.name, "")
    return f"{_quoted(type.schema)}.{_quoted(name)}{array}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def replaced(sql: str, expressions: Sequence[str]) -> str:
    """``sql`` with an expression for each of its parameters."""
    pieces, start = [], 0
    while found := _TOKEN.search(sql, start):
        pieces.append(sql[start : found.start()])
        start = found.end()
        if found["comment"]:
            start = _comment_end(sql, start)
        number = found["number"]
        pieces.append(f" {expressions[int(number) - 1]} " if number else sql[found.start() : start])
    return "".join([*pieces, sql[start:]])


def _comment_end(sql: str, start: int) -> int:
    depth = 1
    while depth and (mark := _COMMENT_MARK.search(sql, start)):
        depth += 1 if mark[0] == "/*" else -1
        start = mark.end()
    return len(sql) if depth else start
