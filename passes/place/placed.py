"""What the placement decided, in terms of the graph: which operator runs where and how, and the parts that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ...targets.model import Target
from ...targets.operator_view import OperatorView
from ..graph.graph import Graph
from ..graph.node import Node
from ..solve.limits.conflict import Conflict
from ..solve.price import Price
from ..solve.problem import Problem
from ..solve.solve import Solution
from .candidates import Answer, Implementation, Refusal
from .computed_once import once_in, weights_of, with_constants
from .unlimited import Unlimited


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """An operator that no device runs, with each device's reasons."""

    node: str
    operator: str
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class DeviceAnswers:
    """Every operator of a graph, and how every device of a target would run it or why it cannot."""

    graph: Graph
    target: Target
    nodes: tuple[Node, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """Per node and device (in the target's order)."""
    compiled: Mapping[tuple[int, int], float] = field(default_factory=dict, kw_only=True)
    """Seconds of a node on a device, by their numbers, as the device's own compiler estimates them; the target's rates hold where there is
    nothing."""

    @cached_property
    def number(self) -> dict[int, int]:
        """Of every node, by its id()."""
        return {id(node): k for k, node in enumerate(self.nodes)}

    @cached_property
    def computed_once(self) -> frozenset[str]:
        """Tensors that a runtime computes when it loads the graph."""
        return once_in(self.graph)

    def view(self, node: Node) -> OperatorView:
        """The operator as it is priced."""
        return with_constants(self.graph.view(node), self.computed_once)

    @cached_property
    def weights(self) -> float:
        """Bytes of constants that a run reads, as prices ask for them: `weights_of`."""
        return weights_of(self.graph, self.target, self.computed_once)

    @cached_property
    def unplaceable(self) -> tuple[Unplaceable, ...]:
        """The operators that no device runs."""
        return tuple(
            Unplaceable(node.name or node.writes[0], node.kind, tuple(a for a in row if isinstance(a, Refusal)))
            for node, row in zip(self.nodes, self.answers, strict=True)
            if all(isinstance(a, Refusal) for a in row)
        )


@dataclass(frozen=True)
class Question(DeviceAnswers):
    """The placement problem of a graph on a target, and what its numbers stand for."""

    units: tuple[tuple[int, ...], ...]
    """Node numbers per unit of `problem`."""
    problem: Problem
    saved: tuple[tuple[float, ...], ...] = ()
    """Seconds that `problem` has taken off per unit and device for memories besides the device's own; () for none."""
    share: float = 1.0
    """Of those memories, what `saved` counts on."""

    def saved_by(self, units: Iterable[int], device: int) -> float:
        return sum(self.saved[unit][device] for unit in units) if self.saved else 0.0


@dataclass(frozen=True)
class Placement:
    """Where every operator runs and how, in segments; with the plans it was compared to."""

    question: Question
    solution: Solution
    greedy: Price | None
    all_host: Price | None
    unlimited: Unlimited | None = None
    """The best plan without limits, where it breaks one: what they forced."""
    conflict: Conflict | None = None
    """Where no plan keeps the limits: which of them contradict each other. The placement then is the one that breaks them least."""

    @cached_property
    def devices(self) -> tuple[int, ...]:
        """The number of its device, per node of the question."""
        found = {k: device for members, device in zip(self.question.units, self.solution.assignment, strict=True) for k in members}
        return tuple(found[k] for k in range(len(self.question.nodes)))

    @cached_property
    def seconds(self) -> tuple[float, ...]:
        """Per node, its share of its unit's time on its device, kernels and launches included."""
        question, found = self.question, [0.0] * len(self.question.nodes)
        for unit, members, device in zip(question.problem.units, question.units, self.solution.assignment, strict=True):
            alone = [self.choice(k).alone(question.target.devices[device]) for k in members]
            scale = (unit.seconds[device] or 0.0) / sum(alone) if sum(alone) else 0.0
            for k, seconds in zip(members, alone, strict=True):
                found[k] = seconds * scale
        return tuple(found)

    @cached_property
    def handoffs(self) -> int:
        """Tensors handed from one device to another, counted once per receiving device."""
        problem, assignment = self.question.problem, self.solution.assignment
        crossing = 0
        for net in problem.nets:
            source = problem.host if net.producer < 0 else assignment[net.producer]
            crossing += len(({assignment[c] for c in net.consumers} | ({problem.host} if net.to_host else set())) - {source})
        return crossing

    def choice(self, node: int) -> Implementation:
        """How node number `node` is implemented."""
        answer = self.question.answers[node][self.devices[node]]
        assert isinstance(answer, Implementation)
        return answer


@dataclass(frozen=True, slots=True)
class Site:
    """One operator that was rewritten for its device."""

    node: str
    operator: str
    tensor: str
    implementation: Implementation
    contract: str
    range: tuple[float, float] | None = None
    """Inputs for which the rule's bound is claimed; None for all."""
    several: bool = False
    """Whether several operators were replaced, of which `operator` is the last."""
    made: tuple[str, ...] = ()
    """First outputs of the operators it became."""


@dataclass(frozen=True, slots=True)
class Part:
    """The nodes of one segment, in topological order, before the segment is written as a model."""

    device: str
    nodes: tuple[Node, ...]
    seconds: float
    """Predicted, dispatch included."""
    dtypes: tuple[str, ...]
    """Dtypes the device computes in, most frequent first."""
    in_integers: frozenset[str] = frozenset()
    """What the QuantizeLinear at the end of a quantised unit writes, where the device computes the unit in integers."""
    saved: float = 0.0
    """What the placement expected memories besides the device's own to save; it is taken off `seconds`."""
