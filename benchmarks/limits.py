"""``python -m benchmarks limits``: what the server holds and how long it takes when peers are slow, hostile or gone.

Each figure is measured on a server of its own, a process with ``-W default`` whose log must stay empty, against a bound.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.process import cores

__all__ = ["LIMITS", "main"]

APP = Path(__file__).parent / "servers" / "sanicish" / "pressed.py"
MIB = 2**20
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Pressed:
    """The server's process."""

    def __init__(self, descriptors: int = 0, workers: int = 1) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by pressed()
        began = time.monotonic()
        command = (sys.executable, "-W", "default", str(APP), str(descriptors), str(workers))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.ask()
        self.started_in = time.monotonic() - began

    def connect(self, path: str = "", small: bool = False) -> socket.socket:
        """A connection on which ``path`` has been asked for; ``small`` buffers make a stalled reader stall soon."""
        sock = socket.socket()
        if small:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", self.port))
        if path:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return sock

    def ask(self, path: str = "/") -> bytes:
        """The body of a short answer."""
        with self.connect(path) as sock:
            return sock.recv(4096).partition(b"\r\n\r\n")[2]

    def cpu(self) -> float:
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self) -> float:
        """MiB."""
        return int(self._read("statm").split()[1]) * PAGE / MIB

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def grown(self, seconds: float, before: float) -> float:
        """The most MiB above ``before`` that it held within that time."""
        end, most = time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            most = max(most, self.rss() - before)
            time.sleep(0.01)
        return most

    def busy(self, seconds: float) -> float:
        """Percent of a core that it used in that time."""
        before = self.cpu()
        time.sleep(seconds)
        return 100 * (self.cpu() - before) / seconds

    def stop(self) -> float:
        """Seconds from SIGTERM to the end; raises ``RuntimeError`` if it did not end well or logged anything."""
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(15)
        finally:
            self.process.kill()
        taken = time.monotonic() - began
        self.log.seek(0)
        logged = self.log.read()
        if code or logged:
            raise RuntimeError(f"it ended with {code} and logged: {logged[-500:]}")
        return taken


@contextmanager
def pressed(descriptors: int = 0, workers: int = 1) -> Iterator[Pressed]:
    server = Pressed(descriptors, workers)
    try:
        yield server
        if server.process.poll() is None:
            server.stop()
    finally:
        server.process.kill()
        server.process.wait()
        server.log.close()


def stalled_readers() -> float:
    with pressed() as server, ExitStack() as stack:
        before = server.rss()
        for _ in range(8):
            stack.enter_context(server.connect("/endless", small=True))
        return server.grown(2, before)


def slow_uploads() -> float:
    head = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n"
    with pressed() as server, ExitStack() as stack:
        before = server.rss()
        socks = [stack.enter_context(server.connect()) for _ in range(4)]
        for sock in socks:
            sock.sendall(head)
            sock.setblocking(False)
        most, end, piece = 0.0, time.monotonic() + 2, bytes(MIB)
        while time.monotonic() < end:
            for sock in socks:
                try:
                    sock.send(piece)
                except BlockingIOError:
                    most = max(most, server.rss() - before)
            time.sleep(0.005)
        return most


def one_byte_chunks() -> float:
    chunks = b"1\r\nx\r\n" * 1_000_000
    with pressed() as server, server.connect() as sock:
        sock.sendall(b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        began = time.monotonic()
        sock.sendall(chunks + b"0\r\n\r\n")
        if not sock.recv(4096).endswith(b"\r\n\r\n1000000"):
            raise RuntimeError("the chunks were not counted right")
        return 1 / (time.monotonic() - began)


def first_piece() -> float:
    times = []
    with pressed() as server:
        for _ in range(20):
            began = time.monotonic()
            with server.connect("/first") as sock:
                got = b""
                while b"first" not in got:
                    got += sock.recv(4096)
                times.append(time.monotonic() - began)
    return 1000 * max(times)


def head_floods() -> tuple[float, float]:
    """MiB taken from a flood without an end before the connection is cut, and MiB that the server grew."""
    floods = [b"GET /" + b"a" * 65_536, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 65_536, b"\r\n" * 32_768]
    floods.append(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_000)
    taken, most = 0, 0.0
    with pressed() as server:
        before = server.rss()
        for flood in floods:
            with server.connect(small=True) as sock:  # else the kernel takes some MiB for itself
                sent, data = 0, flood
                try:
                    while sent < 64 * MIB:
                        sent += sock.send(data)
                        most = max(most, server.rss() - before)
                        data = flood[-65_536:]
                except OSError:
                    pass
                taken = max(taken, sent)
    return taken / MIB, most


def beside_slow_heads() -> float:
    times = []
    with pressed() as server, ExitStack() as stack:
        socks = [stack.enter_context(server.connect()) for _ in range(150)]
        for turn in range(100):
            for sock in socks:
                sock.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 100 if turn == 0 else b"a")
            began = time.monotonic()
            server.ask()
            times.append(time.monotonic() - began)
    return 1000 * max(times)


def idle_cpu() -> float:
    with pressed() as server, ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(server.connect("/")).recv(4096)
        return server.busy(4)


def cpu_without_descriptors() -> float:
    with pressed(descriptors=64) as server:
        socks = []
        for _ in range(120):
            sock = socket.socket()
            sock.settimeout(0.2)
            socks.append(sock)
            try:
                sock.connect(("127.0.0.1", server.port))
            except TimeoutError:
                break
        busy = server.busy(2)
        for sock in socks:
            sock.close()
        server.process.kill()  # for it has logged that it has no descriptors
        server.process.wait()
        return busy


def stop_when_idle() -> float:
    with pressed() as server, server.connect("/") as sock:
        sock.recv(4096)
        return server.stop()


def stop_with_a_stream() -> float:
    """Seconds after the grace, which is one second."""
    with pressed() as server, server.connect("/ticks") as sock:
        sock.recv(4096)
        return server.stop() - 1


def worker_killed() -> float:
    """Seconds until there are again as many workers that serve: the new one tells its port when it does."""
    with pressed(workers=2) as server:
        assert server.process.stdout is not None
        server.process.stdout.readline()  # the other one
        pids = subprocess.run(
            ("ps", "-o", "pid=", "--ppid", str(server.process.pid)), capture_output=True, text=True, check=True
        )
        began = time.monotonic()
        os.kill(int(pids.stdout.split()[0]), signal.SIGKILL)
        server.process.stdout.readline()
        taken = time.monotonic() - began
        server.process.terminate()  # that a worker died is logged
        server.process.wait(10)
        return taken


def client_gone() -> float:
    worst = 0.0
    with pressed() as server:
        for _ in range(10):
            sock = server.connect("/held")
            time.sleep(0.05)
            left_at = time.monotonic()
            sock.close()
            time.sleep(0.2)
            worst = max(worst, float(server.ask("/left")) - left_at)
    return worst


def start() -> float:
    times = []
    for _ in range(5):
        with pressed() as server:
            times.append(server.started_in)
    return max(times)


@dataclass(frozen=True)
class Limit:
    """One figure: its bound, an upper one unless ``least``."""

    title: str
    unit: str
    bound: float
    measure: Callable[[], float]
    least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound


LIMITS = (
    Limit("8 stalled readers of an endless stream: memory grows by", "MiB", 4, stalled_readers),
    Limit("4 uploads to a handler that reads slowly: memory grows by", "MiB", 4, slow_uploads),
    Limit("chunks of one byte, in a second", "M", 1, one_byte_chunks, least=True),
    Limit("the first piece of a stream arrives after", "ms", 10, first_piece),
    Limit("a flood of head bytes is ended after", "MiB", 1, lambda: head_floods()[0]),
    Limit("a flood of head bytes: memory grows by", "MiB", 2, lambda: head_floods()[1]),
    Limit("beside 150 slow heads others are answered within", "ms", 50, beside_slow_heads),
    Limit("idle, with 100 connections: a core is used by", "%", 1, idle_cpu),
    Limit("out of descriptors: a core is used by", "%", 5, cpu_without_descriptors),
    Limit("SIGTERM when idle: ended after", "s", 0.3, stop_when_idle),
    Limit("SIGTERM with an endless stream: ended after the grace and", "s", 0.3, stop_with_a_stream),
    Limit("a killed worker is replaced after", "s", 0.5, worker_killed),
    Limit("the client is gone: its handler is ended after", "s", 0.1, client_gone),
    Limit("from start to the first answer", "s", 0.6, start),
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks limits", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="the figures whose title contains it")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures as JSON, too")
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, set(cores()))
    table = Table(box=SIMPLE_HEAD, title="Bounds", title_justify="left")
    for column in ("", "measured", "bound", ""):
        table.add_column(column, justify="left" if not column else "right")
    found = []
    for limit in LIMITS:
        if options.only in limit.title:
            value = limit.measure()
            found.append({"title": limit.title, "unit": limit.unit, "value": round(value, 4), "bound": limit.bound})
            bound = f"{'≥' if limit.least else '≤'} {limit.bound:g}"
            table.add_row(limit.title, f"{value:.3g} {limit.unit}", bound, "" if limit.holds(value) else "[red]missed")
    Console().print(table)
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0
