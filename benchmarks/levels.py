"""Whether a server that was looked at from time to time holds more and more."""

from collections.abc import Sequence
from statistics import median

__all__ = ["LEVELS", "MIB", "growing"]

MIB = 2**20
SPARE = 4 * MIB  # bytes that memory may vary by
LEVELS = ("descriptors", "connections", "tasks", "handlers")


def growing(samples: Sequence[dict[str, float]]) -> list[str]:
    """What is not level, in words."""
    quiet = [sample for sample in samples if sample["rest"]]
    first, later = quiet[0], quiet[1:]
    found = []
    for name in LEVELS:
        # In the first round the loop opens what it needs.
        worst = max((sample[name] for sample in later[1:]), default=0)
        most = max(first[name], later[0][name])
        if worst > most:
            found.append(f"{name}: {worst:.0f} at rest, {most:.0f} at the beginning")
    third = len(later) // 3
    if third:
        before = max(sample["memory"] for sample in later[third : 2 * third])
        after = median(sample["memory"] for sample in later[2 * third :])
        if after > before + SPARE:
            found.append(f"memory: {after / MIB:.1f} MiB at the end, {before / MIB:.1f} MiB before")
    return found
