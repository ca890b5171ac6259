"""Results as rows: medians with their spread, and ratios to the practical limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["LIMIT", "Row", "number", "rows", "table"]

LIMIT = "bare"  # what everything is compared with
BUSY = 0.9  # a server that was less busy than this was not the limit

_CPU_UNITS = {"req/s": "µs", "rows/s": "µs", "items/s": "µs", "events/s": "µs", "MiB/s": "ms", "ms": "µs"}


@dataclass(frozen=True)
class Row:
    """One server in one scenario; ``remark`` is all there is of one that failed."""

    server: str
    remark: str
    median: float = 0.0
    least: float = 0.0
    most: float = 0.0
    ratio: float | None = None
    cpu: float | None = None  # seconds for one unit
    failed: bool = False


def rows(found: Mapping[str, Any]) -> list[Row]:
    """The rows of one scenario's results, the best first, those that failed last."""
    good, bad = [], []
    bare = found["servers"].get(LIMIT, {"problem": "not run"})
    base = None if bare["problem"] else median([run["value"] for run in bare["rounds"]])
    for server, result in found["servers"].items():
        if result["problem"]:
            bad.append(Row(server, result["problem"], failed=True))
            continue
        runs = result["rounds"]
        values = [run["value"] for run in runs]
        timed = runs[0]["cpu"] is not None
        remarks = [runs[0]["note"]] if runs[0]["note"] else []
        busy = median([run["server"] for run in runs]) if timed else 1.0
        if busy < BUSY:
            remarks.append(f"busy {busy:.0%}, client {median([run['client'] for run in runs]):.0%}")
        details = {name: median([run["details"][name] for run in runs]) for name in runs[0]["details"]}
        remarks += [f"{name} {number(value)}" for name, value in details.items()]
        good.append(
            Row(
                server,
                ", ".join(remarks),
                median(values),
                min(values),
                max(values),
                median(values) / base if base else None,
                median([run["cpu"] for run in runs]) if timed else None,
            )
        )
    return sorted(good, key=lambda row: row.median, reverse=not found["lower"]) + bad


def number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f} M"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 or value == 0 else f"{value:.1e}"


def table(found: Mapping[str, Any]) -> Table:
    """One scenario for the terminal."""
    unit = found["unit"]
    cpu_unit = _CPU_UNITS.get(unit, "")
    factor = 1e3 if cpu_unit == "ms" else 1e6
    one = {"MiB/s": "MiB", "ms": "request"}.get(unit, unit.removesuffix("/s").rstrip("s"))
    better = "less is better" if found["lower"] else None
    shown = Table(
        title=f"\n{found['title']}", title_justify="left", title_style="bold", caption=better, box=SIMPLE_HEAD
    )
    shown.add_column("server", min_width=12)
    timed = any(row.cpu is not None for row in rows(found))
    cpu_heading = f"CPU {cpu_unit}/{one}" if timed else ""
    for heading in (unit, "of bare", "min", "max", cpu_heading):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("")
    for row in rows(found):
        if row.failed:
            style = "dim" if row.remark == "not offered" else "red"
            shown.add_row(row.server, "-", "", "", "", "", row.remark, style=style)
            continue
        shown.add_row(
            row.server,
            number(row.median),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            number(row.least),
            number(row.most),
            "" if row.cpu is None else number(row.cpu * factor),
            row.remark,
            style="bold" if row.server == "sanicish" else "",
        )
    return shown
