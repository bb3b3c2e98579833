"""What is an input used for? What its numbers are compared with, and whether they end as a mask, read off where they flow."""

from __future__ import annotations

from dataclasses import dataclass, field

from .operands import PASSING
from .steps import MERGE, Flow, Step

MOVES = PASSING | {"Gather", "GatherElements", "ScatterND", MERGE}
"""Operators whose results are the first operand's elements (a MERGE's: any operand's)."""
COMPARES = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Sub", "Mod"})
LOGIC = frozenset({"And", "Or", "Xor", "Not"})
FILL = 1000.0
"""A factor or a summand as large as this closes what a mask covers: -1e4, -1e9, the lowest number of a dtype."""
FEW = 8
"""Elements of a constant beyond which it is no list of special values."""


@dataclass(slots=True)
class Use:
    """What was seen of one input."""

    compared: set[float] = field(default_factory=set)
    """Numbers that its elements are compared with."""
    chooses: bool = False
    """Whether something comes out of it that is true or false, or 1 - itself, and picks (Where) or fills (times a large number)."""
    added_to_scores: bool = False
    """Whether it is added to what a MatMul made, on the way to a Softmax."""


def uses_of(flow: Flow) -> dict[str, Use]:
    """Per input of the graph."""
    uses = {name: Use() for name in flow.inputs}
    trace = _Trace(uses)
    for step in flow.steps:
        trace.step(step, flow)
    return uses


@dataclass(slots=True)
class _Trace:
    """Where each input's own elements lie, and what was derived from them, while the steps are walked."""

    uses: dict[str, Use]
    same: dict[str, set[str]] = field(default_factory=dict)
    """Tensor -> inputs whose elements it holds."""
    logical: dict[str, set[str]] = field(default_factory=dict)
    """Tensor -> inputs that were made a truth value (or 1 - x) of."""
    scores: set[str] = field(default_factory=set)
    """Tensors that a MatMul made, perhaps scaled since."""
    biased: dict[str, set[str]] = field(default_factory=dict)
    """Scores -> inputs that were added to them."""

    def step(self, step: Step, flow: Flow) -> None:
        if not step.inputs or not step.outputs:
            return
        if not self.same:
            self.same.update({name: {name} for name in self.uses})
        out = step.outputs[0]
        sources = step.inputs if step.operator in (MERGE, "Concat") else step.inputs[:1]
        for table in (self.same, self.logical):
            found = set[str]().union(*(table.get(name, ()) for name in sources))
            if found and step.operator in MOVES:
                for name in step.outputs:
                    table.setdefault(name, set()).update(found)
        if step.operator in COMPARES:
            self._compare(step, flow)
        if step.operator in LOGIC or (step.operator == "Cast" and step.attribute("to", 0) == 9):
            every = (source for name in step.inputs for table in (self.same, self.logical) for source in table.get(name, ()))
            self.logical.setdefault(out, set()).update(every)
        self._choose(step, flow)
        self._scores(step, out)

    def _compare(self, step: Step, flow: Flow) -> None:
        for name, other in zip(step.inputs, step.inputs[::-1], strict=True):
            sources = self.same.get(name, set()) | self.logical.get(name, set())
            constant = flow.constants.get(other)
            if sources and constant is not None and constant.dtype.kind in "iuf" and constant.size <= FEW:
                for source in sources if step.operator not in ("Sub", "Mod") else ():
                    self.uses[source].compared.update(float(number) for number in constant.reshape(-1))
            if sources and step.operator != "Mod":
                self.logical.setdefault(step.outputs[0], set()).update(sources)

    def _choose(self, step: Step, flow: Flow) -> None:
        """A Where that truth picks with; a Mul by a number so large that it fills."""
        chosen: set[str] = set()
        if step.operator == "Where":
            chosen = self.logical.get(step.inputs[0], set()) | self.same.get(step.inputs[0], set())
        elif step.operator == "Mul":
            for name, other in zip(step.inputs, step.inputs[::-1], strict=True):
                constant = flow.constants.get(other)
                if constant is not None and constant.size and constant.dtype.kind == "f" and abs(constant).max() >= FILL:
                    chosen |= self.logical.get(name, set()) | self.same.get(name, set())
        for source in chosen:
            self.uses[source].chooses = True

    def _scores(self, step: Step, out: str) -> None:
        if step.operator in ("MatMul", "Einsum") or (step.operator in ("Mul", "Div", "Reshape", "Cast") and step.inputs[0] in self.scores):
            self.scores.add(out)
        if step.operator == "Add":
            for name, other in zip(step.inputs, step.inputs[::-1], strict=True):
                if other in self.scores and name in self.same:
                    self.biased.setdefault(out, set()).update(self.same[name])
        elif step.operator in ("Reshape", "Cast", "Identity", "Max"):
            if step.inputs[0] in self.biased:
                self.biased.setdefault(out, set()).update(self.biased[step.inputs[0]])
        elif step.operator == "Attention" and len(step.inputs) > 3:
            for source in self.same.get(step.inputs[3], ()):
                self.uses[source].added_to_scores = True
        elif step.operator == "Softmax":
            for source in self.biased.get(step.inputs[0], ()):
                self.uses[source].added_to_scores = True
