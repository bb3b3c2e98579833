"""What the placement decided, in terms of the graph: which operator runs where and how, and the parts that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

from ...targets.model import Target
from ..graph.graph import Graph
from ..graph.node import Node
from ..solve.problem import Price, Problem
from ..solve.solve import Solution
from .candidates import Answer, Implementation, Refusal


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """An operator that no device runs, with each device's reasons."""

    node: str
    operator: str
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """The placement problem of a graph on a target, and what its numbers stand for."""

    graph: Graph
    target: Target
    nodes: tuple[Node, ...]
    answers: tuple[tuple[Answer, ...], ...]
    """Per node and device (in the target's order)."""
    units: tuple[tuple[int, ...], ...]
    """Node numbers per unit of `problem`."""
    problem: Problem


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every operator runs and how, in segments; with the plans it was compared to."""

    question: Question
    solution: Solution
    greedy: Price | None
    all_host: Price | None

    def choice(self, node: int) -> Implementation:
        """How node number `node` is implemented."""
        unit = next(k for k, members in enumerate(self.question.units) if node in members)
        answer = self.question.answers[node][self.solution.assignment[unit]]
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
