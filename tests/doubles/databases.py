"""Real databases that are not the one that most tests use, and the ways to them: TLS, delay, a pooler."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import trustme

from sanicish.postgres import PostgresUnavailable
from sanicish.testing.postgres import find_programs, running
from tests.doubles.wire import PATIENCE
from tests.waiting import until


async def value(dsn: str, sql: str) -> Any:
    """What a query gives, on a connection of its own."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def debian_programs() -> Path:
    """The programs of Debian's PostgreSQL; skips where there are none."""
    try:
        return find_programs(wheels=())
    except PostgresUnavailable:
        pytest.skip("there is no PostgreSQL of the system (apt-get install postgresql)")


def certificate(folder: Path, like: Path | None = None) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, of the same owner as the file ``like``."""
    made = trustme.CA().issue_cert("127.0.0.1", "localhost")
    chain, key = folder / "tls.crt", folder / "tls.key"
    made.cert_chain_pems[0].write_to_path(chain)
    key.touch(mode=0o600)
    made.private_key_pem.write_to_path(key)
    if like is not None:
        owner = like.stat()
        for path in (chain, key):
            os.chown(path, owner.st_uid, owner.st_gid)
    return chain, key


@contextmanager
def encrypted(programs: Path) -> Iterator[str]:
    """A PostgreSQL that is reached by TLS; gives its DSN."""
    with tempfile.TemporaryDirectory(prefix="sanicish-tls-", dir="/tmp") as folder:
        os.chmod(folder, 0o711)  # whoever runs the server has to come to its data
        data = Path(folder) / "data"
        with running(programs, data, 0) as dsn:
            chain, key = certificate(data, data / "PG_VERSION")
            asyncio.run(_encrypt(dsn, chain, key))
            yield dsn.replace("sslmode=disable", "sslmode=require")


async def _encrypt(dsn: str, chain: Path, key: Path) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for name, value in {"ssl_cert_file": chain, "ssl_key_file": key, "ssl": "on"}.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        await connection.execute("SELECT pg_reload_conf()")
        await until(lambda: connection.fetchval("SELECT current_setting('ssl') = 'on'"))
    finally:
        await connection.close()


@asynccontextmanager
async def delayed(dsn: str, delay: float) -> AsyncIterator[str]:
    """The DSN of a way to a database on which every byte takes ``delay`` seconds, in both directions."""
    there = urlsplit(dsn)
    ways: list[asyncio.Transport] = []

    class End(asyncio.Protocol):
        """One end of a connection; what it receives leaves from the other one."""

        def __init__(self, other: "End | None" = None) -> None:
            self.other: asyncio.Future[End] = loop.create_future()
            if other is not None:
                self.other.set_result(other)

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            ways.append(transport)
            if not self.other.done():
                tasks.append(loop.create_task(self.connect()))

        async def connect(self) -> None:
            _, other = await loop.create_connection(lambda: End(self), there.hostname, there.port)
            self.other.set_result(other)

        def data_received(self, data: bytes) -> None:
            self.later(lambda end: end.transport.is_closing() or end.transport.write(data))

        def connection_lost(self, error: Exception | None) -> None:
            self.later(lambda end: end.transport.close())

        def later(self, act: Callable[["End"], None]) -> None:
            loop.call_later(delay, self.other.add_done_callback, lambda other: act(other.result()))

    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []
    server = await loop.create_server(End, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield dsn.replace(f":{there.port}/", f":{port}/")
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        for way in ways:
            way.abort()
        await asyncio.sleep(2 * delay)  # until all that was on its way is dropped


_POOLER = """
[databases]
* = host=127.0.0.1 port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
server_tls_sslmode = {server_tls}
client_tls_sslmode = require
client_tls_cert_file = {chain}
client_tls_key_file = {key}
logfile = {folder}/log
pidfile =
"""


@contextmanager
def pooled(dsn: str, size: int = 2) -> Iterator[str]:
    """The DSN of a pgbouncer in transaction mode before a database; skips where there is none."""
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer (apt-get install pgbouncer)")
    there = urlsplit(dsn)
    with tempfile.TemporaryDirectory(prefix="sanicish-pooler-", dir="/tmp") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
        probe.close()
        chain, key = certificate(folder)
        server_tls = "require" if "sslmode=require" in dsn else "disable"
        settings = folder / "pooler.ini"
        settings.write_text(
            _POOLER.format(
                port=there.port,
                user=there.username,
                password=there.password,
                own=own,
                size=size,
                server_tls=server_tls,
                chain=chain,
                key=key,
                folder=folder,
            )
        )
        command = [program, str(settings)]
        if os.geteuid() == 0:  # pgbouncer refuses root
            for path in (folder, *folder.iterdir()):
                os.chown(path, 65534, 65534)
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", own), 1).close()
                    break
                except OSError:
                    log = folder / "log"
                    said = log.read_text() if log.exists() else ""
                    assert process.poll() is None and time.monotonic() < deadline, f"pgbouncer did not start: {said}"
                    time.sleep(0.01)
            database = there.path
            yield f"postgresql://{there.username}@127.0.0.1:{own}{database}?sslmode=require"
        finally:
            process.terminate()
            process.wait(PATIENCE)
