"""What a plan comes to, for comparing it with another one: predictions, limits, and where every operator runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import to_builtins

from ...passes.place.placed import Placement
from ..bundle.confidence_record import ConfidenceRecord
from ..bundle.manifest import LimitRecord
from ..plan.limits import holds
from ..plan.plan_model import PlannedModel


@dataclass(frozen=True, slots=True)
class Place:
    """Of one operator, as `why` names it."""

    operator: str
    device: str
    name: str
    """The node's; that of a tensor it writes where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one setting. Numbers are SI; all of them are those of a plan that breaks limits where none keeps them."""

    latency: float | None = None
    """None where there is no plan at all."""
    confidence: ConfidenceRecord | None = None
    """Of the latency; None where no device in use is calibrated."""
    energy: float | None = None
    """None too where a device in use states no power."""
    memory: int | None = None
    """Peak bytes of all working memories."""
    memories: Mapping[str, int] = field(default_factory=dict)
    """Peak bytes by memory."""
    segments: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    """Both by device, in the target's order, devices without one included."""
    handoffs: int = 0
    limits: tuple[LimitRecord, ...] = ()
    problem: str = ""
    """Why no plan keeps the limits, or why there is none; "" where one keeps them."""
    plan: str = ""
    """Equal for equal plans: which operators form which segments on which devices. "" without a plan."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """By a tensor that the operator writes."""

    @property
    def broken(self) -> tuple[str, ...]:
        """The limits that do not hold: "latency", "memory peak"."""
        return tuple(limit_name(record) for record in self.limits if not holds(record))

    @property
    def identity(self) -> str:
        """Of the plan and of what it breaks: what may change along a sweep."""
        return " ".join((self.plan or self.problem, *self.broken))


def outcome_of(planned: PlannedModel, problem: str = "") -> Outcome:
    """Of a plan; `problem` is why it may not be."""
    placement, found = planned.work.placement, planned.predicted
    assert placement is not None
    names = [device.name for device in planned.work.target.devices]
    places = dict(_places(placement))
    operators = Counter(place.device for place in places.values())
    return Outcome(
        latency=found.latency,
        confidence=planned.confidence,
        energy=found.joules,
        memory=found.memory,
        memories={name: held.total for name, held in found.held.items()},
        segments={name: found.pieces.get(name, 0) for name in names},
        operators={name: operators.get(name, 0) for name in names},
        handoffs=len(planned.compiled.handoffs),
        limits=planned.limits,
        problem=problem,
        plan=_fingerprint(planned),
        places=places,
    )


def _places(placement: Placement) -> Iterator[tuple[str, Place]]:
    names = [device.name for device in placement.question.target.devices]
    for node, device in zip(placement.question.nodes, placement.devices, strict=True):
        yield node.writes[0], Place(node.kind, names[device], node.name or node.writes[0])


def _fingerprint(planned: PlannedModel) -> str:
    said = hashlib.sha256()
    for segment in planned.compiled.segments:
        said.update(repr((segment.device, segment.part.dtypes, [(node.kind, node.writes) for node in segment.part.nodes])).encode())
    return said.hexdigest()[:16]


def limit_name(record: LimitRecord) -> str:
    return f"{record.kind} {record.subject}".strip()


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """latency, confidence, energy, memory, memories, segments, operators, handoffs, limits, kept, problem, plan."""
    return {
        "latency": outcome.latency,
        "confidence": to_builtins(outcome.confidence),
        "energy": outcome.energy,
        "memory": outcome.memory,
        "memories": dict(outcome.memories),
        "segments": dict(outcome.segments),
        "operators": dict(outcome.operators),
        "handoffs": outcome.handoffs,
        "limits": [_limit(record) for record in outcome.limits],
        "kept": not outcome.problem,
        "problem": outcome.problem or None,
        "plan": outcome.plan or None,
    }


def _limit(record: LimitRecord) -> dict[str, Any]:
    return {
        "limit": limit_name(record),
        "comparison": record.comparison,
        "allowed": record.limit,
        "text": record.text,
        "basis": record.basis,
        "value": record.value,
        "margin": record.margin,
        "holds": holds(record) if record.value is not None else None,
        "unproven": record.unproven,
    }
