"""The screens of `autoglmc why` about several entries: those of a bundle, and those that a model would have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ...quantities import count, time
from ..entries import cache_lines, link_line, size_words
from ..layout import console, say, short
from ..phases import phase_lines
from ..quote import NO_SOURCE, SourceLines
from ..resident import resident_lines, weight_lines
from ..ways import asked_line, way_lines
from .print_why import print_why

MOST = 12
"""Operators, unless everything is to be printed."""
Facts = Mapping[str, Any]


def print_model_entries(facts: Facts, source: SourceLines = NO_SOURCE, verbose: bool = False, quiet: bool = False) -> None:
    """facts: what `explain_entries` returns."""
    screen = console()
    for name, one in facts["entries"].items():
        tokens = "" if one["tokens"] is None else f": {count(one['tokens'], 'token')}"
        of = f" of {one['model_name']}" if one["model_name"] not in (None, name) else ""
        say(screen, "entry", [Text(f"{name}{of}{tokens}", style="bold")])
        _print_ways(screen, one["ways"])
        if note := asked_line(one["ways"], one["shown"], one["asked_in"]):
            say(screen, "asked", [f"{facts['asked']} is {note}"])
        print_why(one, source, verbose, quiet)
        screen.print()
    if facts.get("without"):
        names = ", ".join(facts["without"])
        say(screen, "entry", [f"{names}: nothing there is called {facts['asked']}"])


def print_bundle_entries(facts: Facts, verbose: bool = False) -> None:
    """facts: what `entries_of_bundle` returns."""
    screen = console()
    say(screen, "bundle", [f"{facts['bundle']} for {facts['target']}: {count(len(facts['entries']), 'entry')}"])
    if facts["asked"]:
        _print_found(screen, facts["found"], verbose)
        return
    for name, one in facts["entries"].items():
        sizes = size_words(one)
        say(screen, "entry", [f"{name}{f': {sizes}' if sizes else ''}, {time(one['latency'])} predicted", *_devices(one)])
        _print_ways(screen, one["ways"])
    if facts["states"]:
        say(screen, "caches" if facts["states"][0]["length"] else "states", cache_lines(facts["states"]))
    if facts["links"]:
        say(screen, "links", map(link_line, facts["links"]))
    if facts["phases"] is not None:
        say(screen, "phases", phase_lines(facts["phases"]))
    if facts["resident"] is not None:
        say(screen, "resident", [*resident_lines(facts["resident"]), *weight_lines(facts["resident"], verbose)])
    _print_next(screen, facts)


def _print_next(screen: Console, facts: Facts) -> None:
    more = " and what `compile` was told of states and sizes"
    line = f"name an operator to see where it runs; `autoglmc why MODEL --target {facts['target']}`{more} says what each device says of it"
    say(screen, "next", [line], style="dim")


def _devices(one: Facts) -> Iterator[str]:
    for name, device in one["devices"].items():
        operators, segments = count(device["operators"], "operator"), count(len(device["segments"]), "segment")
        yield f"{operators} on {name} in {segments}, {time(device['seconds'])}"
    if one["handoffs"]:
        yield count(one["handoffs"], "handoff")


def _print_ways(screen: Console, ways: Sequence[Facts]) -> None:
    if ways:
        say(screen, "written", way_lines(ways))


def _print_found(screen: Console, found: Sequence[Facts], verbose: bool) -> None:
    entries: dict[str, list[Facts]] = {}
    for row in found:
        entries.setdefault(row["entry"], []).append(row)
    for name, rows in entries.items():
        most = len(rows) if verbose else MOST
        lines = [f"{row['operator']} {short(row['name'])} on {row['device']}, in segment {row['segment']}" for row in rows[:most]]
        say(screen, "entry", [name, *lines, *([f"and {len(rows) - most} more (-v)"] if len(rows) > most else [])])
