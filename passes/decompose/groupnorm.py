"""Group normalisation by way of InstanceNormalization, which takes each group for a channel.

GroupNormalization(x, scale, bias; G)  ->  Reshape(InstanceNormalization(Reshape(x, [N, G, -1]), 1, 0), shape of x) · scale + bias
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """With scale and bias per channel, as from opset 21 on."""
    view, groups, epsilon = graph.tensor(node.inputs[0]), graph.attribute(node, "num_groups"), graph.attribute(node, "epsilon")
    if view.shape is None or len(view.shape) < 3 or None in view.shape or view.dtype not in COMPUTED:
        return None
    if not isinstance(groups, int) or not isinstance(epsilon, float):
        return None
    if any(graph.tensor(name).shape != (view.shape[1],) for name in node.inputs[1:3]):
        return None
    return Bindings(node, {"groups": groups, "epsilon": epsilon, "shape": tuple(extent or 0 for extent in view.shape)})


def build(b: Builder, found: Bindings) -> str:
    root, shape = found.root, found.integers("shape")
    groups = int(found.number("groups"))
    one, zero = b.array(np.ones(groups)), b.array(np.zeros(groups))
    split = b.reshape(root.inputs[0], (shape[0], groups, -1))
    back = b.reshape(b.op("InstanceNormalization", split, one, zero, epsilon=found.number("epsilon")), shape)
    column = (shape[1],) + (1,) * (len(shape) - 2)
    scale, bias = (_as_column(b, name, column) for name in root.inputs[1:3])
    return b.add(b.mul(back, scale), bias)


def _as_column(b: Builder, tensor: str, shape: tuple[int, ...]) -> str:
    value = b.graph.value(tensor)
    return b.reshape(tensor, shape) if value is None else b.array(value.reshape(shape))


GROUPNORM_INSTANCE = Rewrite(
    name="groupnorm_instance",
    summary="GroupNormalization(x, scale, bias) -> Reshape(InstanceNormalization(Reshape(x)))·scale + bias",
    operators=("GroupNormalization",),
    emits=("Reshape", "InstanceNormalization", "Mul", "Add"),
    contract=Contract("reassociates"),
    match=match,
    build=build,
)
