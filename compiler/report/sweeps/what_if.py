"""The screen of `autoglmc what-if` with settings: the plan as it is beside the plan as it would be, and what moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ...errors import clipped
from ...quantities import amount, count, margin, shown, size, time
from ..confidence import confidence_lines, interval
from ..layout import console, print_table, say
from ..printable import printable

Facts = Mapping[str, Any]
MOST_MOVES = 12
NOTHING = "-"


def print_what_if(facts: Facts, verbose: bool = False) -> None:
    """facts: as `what_if.compare` gives them. verbose: every move, with the names of its operators."""
    screen = console()
    head = Text(printable(Path(facts["model"]).name), style="bold").append(f" for {facts['target']}", "not bold")
    say(screen, "model", [head])
    say(screen, "set", [f"{one['path']}: {_was(one)} -> {one['after']}" for one in facts["settings"]])
    screen.print()
    before, after = facts["before"], facts["after"]
    print_table(screen, ("",), ("before", "after", "change"), list(_rows(before, after)))
    screen.print()
    say(screen, "interval", list(_known(before, after)))
    say(screen, "limits", list(_limits(before, after)) or ["none that a plan shows"])
    for name, outcome in (("before", before), ("after", after)):
        if outcome["problem"]:
            say(screen, name, [outcome["problem"]], style="yellow")
    _print_moves(screen, facts, verbose)


def latencies(facts: Facts) -> str:
    """ "8.1 ms ±18 % -> 7.2 ms ±19 %"."""
    both = (facts["before"], facts["after"])
    return " -> ".join("no plan" if one["latency"] is None else f"{time(one['latency'])}{interval(one['confidence'])}" for one in both)


def _known(before: Facts, after: Facts) -> Iterator[str]:
    """What measurements say of the two latencies, and whether they are further apart than their intervals reach."""
    alike = _gist(before["confidence"]) == _gist(after["confidence"])
    for word, one in (("", after),) if alike else (("before: ", before), ("after: ", after)):
        yield from (f"{word}{line}" for line in confidence_lines(one["confidence"]))
    widths = [one["confidence"] and one["confidence"]["half_width"] for one in (before, after)]
    if None in widths or None in (before["latency"], after["latency"]):
        return
    change = abs(after["latency"] - before["latency"])
    reach = max(width * one["latency"] for width, one in zip(widths, (before, after), strict=True))
    if 0 < change <= reach:
        yield f"the change of {time(change)} is within what is known: the interval reaches {time(reach)} to either side"


def _gist(one: Facts | None) -> object:
    """What is said of a latency, its shares apart."""
    if one is None:
        return None
    reasons = {(row["device"], row["reason"]) for row in one["uncovered"]}
    return one["calibrated"], one["half_width"] is None, one["calibrations"], reasons


def _was(one: Facts) -> str:
    text = one["before"] or "not stated"
    return f"{text} (@{one['provenance']})" if one["provenance"] in ("guess", "proxy", "vendor", "src") else text


def _rows(before: Facts, after: Facts) -> Iterator[tuple[str, str, str, str]]:
    was, now, share = _pair(before["latency"], after["latency"], time)
    yield ("latency", f"{was}{interval(before['confidence'])}", f"{now}{interval(after['confidence'])}", share)
    yield ("energy", *_pair(before["energy"], after["energy"], lambda value: amount("energy", value)))
    for name in dict.fromkeys((*before["memories"], *after["memories"])):
        yield (f"peak of {name}", *_pair(before["memories"].get(name), after["memories"].get(name), size))
    for word in ("segments", "operators"):
        for name in dict.fromkeys((*before[word], *after[word])):
            yield (f"{word} on {name}", *_counts(before[word].get(name), after[word].get(name)))
    yield ("handoffs", *_counts(*(outcome["handoffs"] if outcome["plan"] else None for outcome in (before, after))))


def _pair(was: float | None, now: float | None, shown: Any) -> tuple[str, str, str]:
    texts = tuple(NOTHING if value is None else str(shown(value)) for value in (was, now))
    if was is None or now is None or not was:
        return texts[0], texts[1], ""
    share = now / was - 1
    return texts[0], texts[1], "" if abs(share) < 5e-5 else f"{share:+.1%}".replace("%", " %")


def _counts(was: int | None, now: int | None) -> tuple[str, str, str]:
    texts = tuple(NOTHING if value is None else str(value) for value in (was, now))
    return texts[0], texts[1], "" if was is None or now is None or was == now else f"{now - was:+d}"


def _limits(before: Facts, after: Facts) -> Iterator[Text]:
    """Each of the settings' target, and what the other target said of it where that differs."""
    old = {one["limit"]: one for one in before["limits"]}
    for one in after["limits"]:
        kind = one["limit"].split()[0]
        line = Text(f"{one['limit']} {one['comparison']} {one['text']}: ")
        if one["value"] is None:
            line.append("shows only in a bundle")
        else:
            left = margin(kind, one["margin"]) if one["margin"] >= 0 else shown(kind, -one["margin"])
            said = f"kept, {left} left" if one["holds"] else f"broken by {left}"
            line.append(said, "" if one["holds"] else "red")
            line.append(f", UNPROVEN: {one['unproven']}" if one["unproven"] and one["holds"] else "", "yellow")
        was = old.get(one["limit"])
        if was is not None and was["holds"] is not None and was["holds"] != one["holds"]:
            line.append(f" (before: {'kept' if was['holds'] else 'broken'})")
        yield line


def _print_moves(screen: Console, facts: Facts, verbose: bool) -> None:
    moved: Sequence[Facts] = facts["moved"]
    if facts["same_plan"]:
        say(screen, "moved", ["nothing: the plan is the same"])
        return
    if not moved:
        both = facts["before"]["plan"] and facts["after"]["plan"]
        say(screen, "moved", ["no operator: they are cut into other segments, or written otherwise" if both else "one of them has no plan"])
        return
    lines = [_move(one, verbose) for one in (moved if verbose else moved[:MOST_MOVES])]
    left = len(moved) - len(lines)
    say(screen, "moved", [*lines, *([f"and {count(left, 'more group')} (-v)"] if left else [])])


def _move(one: Facts, verbose: bool) -> str:
    what = one["operator"] if one["count"] == 1 else f"{one['count']} {one['operator']}"
    where = f"{one['before'] or 'not there before'} -> {one['after'] or 'spelled otherwise'}"
    return clipped(f"{what}: {where}" + (f" ({', '.join(one['nodes'])})" if verbose else ""))


def print_numbers(rows: Sequence[Facts]) -> None:
    """`--list`: rows as `what_if.number_json` gives them."""
    words = ("number", "value", "where it is from")
    print_table(console(), words, (), [(one["short"], _value(one), _source(one)) for one in rows])


def _value(one: Facts) -> str:
    return f"{one['text']} where {one['condition']}" if one["condition"] else one["text"] or NOTHING


def _source(one: Facts) -> str:
    said = {"": "not stated", None: "not stated", "default": "default", "stated": "stated"}
    word = said.get(one["provenance"], f"@{one['provenance']}")
    return f"{word}, {one['origin']}" if one["origin"] else word
