"""What a query takes and gives: the types of its parameters, and its columns.

Statements here have no names, so that nothing is left behind on the server, and what belongs together stands in one
transaction: both are what a pooler in transaction mode needs.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
from asyncpg import Type

from sanicish.postgres.leasing import Connection
from sanicish.postgres.lines import Column, changes_data, inner

__all__ = ["Description", "describe"]

# A row of NULLs with the names of the query's columns, none of which is ever computed.
_NAMES = """
SELECT row_to_json(r)::text FROM (SELECT q.* FROM (SELECT) AS one LEFT JOIN ({}) AS q ON false) AS r
"""


class Description(NamedTuple):
    """What a query takes and gives."""

    columns: Sequence[Column]
    parameters: Sequence[Type]


async def describe(connection: Connection, sql: str, args: Sequence[Any]) -> Description:
    """The columns and parameters of a query.

    Raises ``ValueError`` for a statement without columns, and what the database raises for one that is not a single
    whole statement.
    """
    try:
        prepared = await connection.prepare(sql, name="")
    except (asyncpg.UnsupportedClientFeatureError, asyncpg.InternalClientError):
        if changes_data(sql):
            raise
        # The driver cannot decode a composite type with such a field. It need not: the database writes all values.
        prepared = await connection.prepare(_NAMES.format(inner(sql)), name="")
        names = json.loads(await prepared.fetchval(*args), object_pairs_hook=lambda pairs: [name for name, _ in pairs])
        columns = [Column(name, "") for name in names]
    else:
        columns = [Column(each.name, _kind(each.type)) for each in prepared.get_attributes()]
    if not columns:
        raise ValueError("the query gives no columns")
    return Description(columns, prepared.get_parameters())


def _kind(type: Type) -> str:
    """The name of a type of PostgreSQL's own; empty for all others, which may be called the same."""
    return type.name if type.schema == "pg_catalog" else ""
