"""A PostgreSQL and the databases in it: where it is, how to reach it, and fresh databases from a template.

Knows nothing of processes and folders: those are ``sanicish.testing.postgres``'s.
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

__all__ = ["Postgres", "temporary"]

_HOST = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d*))?")

# What libpq reads of the environment (PostgreSQL manual, 34.15), by its word in a DSN; other words are server settings.
_WORDS = """
channel_binding client_encoding gssdelegation gssencmode gsslib host hostaddr krbsrvname load_balance_hosts options
passfile password port require_auth requirepeer requiressl service ssl_max_protocol_version ssl_min_protocol_version
sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni
target_session_attrs user
"""
_VARIABLES = {name: f"PG{name.replace('_', '').upper()}" for name in _WORDS.split()} | {
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "database": "PGDATABASE",
    "dbname": "PGDATABASE",
}


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

        Without a name it is the database of the DSN. An IPv6 address is written as libpq reads it, without brackets;
        asyncpg 0.32 does not, so pass it the DSN.
        """
        parts = urlsplit(self.dsn)
        who, _, where = parts.netloc.rpartition("@")
        user, _, password = who.partition(":")
        hosts, ports = _hosts(where)
        words = {"user": user, "password": password, "host": hosts, "port": ports, "dbname": parts.path[1:]}
        words = {name: unquote(value) for name, value in words.items() if value}
        words |= dict(parse_qsl(parts.query))
        words |= {"dbname": database} if database else {}
        own = {_VARIABLES[name]: value for name, value in words.items() if name in _VARIABLES}
        others = [f"-c {name}={_escaped(value)}" for name, value in words.items() if name not in _VARIABLES]
        options = " ".join([*([own["PGOPTIONS"]] if "PGOPTIONS" in own else []), *others])
        return own | ({"PGOPTIONS": options} if options else {})

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
        from sanicish.testing.postgres import find_programs, running  # noqa: PLC0415 - only where a server is started

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


def _hosts(where: str) -> tuple[str, str]:
    """The hosts of a DSN and their ports, each with commas if there are several; an IPv6 address has no brackets."""
    found = [_HOST.fullmatch(one) for one in where.split(",")]
    hosts = [(one["six"] or one["host"], one["port"] or "") for one in found if one]
    ports = ",".join(port for _, port in hosts)
    return ",".join(host for host, _ in hosts), ports if ports.strip(",") else ""


def _escaped(value: str) -> str:
    """A setting as it stands in PGOPTIONS."""
    return re.sub(r"([\\\s])", r"\\\1", value)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
