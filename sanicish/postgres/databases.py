"""A PostgreSQL and the databases in it: where it is, how to reach it, and fresh databases from a template.

Knows nothing of processes and folders: those are the launcher's.
"""

import os
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import asyncpg

from sanicish.postgres.launcher import running
from sanicish.postgres.programs import find_programs

__all__ = ["Postgres", "temporary"]


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL that runs, known by the ``dsn`` of one of its databases."""

    dsn: str

    def at(self, database: str) -> str:
        """The DSN of another database of the same server."""
        parts = urlsplit(self.dsn)
        query = f"?{parts.query}" if parts.query else ""
        return f"{parts.scheme}://{parts.netloc}/{quote(database, safe='')}{query}"

    def environment(self, database: str | None = None) -> dict[str, str]:
        """The ``PG*`` variables with which ``asyncpg.connect()``, ``psql`` and the like reach ``database``.

        Without a name it is the database of the DSN.
        """
        parts = urlsplit(self.dsn)
        place = {"host": parts.hostname, "user": parts.username, "password": parts.password, "database": parts.path[1:]}
        words = {name: unquote(value) for name, value in place.items() if value}
        words |= {"port": str(parts.port)} if parts.port else {}
        words |= dict(parse_qsl(parts.query))
        words |= {"database": database} if database else {}
        return {f"PG{name.upper()}": value for name, value in words.items()}

    async def create(self, database: str, *, template: str = "template1") -> str:
        """Create ``database`` as a copy of ``template`` and return its DSN.

        Nobody may be connected to the template meanwhile. Raises what asyncpg raises, such as
        ``asyncpg.DuplicateDatabaseError``.
        """
        await self._command(f"CREATE DATABASE {_quoted(database)} TEMPLATE {_quoted(template)}")
        return self.at(database)

    async def drop(self, database: str) -> None:
        """Drop ``database`` if it is there; whoever is connected to it is thrown out (PostgreSQL 13 and newer)."""
        await self._command(f"DROP DATABASE IF EXISTS {_quoted(database)} WITH (FORCE)")

    @asynccontextmanager
    async def fresh(self, *, template: str = "template1") -> AsyncIterator[str]:
        """The DSN of a database that nobody else knows, a copy of ``template``, dropped at the end."""
        database = f"sanicish_{secrets.token_hex(8)}"
        dsn = await self.create(database, template=template)
        try:
            yield dsn
        finally:
            await self.drop(database)

    async def _command(self, sql: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


class temporary:
    """A PostgreSQL for as long as the ``with`` or ``async with`` block lasts; gives a ``Postgres``.

    The user's own wins, and then nothing is started: ``dsn``, else ``$SANICISH_DSN``, else ``$DATABASE_URL``. Else a
    server is started from the PostgreSQL programs that are found, or from those in the folder ``programs``. It is
    reached by a Unix socket that is open to this user alone, leaves neither process nor file behind, and ends with the
    thread that entered the block, however that ends.

    ``data`` is a folder to keep the databases in: made when it is missing, used again when it is there, and from then
    on every commit is waited for on the disk. ``port`` makes the server listen on 127.0.0.1 instead, with a password
    that is in the DSN; 0 takes a free one. Raises ``PostgresUnavailable`` when none is found or it does not start.
    """

    def __init__(
        self,
        dsn: str | None = None,
        *,
        data: str | os.PathLike[str] | None = None,
        port: int | None = None,
        programs: str | os.PathLike[str] | None = None,
    ) -> None:
        self._dsn = dsn or os.environ.get("SANICISH_DSN") or _postgres_url(os.environ.get("DATABASE_URL", ""))
        self._data = Path(data) if data else None
        self._port = port
        self._programs = Path(programs) if programs else None
        self._running = ExitStack()

    def __enter__(self) -> Postgres:
        if self._dsn:
            return Postgres(self._dsn)
        server = running(self._programs or find_programs(), self._data, self._port)
        return Postgres(self._running.enter_context(server))

    def __exit__(self, *_: object) -> None:
        self._running.close()

    # Half a second in which the loop stands still, on purpose: the server dies with the *thread* that started it
    # (PR_SET_PDEATHSIG), and those of an executor come and go.

    async def __aenter__(self) -> Postgres:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self._running.close()


def _postgres_url(url: str) -> str | None:
    """``$DATABASE_URL`` may name another kind of database, or a driver as in ``postgresql+asyncpg://``."""
    found = re.match(r"(postgres(?:ql)?)(?:\+\w+)?(://.*)", url)
    return found[1] + found[2] if found else None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
