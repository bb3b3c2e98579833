"""`autoglmc.why`: why operators are not on the device where they could be fast, and what would change that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...targets.model import Target
from ..explain.as_json import as_json
from ..explain.explain_model import TRIES, explain_model
from ..hw.load_target import load_target
from ..load.source import source_of
from ..quantities import time
from .arguments import effort_of, sizes_of

if TYPE_CHECKING:
    from ..load.bind_shapes import Shapes
    from ..load.source import Model

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
class WhyReport:
    """What `why` found."""

    model: str
    """The path, or the name of a model in memory."""
    target: str
    """Its name."""
    device: str
    """The device explained."""
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
        on = ", ".join(f"{number} on {name}" for name, number in self.operators.items() if number)
        predicted = "no plan" if self.seconds is None else f"predicted {time(self.seconds)}"
        rows = [f"  {len(g.nodes)} {g.operator} on {g.runs_on or 'no device'}: {g.reason}" for g in self.groups]
        rows += [
            f"  {len(n.nodes)} {n.operator}, {d.device}{' (here)' if d.here else ''}: {d.because or 'runs it'}"
            for n in self.nodes
            for d in n.devices
        ]
        left = [f"  and {len(rows) - MOST_SHOWN} more"] if len(rows) > MOST_SHOWN else []
        shown = [row if len(row) <= WIDEST else f"{row[: WIDEST - 1]}…" for row in rows[:MOST_SHOWN]]
        return "\n".join([f"<WhyReport {self.model!r}: {self.device} of {self.target}, {predicted}, operators {on}", *shown, *left]) + ">"


def why(
    model: Model,
    target: str | os.PathLike[str] | Target,
    node: str = "",
    *,
    shapes: Shapes | None = None,
    device: str | None = None,
    effort: float = 1.0,
    tries: int = TRIES,
) -> WhyReport:
    """Why operators of a model are not on the preferred device of a target, and the smallest change that would place them there.

    - model: a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph; it is not changed. target: as for `compile`.
    - node: the name of a node, a tensor or an operator ("Softmax"): what every device says of it.
    - shapes: as for `compile`; usual sizes are assumed for dims without one (`report.assumed_shapes`).
    - device: the device to explain, by default the accelerator with the highest sustained peak.
    - effort: as for `compile`. tries: for so many groups the gain is computed by placing the model anew.

    Raises UsageError for a device or node that is not there, ModelError and HwError as `compile` does.

    >>> report = autoglmc.why("lightnet.onnx", "tensor_g2", shapes={"batch": 1})
    >>> report.operators
    {'npu': 33, 'gpu': 0, 'cpu': 20}
    >>> group = report.groups[0]
    >>> f"{len(group.nodes)} {group.operator} on {group.runs_on}: {group.reason}"
    '4 Gelu on cpu: runs on npu, but costs 646 us more: compute +1.26 ms, dispatch -415 us, handoffs -200 us'
    """
    source, machine = source_of(model), target if isinstance(target, Target) else load_target(os.fspath(target))
    sizes, effort = sizes_of(shapes), effort_of(effort)
    facts = as_json(explain_model(source, machine, word=node, shapes=sizes, device=device, effort=effort, tries=tries))
    return WhyReport(
        model=str(source),
        target=facts["target"],
        device=facts["device"],
        assumed_shapes=facts["assumed_shapes"] or "",
        operators=facts["plan"]["on"],
        seconds=facts["plan"]["latency"],
        groups=tuple(_group(row) for row in facts.get("groups", ())),
        nodes=tuple(_node(row) for row in facts.get("subjects", ())),
        facts=facts,
    )


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
