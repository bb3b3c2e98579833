"""One point of a sweep: a model, a target, its settings, and what the plan comes to. Plain data, which crosses processes and disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..plan.limits import holds
from .outcome import Outcome, limit_name

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Fields are the columns of the results; numbers are SI."""

    model: str
    """As it was given."""
    sha256: str
    """Of the model and its external data; "" where it cannot be read."""
    target: str
    """Its name; as it was given where it cannot be read."""
    digest: str
    """Of the target without settings."""
    version: str
    """Of autoglmc, with a digest of its code: what a cost model says, it says as of then."""
    effort: float
    objective: str
    shapes: str
    """Sizes of dynamic dims, as `--shape` takes them."""
    settings: Mapping[str, float] = field(default_factory=dict)
    """By path, in SI."""
    latency: float | None = None
    half_width: float | None = None
    """Share of the latency by which it may be off, nine times in ten; None where the target is not calibrated for the model."""
    outside: float | None = None
    """Share of the latency that is outside what was measured; None where no device in use is calibrated."""
    energy: float | None = None
    memory: int | None = None
    memories: Mapping[str, int] = field(default_factory=dict)
    segments: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    handoffs: int | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    """What is left below each limit that is predicted (above it, for one on the least), by name; below 0 where it is broken."""
    unproven: str = ""
    """Names of the limits that are kept and that the prediction does not prove: "latency, energy"."""
    kept: bool | None = None
    """Whether all limits hold that are predicted; None with an error."""
    plan: str = ""
    """Equal for equal plans of one model."""
    problem: str = ""
    """Why no plan keeps the limits."""
    error: str = ""
    """Why there is no result: the model, the target or a setting is refused, or the process ended."""

    @property
    def key(self) -> Key:
        """What a second run recognises it by."""
        model = self.sha256 or f"unread {self.model}"
        target = self.digest or f"unread {self.target}"
        return model, target, self.version, self.effort, self.objective, self.shapes, frozenset(self.settings.items())

    @property
    def broken(self) -> tuple[str, ...]:
        return tuple(name for name, margin in self.margins.items() if margin < 0)

    @property
    def identity(self) -> str:
        """Of the plan and of the limits that it breaks; "" with an error, which is no plan."""
        return "" if self.error else " ".join((self.plan or self.problem, *self.broken))

    def as_json(self) -> dict[str, Any]:
        """Every field by its name; null for what is not there."""
        empty = {"error", "problem", "unproven", "plan", "sha256", "digest"}
        facts: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            facts[name] = dict(value) if isinstance(value, Mapping) else (value or None) if name in empty else value
        return facts


def results_of(outcome: Outcome) -> dict[str, Any]:
    """The fields of a row that a plan gives; names sorted, as they are in a file."""
    return {
        "latency": outcome.latency,
        "half_width": None if outcome.confidence is None else outcome.confidence.half_width,
        "outside": None if outcome.confidence is None else outcome.confidence.outside,
        "energy": outcome.energy,
        "memory": outcome.memory,
        "memories": dict(sorted(outcome.memories.items())),
        "segments": dict(sorted(outcome.segments.items())),
        "operators": dict(sorted(outcome.operators.items())),
        "handoffs": outcome.handoffs if outcome.plan else None,
        "margins": dict(sorted((limit_name(one), one.margin) for one in outcome.limits if one.margin is not None)),
        "unproven": ", ".join(limit_name(one) for one in outcome.limits if one.unproven and holds(one)),
        "kept": not outcome.problem,
        "plan": outcome.plan,
        "problem": outcome.problem,
    }
