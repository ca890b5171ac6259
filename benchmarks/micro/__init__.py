"""``python -m benchmarks micro``: what the pieces of the hot path cost, in microseconds."""

import argparse
import gc
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.micro.cases import CASES, Repeat

__all__ = ["main", "measure"]


def measure(repeat: Repeat, seconds: float, rounds: int) -> list[float]:
    """Microseconds of each of so many rounds that last about so long."""
    times, took = 1, 0.0
    while took < seconds / 4:
        times *= 2
        began = perf_counter()
        repeat(times)
        took = perf_counter() - began
    times = max(1, round(times * seconds / took))
    found = []
    for _ in range(rounds):
        gc.collect()
        began = perf_counter()
        repeat(times)
        found.append(1e6 * (perf_counter() - began) / times)
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks micro")
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S", help="for one round (%(default)s)")
    options = parser.parse_args(arguments)
    shown = Table("", box=SIMPLE_HEAD)
    for heading in ("µs", "min", "max"):
        shown.add_column(heading, justify="right")
    for name, case in CASES.items():
        with case as repeat:
            found = measure(repeat, options.seconds, options.rounds)
        shown.add_row(name, *(f"{value:,.2f}" for value in (median(found), min(found), max(found))))
    Console().print(shown)
    return 0
