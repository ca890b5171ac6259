"""Runs one PostgreSQL server: its folder, its cluster, its process, and nothing of them left in the end.

Knows nothing of SQL and opens no connection.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from sanicish.exceptions import PostgresUnavailable
from sanicish.testing.postgres.programs import NOBODY, Identity, is_open, runnable

__all__ = ["running"]

FOLDER = "sanicish-postgres-"
PASSWORD = "sanicish.password"
UNSAFE_AND_FAST = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
START_TIMEOUT = 60.0  # seconds; a kept data folder may have to be recovered first
STOP_TIMEOUT = 10.0  # seconds for each signal, of which the next is harder
ORPHAN_AGE = 60.0  # seconds


@contextmanager
def running(programs: Path, data: Path | None = None, port: int | None = None) -> Iterator[str]:
    """A server for as long as the block lasts; gives the DSN of its database ``postgres``.

    Its databases are kept in ``data`` if that is named. With a ``port`` (0: a free one) it listens on 127.0.0.1.
    """
    with _private_folder() as folder:
        cluster = (data or folder / "data").absolute()
        cluster.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not (cluster / "PG_VERSION").exists()
        if is_new and any(cluster.iterdir()):
            raise PostgresUnavailable(f"{cluster} is neither empty nor a data folder of PostgreSQL")
        programs, identity = runnable(programs.absolute(), folder, cluster)
        identity.give(cluster)
        if is_new:
            _initialise(identity, programs, folder, cluster)
        host, number = ("", 5432) if port is None else ("127.0.0.1", port or _free_port())
        command = [*identity.words, str(programs / "postgres"), "-D", str(cluster), "-k", str(folder)]
        command += ["-h", host, "-p", str(number), *(() if data else UNSAFE_AND_FAST)]
        with _process(command, folder, cluster):
            if host:
                secret = cluster / PASSWORD  # a kept folder that was made elsewhere has none
                password = f":{secret.read_text(encoding='ascii')}" if secret.exists() else ""
                yield f"postgresql://postgres{password}@{host}:{number}/postgres?sslmode=disable"
            else:
                yield f"postgresql://postgres@/postgres?host={quote(str(folder))}&port={number}"


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A new folder, open to us alone and removed in the end; if we are killed, by the next who comes here."""
    usual = Path(tempfile.gettempdir()).absolute()
    # The path of a socket has room for 103 bytes (macOS), and whoever runs the server must be able to come here.
    place = usual if len(os.fsencode(usual)) <= 50 and is_open(usual) else Path("/tmp")
    for other in place.glob(f"{FOLDER}*"):
        with suppress(OSError):
            found = other.lstat()
            if found.st_uid in (os.geteuid(), NOBODY) and time.time() - found.st_mtime > ORPHAN_AGE:
                with _locked(other):
                    shutil.rmtree(other, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=place))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Whoever lives holds the lock of his folder; raises OSError where somebody else does."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _initialise(identity: Identity, programs: Path, folder: Path, cluster: Path) -> None:
    # The socket is open to us alone, but a port is open to everybody on this machine, and a superuser of the database
    # can run programs: hence a password there.
    password = folder / PASSWORD
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="ascii")
    identity.give(password)
    command = [*identity.words, str(programs / "initdb"), "-D", str(cluster), "-U", "postgres", f"--pwfile={password}"]
    command += ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    command += ["--no-sync"] if cluster.is_relative_to(folder) else []
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PostgresUnavailable(f"{programs}/initdb failed: {result.stderr.strip()}")
    shutil.move(password, cluster / PASSWORD)


@contextmanager
def _process(command: list[str], folder: Path, cluster: Path) -> Iterator[None]:
    """The server itself: it takes connections as long as the block lasts, and has ended when that is left."""
    log = folder / "log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the application, which may still have queries to end.
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not _is_ready(cluster / "postmaster.pid", process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise PostgresUnavailable(f"postgres did not start: {log.read_text(errors='replace').strip()}")
            time.sleep(0.005)
        yield
    finally:
        # Fast shutdown, immediate shutdown, and death, upon which the server's own processes end by themselves.
        for hint in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(hint)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT)
                break


def _is_ready(pid_file: Path, pid: int) -> bool:
    """Line 1 is the process, line 8 its state; the file of a server that was killed may still lie in a kept folder."""
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
