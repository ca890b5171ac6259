"""Runs worlds, each of a seed of its own, on all cores, until one breaks a rule or the time is over."""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from hashlib import sha256
from itertools import islice
from pathlib import Path

from tests.simulation.plan import make_plan
from tests.simulation.plants import PLANTS, planted
from tests.simulation.shrinking import shrunk
from tests.simulation.world import run

FOUND = Path(__file__).parent / "found"
_BLOCK = 20  # worlds that a process runs before it reports


def tell(now, *words):
    """One step of a trace."""
    print(f"{now - 1000:10.6f} ", *words)


def replay(plan) -> int:
    """Run one plan with a readable trace."""
    print(json.dumps({key: value for key, value in plan.items() if key != "clients"}))
    for number, client in enumerate(plan["clients"]):
        print(f"client {number}: {json.dumps(client)}")
    world = run(plan, tell)
    for rule, text in world.failures:
        print(f"! {rule}: {text}")
    print("nothing found" if not world.failures else f"{len(world.failures)} rules broken")
    return bool(world.failures)


def run_block(job):
    """Some worlds: the seeds that broke a rule, and what was counted."""
    first, count, plant = job
    counted, covered, failed = Counter(), Counter(), []
    with planted(plant):
        for seed in range(first, first + count):
            world = run(make_plan(seed))
            counted["worlds"] += 1
            counted["lives"] += len(world.clients)
            counted["exchanges"] += sum(record.started for record in world.records.values())
            counted["iterations"] += world.loop.iterations
            counted["seconds"] += int(world.loop.now - 1000)
            covered.update(world.covered)
            if world.failures:
                failed.append((seed, world.failures))
                break
    return failed, counted, covered


def report_failure(seed, failures, plant, shrink) -> None:
    """Print what was found, make it smaller and keep it."""
    print(f"\nseed {seed} breaks a rule; step by step: make simulate SEED={seed}")
    for rule, text in failures[:5]:
        print(f"! {rule}: {text}")
    if not shrink:
        return
    with planted(plant):
        plan = shrunk(make_plan(seed), {rule for rule, _ in failures})
    text = json.dumps(plan, indent=1)
    path = FOUND / f"{sha256(text.encode()).hexdigest()[:12]}.json"
    print(f"smaller: {json.dumps(plan)}")
    if plant is None:
        path.write_text(text + "\n")
        print(f"kept as {path.name}; make simulate ARGS='--plan tests/simulation/found/{path.name}'")


def simulate(options) -> int:
    """Run worlds for a while; 1 if something was found."""
    began = shown = time.monotonic()
    counted, covered = Counter(), Counter()
    jobs = ((first, _BLOCK, options.plant) for first in range(options.seed, _last(options), _BLOCK))

    def line():
        seconds = time.monotonic() - began
        most = len({phase for phase, _ in covered}) * len({way for _, way in covered})
        print(
            f"{seconds:6.0f} s  {counted['worlds']} worlds  {counted['lives']} lives ({counted['lives'] / seconds:.0f}/s)"
            f"  {counted['exchanges']} exchanges  {counted['iterations']} iterations  {counted['seconds'] / 3600:.1f} h simulated"
            f"  {len(covered)} of {most} phases x ways to leave",
            flush=True,
        )

    print(f"seeds from {options.seed} on, {options.processes} processes", flush=True)
    with multiprocessing.Pool(options.processes) as pool:
        try:
            for failed, more, ways in _results(pool, jobs, options, began):
                counted.update(more)
                covered.update(ways)
                if time.monotonic() - shown > 10:
                    shown = time.monotonic()
                    line()
                if failed:
                    line()
                    report_failure(*failed[0], options.plant, options.shrink)
                    return 1
        finally:
            pool.terminate()
    line()
    print("nothing found")
    return 0


def _results(pool, jobs, options, began):
    """Results of jobs as they come, with a few jobs ahead."""
    ahead = [pool.apply_async(run_block, (job,)) for job in islice(jobs, 2 * options.processes)]
    while ahead:
        yield ahead.pop(0).get()
        if options.worlds < sys.maxsize or time.monotonic() - began < options.seconds:
            ahead.extend(pool.apply_async(run_block, (job,)) for job in islice(jobs, 1))


def _last(options) -> int:
    """The seed behind the last one."""
    return min(sys.maxsize, options.seed + options.worlds)


def main() -> int:
    """Simulate as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--worlds", type=int, default=sys.maxsize, help="at most so many, however long it takes")
    parser.add_argument("--seed", type=int, default=int(time.time()) * 1_000, help="the first one; by default of now")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--replay", type=int, metavar="SEED", help="one world, step by step")
    parser.add_argument("--plan", type=Path, help="a plan in a file, step by step")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="put a fault into the product that is to be found")
    parser.add_argument("--no-shrink", dest="shrink", action="store_false")
    options = parser.parse_args()
    if options.replay is not None or options.plan is not None:
        plan = make_plan(options.replay) if options.plan is None else json.loads(options.plan.read_text())
        with planted(options.plant):
            return replay(plan)
    return simulate(options)


if __name__ == "__main__":
    sys.exit(main())
