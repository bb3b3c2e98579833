"""The screen of `autoglmc compile` for a bundle of several entries: what --json prints, laid out for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ..quantities import amount, count, size, time
from .compiled import print_compiled
from .layout import console, print_table, say
from .phases import phase_lines
from .precision import precision_lines
from .printable import printable
from .resident import resident_lines
from .verified import print_judged, print_verdict

Facts = Mapping[str, Any]


def print_entries(facts: Facts, verbose: bool = False) -> None:
    """facts: a compilation of several entries as plain data. verbose: everything about each of them first."""
    screen, entries = console(), facts["entries"]
    for name, one in entries.items() if verbose else ():
        say(screen, "entry", [name])
        print_compiled(one, verbose=True)
    print_judged(screen, facts)
    what = Text(printable(facts["bundle"]), style="bold").append(
        f" for {facts['target']}: {count(len(entries), 'entry')}", style="not bold"
    )
    say(screen, "bundle", [what])
    several = len({one["model"] for one in entries.values()}) > 1
    shared = len({device["name"] for one in entries.values() for device in one["devices"] if device["operators"]}) > 1
    words = [(*([one["model"]] if several else ()), *([_devices(one)] if shared else ()), size_words(one)) for one in entries.values()]
    rows = [(name, *said, *_numbers(one)) for (name, one), said in zip(entries.items(), words, strict=True)]
    named = ("entry", *(["model"] if several else ()), *(["devices"] if shared else ()), "sizes")
    print_table(screen, named, ("operators", "segments", "time", "arena"), rows)
    arena, package, states = facts["arena"], facts["package"], facts["states"]
    kept = "caches" if states and states[0]["length"] else "states"
    say(
        screen,
        "arena",
        [f"{size(arena['bytes'])} for all entries" + (f", {size(arena['states'])} of it {kept}" if states else "")],
    )
    if states:
        say(screen, kept, [*cache_lines(states), *_appended(entries)])
    if facts["links"]:
        say(screen, "links", map(link_line, facts["links"]))
    if facts["limits"]:
        say(screen, "limits", [_limit(limit) for limit in facts["limits"]])
    if facts["memory"]:
        say(screen, "memory", [memory_line(one) for one in facts["memory"]])
    if facts["phases"] is not None:
        say(screen, "phases", phase_lines(facts["phases"]))
    parts = " + ".join(f"{package[part]:,} {part}" for part in ("weights", "segments", "compiled", "manifest") if package[part])
    say(screen, "package", [f"{size(package['bytes'])} = {parts} = {package['bytes']:,} B"])
    if facts["resident"] is not None:
        say(screen, "resident", resident_lines(facts["resident"]))
    if facts["precision"] is not None:
        say(screen, "precision", precision_lines(facts["precision"], package["bytes"]))
    if facts["notes"]:
        say(screen, "note", facts["notes"])
    _print_verdicts(screen, entries, bool(facts["states"]), verbose)
    if facts["together"] is not None:
        _print_verdict(screen, "together", facts["together"], verbose, "models")


def size_words(one: Facts) -> str:
    """Of an entry: `8 tokens`, or its dims."""
    if one["tokens"] is not None:
        return count(one["tokens"], "token")
    return ", ".join(f"{dim} {extent}" for dim, extent in one["shapes"].items())


def _devices(one: Facts) -> str:
    """Those that compute, with how many operators."""
    return ", ".join(f"{device['name']} {device['operators']}" for device in one["devices"] if device["operators"])


def _numbers(one: Facts) -> tuple[str, ...]:
    devices = one["devices"]
    operators, segments = (str(sum(device[key] for device in devices)) for key in ("operators", "segments"))
    return operators, segments, time(one["latency"]["predicted"]), size(one["arena"]["bytes"])


def cache_lines(states: Sequence[Facts]) -> Iterator[str]:
    """Caches or states: their size, and what a run copies of them and why."""
    grown, replaced = ([state for state in states if bool(state["length"]) is grows] for grows in (True, False))
    if grown:
        yield from _grown_lines(grown)
    if replaced:
        total, copied = sum(state["bytes"] for state in replaced), sum(state["copied"] for state in replaced)
        left = f"a run leaves them to the next one, {size(copied)} copied: {replaced[0]['reason']}"
        yield f"{count(len(replaced), 'state' if grown else 'tensor')}, {size(total)}; {left}"


def _grown_lines(states: Sequence[Facts]) -> Iterator[str]:
    total = sum(state["bytes"] for state in states)
    yield f"{count(len(states), 'tensor')} of {states[0]['length']} rows, {size(total)}, in place from run to run"
    if states[0]["bound"]:
        yield f"kept in {states[0]['dtype']}: each value is rounded, by at most {states[0]['bound']:.2g} of itself"
    sizes: dict[str, int] = {}
    for state in states:
        sizes[state["reason"]] = sizes.get(state["reason"], 0) + state["copied"]
    yield from (f"{size(bytes)} of them are copied after every run: {reason}" for reason, bytes in sizes.items() if bytes)


def _appended(entries: Facts) -> Iterator[str]:
    each = {name: one["appended"] for name, one in entries.items() if one["appended"]}
    if each:
        sizes = ", ".join(f"{name} {size(found)}" for name, found in each.items())
        yield f"attention there does not write them: the session puts the new rows behind the others, after a run of {sizes}"


def memory_line(one: Facts) -> str:
    """A memory with all entries loaded, term by term."""
    own = {name: bytes for name, bytes in one["own"].items() if bytes}
    several = len(own) > 1
    terms = [f"{size(bytes)} weights{f' of {name}' if several else ''}" for name, bytes in own.items()]
    if sum(own.values()) + one["shared"] != one["weights"]:  # --resident
        terms = [f"{size(one['weights'])} weights at most"]
    elif one["shared"]:
        terms.append(f"{size(one['shared'])} {'read in one place' if several else 'weights that are read where they are'}")
    named = {"arena": "arena", "working": "inside a segment", "runtime": "runtime"}
    terms += [f"{size(one[term])} {what}" for term, what in named.items() if one[term]]
    return f"{one['name']}: {size(one['running'])} in a run = {' + '.join(terms)}; up to {size(one['loading'])} while loaded"


def link_line(link: Facts) -> str:
    """How one model's output becomes another one's input."""
    rows = f", rows {link['label']!r} at a place that each step states" if link["label"] else ""
    how = f"{size(link['copied'])} copied in every step: {link['reason']}" if link["copied"] else "written where it is read"
    return printable(f"{link['model']}.{link['output']} is {link['input']}{rows}: {how}")


def _limit(limit: Facts) -> str:
    """Of all entries together."""
    value, margin = (amount(limit["kind"], limit[key]) for key in ("value", "margin"))
    name = f"{limit['kind']} {limit['subject']}".strip()
    return f"{name} {value} {limit['comparison']} {limit['text']} for all entries, margin {margin} ({limit['basis']}, {limit['origin']})"


def _print_verdicts(screen: Any, entries: Facts, stateful: bool, verbose: bool) -> None:
    """Steps of a decoder were compared together; other entries each for itself."""
    first, told = next(iter(entries.values()))["model"], False
    for name, one in entries.items():
        together = stateful and one["model"] == first
        if together and told:
            continue
        _print_verdict(screen, "" if together else name, one["verification"], verbose)
        told = told or together


def _print_verdict(screen: Console, name: str, verification: Facts, verbose: bool, kind: str = "entry") -> None:
    """name: of what it is about; "" for the steps of a decoder."""
    if "skipped" in verification:
        say(screen, "verify", [f"NOT verified: {verification['skipped']}"], style="yellow")
        return
    if name:
        say(screen, kind, [name])
    print_verdict(screen, verification, verbose)
