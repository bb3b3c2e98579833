"""The part of `autoglmc why` about one node or operator: what every device says of it, and every change that was tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from ...quantities import time
from ..layout import LABEL, say, short
from ..printable import printable
from ..quote import SourceLines
from .change import describe_change, print_claims

MOST_NODES = 3
MOST_TRACED = 8
Facts = Mapping[str, Any]


def print_operators(screen: Console, facts: Facts, source: SourceLines, verbose: bool) -> None:
    """How the name was followed to operators of the plan, then every group of operators of which all devices say the same."""
    traced = facts["traces"]
    if traced:
        most = len(traced) if verbose else MOST_TRACED
        more = [f"and {len(traced) - most} more (-v)"] if len(traced) > most else []
        say(screen, "trace", [*traced[:most], *more])
    for subject in facts["subjects"]:
        screen.print()
        _print_operator(screen, facts["device"], subject, source, verbose)
    print_claims(screen, [change for subject in facts["subjects"] for change in subject["changes"]])


def _print_operator(screen: Console, preferred: str, subject: Facts, source: SourceLines, verbose: bool) -> None:
    say(screen, "operator", [_names(subject, verbose)])
    if subject["runs_on"]:
        share = "" if subject["share"] is None else f", {subject['share'] * 100:.1f} % of the model"
        say(screen, "runs on", [f"{subject['runs_on']}, {time(subject['seconds'])}{share}"])
    for verdict in subject["devices"]:
        style = "" if verdict["runs"] else "yellow"
        say(screen, verdict["device"][: LABEL - 1], verdict_lines(verdict, verbose), style=style, source=source)
    changes = subject["changes"]
    if changes:
        say(screen, "tried", list(change_lines(changes, verbose)), source=source)
    elif not any(verdict["runs"] for verdict in subject["devices"] if verdict["device"] == preferred):
        say(screen, "tried", [f"no known change would place it on {preferred}"])


def _names(subject: Facts, verbose: bool) -> Text:
    nodes = subject["nodes"]
    most = len(nodes) if verbose else MOST_NODES
    more = f" and {len(nodes) - most} more" if len(nodes) > most else ""
    head = Text(f"{len(nodes)} {subject['operator']}" if len(nodes) > 1 else subject["operator"], style="bold")
    return head.append(printable(f"  {', '.join(short(name) for name in nodes[:most])}{more}"), "not bold")


def change_lines(changes: Sequence[Facts], verbose: bool) -> Iterator[str]:
    """What was tried, a sentence each: changes that place the operator, the smallest first, and then those that do not."""
    worked = [describe_change(change) for change in changes if not change["refusal"]]
    yield from (f"{'' if k else 'smallest: '}{line}" for k, line in enumerate(worked))
    yield from _in_vain(changes, verbose)


def _in_vain(changes: Sequence[Facts], verbose: bool) -> Iterator[str]:
    """All changes that do not help in one line, by what they lack; in full where everything is to be printed."""
    failed = [change for change in changes if change["refusal"]]
    if verbose:
        yield from (describe_change(change) for change in failed)
        return
    lacks: dict[str, list[str]] = {}
    for change in failed:
        lacks.setdefault(_lack(change["rule"] or "", change["refusal"]), []).append(change["rule"] or change["text"])
    if lacks:
        groups = [f"{', '.join(names)}{f' ({lack})' if lack else ''}" for lack, names in lacks.items()]
        yield f"tried without success: {'; '.join(groups)}"


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


def verdict_lines(verdict: Facts, verbose: bool) -> Iterator[str]:
    """What one device says of an operator, a sentence each."""
    device = verdict["device"]
    if not verdict["runs"]:
        yield f"no: {verdict['because']}"
        reasons = verdict["more_reasons"] if verbose else _gathered(verdict["more_reasons"])
        yield from (f"nor by a rewrite: {reason}" for reason in reasons)
        return
    if verdict["native_refusal"]:
        yield f"native: refused, {verdict['native_refusal']}"
    yield f"{'runs here' if verdict['here'] else 'could'}: {verdict['because']}"
    if not verdict["here"] and verdict["cost"]:
        yield f"not placed: {verdict['cost'].removeprefix(f'runs on {device}, but ')}"
    for guess in verdict["guesses"]:
        at = f"at {guess['factor']:g} times {guess['path']} = {guess['text']} ({guess['origin']})"
        yield f"a guess decides: {at} {device} would win"
