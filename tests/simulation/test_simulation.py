"""The simulation itself: worlds of fixed seeds, the same again, what it found once, and how fast it finds what is planted."""

import json
from pathlib import Path

import pytest

from tests.simulation.plan import make_plan
from tests.simulation.plants import PLANTS, planted
from tests.simulation.world import run

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


def trace_of(plan):
    steps = []
    run(plan, lambda now, *words: steps.append((now, *map(str, words))))
    return steps


def test_worlds_of_fixed_seeds_break_no_rule():
    for seed in range(30):
        assert (seed, run(make_plan(seed)).failures) == (seed, [])


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000, 2_600, 200))
def test_more_worlds_of_fixed_seeds_break_no_rule(first):
    for seed in range(first, first + 200):
        assert (seed, run(make_plan(seed)).failures) == (seed, [])


@pytest.mark.parametrize("seed", [3, 12, 57])
def test_a_seed_is_one_world(seed):
    assert trace_of(make_plan(seed)) == trace_of(make_plan(seed))


# Where each of them is found first; docs/design/simulation.md has the seconds that it takes.
@pytest.mark.slow
@pytest.mark.parametrize("plant", sorted(PLANTS))
def test_a_planted_fault_is_found(plant):
    with planted(plant):
        assert any(run(make_plan(seed)).failures for seed in range(3_000)), plant


def test_what_was_found_is_mended():
    for path in FOUND:
        assert (path.name, run(json.loads(path.read_text())).failures) == (path.name, [])
