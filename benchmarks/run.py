"""Runs the scenarios: every server in turn, again and again, so that a slow minute of the machine is everybody's."""

import argparse
import asyncio
import gc
import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.client import NotOffered, Wrong
from benchmarks.process import CACHE, HERE, Process, Unavailable, cores, find, install, versions
from benchmarks.report import table
from benchmarks.scenarios import FULL, SCENARIOS, SMOKE, Measure, Scale, Scenario, file_block, wrk
from benchmarks.servers import SERVERS, Server
from sanicish.postgres import PostgresUnavailable, temporary

__all__ = ["main"]

PATIENCE = 90.0  # seconds for one run
OPEN_FILES = 16_384
OURS = {server.name for server in SERVERS if not server.packages and not server.program}


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 110)
    return uvloop.run(_main(options, console))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    def names(known: Sequence[Any], text: str) -> list[Any]:
        by_name = {one.name: one for one in known}
        try:
            return [by_name[name] for name in text.split(",")]
        except KeyError as error:
            raise argparse.ArgumentTypeError(f"{error} is none of {', '.join(by_name)}") from None

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure servers against each other; also: plot RESULT.json, micro.",
        epilog=f"scenarios: {', '.join(one.name for one in SCENARIOS)}; servers: {', '.join(one.name for one in SERVERS)}",
    )
    parser.add_argument("--smoke", action="store_true", help="everything once and small: does it run, is it right?")
    parser.add_argument("--only", type=lambda text: names(SCENARIOS, text), metavar="SCENARIO,...", default=SCENARIOS)
    parser.add_argument("--servers", type=lambda text: names(SERVERS, text), metavar="NAME,...")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, metavar="S", help="for one run (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=25, metavar="M", help="begin nothing after these (%(default)s)"
    )
    parser.add_argument("--results", type=Path, metavar="DIR", help="benchmarks/results unless --smoke")
    parser.add_argument("--wrk", action="store_true", help="ask the plain GET of wrk too, as an outside check")
    return parser.parse_args(arguments)


async def _main(options: argparse.Namespace, console: Console) -> int:
    core, own = cores()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    servers = _environments(options, console)
    os.sched_setaffinity(0, {own})  # the database too, which is started from here
    scale = SMOKE if options.smoke else replace(FULL, seconds=options.seconds)
    results = _describe(servers, scale)
    async with AsyncExitStack() as stack:
        files = _files(scale)
        dsn = await _database(stack, scale, console)
        processes = []
        for server, python in servers.items():
            process = Process(server, python, core, files, dsn)
            stack.callback(process.stop)
            try:
                await process.start()
            except Wrong as error:
                results["left out"][server.name] = str(error)
            else:
                processes.append(process)
        scenarios = [one for one in options.only if dsn or not one.name.startswith("rows")]
        try:
            await _measure(options, scenarios, processes, scale, results["scenarios"], console)
            if options.wrk:
                await _cross_check(processes, scale, console)
        finally:
            _save(options, results, console)
    return _verdict(options, results, console)


def _environments(options: argparse.Namespace, console: Console) -> dict[Server, Path]:
    """The interpreter of each server that can be run; in a smoke test nothing is installed."""
    found = {}
    for server in options.servers or SERVERS:
        try:
            with console.status(f"installing {server.name}"):
                python = find(server) if options.smoke and not options.servers else install(server)
        except Unavailable as error:
            console.print(f"without {server.name}: {error}", style="yellow")
        else:
            if python is not None:
                found[server] = python
    return found


def _describe(servers: dict[Server, Path], scale: Scale) -> dict[str, Any]:
    git = ("git", "-C", HERE, "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": {
            "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
        },
        "scale": asdict(scale),
        "versions": {server.name: versions(server, python) for server, python in servers.items()},
        "left out": {},  # servers that did not start
        "scenarios": {},
    }


def _files(scale: Scale) -> Path:
    """The folder of the files to send, made when it is missing."""
    folder = CACHE / "files" / str(scale.large)
    folder.mkdir(parents=True, exist_ok=True)
    block = file_block()
    (folder / "small.bin").write_bytes(block[:10_240])
    large = folder / "large.bin"
    if not large.exists() or large.stat().st_size != scale.large:
        large.write_bytes((block * (scale.large // len(block) + 1))[: scale.large])
    return folder


async def _database(stack: AsyncExitStack, scale: Scale, console: Console) -> str | None:
    """A database with the table ``orders``, if there is a PostgreSQL."""
    try:
        postgres = await stack.enter_async_context(temporary())
    except PostgresUnavailable as error:
        console.print(f"without PostgreSQL: {error}", style="yellow")
        return None
    dsn = await stack.enter_async_context(postgres.fresh())
    connection = await asyncpg.connect(dsn)
    await connection.execute(f"""
        CREATE TABLE orders (id int PRIMARY KEY, customer text, cents int);
        INSERT INTO orders SELECT id, 'customer ' || id % 1000, id * 37 % 100000
        FROM generate_series(1, {scale.rows}) AS id; ANALYZE orders""")
    await connection.close()
    return dsn


async def _measure(
    options: argparse.Namespace,
    scenarios: Sequence[Scenario],
    processes: Sequence[Process],
    scale: Scale,
    results: dict[str, Any],
    console: Console,
) -> None:
    rounds = 1 if options.smoke else options.rounds
    end = monotonic() + 60 * options.minutes
    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        total = sum(min(rounds, scenario.rounds) for scenario in scenarios) * len(processes)
        bar = progress.add_task("", total=total)
        for scenario in scenarios:
            found = {process.server.name: {"rounds": [], "problem": ""} for process in processes}
            results[scenario.name] = {
                "title": scenario.title,
                "unit": scenario.unit,
                "lower": scenario.lower,
                "servers": found,
            }
            for turn in range(min(rounds, scenario.rounds)):
                for process in processes:
                    progress.update(bar, description=f"{scenario.name} [dim]{process.server.name}", refresh=True)
                    result: Any = found[process.server.name]
                    if not result["problem"] and (turn == 0 or monotonic() < end):
                        await _once(scenario, process, scale, result, late=monotonic() > end)
                    progress.advance(bar)
            if not options.smoke:
                console.print(table(results[scenario.name]))


async def _once(scenario: Scenario, process: Process, scale: Scale, result: dict[str, Any], late: bool) -> None:
    """One run; what goes wrong is the result."""
    if late:
        result["problem"] = "the time was over"
        return
    try:
        if scenario.fresh:
            process.stop()
        if not process.running:
            await process.start()
        async with asyncio.timeout(PATIENCE):
            with _no_garbage():
                measure: Measure = await scenario.drive(process, scale)
        result["rounds"].append(asdict(measure))
    except NotOffered:
        result["problem"] = "not offered"
    except TimeoutError:
        result["problem"] = f"failed: no end within {PATIENCE:.0f} s"
    except (Wrong, OSError) as error:
        result["problem"] = f"failed: {error}"
    if scenario.fresh or result["problem"]:
        process.stop()


@contextmanager
def _no_garbage() -> Iterator[None]:
    """The client collects its garbage between the runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _cross_check(processes: Sequence[Process], scale: Scale, console: Console) -> None:
    for process in processes:
        if not process.running:
            await process.start()
        console.print(f"plain GET of {process.server.name} as wrk sees it: {await wrk(process, scale)}")


def _save(options: argparse.Namespace, results: dict[str, Any], console: Console) -> None:
    folder = options.results or (None if options.smoke else HERE / "results")
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{results['date'][:16].replace(':', '')}-{results['commit']}.json"
    file.write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"all rounds are in {file}")


def _verdict(options: argparse.Namespace, results: dict[str, Any], console: Console) -> int:
    """What failed; only what is ours makes a smoke test fail."""
    failed = [(server, f"it did not start: {reason}") for server, reason in results["left out"].items()]
    for scenario, found in results["scenarios"].items():
        for server, result in found["servers"].items():
            if result["problem"].startswith("failed"):
                failed.append((server, f"{scenario} {result['problem']}"))
    for server, what in failed:
        console.print(f"{server}: {what}", style="red")
    if options.smoke:
        console.print(
            f"{len(results['scenarios'])} scenarios on {', '.join(results['versions'])}: {len(failed)} failed"
        )
    return 1 if options.smoke and {server for server, _ in failed} & OURS else 0
