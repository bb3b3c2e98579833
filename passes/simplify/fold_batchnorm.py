"""Folds per-channel affine maps into the linear operator before them, in float64, cast back once.

    BatchNormalization(y) = s·y + t    with  s = scale/√(var + ε),  t = bias - mean·s
    s·Conv(x; W, b) + t   = Conv(x; s·W, s·b + t)         the same for ConvTranspose and Gemm

Multiplication by, and addition of, one constant per channel are such maps too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

LINEAR = ("Conv", "ConvTranspose", "Gemm")
IDENTITIES = 16


@dataclass(frozen=True, slots=True)
class Affine:
    """y -> factor·y + offset over channels; float64, one-dimensional, of one element or one per channel."""

    factor: np.ndarray
    offset: np.ndarray


def behind(graph: Graph, tensor: str) -> str:
    """The tensor behind Identity nodes (exporters share weights through them)."""
    for _ in range(IDENTITIES):
        node = graph.producer(tensor)
        if node is None or node.kind != "Identity":
            break
        tensor = node.inputs[0]
    return tensor


def constant(graph: Graph, node: Node, index: int) -> np.ndarray | None:
    """A constant operand; None if absent or not constant."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return None
    return graph.value(behind(graph, node.inputs[index]))


def match_normalization(graph: Graph, node: Node) -> Bindings | None:
    return _after_linear(graph, node, 0)


def match_arithmetic(graph: Graph, node: Node) -> Bindings | None:
    """Linear operator on one side, constant on the other."""
    for index in (0, 1) if node.operator in ("Add", "Mul") else (0,):
        if len(node.inputs) == 2 and graph.tensor(behind(graph, node.inputs[1 - index])).const:
            return _after_linear(graph, node, index)
    return None


def _after_linear(graph: Graph, node: Node, index: int) -> Bindings | None:
    producer = graph.producer(node.inputs[index])
    return Bindings(node, {"y": node.inputs[index]}) if producer is not None and producer.kind in LINEAR else None


def affine(graph: Graph, found: Bindings) -> Affine | str:
    """The map that the root is, or why it is none."""
    root = found.root
    if root.operator == "BatchNormalization":
        return _normalization(graph, root)
    other = next((k for k, name in enumerate(root.inputs) if name != found["y"]), None)
    array = None if other is None else constant(graph, root, other)
    if array is None:
        return "the other operand is not constant"
    rank = len(graph.tensor(found["y"]).shape or ())
    full = (1,) * (rank - array.ndim) + array.shape
    if array.ndim > rank or rank < 2 or any(extent != 1 for k, extent in enumerate(full) if k != 1):
        return "the constant is not one value per channel"
    value = array.astype(np.float64).ravel()
    one, zero = np.ones(1), np.zeros(1)
    return {
        "Add": Affine(one, value),
        "Sub": Affine(one, -value),
        "Mul": Affine(value, zero),
        "Div": Affine(np.divide(1.0, value, where=value != 0, out=np.full_like(value, np.nan)), zero),
    }[root.operator]


def _normalization(graph: Graph, node: Node) -> Affine | str:
    training, spatial = graph.attribute(node, "training_mode"), graph.attribute(node, "spatial")
    if training or spatial == 0 or any(graph.uses(name) for name in node.writes[1:]):
        return "the normalisation is in training mode or not per channel"
    scale, bias, mean, var = (constant(graph, node, k) for k in range(1, 5))
    if scale is None or bias is None or mean is None or var is None:
        return "the normalisation's parameters are not constant"
    epsilon = graph.attribute(node, "epsilon")
    assert isinstance(epsilon, float), "it has a default"
    spread = np.sqrt(var.astype(np.float64) + epsilon)
    factor = scale.astype(np.float64) / spread
    return Affine(factor, bias.astype(np.float64) - mean.astype(np.float64) * factor)


def unless(graph: Graph, found: Bindings) -> str | None:
    linear = graph.producer(found["y"])
    assert linear is not None, "match() has seen it"
    if graph.uses(found["y"]) != 1:
        return f"{found['y']} is used elsewhere too"
    weights, bias = constant(graph, linear, 1), constant(graph, linear, 2)
    if weights is None or (bias is None and len(linear.inputs) > 2 and linear.inputs[2]):
        return f"the weights of {linear.name or found['y']} are not constant"
    root = affine(graph, found)
    if isinstance(root, str):
        return root
    channels = _channels(graph, linear, weights)
    if any(array.size not in (1, channels) for array in (root.factor, root.offset, np.zeros(1) if bias is None else bias)):
        return f"the parameters do not agree with {channels} channels"
    if linear.operator == "Gemm" and bias is not None and graph.attribute(linear, "beta") == 0.0:
        return f"beta of {linear.name or found['y']} is 0"
    limit = float(np.finfo(weights.dtype).max) if weights.dtype.kind == "f" else 0.0
    largest = max(float(np.abs(root.factor).max()) * float(np.abs(weights).max(initial=0.0)), float(np.abs(root.offset).max()))
    return None if largest < limit else f"the folded weights overflow {weights.dtype}"


def build(b: Builder, found: Bindings) -> str:
    linear, root = b.graph.producer(found["y"]), affine(b.graph, found)
    assert linear is not None and isinstance(root, Affine), "unless() has checked"
    weights, bias = constant(b.graph, linear, 1), constant(b.graph, linear, 2)
    assert weights is not None
    channels = _channels(b.graph, linear, weights)
    beta = b.graph.attribute(linear, "beta") if linear.operator == "Gemm" and bias is not None else 1.0
    assert isinstance(beta, float)
    factor, offset = (np.broadcast_to(array, channels) for array in (root.factor, root.offset))
    old = np.zeros(channels) if bias is None else np.broadcast_to(bias.astype(np.float64).ravel(), channels)
    shifted = (old * beta * factor + offset) / beta
    operands = b.array(_scaled(b.graph, linear, weights, factor), name="weight"), b.array(shifted, name="bias")
    return b.like(linear, linear.inputs[0], *operands, without=("beta",) if bias is None else ())


def _channels(graph: Graph, linear: Node, weights: np.ndarray) -> int:
    """The number of output channels."""
    group = graph.attribute(linear, "group")
    if linear.operator == "ConvTranspose":
        return int(weights.shape[1]) * (group if isinstance(group, int) else 1)
    return int(weights.shape[_axis(graph, linear)])


def _axis(graph: Graph, linear: Node) -> int:
    """The axis of the weights over which output channels run."""
    return 1 if linear.operator == "Gemm" and not graph.attribute(linear, "transB") else 0


def _scaled(graph: Graph, linear: Node, weights: np.ndarray, factor: np.ndarray) -> np.ndarray:
    scaled: np.ndarray
    if linear.operator != "ConvTranspose":
        axis = _axis(graph, linear)
        scaled = np.multiply(weights, factor.reshape([-1 if k == axis else 1 for k in range(weights.ndim)]))
        return np.asarray(scaled, weights.dtype)
    group = factor.size // weights.shape[1]
    split = weights.reshape(group, weights.shape[0] // group, *weights.shape[1:])
    scaled = np.multiply(split, factor.reshape(group, 1, -1, *[1] * (weights.ndim - 2)))
    return np.asarray(scaled.reshape(weights.shape), weights.dtype)


FOLD_BATCHNORM = Rewrite(
    name="fold_batchnorm",
    summary="BatchNormalization(Conv(x; W, b)) -> Conv(x; s·W, s·b + t)",
    operators=("BatchNormalization",),
    emits=LINEAR,
    contract=Contract("reassociates"),
    match=match_normalization,
    unless=unless,
    build=build,
)
FOLD_CHANNELWISE = Rewrite(
    name="fold_channelwise",
    summary="s·Conv(x; W, b) + t -> Conv(x; s·W, s·b + t)",
    operators=("Add", "Sub", "Mul", "Div"),
    emits=LINEAR,
    contract=Contract("reassociates"),
    match=match_arithmetic,
    unless=unless,
    build=build,
)
