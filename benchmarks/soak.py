"""``make soak``: minutes of rude clients against a server process, whose levels must not rise.

Clients are slow, cut, half-close, reset, send requests ahead, stop in the middle of uploads and cancel downloads. Every
few seconds all of them stop, and once the timeouts of the server (1 s) are over its descriptors, tasks, connections and
handlers must be as many as at the beginning. Its memory may not grow any more after the first third.
"""

import argparse
import asyncio
import json
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import matplotlib as mpl
import trustme
from matplotlib.figure import Figure

from benchmarks.levels import LEVELS, MIB, growing
from benchmarks.plot import ACCENT, FAINT, INK, STYLE

__all__ = ["main"]

APP = Path(__file__).parent / "servers" / "sanicish" / "soaked.py"
CLIENTS = 60
BUSY = 8.0  # seconds until everybody stops for a look
SETTLE = 6.0  # seconds, at most, until the server has forgotten them
RECORD = re.compile(r"^(?=\d\d:\d\d:\d\d )", re.MULTILINE)
# asyncio's own: a TLS connection that closes with a backlog and is reset may be lost twice, which it logs and survives.
OF_ASYNCIO = "'NoneType' object has no attribute 'connection_lost'"


class Rude:
    """One connection of a rude client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dice: random.Random) -> None:
        self.reader, self.writer, self.dice = reader, writer, dice
        self.sock = writer.get_extra_info("socket")

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def get(self, path: str, method: str = "GET", version: str = "1.1") -> None:
        self.send(f"{method} {path} HTTP/{version}\r\nHost: a\r\n\r\n".encode())

    def post(self, path: str, size: int) -> None:
        self.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())

    async def read(self, count: int) -> None:
        """Read so many bytes, or what there is."""
        while count > 0 and (data := await self.reader.read(min(count, 65_536))):
            count -= len(data)

    async def pause(self, most: float = 0.1) -> None:
        await asyncio.sleep(self.dice.random() * most)

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def plain(rude: Rude) -> None:
    for _ in range(rude.dice.randint(1, 5)):
        rude.get("/")
        await rude.reader.readuntil(b"hello")


async def ahead(rude: Rude) -> None:
    for _ in range(rude.dice.randint(2, 50)):
        rude.get(rude.dice.choice(["/", "/stream", "/ticks"]))
    await rude.read(rude.dice.randint(0, 100_000))


async def slow_head(rude: Rude) -> None:
    for byte in b"GET / HTTP/1.1\r\nX-Slow: "[: rude.dice.randint(1, 30)]:
        rude.send(bytes([byte]))
        await rude.pause(0.02)


async def nonsense(rude: Rude) -> None:
    rude.send(rude.dice.randbytes(rude.dice.randint(1, 5_000)))
    await rude.read(1)


async def waits(rude: Rude) -> None:
    rude.get("/wait")
    await rude.pause()


async def download(rude: Rude) -> None:
    rude.get(rude.dice.choice(["/file", "/file", "/stream", "/ticks"]), version=rude.dice.choice(["1.1", "1.1", "1.0"]))
    await rude.read(rude.dice.choice([0, 1, 100_000, 2_000_000]))


async def stalled(rude: Rude) -> None:
    rude.get(rude.dice.choice(["/file", "/stream"]))
    rude.writer.transport.pause_reading()
    await rude.pause(0.5)


async def upload(rude: Rude) -> None:
    path = rude.dice.choice(["/upload", "/whole", "/unread", "/wait"])
    rude.post(path, rude.dice.choice([1_000, 90_000, 5_000_000]))
    for _ in range(rude.dice.randint(0, 20)):
        rude.send(b"x" * rude.dice.choice([1, 1_000, 20_000]))
        await rude.pause(0.01)


async def head(rude: Rude) -> None:
    rude.get(rude.dice.choice(["/", "/file", "/stream"]), method="HEAD")
    await rude.read(1)


async def silent(rude: Rude) -> None:
    await rude.pause(0.5)


ACTS: dict[Callable[[Rude], Awaitable[None]], int] = {
    plain: 4,
    ahead: 2,
    slow_head: 1,
    nonsense: 1,
    waits: 2,
    download: 20,
    stalled: 3,
    upload: 6,
    head: 1,
    silent: 1,
}


async def leave(rude: Rude) -> str:
    """Go, in one of the ways that there are."""
    way = rude.dice.choice(["close", "reset", "half-close", "half-close, reset"])
    if way == "reset":
        rude.reset()
        return way
    if way != "close":
        with suppress(OSError):
            rude.half_close()
        await rude.pause(0.15)
    if way == "half-close, reset":
        rude.reset()
    else:
        rude.writer.close()
    return way


class Soak:
    """The server, its clients, and what was seen."""

    def __init__(self, uvloop: bool, tls: bool, folder: Path) -> None:
        large = folder / "large"
        with large.open("wb") as opened:
            opened.truncate(16 * MIB)
        self.context = None
        paths = None
        if tls:
            authority = trustme.CA()
            issued = authority.issue_cert("localhost")
            paths = {"cert": str(folder / "cert"), "key": str(folder / "key")}
            issued.private_key_pem.write_to_path(paths["key"])
            issued.cert_chain_pems[0].write_to_path(paths["cert"])
            self.context = ssl.create_default_context()
            authority.configure_trust(self.context)
        options = json.dumps({"large": str(large), "uvloop": uvloop, "ssl": paths})
        self.log = tempfile.TemporaryFile("w+", dir=folder)  # noqa: SIM115 - lives as long as the server
        self.process = subprocess.Popen(
            (sys.executable, "-W", "default", str(APP), options),
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.began = time.monotonic()
        self.done: Counter[str] = Counter()
        self.samples: list[dict[str, float]] = []
        self.resting = asyncio.Event()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure = {"ssl": self.context, "server_hostname": "localhost"} if self.context else {}
        return await asyncio.open_connection("127.0.0.1", self.port, **secure)

    async def client(self, number: int) -> None:
        """One rude act after another, until everybody stops."""
        dice = random.Random(f"{number} {len(self.samples)}")
        while not self.resting.is_set():
            act = dice.choices(list(ACTS), list(ACTS.values()))[0]
            try:
                rude = Rude(*await self.connect(), dice)
            except OSError:
                self.done["refused"] += 1
                await asyncio.sleep(0.01)
                continue
            with suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(2):
                    await act(rude)
            self.done[act.__name__] += 1
            with suppress(OSError):
                self.done[await leave(rude)] += 1
            rude.writer.transport.abort()

    def _measure(self) -> dict[str, float]:
        """What the kernel knows of the server."""
        proc = Path(f"/proc/{self.process.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return {"descriptors": len(os.listdir(proc / "fd")), "memory": pages * os.sysconf("SC_PAGE_SIZE")}

    async def look(self, rest: bool) -> dict[str, float]:
        reader, writer = await self.connect()
        writer.write(b"GET /level HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        found: dict[str, float] = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
        return {**found, **self._measure(), "seconds": time.monotonic() - self.began, "rest": rest}

    async def rest(self) -> None:
        """Look once the server has nobody any more; after a while, look all the same."""
        end = time.monotonic() + SETTLE
        while (found := await self.look(True))["connections"] > 1 and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        self.samples.append(found)

    async def run(self, seconds: float) -> None:
        await self.rest()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.resting.clear()
            clients = [asyncio.create_task(self.client(number)) for number in range(CLIENTS)]
            until = time.monotonic() + BUSY
            while time.monotonic() < until:
                await asyncio.sleep(1)
                with suppress(OSError, ValueError):
                    self.samples.append(await self.look(False))
            self.resting.set()
            await asyncio.gather(*clients)
            await self.rest()
            print(f"\r{time.monotonic() - self.began:4.0f} s, {self.downloads} downloads", end="", flush=True)
        print()

    @property
    def downloads(self) -> int:
        return self.done["download"] + self.done["stalled"]

    def stop(self) -> str:
        """End the server; what it logged."""
        self.process.terminate()
        try:
            code = self.process.wait(15)
        finally:
            self.process.kill()
        self.log.seek(0)
        return (f"it ended with {code}\n" if code else "") + self.log.read()


def draw(samples: Sequence[dict[str, float]], title: str) -> Figure:
    """Each level over time; at rest it is a dot."""
    names = ("descriptors", "connections", "tasks", "memory")
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
    for axes, name in zip(figure.subplots(2, 2).flat, names, strict=True):
        scale = MIB if name == "memory" else 1
        points = [(sample["seconds"], sample[name] / scale, sample["rest"]) for sample in samples]
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=FAINT, linewidth=1, label="under load")
        rest = [(x, y) for x, y, resting in points if resting]
        axes.plot(*zip(*rest, strict=True), "o", color=ACCENT, markersize=4, label="at rest")
        axes.set_title(f"{name}, MiB" if name == "memory" else name, loc="left", fontweight="bold", color=INK)
        axes.set_xlabel("seconds")
        axes.set_ylim(0)
    axes.legend(frameon=False, loc="lower right")
    return figure


def soak(uvloop: bool, tls: bool, seconds: float, to: Path) -> list[str]:
    """Run it, print and plot what was seen; returns what is not level."""
    name = f"{'uvloop' if uvloop else 'asyncio'}{', TLS' if tls else ''}"
    with tempfile.TemporaryDirectory() as folder:
        run = Soak(uvloop, tls, Path(folder))
        try:
            asyncio.run(run.run(seconds))
        finally:
            logged = run.stop()
    records = [record for record in RECORD.split(logged) if record and OF_ASYNCIO not in record]
    problems = growing(run.samples) + [f"it logged: {record[-1_000:]}" for record in records[:10]]
    acts = sum(run.done[act.__name__] for act in ACTS)
    title = f"{name}: {acts:,} connections of rude clients, {run.downloads:,} downloads cancelled, in {seconds:.0f} s"
    print(title, dict(run.done), *[f"!! {problem}" for problem in problems], sep="\n")
    quiet = [sample for sample in run.samples if sample["rest"]]
    for level in (*LEVELS, "memory"):
        scale = MIB if level == "memory" else 1
        print(f"{level:12s}", " ".join(f"{sample[level] / scale:.0f}" for sample in quiet))
    to.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        file = to / f"soak-{name.replace(', ', '-').lower()}.png"
        draw(run.samples, title).savefig(file, dpi=110)
        print(file)
    return problems


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak")
    parser.add_argument("--seconds", type=float, default=300, help="of rude clients (default %(default)s)")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--to", type=Path, default=Path(".bench") / "soak", metavar="DIR", help="of the plot")
    options = parser.parse_args(arguments)
    problems = soak(options.loop == "uvloop", options.tls, options.seconds, options.to)
    return 1 if problems else 0
