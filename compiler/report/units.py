"""The table of a choice of forms: unit, form, loss, time and weights, the largest gains first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ..quantities import count, percent, size, time
from .layout import console, print_table, say, short

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


def print_forms(facts: Facts, verbose: bool) -> None:
    """The screen of `autoglmc why BUNDLE`. facts: what `forms_of_bundle` returns."""
    screen = console()
    units = facts["units"]
    if not facts["asked"]:
        say(screen, "bundle", [f"{facts['bundle']} for {facts['target']}: {count(len(units), 'unit')} in fp32"])
        for because, names in _alike(units).items():
            more = f" and {len(names) - MOST} more (-v)" if len(names) > MOST and not verbose else ""
            say(screen, "in fp32", [f"{', '.join(names if verbose else names[:MOST])}{more}", f"because {because}"])
        return
    for unit in units if verbose else units[:MOST]:
        names = unit["operators"] if verbose else unit["operators"][:MOST]
        say(screen, "operator", [f"{unit['kind']}  {', '.join(map(short, names))}"])
        say(screen, "form", [unit["chosen"]] + ([f"because {unit['because']}"] if unit["because"] else []))
        if unit["forms"]:
            rows = [
                (one["form"], one["device"], percent(one["loss"]), time(one["seconds"]), size(one["weight_bytes"])) for one in unit["forms"]
            ]
            print_table(screen, ("form", "device"), ("loss", "time", "weights"), rows)
    if len(units) > MOST and not verbose:
        say(screen, "", [f"and {count(len(units) - MOST, 'more unit')} (-v)"], style="dim")


def _alike(units: Sequence[Facts]) -> dict[str, list[str]]:
    """Names of operators by why they are in fp32."""
    found: dict[str, list[str]] = {}
    for unit in units:
        found.setdefault(unit["because"], []).extend(f"{unit['kind']} {short(name)}" for name in unit["operators"])
    return found
