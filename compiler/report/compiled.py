"""The screen of `autoglmc compile`: what --json prints, laid out for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ..quantities import amount, count, margin, shown, size, time
from .confidence import confidence_lines, interval
from .layout import console, print_table, say
from .precision import precision_lines, score_lines
from .printable import printable
from .pruning import pruning_lines
from .quote import NO_SOURCE, SourceLines
from .resident import resident_lines
from .units import print_units
from .verified import print_judged, print_verdict

MOST_GUESSES = 6
"""Guesses that are listed; the rest is counted."""
Facts = Mapping[str, Any]


def print_compiled(facts: Facts, source: SourceLines = NO_SOURCE, verbose: bool = False) -> None:
    """facts: a compilation as plain data (`CompileResult.as_json`). source: quotes the lines of the target that decided something.
    verbose: every guess and every compared tensor, and how long each stage took."""
    screen = console()
    print_judged(screen, facts)
    print_unproven(screen, facts["limits"])
    say(screen, "bundle", [_head(facts)])
    _print_devices(screen, facts["devices"])
    say(screen, "handoffs", [_handoff(row) for row in facts["handoffs"]] or ["none: one device holds everything"])
    say(screen, "latency", _latency(facts))
    arena = facts["arena"]
    say(screen, "arena", [f"{size(arena['bytes'])}, lower bound {size(arena['lower_bound'])}{_over(arena)}"])
    say(screen, "memory", _memory(facts["memory"], verbose))
    if facts["energy"]["joules"]:
        say(screen, "energy", [_energy(facts["energy"])])
    say(screen, "package", [_package(facts["package"])])
    if facts["resident"] is not None:
        say(screen, "resident", resident_lines(facts["resident"]))
    if facts["precision"] is not None:
        say(screen, "precision", precision_lines(facts["precision"], facts["package"]["bytes"]))
        print_units(screen, facts["precision"]["units"], verbose)
    if facts["pruning"] is not None:
        say(screen, "pruning", pruning_lines(facts["pruning"]))
    if facts["scores"]:
        say(screen, "accuracy", score_lines(facts["scores"]))
    _print_limits(screen, facts["limits"], source)
    say(screen, "rewrites", list(_rewrites(facts["rewrites"])) or ["none"], source=source)
    say(screen, "guesses", _guesses(facts["guesses"], len(facts["guesses"]) if verbose else MOST_GUESSES), source=source)
    if facts["notes"]:
        say(screen, "note", facts["notes"], source=source)
    if len(facts["search"]) > 1:
        say(screen, "search", _search(facts["search"], verbose), source=source)
    if facts["passes"]:
        say(screen, "each pass", [_compared(facts["passes"])])
    verification = facts["verification"]
    if "skipped" in verification:
        say(screen, "verify", [f"NOT verified: {verification['skipped']}"], style="yellow")
    else:
        print_verdict(screen, verification, verbose)


def print_unproven(screen: Console, limits: Sequence[Facts]) -> None:
    """The limits that the prediction does not prove to be kept, and why: part of the verdict."""
    doubts = [(f"{one['name']} {one['comparison']} {one['text']}", one["unproven"]) for one in limits if one["unproven"]]
    say(screen, "limits", [f"{what} is UNPROVEN: {why}" for what, why in doubts], style="yellow")


def print_timings(seconds: Mapping[str, float]) -> None:
    """How long each stage took, and all of them."""
    rows = [*seconds.items(), ("all stages", sum(seconds.values()))]
    print_table(console(), ("timings",), ("",), [(name, time(value)) for name, value in rows])


def _head(facts: Facts) -> Text:
    operators = facts["operators"]
    counts = f"{count(operators['before'], 'operator')} as loaded, {sum(operators['recovered'].values())} once recovered and simplified"
    return Text(printable(facts["bundle"]), style="bold").append(f" for {facts['target']}: {counts}", style="not bold")


def _print_devices(screen: Console, rows: Sequence[Facts]) -> None:
    cells = []
    for facts in rows:
        counts = [str(facts["segments"]), str(facts["operators"]), str(facts["kernels"])]
        names = (f"{facts['name']} ({facts['kind']})", facts["runtime"])
        cells.append((*names, *counts, size(facts["weight_bytes"]), time(facts["seconds"])))
    styles = ["" if facts["segments"] else "dim" for facts in rows]
    print_table(screen, ("device", "runtime"), ("segments", "operators", "kernels", "weights", "time"), cells, styles)


def _handoff(facts: Facts) -> str:
    what = f"{count(facts['tensors'], 'tensor')}, {facts['mode']} via {facts['via']}"
    return f"{facts['from']} -> {facts['to']}: {what}, {size(facts['bytes'])}, {time(facts['seconds'])}"


def _latency(facts: Facts) -> Iterator[str | Text]:
    latency = facts["latency"]
    parts = f"compute {time(latency['compute'])}, dispatch {time(latency['dispatch'])}, handoffs {time(latency['handoff'])}"
    shown = f"{time(latency['predicted'])}{interval(facts['confidence'])}"
    yield Text(shown, style="bold").append(f" predicted ({parts})", style="not bold")
    yield from confidence_lines(facts["confidence"])
    rivals = [(f"all on {facts['host']}", latency["all_host"]), ("greedy partitioning", latency["greedy"])]
    yield f"against {', '.join(_against(name, value, latency) for name, value in rivals)}"
    yield from _estimated(latency)
    if facts["objective"]["name"] != "latency":
        yield _aim(facts["objective"])
        return
    proof = "proven optimal"
    if latency["lower_bound"] is None:
        proof = "no bound, because what memories save depends on the whole plan; the best of the placements tried"
    elif not latency["proven_optimal"]:
        bound = time(latency["lower_bound"] * latency["as_emitted"])
        proof = f"within {latency['gap'] * 100:.1f} % of the bound {bound} (--effort 10 searches longer for a proof)"
    yield f"{proof} over {count(latency['units'], 'unit')}"


def _aim(objective: Facts) -> str:
    """What the plan was chosen for, where that is not latency."""
    kind = str(objective["name"])
    kind = {"overlap": "latency", "throughput": "latency"}.get(kind, kind)
    value, bound = (shown(kind, objective[key]) for key in ("value", "lower_bound"))
    what = {
        "overlap": f"{value} with devices at work at once",
        "throughput": f"{value} between pipelined requests",
        "energy": f"{value} a run",
        "memory": f"{value} of memory at once at least, as far as the placement decides it",
    }[objective["name"]]
    proof = "proven optimal" if objective["proven_optimal"] else f"within {objective['gap'] * 100:.1f} % of the bound {bound}"
    return f"chosen for {objective['name']}: {what}; {proof}"


def _against(name: str, seconds: float | None, latency: Facts) -> str:
    if seconds is None:
        return f"{name}: breaks a limit"
    ours, shown = latency["placed"], time(seconds * latency["as_emitted"])
    return f"{name} {shown} ({seconds / ours:.2f}x)" if ours else f"{name} {shown}"


def _estimated(latency: Facts) -> Iterator[str]:
    """Where a runtime's compiler says how long its segments take."""
    if latency["estimated"] is not None:
        rates = f"the target's rates, by which plans are compared, give {time(latency['rated'])}"
        yield f"the runtime's own compiler estimates {time(latency['estimated'])} for what {rates}"


def _over(arena: Facts) -> str:
    return f" ({arena['bytes'] / arena['lower_bound']:.3f}x)" if arena["lower_bound"] else ""


def _memory(memory: Facts, verbose: bool) -> Iterator[str]:
    """Exact bytes, so that the terms add up to what is printed."""
    for facts in memory["memories"]:
        terms = [(facts["weights"], "weights"), (facts["working"], "inside a segment"), (facts["arena"], "arena")]
        terms.append((facts["runtime"], "runtime"))
        what = "" if facts["in_peak"] else ", only read: no part of the peak"
        what += f"; {facts['mapped']:,} B of weights stay in their file" if facts["mapped"] else ""
        yield f"{facts['name']} {_sum(facts['bytes'], terms)}{what}"
    counted = [facts for facts in memory["memories"] if facts["in_peak"]]
    if len(counted) > 1:
        yield f"peak {_sum(memory['peak'], [(facts['bytes'], facts['name']) for facts in counted])}"
    yield from map(_transfers, memory["transfers"])
    for one in memory["schedule"] if verbose else ():
        way = f"{one['from']} -> {one['to']}, {size(one['bytes'])}, {time(one['seconds'])}"
        yield f"segment {one['segment']}, {one['when']} {printable(one['kernel'])}: {one['kind']} {printable(one['tensor'])}, {way}"


def _transfers(facts: Facts) -> str:
    """What a device with several memories keeps besides its own, and what it copies."""
    kept = f"{count(facts['placed'], 'tensor')} and {count(facts['resident'], 'resident weight')} in other memories"
    moved = f"{facts['spilled']} spilled, {facts['filled']} filled, {count(facts['streamed'], 'weight')} streamed"
    spent = f"{size(facts['bytes'])} copied in {time(facts['seconds'])}"
    overlapped = f" and {time(facts['overlapped'])} beside kernels" if facts["overlapped"] else ""
    return f"{facts['device']} {kept}, {moved}: {spent}{overlapped}"


def _sum(total: int, terms: Iterable[tuple[int, str]]) -> str:
    return f"{size(total)} = {' + '.join(f'{value:,} {name}' for value, name in terms if value) or 0} = {total:,} B"


def _energy(facts: Facts) -> str:
    draws = [f"{one['device']} {amount('energy', one['active'] + one['idle'])}" for one in facts["devices"] if one["active"] + one["idle"]]
    watts = f"{amount('power', facts['average'])} on average, {amount('power', facts['peak'])} at most"
    return f"{amount('energy', facts['joules'])} a run ({', '.join(draws)}), {watts}"


def _package(facts: Facts) -> str:
    return _sum(facts["bytes"], [(facts[name], name) for name in ("weights", "segments", "compiled", "manifest")])


def _print_limits(screen: Console, rows: Sequence[Facts], source: SourceLines) -> None:
    lines = []
    for facts in rows:
        kind, bound = facts["name"].split()[0], f"{facts['comparison']} {facts['text']}"
        if facts["value"] is None:
            lines.append(Text(f"{facts['name']} {bound}: not measured ({facts['origin']})", style="yellow"))
        else:
            value, left = shown(kind, facts["value"]), margin(kind, facts["margin"])
            doubt = ", UNPROVEN" if facts["unproven"] else ""
            line = f"{facts['name']} {value} {bound}, margin {left} ({facts['basis']}, {facts['origin']}){doubt}"
            lines.append(Text(line, style="yellow" if doubt else ""))
    say(screen, "limits", lines, source=source)


def _search(attempts: Sequence[Facts], verbose: bool) -> Iterator[str]:
    """How many attempts it took; with `verbose`, what each did differently and what spoke against it."""
    outcomes = Counter(one["verdict"] for one in attempts)
    yield f"{count(len(attempts), 'attempt')}: {', '.join(f'{number} {verdict}' for verdict, number in outcomes.items())}"
    for one in attempts if verbose else ():
        change = f" ({one['change']})" if one["change"] else ""
        yield f"{one['number']}{change}: {one['verdict']}{f': {reason}' if (reason := one['reason']) else ''}"


def _compared(passes: Sequence[Facts]) -> str:
    """What `--verify-each` found where no pass was wrong."""
    changed = [one for one in passes if one["changed"]]
    worst = max(changed, key=lambda one: one["max_abs_over_std"], default=None)
    most = f"; largest difference {worst['max_abs']:.3g}, after {worst['name']}" if worst is not None and worst["max_abs"] else ""
    return f"{count(len(passes), 'pass')} compared with the model, {len(changed)} changed the graph{most}"


def _rewrites(rows: Sequence[Facts]) -> Iterator[str]:
    general = [f"{facts['rule']} x{facts['sites']}" for facts in rows if facts["device"] is None and not facts["own"]]
    if general:
        yield ", ".join(general)
    for facts in (facts for facts in rows if facts["own"]):
        bound = f"bounded, off by at most {facts['bound']:.3g}" if facts["contract"] == "bounded" else facts["contract"]
        yield f"{facts['rule']} (your pass): {bound} (declared, checked on generated inputs)"
    for facts in rows:
        if facts["device"] is not None:
            bounded = facts["contract"] == "bounded"
            known = f"claimed at {facts['claimed']}" if facts["claimed"] else "proved"
            bound = f"bounded, each within {facts['bound']:.3g} ({known})" if bounded else facts["contract"]
            yield f"{facts['rule']} x{facts['sites']} on {facts['device']}: {bound}"


def _guesses(rows: Sequence[Facts], most: int) -> Iterator[str]:
    if not rows:
        yield "none decided: no other known plan wins if one of them is off by 2x"
    for facts in rows[:most]:
        yield f"{facts['path']} = {facts['text']} ({facts['origin']}): {facts['decided']}"
    if len(rows) > most:
        yield f"and {len(rows) - most} more (-v)"
