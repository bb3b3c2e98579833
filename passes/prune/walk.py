"""A graph is walked over once, from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Mapping

from ..graph.graph import Graph
from ..graph.node import Node
from .cells import Axes
from .channelwise import elementwise, first_operand
from .contractions import Results
from .spread import Signature, Spread
from .table import RULES
from .words import called


def walk(graph: Graph, turns: Mapping[Signature, int] | None = None) -> Spread:
    """What hangs together. An operator that the table does not know fixes all that it reads."""
    spread = Spread(graph, dict(turns or {}))
    for node in graph.nodes:
        _step(spread, node)
    for name in graph.outputs:
        _fix(spread, name, f"'{name}' is an output of the model")
    return spread


def _step(spread: Spread, node: Node) -> None:
    found = _results(spread, node)
    if found is None:
        for name in node.reads:
            _fix(spread, name, called(node))
    for place, name in enumerate(node.outputs):
        axes = found[place] if found is not None and place < len(found) else None
        spread.axes[name] = _checked(spread, name, axes, called(node))


def _results(spread: Spread, node: Node) -> Results:
    rule = RULES.get(node.kind)
    if rule is None or node.captures or not node.inputs:
        return None
    data = len(node.inputs) if rule.data is None else rule.data
    operands: list[Axes] = []
    for name in node.inputs[:data]:
        axes = spread.of(name) if name else ()
        if axes is None:
            return None
        operands.append(axes)
    for name in node.inputs[data:]:
        _fix(spread, name, called(node))
    if not operands[0] and rule.spread not in (elementwise, first_operand):
        return None  # a scalar, which has no axis to look at
    return rule.spread(spread, node, operands)


def _checked(spread: Spread, name: str, axes: Axes | None, why: str) -> Axes | None:
    """Axes that are not those of the tensor's known shape are fixed."""
    shape = spread.graph.tensor(name).shape
    fits = axes is not None and shape is not None and len(axes) == len(shape)
    if fits and axes is not None and all(a is None or len(a) == extent for a, extent in zip(axes, shape or (), strict=True)):
        return axes
    spread.fix(axes or (), why)
    return spread.unmoved(name, why)


def _fix(spread: Spread, name: str, why: str) -> None:
    axes = spread.of(name) if name else None
    if axes is not None:
        spread.fix(axes, why)
