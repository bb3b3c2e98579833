"""A change that `why` tried, in words: what to write, and what it would bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console

from ...quantities import count, time
from ..layout import say

BRIEFLY = ("rewrite", "constant")
"""Kinds of change whose note the table has room for; the others' is shown where one node is asked about."""
CLAIM = "rule"
"""The kind whose note is a claim about the hardware, which is printed once for all of them."""
Facts = Mapping[str, Any]


def describe_change(change: Facts, brief: bool = False) -> str:
    """`rewrite Gelu -> relu_tanh tol 3e-4;` (a16.hw:40): saves 20 us …"""
    where = f" ({change['where']})" if change["where"] else ""
    noted = change["note"] and change["kind"] != CLAIM and (not brief or change["kind"] in BRIEFLY)
    note = f"; {change['note']}" if noted else ""
    return f"{change['text']}{where}: {outcome(change, 'it fits; gain not computed')}{note}"


def outcome(change: Facts, unplanned: str) -> str:
    """What the change came to; `unplanned` where the model was not planned again with it."""
    if change["refusal"]:
        return f"still refused: {change['refusal']}"
    if not change["planned"]:
        return unplanned
    before, after, gain = change["before"], change["after"], change["gain"]
    if after is None:
        return "not enough for a plan: another operator still has no device"
    if before is None:
        return f"then there is a plan, {time(after)}"
    if not gain:
        return "no gain" if change["placed"] else "no gain, it would stay where it is"
    cut = f"{_counts(change['segments'], 'segment')}, {_counts(change['handoffs'], 'handoff')}"
    return f"saves {time(gain)} ({gain / before * 100:.1f} %): {time(before)} -> {time(after)}, {cut}"


def _counts(numbers: tuple[int, int], noun: str) -> str:
    """Before and after: 7 -> 2 segments."""
    before, after = numbers
    return count(after, noun) if before == after else f"{before} -> {count(after, noun)}"


def print_claims(screen: Console, changes: Iterable[Facts]) -> None:
    """What a proposed line of an operator table rests on."""
    if any(change["kind"] == CLAIM for change in changes):
        claim = "a changed line of the table is a claim: write it only if the device and its runtime really do that"
        say(screen, "note", [claim], style="dim")
