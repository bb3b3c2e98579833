"""`--plot FILE.svg`: latency along a sweep, with the values at which plans change; of a grid, a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...grammar.words.units import DIMENSIONS
from ..extras import need
from ..output_file import check_file_place, new_file

KINDS = (".svg", ".png")
INCHES = (7.0, 4.2)
MOST_TICKS = 12
"""Values that are all written below the plot."""
SPELT: Mapping[str, tuple[str, ...]] = {
    "size": ("GiB", "MiB", "KiB", "B"), "bandwidth": ("GB/s", "MB/s", "B/s"), "rate of operations": ("TOPS", "GOPS", "OPS"),
    "time": ("s", "ms", "us", "ns"), "power": ("W", "mW"), "energy": ("J", "mJ", "uJ"), "share": ("%",),
}  # fmt: skip
Facts = Mapping[str, Any]


def check_plot(path: Path) -> None:
    """To be asked before the work begins. Raises MissingExtra without matplotlib, UsageError where such a file cannot be written."""
    need("matplotlib", "--plot")
    check_file_place(path, "the plot", KINDS, "--plot")


def plot(facts: Facts, path: Path) -> None:
    """facts: as `Swept.as_json` gives them, with one or two axes. The same facts give the same bytes of SVG.

    Raises UsageError where the file cannot be written."""
    need("matplotlib", "--plot")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "autoglmc", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=INCHES, layout="constrained")
        FigureCanvasAgg(figure)
        _curves(figure, facts) if len(facts["axes"]) == 1 else _map(figure, facts)
        kind = path.suffix.lower()[1:]
        with new_file(path) as file:
            figure.savefig(file, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": None})


def _pairs(facts: Facts) -> dict[tuple[str, str], list[Facts]]:
    found: dict[tuple[str, str], list[Facts]] = {}
    for row in facts["rows"]:
        found.setdefault((row["model"], row["target"]), []).append(row)
    return found


def _curves(figure: Any, facts: Facts) -> None:
    """A curve for each model and target; a line where its plan changes, in its colour."""
    axis, plot = facts["axes"][0], figure.subplots()
    unit, scale = _unit(axis["dimension"], axis["values"])
    latencies = [row["latency"] for row in facts["rows"] if row["latency"] is not None]
    time, second = _unit("time", latencies)
    for number, ((model, target), rows) in enumerate(_pairs(facts).items()):
        points = [(row["settings"][axis["path"]] / scale, row["latency"] / second) for row in rows if row["latency"] is not None]
        colour = f"C{number % 10}"
        if any(row["half_width"] is not None for row in rows):
            _band(plot, [row for row in rows if row["latency"] is not None], axis["path"], (scale, second), colour)
        plot.plot(*zip(*points, strict=True), marker=".", color=colour, label=f"{Path(model).name} for {target}") if points else None
        for one in facts["breaks"]:
            if (one["model"], one["target"]) == (model, target):
                style = "--" if one["what"] == "limits" else ":"
                plot.axvline(one["above"]["value"] / scale, color=colour, linestyle=style, linewidth=1)
    if axis["geometric"]:
        plot.set_xscale("log")
    if len(axis["values"]) <= MOST_TICKS:
        plot.set_xticks([value / scale for value in axis["values"]], [f"{value / scale:.4g}" for value in axis["values"]])
        plot.minorticks_off()
    plot.set_ylim(bottom=0)
    plot.set_xlabel(f"{axis['path']}, {unit}" if unit else axis["path"])
    plot.set_ylabel(f"predicted latency, {time}")
    title = "dotted: the plan changes; dashed: a limit is broken"
    if any(row["half_width"] is not None for row in facts["rows"]):
        title += "\nband: where 90 % of models are"
    plot.legend(title=title, fontsize=8, title_fontsize=8)


def _band(plot: Any, rows: Sequence[Facts], path: str, scales: tuple[float, float], colour: str) -> None:
    """The interval of each latency; a gap where there is none."""
    widths = [float("nan") if row["half_width"] is None else row["half_width"] for row in rows]
    low, high = ([row["latency"] * (1 + sign * w) / scales[1] for row, w in zip(rows, widths, strict=True)] for sign in (-1, 1))
    plot.fill_between([row["settings"][path] / scales[0] for row in rows], low, high, color=colour, alpha=0.15, linewidth=0)


def _map(figure: Any, facts: Facts) -> None:
    """A map of latency for each model and target."""
    first, other = facts["axes"]
    pairs = _pairs(facts)
    time, second = _unit("time", [row["latency"] for row in facts["rows"] if row["latency"] is not None])
    plots = figure.subplots(1, len(pairs), squeeze=False)[0]
    figure.set_size_inches(INCHES[0] * max(1.0, len(pairs) / 2), INCHES[1])
    for plot, ((model, target), rows) in zip(plots, pairs.items(), strict=True):
        cells = [[float("nan")] * len(first["values"]) for _ in other["values"]]
        for number, row in enumerate(rows):
            if row["latency"] is not None:
                cells[number // len(first["values"])][number % len(first["values"])] = row["latency"] / second
        drawn = plot.imshow(cells, origin="lower", aspect="auto")
        plot.set_xticks(range(len(first["texts"])), first["texts"], rotation=90)
        plot.set_yticks(range(len(other["texts"])), other["texts"])
        plot.set_xlabel(first["path"])
        plot.set_ylabel(other["path"])
        plot.set_title(f"{Path(model).name} for {target}", fontsize=9)
        figure.colorbar(drawn, ax=plot, label=f"predicted latency, {time}")


def _unit(dimension: str, values: Sequence[float]) -> tuple[str, float]:
    """The largest unit in which the largest value is at least 1, and its size in SI."""
    units = [(unit, DIMENSIONS[dimension][unit]) for unit in SPELT.get(dimension, ())]
    most = max(values, default=0.0)
    return next((pair for pair in units if most >= pair[1]), units[-1] if units else ("", 1.0))
