"""``python -m benchmarks rows``: rows through HTTP against asyncpg alone, on the same core, in interleaved rounds."""

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

import asyncpg
import uvloop
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.process import Process, cores
from benchmarks.scenarios import FULL, rows
from benchmarks.servers import SERVERS
from sanicish.postgres import temporary

__all__ = ["main"]

QUERY = "SELECT id, customer, cents FROM orders ORDER BY id"
ORDERS = f"""
    CREATE TABLE orders (id int PRIMARY KEY, customer text, cents int);
    INSERT INTO orders SELECT id, 'customer ' || id % 1000, id * 37 % 100000 FROM generate_series(1, {FULL.rows}) AS id;
    ANALYZE orders"""


async def fetched(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        cursor = await connection.cursor(QUERY)
        while await cursor.fetch(1000):
            pass


async def copied(connection: asyncpg.Connection) -> None:
    async def drop(data: bytes) -> None:
        pass

    await connection.copy_from_query(QUERY, output=drop, format="csv")


async def measured(rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rows a second of each, round by round."""
    server_core, load_core = cores()
    found: dict[str, list[float]] = {}
    async with temporary() as postgres, postgres.fresh() as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(ORDERS)
        (sanicish,) = [server for server in SERVERS if server.name == "sanicish"]
        process = Process(sanicish, Path(sys.executable), server_core, Path(), dsn)
        await process.start()

        async def alone(read: Callable[[asyncpg.Connection], Awaitable[None]]) -> float:
            os.sched_setaffinity(0, {server_core})
            done, began = 0, perf_counter()
            while perf_counter() < began + seconds:
                await read(connection)
                done += FULL.rows
            return done / (perf_counter() - began)

        async def through(how: str) -> float:
            os.sched_setaffinity(0, {load_core})
            return (await rows(process, FULL, how)).value

        cases: dict[str, Callable[[], Awaitable[float]]] = {
            "asyncpg, cursor.fetch(1000)": lambda: alone(fetched),
            "stream_query": lambda: through("batch"),
            "stream_query, batch=1000": lambda: through("cursor"),
            "asyncpg, copy_from_query": lambda: alone(copied),
            "stream_copy": lambda: through("copy"),
        }
        try:
            for _ in range(rounds):
                for name, case in cases.items():
                    found.setdefault(name, []).append(await case())
        finally:
            process.stop()
            await connection.close()
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks rows")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument(
        "--seconds", type=float, default=0.5, metavar="S", help="for one round of asyncpg (%(default)s)"
    )
    options = parser.parse_args(arguments)
    found = uvloop.run(measured(options.rounds, options.seconds))
    shown = Table("", box=SIMPLE_HEAD)
    for heading in ("rows/s", "of asyncpg", "min", "max"):
        shown.add_column(heading, justify="right")
    base = 1.0
    for name, values in found.items():
        base = median(values) if name.startswith("asyncpg") else base
        ratio = f"{median(values) / base:.2f}"
        shown.add_row(name, f"{median(values):,.0f}", ratio, f"{min(values):,.0f}", f"{max(values):,.0f}")
    Console().print(shown)
    return 0
