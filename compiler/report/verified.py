"""The screen of `autoglmc verify`, and the end of that of `autoglmc compile`: errors by tensor, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ..quantities import count
from .layout import console, print_table, say, short

MOST_ROWS = 10
"""Tensors of one kind that the table shows; the rest is counted."""
MOST_NAMED = 2
"""Emulated segments that every row of a table names."""
Facts = Mapping[str, Any]


def print_verified(facts: Facts, verbose: bool = False, quiet: bool = False) -> None:
    """facts: a verification as plain data (`VerifyReport.as_json`). verbose: every tensor; quiet: the verdict alone."""
    screen = console()
    if quiet:
        _print_result(screen, facts)
        return
    if facts["elsewhere"]:
        say(screen, "judged", facts["elsewhere"], style="yellow")
    print_verdict(screen, facts, verbose)


def print_judged(screen: Console, facts: Facts, label: str = "judged") -> None:
    """The first line of a bundle's screen where it is not verified, or some segment was not judged on its own runtime."""
    if not facts["verified"]:
        say(screen, label, [f"NOT verified: {reason}" for reason in facts["reasons"]], style="yellow")
    elif facts["elsewhere"]:
        say(screen, label, facts["elsewhere"], style="yellow")


def print_verdict(screen: Console, facts: Facts, verbose: bool = False) -> None:
    """Errors of every output and segment boundary, the worst ones where there are many, then whether the bundle computes its model."""
    rows, left = [], []
    for kind, differences in (("output", facts["outputs"]), ("boundary", facts["boundaries"])):
        shown = differences if verbose else _worst(differences)
        rows += [_row(kind, one, facts["emulated"]) for one in shown]
        if len(shown) < len(differences):
            left.append(f"{len(differences) - len(shown)} more {kind} tensors, none worse (-v){emulation_mark(facts['emulated'])}")
    for one in facts["expected"]:
        rows.append(_row("bundle to expected", one["bundle"], facts["emulated"]))
        rows.append((*_row("model to expected", one["model"], ()), *([""] if facts["emulated"] else [])))
    print_table(screen, ("compared",), ("max abs", "max rel", "cosine", "max abs / std", *emulated_column(facts["emulated"])), rows)
    if left:
        say(screen, "and", left)
    if verbose:
        say(screen, "inputs", [", ".join(facts["inputs"])])
    _print_grounds(screen, facts, verbose)
    _print_result(screen, facts)


def _print_grounds(screen: Console, facts: Facts, verbose: bool) -> None:
    """What the verdict rests on, and what it says nothing about."""
    stages = [f"{one['stage']}: {'verified' if one['verified'] else 'NOT verified'}, {one['reason']}" for one in facts["stages"]]
    named = {"stages": stages, "untested": facts["not_exercised"], "runtime": facts["runtime_faults"]}
    for label, lines in named.items():
        most = len(lines) if verbose else MOST_ROWS
        more = [f"and {len(lines) - most} more (-v)"] if len(lines) > most else []
        if lines:
            say(screen, label, [*lines[:most], *more])
    if facts["unchecked"]:
        say(screen, "unchecked", [f"the reference of these rests on one implementation: {', '.join(facts['unchecked'])}"])


def _print_result(screen: Console, facts: Facts) -> None:
    verdict = "verified" if facts["verified"] else "NOT verified"
    style = "green" if facts["verified"] else "yellow" if facts["agrees"] else "red"
    say(screen, "verify", [f"{verdict}: {facts['reason']}{emulation_mark(facts['emulated'])}"], style=style)


def _row(kind: str, one: Facts, emulated: Sequence[str]) -> tuple[str, ...]:
    numbers = (f"{one['max_abs']:.3g}", f"{one['max_rel']:.3g}", f"{one['cosine']:.6f}", f"{one['max_abs_over_std']:.3g}")
    return (f"{kind} {short(one['name'])}", *numbers, *emulated_cell(emulated))


def _worst(rows: Sequence[Facts]) -> Sequence[Facts]:
    """All, in order, where they are few."""
    if len(rows) <= MOST_ROWS:
        return rows
    return sorted(rows, key=lambda one: (-one["mismatched"], -one["max_abs_over_std"]))[:MOST_ROWS]


def emulated_column(emulated: Sequence[str]) -> tuple[str, ...]:
    """The heading of a column that there is only where a segment ran on a stand-in."""
    return ("emulated",) if emulated else ()


def emulated_cell(emulated: Sequence[str]) -> tuple[str, ...]:
    """The segments, or how many where a table cannot repeat them in every row; the lines around it name them."""
    if len(emulated) > MOST_NAMED:
        return (count(len(emulated), "segment"),)
    return (", ".join(emulated),) if emulated else ()


def emulation_mark(emulated: Sequence[str]) -> str:
    """At the end of every line of results, so that a copied line still says that a segment ran on a stand-in."""
    return f"  [emulated on the CPU: segment {', '.join(emulated)}]" if emulated else ""
