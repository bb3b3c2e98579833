"""What `autoglmc.why` returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..quantities import time

MOST_SHOWN = 12
"""Rows of a repr."""
WIDEST = 110
"""Characters of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyChange:
    """The smallest change after which the device takes the operators. It was tried, not guessed."""

    text: str
    """What to write or do: a line of the target, a flag, a change of the model."""
    where: str
    """The line of the target that it goes to; "" for others."""
    refusal: str
    """Why the operators do not get there all the same; "" where they do."""
    gain: float | None
    """Seconds that a run becomes faster by; None where the model was not placed anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyGroup:
    """Operators of one kind that are not on the device for one reason."""

    operator: str
    """Conv, MatMul …"""
    runs_on: str
    """The device that has them; "" for none."""
    kind: str
    """refused: the device does not run them. elsewhere: it does, and another one is cheaper. unplaceable: no device runs them."""
    reason: str
    """The condition that fails, or what the device would cost more."""
    nodes: tuple[str, ...]
    """Their names."""
    seconds: float
    """Predicted for one run, of all of them."""
    change: WhyChange | None
    """None where nothing helps, or nothing need change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyDevice:
    """What one device says of the operators asked about."""

    device: str
    """Its name."""
    here: bool
    """Whether they run there."""
    runs: bool
    """Whether they could."""
    because: str
    """The line of the target that takes them and what its condition saw, or the first reason against it."""
    seconds: float | None
    """Predicted there; None where the device does not run them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNode:
    """Operators asked about of which every device says the same."""

    operator: str
    """Conv, MatMul …"""
    nodes: tuple[str, ...]
    """Their names."""
    devices: tuple[WhyDevice, ...]
    """One for each device of the target, in its order."""
    changes: tuple[WhyChange, ...]
    """What would let the preferred device run them; empty where it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyWay:
    """A way to write a step of a decoder."""

    name: str
    """extended: attention writes new rows into the caches itself. appended: new rows go out, and the session puts them behind the others.
    placed: the same, where rows are put at their places before anything reads the caches."""
    taken: bool
    """Whether `compile` would take it: it is the fastest."""
    seconds: float | None
    """Predicted for one run; None where there is no plan."""
    reason: str
    """Why it has no plan; "" where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyReport:
    """What `why` found: of one model as it is compiled, or, where `entries` has any, of each entry."""

    model: str
    """The path, or the name of a model in memory."""
    target: str
    """Its name."""
    device: str
    """The device explained."""
    entries: Mapping[str, WhyReport]
    """Of several entries, one report for each that has what was asked for, by name; then what stands below is about all together."""
    tokens: int | None
    """That a run takes, of a step of a decoder."""
    ways: tuple[WhyWay, ...]
    """To write a step of a decoder; empty for anything else."""
    shown: str
    """The way that the report is about: the one taken, unless only another one has the node that was asked about; "" for anything else."""
    assumed_shapes: str
    """The sizes assumed for dims without one, as `--shape` takes them; "" where there were none."""
    operators: Mapping[str, int]
    """How many run on each device."""
    seconds: float | None
    """Predicted for one run; None where there is no plan."""
    groups: tuple[WhyGroup, ...]
    """Operators that are not on the device, those with most time first; empty where a node was asked about."""
    nodes: tuple[WhyNode, ...]
    """What was asked about; empty without `node`."""
    facts: Mapping[str, Any]
    """All of it, as `why --json` prints it."""

    def __repr__(self) -> str:
        if self.entries:
            rows = [f"  {name}: {_on(one.operators)}" for name, one in self.entries.items()]
            return "\n".join([f"<WhyReport {self.model!r}: {self.device} of {self.target}, {len(rows)} entries", *rows]) + ">"
        predicted = "no plan" if self.seconds is None else f"predicted {time(self.seconds)}"
        rows = [f"  {len(g.nodes)} {g.operator} on {g.runs_on or 'no device'}: {g.reason}" for g in self.groups]
        rows += [
            f"  {len(n.nodes)} {n.operator}, {d.device}{' (here)' if d.here else ''}: {d.because or 'runs it'}"
            for n in self.nodes
            for d in n.devices
        ]
        left = [f"  and {len(rows) - MOST_SHOWN} more"] if len(rows) > MOST_SHOWN else []
        shown = [row if len(row) <= WIDEST else f"{row[: WIDEST - 1]}…" for row in rows[:MOST_SHOWN]]
        return (
            "\n".join(
                [f"<WhyReport {self.model!r}: {self.device} of {self.target}, {predicted}, operators {_on(self.operators)}", *shown, *left]
            )
            + ">"
        )


def _on(operators: Mapping[str, int]) -> str:
    return ", ".join(f"{number} on {name}" for name, number in operators.items() if number)


def report_of(facts: Mapping[str, Any], model: str) -> WhyReport:
    """facts: of `explain_asked`. model: what stands for it."""
    return _several(facts, model) if "entries" in facts else _one(facts, model)


def _several(facts: Mapping[str, Any], model: str) -> WhyReport:
    entries = {name: _one(one, one["model"]) for name, one in facts["entries"].items()}
    operators: Counter[str] = Counter()
    for one in entries.values():
        operators.update(one.operators)
    return WhyReport(
        model=model,
        target=facts["target"],
        device=next(iter(entries.values())).device,
        entries=entries,
        tokens=None,
        ways=(),
        shown="",
        assumed_shapes="",
        operators=dict(operators),
        seconds=None,
        groups=(),
        nodes=(),
        facts=facts,
    )


def _one(facts: Mapping[str, Any], model: str) -> WhyReport:
    return WhyReport(
        model=model,
        target=facts["target"],
        device=facts["device"],
        entries={},
        tokens=facts.get("tokens"),
        ways=tuple(_way(way) for way in facts.get("ways", ())),
        shown=facts.get("shown") or "",
        assumed_shapes=facts["assumed_shapes"] or "",
        operators=facts["plan"]["on"],
        seconds=facts["plan"]["latency"],
        groups=tuple(_group(row) for row in facts.get("groups", ())),
        nodes=tuple(_node(row) for row in facts.get("subjects", ())),
        facts=facts,
    )


def _way(row: Mapping[str, Any]) -> WhyWay:
    return WhyWay(name=row["name"], taken=row["taken"], seconds=row["seconds"], reason=row["reason"])


def _group(row: Mapping[str, Any]) -> WhyGroup:
    return WhyGroup(
        operator=row["operator"],
        runs_on=row["runs_on"] or "",
        kind=row["kind"],
        reason=row["reason"],
        nodes=tuple(row["nodes"]),
        seconds=row["seconds"],
        change=None if row["change"] is None else _change(row["change"]),
    )


def _node(row: Mapping[str, Any]) -> WhyNode:
    devices = (
        WhyDevice(device=d["device"], here=d["here"], runs=d["runs"], because=d["because"], seconds=d["seconds"]) for d in row["devices"]
    )
    return WhyNode(
        operator=row["operator"], nodes=tuple(row["nodes"]), devices=tuple(devices), changes=tuple(_change(one) for one in row["changes"])
    )


def _change(tried: Mapping[str, Any]) -> WhyChange:
    return WhyChange(text=tried["text"], where=tried["where"] or "", refusal=tried["refusal"] or "", gain=tried.get("gain"))
