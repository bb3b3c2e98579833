"""The operators of a compilation as they were placed: those of the model, before each device's rewrites and each runtime's spelling."""

from __future__ import annotations

from collections.abc import Sequence

from ...passes.place.placed import Placement
from ..bundle.graph import Operator


def placed_operators(placement: Placement, seconds: Sequence[float]) -> tuple[dict[int, tuple[Operator, ...]], dict[str, int | None]]:
    """The operators of every segment by its index, with the seconds predicted for each; and the bytes of their tensors.
    `seconds`: per node of the placement's question, as `operator_seconds` gives them."""
    question, found = placement.question, dict[int, tuple[Operator, ...]]()
    for index, piece in enumerate(placement.solution.price.pieces):
        members = sorted(k for unit in piece.units for k in question.units[unit])
        found[index] = tuple(_operator(placement, k, seconds[k]) for k in members)
    names = dict.fromkeys([*question.graph.inputs, *(name for node in question.nodes for name in node.writes)])
    return found, {name: question.graph.tensor(name).bytes for name in names}


def _operator(placement: Placement, k: int, seconds: float) -> Operator:
    node = placement.question.nodes[k]
    facts = {"rule": placement.choice(k).rule, "seconds": seconds}
    name = node.name or node.writes[0]
    return Operator(name=name, kind=node.kind, domain=node.domain, reads=tuple(node.reads), writes=tuple(node.writes), facts=facts)
