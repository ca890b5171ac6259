"""What the fuzzer found once, and how it begins."""

from pathlib import Path

import pytest

from tests.fuzz.connection import check
from tests.properties.test_connection import CASES

FOUND = sorted(path for path in (Path(__file__).parent / "found").iterdir() if path.suffix != ".md")


def test_what_was_found_is_mended():
    for path in FOUND:
        check(path.read_bytes())


@pytest.mark.parametrize("number", range(0, len(CASES), 25))
def test_the_invariant_can_be_checked(number):
    check(bytes((number % 256, 3, number % 9, number % 4)) + CASES[number])
