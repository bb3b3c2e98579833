"""How a QuantizeLinear or DequantizeLinear of a graph quantises."""

from __future__ import annotations

from ...targets.quantised.scales import Scales
from ..graph.graph import Graph
from ..graph.node import Node


def scales_of(graph: Graph, node: Node) -> Scales:
    """Of the integers that it reads or writes. Its operands: data, scale, zero point (0 where left out)."""
    data, sizes = graph.tensor(node.inputs[0]), graph.tensor(node.inputs[1])
    axis, block = node.attribute("axis"), node.attribute("block_size")
    elements = block if isinstance(block, int) else 0
    number = axis if isinstance(axis, int) else 1
    number += len(data.shape) if number < 0 and data.shape is not None else 0
    scale = graph.value(node.inputs[1])
    return Scales(
        axis=None if sizes.elements == 1 and not elements else number,
        block=elements,
        zero_points=_zero_points(graph, node.inputs[2] if len(node.inputs) > 2 else ""),
        scale=None if scale is None or scale.size == 0 else (float(scale.min()), float(scale.max())),
    )


def _zero_points(graph: Graph, name: str) -> tuple[int, ...] | None:
    """The different values there are, ascending; None where they are not constant."""
    if not name:
        return (0,)
    value = graph.value(name)
    return None if value is None or value.size == 0 else tuple(sorted({int(one) for one in value.ravel()}))
