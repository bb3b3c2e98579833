"""What `autoglmc why` shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from ..explain.as_json import names, share
from ..explain.change import SMALLEST_FIRST
from ..explain.explain_model import GroupRow, Subject, Why
from ..explain.trials import Trial
from ..explain.verdicts import DeviceVerdict
from ..plan.sensitivity import Decider
from .layout import console, count, say, short, table, time
from .printable import printable

MOST_NODES = 3
MOST_GUESSES = 4
MOST_TRACES = 8
BRIEFLY = ("rewrite", "constant")
"""Kinds of change whose note the table has room for; the others' is shown where one node is asked about."""


def print_why(why: Why) -> None:
    """A table of what is not on the preferred device; or, for a node or an operator, what every device says."""
    screen = console()
    _print_head(screen, why)
    if why.asked:
        _print_subjects(screen, why)
    else:
        _print_rows(screen, why)


def _print_head(screen: Console, why: Why) -> None:
    plan, total = why.plan, len(why.plan.nodes)
    placed = [(device.name, sum(place == d for place in plan.places)) for d, device in enumerate(plan.target.devices)]
    on = ", ".join(f"{number} on {name}" for name, number in placed if number) or "no plan: see below"
    head = Text(printable(str(why.model.name)), style="bold").append(
        f" for {plan.target.name}: {count(total, 'operator')}, {on}", "not bold"
    )
    say(screen, "model", [head])
    if why.assumed:
        say(screen, "sizes", [f"made up for dims without one: {why.assumed}; all times are for these"], style="yellow")
    if plan.total is not None:
        say(screen, "latency", _latency(why))


def _latency(why: Why) -> Iterator[str]:
    """The plan's, and what it would be with all on the device that can be there."""
    plan = why.plan
    yield f"{time(plan.total or 0.0)} predicted, {count(plan.segments, 'segment')}, {count(plan.handoffs, 'handoff')}"
    if why.rows and why.all_there is not None and why.all_there > (plan.total or 0.0):
        yield f"with everything on {why.device} that it can run: {time(why.all_there)}"


def _print_rows(screen: Console, why: Why) -> None:
    plan = why.plan
    if not why.rows:
        say(screen, "why", [f"every operator runs on {why.device}"])
        return
    made = table(("operators", f"why not on {why.device}; what would change it"), ("time", "share"))
    made.columns[0].ratio, made.columns[1].ratio = 1, 3
    made.expand = True
    for merged in _merged(why.rows):
        seconds = sum(one.group.seconds for one in merged)
        part = share(plan, seconds)
        told = "" if part is None else f"{part * 100:.1f} %"
        made.add_row(Text(printable(_operators(merged))), _reason(merged[0]), time(seconds), told)
    screen.print(made)
    priced = [one for one in why.rows if one.tried is not None and one.tried.planned]
    if priced:
        say(screen, "verdict", [_verdict_of(priced)])
    if why.together is not None:
        at_once = _outcome(why.together, "") if why.together.gain or why.together.before is None else "no gain"
        say(screen, "together", [f"all changes above at once: {at_once}"])
    if plan.placement is not None:
        say(screen, "guesses", list(_guesses(why)))
    left = sum(one.tried is not None and not one.tried.planned for one in why.rows)
    if left:
        say(screen, "left out", [f"the gain of {count(left, 'change')}: --tries {len(why.rows)} plans with each"])
    _print_claims(screen, [one.tried for one in why.rows if one.tried is not None])
    say(screen, "next", ["name a node or an operator to see what every device says of it"], style="dim")


def _verdict_of(priced: Sequence[GroupRow]) -> Text:
    """The one change to look at first."""
    best = max(priced, key=lambda one: one.tried.gain if one.tried else 0.0)
    if any(one.tried and one.tried.before is None for one in priced):
        return Text("some operators run nowhere: there is no plan until they do")
    if best.tried is None or not best.tried.gain:
        return Text(f"no gain from {count(len(priced), 'change')} planned one by one")
    return Text(f"the most by one change: {best.group.operator}, saves {time(best.tried.gain)}", style="bold green")


def _merged(rows: Sequence[GroupRow]) -> Iterator[list[GroupRow]]:
    """Operators that move together have one price: one line for them."""
    groups: dict[tuple[object, ...], list[GroupRow]] = {}
    for number, one in enumerate(rows):
        key = (one.group.runs_on, one.group.native, one.group.reason) if one.group.kind == "elsewhere" else (number,)
        groups.setdefault(key, []).append(one)
    yield from sorted(groups.values(), key=lambda group: -sum(one.group.seconds for one in group))


def _operators(rows: Sequence[GroupRow]) -> str:
    named = ", ".join(_times(one) for one in rows)
    return f"{named} on {rows[0].group.runs_on}" if rows[0].group.runs_on else named


def _times(one: GroupRow) -> str:
    number = len(one.group.numbers)
    return one.group.operator if number == 1 else f"{number} {one.group.operator}"


def _reason(one: GroupRow) -> Text:
    group = one.group
    text = Text(printable(f"native: refused, {group.native}; rewritten it {group.reason}" if group.native else group.reason))
    if one.tried is not None:
        text.append(f"\n-> {printable(_change(one.tried, brief=True))}", style="green" if one.tried.gain else "")
    elif group.kind != "elsewhere":
        text.append("\n-> no change that was tried places it")
    return text


def _change(tried: Trial, brief: bool = False) -> str:
    change = tried.change
    told = BRIEFLY if brief else SMALLEST_FIRST
    where = f" ({change.where})" if change.where else ""
    note = f"; {change.note}" if change.note and change.kind in told and change.kind != "rule" else ""
    return f"{change.text}{where}: {_outcome(tried, 'it fits; gain not computed')}{note}"


def _outcome(tried: Trial, unplanned: str) -> str:
    if tried.refusal:
        return f"still refused: {tried.refusal}"
    if not tried.planned:
        return unplanned
    if tried.after is None:
        return "not enough for a plan: another operator still has no device"
    if tried.before is None:
        return f"then there is a plan, {time(tried.after)}"
    if not tried.gain:
        return "no gain" if tried.placed else "no gain, it would stay where it is"
    cut = f"{_counts(tried.segments, 'segment')}, {_counts(tried.handoffs, 'handoff')}"
    return f"saves {time(tried.gain)} ({tried.gain / tried.before * 100:.1f} %): {time(tried.before)} -> {time(tried.after)}, {cut}"


def _counts(numbers: tuple[int, int], noun: str) -> str:
    """Before and after: 7 -> 2 segments."""
    before, after = numbers
    return count(after, noun) if before == after else f"{before} -> {count(after, noun)}"


def _flip(one: Decider, device: str) -> str:
    fact = one.fact
    return f"a guess decides: at {one.factor:g} times {fact.path} = {fact.text} ({fact.origin}) {device} would win"


def _guesses(why: Why) -> Iterator[str]:
    """Numbers that would change the plan as a whole, then those that would move some operators."""
    lines = [f"{guess.path} = {guess.text} ({guess.origin}): {guess.decided}" for guess in why.guesses]
    movers: dict[tuple[str, float], tuple[Decider, list[str]]] = {}
    for one in why.rows:
        for decider in one.group.guesses:
            movers.setdefault((decider.fact.path, decider.factor), (decider, []))[1].append(one.group.operator)
    for decider, operators in movers.values():
        fact, some = decider.fact, ", ".join(dict.fromkeys(operators))
        lines.append(f"{fact.path} = {fact.text} ({fact.origin}): at {decider.factor:g} times this {why.device} would win {some}")
    yield from lines[:MOST_GUESSES] or ["none decided: half or twice any of them leaves every operator where it is"]
    if len(lines) > MOST_GUESSES:
        yield f"and {len(lines) - MOST_GUESSES} more (--json)"


def _print_claims(screen: Console, tried: Iterable[Trial]) -> None:
    if any(one.change.kind == "rule" for one in tried):
        said = "a changed line of the table is a claim: write it only if the device and its runtime really do that"
        say(screen, "note", [said], style="dim")


def _print_subjects(screen: Console, why: Why) -> None:
    if why.traces:
        left = len(why.traces) - MOST_TRACES
        say(screen, "trace", [*why.traces[:MOST_TRACES], *([f"and {left} more (--json)"] if left > 0 else [])])
    for subject in why.subjects:
        _print_subject(screen, why, subject)
    _print_claims(screen, [tried for subject in why.subjects for tried in subject.tried])


def _print_subject(screen: Console, why: Why, subject: Subject) -> None:
    one, plan = subject.alike, why.plan
    called = names(plan, one.numbers)
    more = f" and {len(called) - MOST_NODES} more" if len(called) > MOST_NODES else ""
    screen.print()
    head = Text(f"{len(called)} {one.operator}" if len(called) > 1 else one.operator, style="bold")
    say(screen, "operator", [head.append(printable(f"  {', '.join(short(name) for name in called[:MOST_NODES])}{more}"), "not bold")])
    if one.runs_on:
        part = share(plan, one.seconds)
        say(screen, "runs on", [f"{one.runs_on}, {time(one.seconds)}" + (f", {part * 100:.1f} % of the model" if part is not None else "")])
    for verdict in one.verdicts:
        say(screen, f"{verdict.device[:9]}", _verdict(verdict), style="" if verdict.runs else "yellow")
    if subject.tried:
        worked = [_change(tried) for tried in subject.tried if not tried.refusal]
        say(screen, "tried", [*(f"{'' if k else 'smallest: '}{line}" for k, line in enumerate(worked)), *_in_vain(subject.tried)])
    elif not one.verdicts[[d.name for d in plan.target.devices].index(why.device)].runs:
        say(screen, "tried", [f"nothing known would place it on {why.device}"])


def _in_vain(tried: Sequence[Trial]) -> Iterator[str]:
    """All changes that do not help in one line, by what they lack; --json has every reason."""
    lacks: dict[str, list[str]] = {}
    for one in tried:
        if one.refusal:
            change = one.change
            name = change.rule or change.text
            lacks.setdefault(_lack(change.rule, one.refusal), []).append(name)
    if lacks:
        said = [f"{', '.join(names)}{f' ({lack})' if lack else ''}" for lack, names in lacks.items()]
        yield f"tried without success: {'; '.join(said)}"


def _lack(rule: str, refusal: str) -> str:
    """What an approximation needs and the device has not, from the reason against it: "needs Tanh"; "" for other reasons."""
    found = re.search(rf"{re.escape(rule)}\w*: it needs ([^,]+)," if rule else r"$^", refusal)
    return f"needs {found[1]}" if found else ""


def _gathered(reasons: Iterable[str]) -> Iterator[str]:
    """Rewrites that fail alike in one line: "tanh, relu_tanh: this form …"."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        name, _, text = reason.partition(": ")
        alike.setdefault(text, []).append(name)
    yield from (f"{', '.join(names)}: {text}" if text else ", ".join(names) for text, names in alike.items())


def _verdict(verdict: DeviceVerdict) -> Iterator[str]:
    if not verdict.runs:
        yield f"no: {verdict.because}"
        yield from (f"nor by a rewrite: {reason}" for reason in _gathered(verdict.more_reasons))
        return
    if verdict.native:
        yield f"native: refused, {verdict.native}"
    yield f"{'runs here' if verdict.here else 'could'}: {verdict.because}"
    if not verdict.here and verdict.cost:
        yield f"not placed: {verdict.cost.removeprefix(f'runs on {verdict.device}, but ')}"
    yield from (_flip(one, verdict.device) for one in verdict.guesses)
