"""What the trial sets reached: which input changed which outputs, which branches ran, which clips saturated; and what they did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .points import Point

SENTENCES = 50
"""How many of these sentences are reported."""
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a number of runs of the untouched model exercised."""

    runs: int
    outputs: Mapping[str, bool]
    """Whether it changed, for every output that depends on an input's values."""
    changes: Mapping[str, tuple[str, ...]]
    """The outputs that changed when nothing but this input did, for the inputs that were changed alone."""
    unprobed: tuple[str, ...]
    """Inputs that were not changed alone: there are too many, or the model took no other value."""
    possible: tuple[Point, ...]
    reached: tuple[Point, ...]

    @property
    def missed(self) -> tuple[Point, ...]:
        """Points that no run reached, those in a branch that never ran included."""
        reached = {point.key for point in self.reached}
        return tuple(point for point in self.possible if point.key not in reached)

    @property
    def exercised(self) -> float:
        """The share of outputs that changed; 1.0 where none can."""
        return sum(self.outputs.values()) / len(self.outputs) if self.outputs else 1.0

    @property
    def not_exercised(self) -> tuple[str, ...]:
        """What a difference could hide in, a sentence each; what lies in a branch that never ran counts with that branch."""
        told = [
            *(f"output {name} never changed" for name, changed in self.outputs.items() if not changed),
            *(f"input {name} changes no output" for name, outputs in self.changes.items() if not outputs),
            *(point.sentence for point in _outermost(self.missed)),
        ]
        more = len(told) - SENTENCES
        return (*told[:SENTENCES], f"and {more} more") if more > 0 else tuple(told)


def _outermost(missed: Sequence[Point]) -> list[Point]:
    """Branches first, then the rest; nothing that lies in a missed branch."""
    keys = {point.key for point in missed}
    outer = [point for point in missed if not keys.intersection(point.within)]
    return sorted(outer, key=lambda point: not point.node.startswith("If "))


@dataclass(slots=True)
class Seen:
    """What was seen so far, run by run."""

    depends: Mapping[str, frozenset[str]]
    """Per output: the inputs whose values decide it, where that is any."""
    points: tuple[Point, ...]
    runs: int = 0
    reached: set[Key] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    changes: dict[str, set[str]] = field(default_factory=dict)
    first: Mapping[str, Any] | None = None
    filled: set[str] = field(default_factory=set)
    """Outputs that had an element in some run."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Those that depend on an input's values."""
        return tuple(self.depends)

    def unmoved(self) -> list[str]:
        """Outputs with elements that were the same in every run."""
        return [name for name in self.outputs if name in self.filled and name not in self.changed]

    def new(self, outputs: Mapping[str, Any], reached: Iterable[Key]) -> bool:
        """Whether such a run shows anything that no run before did."""
        wanted = {point.key for point in self.points}
        return bool((wanted & set(reached)) - self.reached or self._moved(outputs) - self.changed)

    def add(self, outputs: Mapping[str, Any], reached: Iterable[Key]) -> None:
        """Counts a run on inputs that a comparison uses."""
        self.runs += 1
        self.reached.update(reached)
        self.changed |= self._moved(outputs)
        self.filled.update(name for name in self.outputs if getattr(outputs.get(name), "size", 1))
        self.first = self.first if self.first is not None else outputs

    def alone(self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
        """Notes which outputs changed when this input alone did, and returns all that are known by now."""
        moved = {output for output in self.outputs if differs(before.get(output), after.get(output))}
        self.changes.setdefault(name, set()).update(moved)
        return self.changes[name]

    def missing(self) -> list[Point]:
        """Points not reached, those in branches that never ran last."""
        missed = [point for point in self.possible() if point.key not in self.reached]
        return sorted(missed, key=lambda point: not self.reached.issuperset(point.within))

    def possible(self) -> tuple[Point, ...]:
        """Without what stands in a branch that no input decides and that was not taken."""
        decided = {point.key for point in self.points}
        return tuple(p for p in self.points if all(branch in decided or branch in self.reached for branch in p.within))

    def coverage(self, inputs: Sequence[str]) -> Coverage:
        """The result. inputs: those whose values reach an output."""
        possible = self.possible()
        shown = [name for name in self.outputs if name in self.filled or not self.runs]
        live = [name for name in inputs if any(name in self.depends[output] for output in shown)]
        return Coverage(
            runs=self.runs,
            outputs={name: name in self.changed for name in shown},
            changes={name: tuple(o for o in self.outputs if o in self.changes[name]) for name in live if name in self.changes},
            unprobed=tuple(name for name in live if name not in self.changes),
            possible=possible,
            reached=tuple(point for point in possible if point.key in self.reached),
        )

    def _moved(self, outputs: Mapping[str, Any]) -> set[str]:
        if self.first is None:
            return set()
        return {name for name in self.outputs if differs(self.first.get(name), outputs.get(name))}


def differs(a: Any, b: Any) -> bool:
    """Whether two results of one output differ anywhere; NaN equals NaN."""
    import numpy as np

    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) != len(b) or any(differs(x, y) for x, y in zip(a, b, strict=True))
    if a is None or b is None:
        return a is not b
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or x.dtype != y.dtype:
        return True
    return not bool(((x == y) | ((x != x) & (y != y))).all())
