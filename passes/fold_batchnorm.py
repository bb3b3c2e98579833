"""Folds per-channel affine maps into the linear operator before them, in float64, cast back once.

BatchNormalization(y) = s·y + t    with  s = scale/√(var + ε),  t = bias - mean·s
s·Conv(x; W, b) + t   = Conv(x; s·W, s·b + t)         the same for ConvTranspose and Gemm
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .graph import Graph, Node
from .rewrite import Bindings, Contract, Replacement, Rewrite

LINEAR = ("Conv", "ConvTranspose", "Gemm")


@dataclass(frozen=True, slots=True)
class Affine:
    """y -> factor·y + offset over channels; float64, one-dimensional."""

    factor: np.ndarray
    offset: np.ndarray


def behind(graph: Graph, tensor: str) -> str:
    """The tensor behind Identity nodes (exporters share weights through them)."""
    for _ in range(16):
        node = graph.producer(tensor)
        if node is None or node.kind != "Identity":
            break
        tensor = node.inputs[0]
    return tensor


def value(graph: Graph, node: Node, index: int) -> np.ndarray | None:
    """A constant operand as float64; None if absent or not constant."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return None
    array = graph.value(behind(graph, node.inputs[index]))
    return None if array is None else array.astype(np.float64)


def match_normalisation(graph: Graph, node: Node) -> Bindings | None:
    producer = graph.producer(node.inputs[0])
    return Bindings(node, {"y": node.inputs[0]}) if producer is not None and producer.kind in LINEAR else None


def normalisation(graph: Graph, node: Node) -> Affine | str:
    """The map a BatchNormalization stands for, or why it stands for none."""
    training, spatial = graph.attribute(node, "training_mode"), graph.attribute(node, "spatial")
    if training or spatial == 0 or any(graph.uses(name) for name in node.writes[1:]):
        return "the normalisation is in training mode or not per channel"
    scale, bias, mean, var = (value(graph, node, k) for k in range(1, 5))
    if scale is None or bias is None or mean is None or var is None:
        return "the normalisation's parameters are not constant"
    epsilon = graph.attribute(node, "epsilon")
    factor = scale / np.sqrt(var + (epsilon if isinstance(epsilon, float) else 1e-5))
    return Affine(factor, bias - mean * factor)


def unless(graph: Graph, found: Bindings) -> str | None:
    affine = normalisation(graph, found.root)
    folded = affine if isinstance(affine, str) else fold(graph, found["y"], affine)
    return folded if isinstance(folded, str) else None


def build(graph: Graph, found: Bindings) -> Replacement:
    affine = normalisation(graph, found.root)
    folded = affine if isinstance(affine, str) else fold(graph, found["y"], affine)
    linear = graph.producer(found["y"])
    assert linear is not None and not isinstance(folded, str), "unless() has checked"
    weights, offset = (graph.constant(array, f"{found.root.outputs[0]}_{name}") for array, name in zip(folded, "wb", strict=True))
    node = graph.node(linear.operator, [linear.inputs[0], weights, offset], hint=found.root.outputs[0])
    node.attributes = dict(linear.attributes)
    return Replacement((node,), {found.root.outputs[0]: node.outputs[0]})


def fold(graph: Graph, tensor: str, affine: Affine) -> tuple[np.ndarray, np.ndarray] | str:
    """Weights and bias of the linear operator that writes `tensor`, with the map applied; or why not."""
    linear = graph.producer(tensor)
    if linear is None or linear.kind not in LINEAR:
        return f"{tensor} is not written by {', '.join(LINEAR)}"
    if graph.uses(tensor) != 1:
        return f"{tensor} is used elsewhere too"
    weights = value(graph, linear, 1)
    given = len(linear.inputs) > 2 and linear.inputs[2] != ""
    bias = value(graph, linear, 2) if given else np.zeros(())
    if weights is None or bias is None:
        return f"the weights of {linear.name or tensor} are not constant"
    axis, channels = _channel(graph, linear, weights)
    if affine.factor.size not in (1, channels) or bias.size not in (1, channels):
        return f"the channels do not agree: {channels} and {affine.factor.size}"
    beta = graph.attribute(linear, "beta") if linear.operator == "Gemm" and given else 1.0
    if not isinstance(beta, float) or beta == 0.0:
        return f"beta of {linear.name or tensor} is {beta}"
    factor, offset = np.broadcast_to(affine.factor.ravel(), channels), np.broadcast_to(affine.offset.ravel(), channels)
    folded = _scaled(linear, weights, factor, axis, int(graph.attribute(linear, "group") or 1) if linear.operator != "Gemm" else 1)
    shifted = (np.broadcast_to(bias.ravel(), channels) * beta * factor + offset) / beta
    kind = graph.value(behind(graph, linear.inputs[1]))
    assert kind is not None
    with np.errstate(over="ignore"):
        result = folded.astype(kind.dtype), shifted.astype(kind.dtype)
    if not all(bool(np.isfinite(array.astype(np.float64)).all()) for array in result):
        return f"the folded weights overflow {kind.dtype}"
    return result


def _channel(graph: Graph, linear: Node, weights: np.ndarray) -> tuple[int, int]:
    """The weights' axis of output channels, and their number."""
    if linear.operator == "ConvTranspose":
        group = graph.attribute(linear, "group")
        return 1, weights.shape[1] * (group if isinstance(group, int) else 1)
    if linear.operator == "Gemm" and not graph.attribute(linear, "transB"):
        return 1, weights.shape[1]
    return 0, weights.shape[0]


def _scaled(linear: Node, weights: np.ndarray, factor: np.ndarray, axis: int, group: int) -> np.ndarray:
    if linear.operator != "ConvTranspose":
        return weights * factor.reshape([-1 if k == axis else 1 for k in range(weights.ndim)])
    split = weights.reshape(group, weights.shape[0] // group, *weights.shape[1:])
    return (split * factor.reshape(group, 1, -1, *[1] * (weights.ndim - 2))).reshape(weights.shape)


FOLD_BATCHNORM = Rewrite(
    name="fold_batchnorm",
    summary="BatchNormalization(Conv(x; W, b)) -> Conv(x; s·W, s·b + t)",
    operators=("BatchNormalization",),
    emits=LINEAR,
    contract=Contract("reassociates"),
    match=match_normalisation,
    unless=unless,
    build=build,
)
