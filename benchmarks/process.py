"""Servers as processes: installed, started on a core of their own, weighed, and stopped."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import IO

from benchmarks.client import Body, Transfer, Wrong, request
from benchmarks.servers import Server

__all__ = ["CACHE", "Process", "Unavailable", "cores", "find", "install", "versions", "waited"]

HERE = Path(__file__).parent
CACHE = HERE.parent / ".bench"
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 20.0  # seconds for a server to answer for the first time
INSTALL = 300.0  # seconds to install it
PLAIN = Body(b"Hello, World!")


class Unavailable(Exception):
    """A server that cannot be run on this machine."""


def cores() -> tuple[int, int]:
    """The cores of the server and of the load: two, if there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-1], allowed[-2 if len(allowed) > 1 else -1]


def find(server: Server) -> Path | None:
    """The interpreter of a server's environment, if it has been installed."""
    if server.program and not shutil.which(server.program):
        return None
    if not server.packages:
        return Path(sys.executable)
    folder = _venv(server)
    ready = folder / "packages"
    return folder / "bin" / "python" if ready.exists() and ready.read_text() == repr(server.packages) else None


def _venv(server: Server) -> Path:
    return CACHE / "venvs" / server.name


def install(server: Server) -> Path:
    """The same, installed now if need be; raises ``Unavailable``."""
    python = find(server)
    if python is not None:
        return python
    if server.program:
        raise Unavailable(f"{server.program} is not on this machine")
    folder = _venv(server)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([_interpreter(server.python), "-m", "venv", "--clear", str(folder)], [*pip, *server.packages]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"it was not installed within {INSTALL:.0f} s") from None
        if done.returncode:
            raise Unavailable((done.stderr.strip().splitlines() or ["it cannot be installed"])[-1])
    (folder / "packages").write_text(repr(server.packages))
    return folder / "bin" / "python"


def _interpreter(name: str) -> str:
    """An interpreter that runs, by its name; a version manager may have it where no PATH leads."""
    if not name:
        return sys.executable
    version = name.removeprefix("python")
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions").glob(f"{version}.*/bin/python")
    for python in (shutil.which(name), *map(str, sorted(managed))):
        if python and subprocess.run((python, "--version"), capture_output=True, check=False).returncode == 0:
            return python
    raise Unavailable(f"there is no {name} on this machine")


def versions(server: Server, python: Path) -> dict[str, str]:
    """What is installed for a server: its packages (and what they are built on) with their versions."""
    if server.program:
        told = subprocess.run((server.program, "-v"), capture_output=True, text=True, check=False)
        return {server.program: (told.stdout + told.stderr).strip().rpartition("/")[2]}
    names = [package.partition("[")[0].partition("=")[0] for package in server.packages] or ["sanicish"]
    code = (
        "import sys, platform; from importlib.metadata import distributions as all\n"
        "print('python', platform.python_version())\n"
        "for d in all():\n    if d.metadata['Name'].lower() in sys.argv: print(d.metadata['Name'].lower(), d.version)"
    )
    told = subprocess.run(
        (python, "-c", code, *names, "uvloop", "httptools"), capture_output=True, text=True, check=False
    )
    return dict(line.split() for line in told.stdout.splitlines())


def waited(task: Path) -> float:
    """Seconds that a thread wanted a core and had none; 0 where the kernel does not tell."""
    try:
        return int((task / "schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


class Process:
    """A server that runs. Its CPU time and memory are those of all its processes."""

    def __init__(self, server: Server, python: Path, core: int, files: Path, dsn: str | None) -> None:
        self.server = server
        self.python = python
        self.core = core
        self.environment = {**os.environ, "BENCH_FILES": str(files)} | ({"BENCH_DSN": dsn} if dsn else {})
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.port = 0
        self.started_in = 0.0  # seconds from the start to the first answer
        self._popen: subprocess.Popen[bytes] | None = None
        self._log = CACHE / "logs" / f"{server.name}.log"

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    async def start(self) -> None:
        """Start it and wait for its first answer; raises ``Wrong`` if none comes."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = self.server.command.format(python=self.python, bin=self.python.parent, port=self.port)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        begun = perf_counter()
        with self._log.open("wb") as log:
            self._popen = self.spawn(*command.split(), log=log)
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._answers():
                    if not self.running:
                        raise Wrong(f"it did not start: {self._last_words()}")
                    await asyncio.sleep(0.001)
        except TimeoutError:
            self.stop()
            raise Wrong(f"no answer in {PATIENCE:.0f} s: {self._last_words()}") from None
        self.started_in = perf_counter() - begun
        self._pids = self._family()

    def spawn(self, *command: str | Path, log: int | IO[bytes] = subprocess.DEVNULL) -> "subprocess.Popen[bytes]":
        """Run something in this server's folder, on this server's core, as the leader of a session of its own."""
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.core})  # is inherited
        try:
            return subprocess.Popen(
                command,
                cwd=HERE / "servers" / self.server.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, own)

    async def _answers(self) -> bool:
        try:
            transport, client = await asyncio.get_running_loop().create_connection(Transfer, "127.0.0.1", self.port)
        except OSError:
            return False
        try:
            await client.exchange(request("GET", "/plain"), PLAIN)
        finally:
            transport.abort()
        return True

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _family(self) -> list[int]:
        """All processes of its session; a process directory may vanish while it is looked at."""
        assert self._popen is not None
        family = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.getsid(int(entry.name)) == self._popen.pid:
                        family.append(int(entry.name))
                except ProcessLookupError:
                    pass
        return family

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        ticks = 0
        for pid in self._pids:
            fields = self._read(pid, "stat").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICK

    def waited(self) -> float:
        """Seconds that its threads wanted a core and had none, for somebody else had it."""
        return sum(waited(task) for pid in self._pids for task in Path("/proc", str(pid), "task").iterdir())

    def rss(self) -> int:
        """Bytes of memory that it holds now."""
        return sum(int(self._read(pid, "statm").split()[1]) for pid in self._pids) * PAGE

    def pss(self) -> int:
        """The same, where what several processes share is counted once."""
        lines = [line for pid in self._pids for line in self._read(pid, "smaps_rollup").splitlines()]
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def _read(self, pid: int, name: str) -> str:
        try:
            return Path("/proc", str(pid), name).read_text()
        except FileNotFoundError:
            raise Wrong(f"the server is gone: {self._last_words()}") from None

    def stop(self) -> None:
        """End it, with everything it started; there is nothing to be saved."""
        popen, self._popen = self._popen, None
        if popen is not None:
            with suppress(ProcessLookupError):  # it was over already
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
