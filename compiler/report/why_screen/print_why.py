"""The screen of `autoglmc why`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ...errors import clipped
from ...quantities import count, time
from ..confidence import confidence_lines, interval
from ..layout import console, print_block, say
from ..printable import printable
from ..quote import NO_SOURCE, SourceLines
from .change import describe_change, outcome, print_claims
from .operator import print_operators

MOST_GUESSES = 4
Facts = Mapping[str, Any]


def print_why(facts: Facts, source: SourceLines = NO_SOURCE, verbose: bool = False, quiet: bool = False) -> None:
    """A table of what is not on the preferred device; or, for a node or an operator, what every device says.

    facts: the explanation as plain data (`explain.as_json`). source: quotes the lines of the target that are named. verbose: nothing
    is left out; quiet: only the plan and the best change."""
    screen = console()
    _print_head(screen, facts)
    if quiet:
        _print_verdict(screen, facts)
    elif "asked" in facts:
        print_operators(screen, facts, source, verbose)
    else:
        _print_groups(screen, facts, source, verbose)


def _print_head(screen: Console, facts: Facts) -> None:
    plan = facts["plan"]
    on = ", ".join(f"{number} on {name}" for name, number in plan["on"].items() if number) or "no plan: see below"
    head = Text(printable(Path(facts["model"]).name), style="bold")
    say(screen, "model", [head.append(f" for {facts['target']}: {count(plan['operators'], 'operator')}, {on}", "not bold")])
    if facts["assumed_shapes"]:
        say(screen, "sizes", [f"assumed for dims without one: {facts['assumed_shapes']}; all times are for these"], style="yellow")
    if plan["latency"] is not None:
        say(screen, "latency", _latency(facts))


def _latency(facts: Facts) -> Iterator[str]:
    """The plan's, and what it would be with all on the device that can be there."""
    plan, there = facts["plan"], facts.get("all_there")
    shape = f"{count(plan['segments'], 'segment')}, {count(plan['handoffs'], 'handoff')}"
    yield f"{time(plan['latency'])}{interval(plan['confidence'])} predicted, {shape}"
    yield from confidence_lines(plan["confidence"])
    yield from plan["cost_notes"]
    if facts.get("groups") and there is not None and there > plan["latency"]:
        yield f"with everything on {facts['device']} that it can run: {time(there)}"
    yield from facts["limits"]


def _print_groups(screen: Console, facts: Facts, source: SourceLines, verbose: bool) -> None:
    groups, device = facts["groups"], facts["device"]
    if not groups:
        say(screen, "why", [f"every operator runs on {device}"])
        return
    print_block(screen, Text(f"operators not on {device}, why, and what would change it", style="bold"), "time   share", [])
    for merged in _merged(groups):
        print_block(screen, Text(_operators(merged), style="bold"), _costs(merged), _reason(merged[0]), source)
    screen.print()
    _print_verdict(screen, facts)
    together = facts["together"]
    if together is not None:
        gains = together.get("gain") or together.get("before") is None
        say(screen, "together", [f"all changes above at once: {outcome(together, '') if gains else 'no gain'}"])
    if facts["plan"]["latency"] is not None:
        say(screen, "guesses", list(_guesses(facts, verbose)), source=source)
    left = sum(group["change"] is not None and not group["change"]["planned"] for group in groups)
    if left:
        say(screen, "left out", [f"the gain of {count(left, 'change')}: --tries {len(groups)} plans with each"])
    print_claims(screen, [group["change"] for group in groups if group["change"] is not None])
    say(screen, "next", ["name a node or an operator to see what every device says of it"], style="dim")


def _costs(merged: Sequence[Facts]) -> str:
    shares = [group["share"] for group in merged]
    share = "" if None in shares else f"{sum(shares) * 100:.1f} %"
    return f"{time(sum(group['seconds'] for group in merged))} {share:>7}"


def _print_verdict(screen: Console, facts: Facts) -> None:
    """The one change to look at first."""
    priced = [group for group in facts.get("groups", ()) if group["change"] is not None and group["change"]["planned"]]
    if not priced:
        return
    best = max(priced, key=lambda group: group["change"]["gain"])
    if any(group["change"]["before"] is None for group in priced):
        verdict = Text("some operators run on no device: there is no plan until they do")
    elif not best["change"]["gain"]:
        verdict = Text(f"no gain from {count(len(priced), 'change')}, each planned on its own")
    else:
        saves = f"largest gain of one change: {best['operator']}, saves {time(best['change']['gain'])}"
        verdict = Text(saves, style="bold green")
    say(screen, "verdict", [verdict])


def _merged(groups: Sequence[Facts]) -> Iterator[list[Facts]]:
    """Operators that move together have one price: one line for them."""
    found: dict[tuple[object, ...], list[Facts]] = {}
    for number, one in enumerate(groups):
        key = (one["runs_on"], one["native_refusal"], one["reason"]) if one["kind"] == "elsewhere" else (number,)
        found.setdefault(key, []).append(one)
    yield from sorted(found.values(), key=lambda merged: -sum(one["seconds"] for one in merged))


def _operators(groups: Sequence[Facts]) -> str:
    named = ", ".join(one["operator"] if one["count"] == 1 else f"{one['count']} {one['operator']}" for one in groups)
    return printable(clipped(f"{named} on {groups[0]['runs_on']}" if groups[0]["runs_on"] else named))


def _reason(group: Facts) -> Iterator[str | Text]:
    """Why they are not there; then what would change it."""
    native = group["native_refusal"]
    yield f"native: refused, {native}; rewritten it {group['reason']}" if native else group["reason"]
    if group["change"] is not None:
        style = "green" if group["change"].get("gain") else ""
        yield Text(f"-> {printable(clipped(describe_change(group['change'], brief=True)))}", style=style)
    elif group["kind"] != "elsewhere":
        yield "-> no change that was tried places it"


def _guesses(facts: Facts, verbose: bool) -> Iterator[str]:
    """Numbers that would change the plan as a whole, then those that would move some operators."""
    lines = [f"{guess['path']} = {guess['text']} ({guess['origin']}): {guess['decided']}" for guess in facts["guesses"]]
    movers: dict[tuple[str, float], tuple[Facts, list[str]]] = {}
    for group in facts["groups"]:
        for guess in group["guesses"]:
            movers.setdefault((guess["path"], guess["factor"]), (guess, []))[1].append(group["operator"])
    for guess, operators in movers.values():
        some = ", ".join(dict.fromkeys(operators))
        at = f"{guess['path']} = {guess['text']} ({guess['origin']}): at {guess['factor']:g} times this"
        lines.append(f"{at} {facts['device']} would win {some}")
    most = len(lines) if verbose else MOST_GUESSES
    yield from lines[:most] or ["none decided: half or twice any of them leaves every operator where it is"]
    if len(lines) > most:
        yield f"and {len(lines) - most} more (-v)"
