"""A change of target or model that is tried, and what every kind of it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...passes.graph.graph import Graph
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView
from ..pipeline.work import Work
from ..plan.plan_model import rules_for

ChangeKind = Literal["rewrite", "dtype", "shape", "constant", "rule"]
SMALLEST_FIRST: tuple[ChangeKind, ...] = ("rewrite", "dtype", "shape", "constant", "rule")
Apply = Callable[[Work, Sequence[str]], "tuple[Work, tuple[str, ...]] | None"]
"""Of a work that may be edited, and the first output of each operator: the changed work and where those operators' results now come
from; None where the change cannot be made."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, ready to be applied to a copy of the work."""

    kind: ChangeKind
    text: str
    """What to write or do: "rewrite Gelu -> relu_tanh tol 3e-4;"."""
    where: str
    """The file and line it belongs to, "" for the model."""
    note: str
    """What it rests on: an error bound, a line that would go, a claim about the hardware."""
    apply: Apply
    rule: str = ""
    """The rule that a rewrite line names."""


def views_of(graph: Graph, tensors: Sequence[str]) -> list[OperatorView]:
    """What the operators look like that write these tensors."""
    return [graph.view(node) for node in map(graph.producer, tensors) if node is not None]


def with_target(work: Work, target: Target) -> Work:
    """The same work for an amended target, with the rules that its lines name."""
    substitutes, families = rules_for(target, work.without)
    return replace(work, target=target, substitutes=substitutes, families=families, question=None, placement=None)


def with_device(target: Target, device: Device) -> Target:
    """The target with its device of that name replaced."""
    return replace(target, devices=tuple(device if other.name == device.name else other for other in target.devices))
