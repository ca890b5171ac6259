"""``python -m benchmarks plot RESULT.json``: the figures of the documentation."""

import argparse
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.process import HERE
from benchmarks.report import LIMIT, rows

__all__ = ["main"]

OURS = "sanicish"
INK, FAINT, ACCENT = "#30343b", "#c9ced6", "#d6336c"
COLORS = ("#1c7ed6", "#2f9e44", "#f08c00", "#7048e8", "#0c8599", "#a0522d", "#868e96", "#5c940d", "#364fc7", "#e8590c")
MARKS = "osD^vP<X>p"

# The same file for the same numbers, with text that the page's own fonts show.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sanicish",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "white",
}

# In the dark, what is ink, background or line takes other colors; those of the servers are seen on both.
NIGHT = "@media (prefers-color-scheme: dark) {{{}}}".format(
    "".join(
        f'[style*="{part}: {day}"] {{{part}: {night} !important}}'
        for day, night in {INK: "#cfd3d9", FAINT: "#454b54", "#ffffff": "#131416"}.items()
        for part in ("fill", "stroke")
    )
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks plot")
    parser.add_argument("result", type=Path)
    parser.add_argument("--to", type=Path, default=HERE.parent / "docs" / "_static" / "bench", metavar="DIR")
    options = parser.parse_args(arguments)
    results = json.loads(options.result.read_text())
    options.to.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, draw in {"speed": speed, "memory": memory}.items():
            figure = draw(results)
            if figure is not None:
                drawn = StringIO()
                figure.savefig(drawn, format="svg", metadata={"Date": None})
                file = options.to / f"{name}.svg"
                file.write_text(drawn.getvalue().replace("</style>", f"{NIGHT}</style>", 1))
                print(file)
    return 0


def look(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each server's color and mark, the same in every figure."""
    others = [server for server in results["versions"] if server not in (OURS, LIMIT)]
    looks: dict[str, dict[str, Any]] = {
        server: {"color": color, "marker": mark, "markersize": 5.5, "zorder": 3}
        for server, color, mark in zip(others, COLORS, MARKS, strict=False)
    }
    looks[OURS] = {"color": ACCENT, "marker": "o", "markersize": 11, "zorder": 2}  # below, so that it hides nobody
    looks[LIMIT] = {"color": INK, "marker": "", "zorder": 2}
    return looks


def speed(results: dict[str, Any]) -> Figure | None:
    """A line for each scenario, a mark for each server: its rate as a ratio to that of ``bare``."""
    lines = []
    for found in results["scenarios"].values():
        ratios = {row.server: row.ratio for row in rows(found) if row.ratio}
        if not found["lower"] and len(ratios) > 1:
            lines.append((found["title"], ratios))
    if not lines:
        return None
    figure = Figure(figsize=(9.5, 1.2 + 0.3 * len(lines)), layout="constrained")
    axes = figure.subplots()
    for server, style in look(results).items():
        points = [(ratios[server], place) for place, (_, ratios) in enumerate(lines) if server in ratios]
        if points and server != LIMIT:
            axes.plot(*zip(*points, strict=True), linestyle="none", label=server, markeredgecolor="white", **style)
    axes.axvline(1, color=INK, linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    least = min(min(ratios.values()) for _, ratios in lines)
    most = max(max(ratios.values()) for _, ratios in lines)
    axes.set_xlim(least / 1.2, most * 1.2)
    axes.set_xlabel("rate as a ratio to bare, the practical limit (log scale)")
    axes.set_yticks(range(len(lines)), [title for title, _ in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.spines["left"].set_visible(False)
    _legend(figure, *axes.get_legend_handles_labels())
    return figure


def memory(results: dict[str, Any]) -> Figure | None:
    """What the server's memory does while clients stall, over time."""
    panels = [found for found in results["scenarios"].values() if _over_time(found)]
    if not panels:
        return None
    figure = Figure(figsize=(9.5, 3.1 * ((len(panels) + 1) // 2)), layout="constrained")
    grid = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False).flat
    labelled: dict[str, Any] = {}
    for axes, found in zip(grid, panels, strict=False):
        for server, style in look(results).items():
            result = found["servers"].get(server)
            if result and not result["problem"]:
                labelled.setdefault(server, _draw_series(axes, result["rounds"][0]["series"], style))
        axes.set_title(found["title"], loc="left", fontsize=9.5, fontweight="bold")
        axes.set_xlabel("seconds")
        axes.set_ylabel("MiB above idle (log scale)")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
    for axes in list(grid)[len(panels) :]:
        axes.set_visible(False)
    _legend(figure, list(labelled.values()), list(labelled))
    return figure


def _over_time(found: dict[str, Any]) -> bool:
    """Whether a scenario has been watched while it ran."""
    return any(round["series"] for result in found["servers"].values() for round in result["rounds"])


def _draw_series(axes: Axes, series: Sequence[Sequence[float]], style: dict[str, Any]) -> Any:
    width = 2.5 if style["color"] == ACCENT else 1.3
    times, held = zip(*series, strict=True)
    dashes = "--" if style["color"] == INK else "-"
    return axes.plot(times, held, dashes, color=style["color"], linewidth=width, zorder=style["zorder"])[0]


def _legend(figure: Figure, handles: list[Any], labels: list[str]) -> None:
    columns = len(labels) if len(labels) <= 6 else (len(labels) + 1) // 2
    figure.legend(handles, labels, loc="outside upper right", ncols=columns, frameon=False)
