"""The table of a choice of forms: unit, form, loss, time and weights, the largest gains first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ..quantities import count, percent, size, time
from .layout import print_table, say, short

MOST = 5
"""Rows unless everything is to be printed."""
Facts = Mapping[str, Any]


def print_units(screen: Console, units: Sequence[Facts], verbose: bool) -> None:
    """units: of UnitRecords, as they are ordered. Those that were chosen for among several forms; in fp32 only where everything is to be
    printed."""
    rows = [one for one in units if one["forms"] and (verbose or one["chosen"] != "fp32")]
    if not rows:
        return
    most = len(rows) if verbose else MOST
    print_table(screen, ("unit", "form"), ("loss", "time", "weights"), [cells(one) for one in rows[:most]])
    floats = sum(len(one["operators"]) for one in units if one["chosen"] == "fp32")
    more = [f"{count(len(rows) - most, 'more unit')}"] if len(rows) > most else []
    more += [f"{count(floats, 'operator')} in fp32"] if floats else []
    if more and not verbose:
        say(screen, "", [f"and {', '.join(more)} (-v; `autoglmc why BUNDLE NODE` says why one is in fp32)"], style="dim")


def cells(unit: Facts) -> tuple[str, ...]:
    """`3 Conv /a/conv …`, `a8w8 on npu`, `0.12 %`, `31 us -> 8.1 us`, `36 KiB -> 9 KiB`."""
    by_form = {one["form"]: one for one in unit["forms"]}
    chosen, floats = by_form.get(unit["chosen"]), by_form.get("fp32")
    name = f"{unit['kind']} {short(unit['operators'][0])}" if unit["operators"] else unit["kind"]
    more = f" and {len(unit['operators']) - 1} more" if len(unit["operators"]) > 1 else ""
    if chosen is None:
        return f"{name}{more}", unit["chosen"], "", "", ""
    times, sizes = time(chosen["seconds"]), size(chosen["weight_bytes"])
    if floats is not None and floats is not chosen:
        times, sizes = f"{time(floats['seconds'])} -> {times}", f"{size(floats['weight_bytes'])} -> {sizes}"
    return f"{name}{more}", f"{unit['chosen']} on {chosen['device']}", percent(chosen["loss"]), times, sizes
