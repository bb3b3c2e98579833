"""What each operator is in integers: which operands share a scale with its result, which stay in floats, which are weights and biases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...targets.operators import key_of
from ...targets.quantised.views import WEIGHTS
from ..graph.graph import Graph
from ..graph.node import Node

FIRST = frozenset({0})
MOVES = frozenset({
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Gather", "GatherElements", "GatherND", "Identity",
    "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "MaxPool", "GlobalMaxPool", "Pad", "Concat", "Resize", "ReverseSequence",
})  # fmt: skip
"""Operators whose results are values of their operands, or lie between them: their result has the scale of the operand."""
FIXED: Mapping[str, tuple[float, float]] = {"Softmax": (0.0, 1.0), "Sigmoid": (0.0, 1.0), "HardSigmoid": (0.0, 1.0), "Tanh": (-1.0, 1.0)}
"""Results in a known interval, whose end is not reached: its steps are powers of two, as integer kernels have them."""
FLOAT_OPERANDS: Mapping[str, frozenset[int]] = {
    "Resize": frozenset({1, 2}), "Clip": frozenset({1, 2}), "Pad": frozenset({2}),
}  # fmt: skip
"""Operands that are attributes in the form of tensors."""
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
BIASES: Mapping[str, int] = {"Conv": 2, "ConvTranspose": 2, "Gemm": 2}
"""The operand that is added to sums of products: int32 with the product of their scales."""
SCALED: Mapping[str, int] = {"LayerNormalization": 1, "RMSNormalization": 1, "InstanceNormalization": 1}
"""The constant that a normalised tensor is multiplied by: a weight of one scale."""
NEVER = frozenset({
    "If", "Loop", "Scan", "Cast", "CastLike", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Constant", "Shape", "LSTM",
    "GRU", "RNN", "Dropout", "NonMaxSuppression", "TopK", "ArgMax", "ArgMin", "IsNaN", "IsInf", "Attention", "Einsum",
})  # fmt: skip
"""Operators that have no integer form, or more than one step inside that would need a scale of its own."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Of one node, by index of its inputs; only floats."""

    moved: tuple[int, ...]
    """They share the scale of the results; the whole operator is exact in any scale."""
    weights: tuple[int, ...]
    """Constants in the dtype of weights."""
    bias: int | None
    others: tuple[int, ...]
    """Activations, and constants beside them."""


def operands_of(graph: Graph, node: Node) -> Operands:
    """What its float operands are."""
    floats = tuple(
        k
        for k, name in enumerate(node.inputs)
        if name and graph.tensor(name).dtype == "fp32" and k not in FLOAT_OPERANDS.get(node.operator, ())
    )
    if moves(graph, node):
        return Operands(floats if node.operator == "Concat" else tuple(k for k in floats if k == 0), (), None, ())
    weights = tuple(k for k in weight_operands(graph, node) if k in floats)
    bias = BIASES.get(node.operator)
    bias = bias if bias in floats and _adds_plainly(graph, node, bias) else None
    return Operands((), weights, bias, tuple(k for k in floats if k not in weights and k != bias))


def leaves_floats(graph: Graph, node: Node) -> bool:
    """Whether onnxruntime's CPU computes the product in integers and writes it in floats, which spares a rounding: MatMulIntegerToFloat,
    and QGemm with its bias in int32. Not where an Add of a constant follows: it first joins the two to a Gemm whose bias is in floats."""
    if node.kind == "Gemm":
        bias = node.inputs[BIASES["Gemm"]] if len(node.inputs) > BIASES["Gemm"] else ""
        return not bias or _adds_plainly(graph, node, BIASES["Gemm"])
    adds = (user for name in node.writes for user in graph.users(name) if user.kind == "Add")
    return node.kind == "MatMul" and not any(name in graph.constants for user in adds for name in user.inputs)


def moves(graph: Graph, node: Node) -> bool:
    """Whether its results are values of its operands."""
    if node.domain or node.operator not in MOVES:
        return False
    return node.operator != "Resize" or graph.attribute(node, "mode") != "cubic"


def weight_operands(graph: Graph, node: Node) -> tuple[int, ...]:
    """The inputs that are constant weights; the last operand of MatMul and Gemm, the second of convolutions, both of recurrent cells."""
    if node.operator in SCALED:
        return tuple(k for k in (SCALED[node.operator],) if k < len(node.inputs) and node.inputs[k] in graph.constants)
    if key_of(node.domain, node.operator) not in WEIGHTS:
        return ()
    if node.operator in RECURRENT:
        return tuple(k for k in (1, 2) if node.inputs[k] in graph.constants)
    index = 0 if node.operator == "Gather" else 1
    return (index,) if index < len(node.inputs) and node.inputs[index] in graph.constants else ()


def channel_axis(graph: Graph, node: Node, index: int) -> int | None:
    """The axis of output channels of a weight; None where one scale serves all."""
    shape = graph.tensor(node.inputs[index]).shape or ()
    match node.operator:
        case "Conv":
            return 0
        case "LSTM" | "GRU" | "RNN":
            return 1
        case "ConvTranspose":
            return 1 if graph.attribute(node, "group") in (None, 1) else None
        case "Gemm":
            return 0 if graph.attribute(node, "transB") == 1 else 1
        case "MatMul" | "FusedMatMul":
            return len(shape) - 1 if len(shape) >= 2 else None
        case _:
            return None


def inner_axis(graph: Graph, node: Node, index: int) -> int | None:
    """The axis of a matrix of weights that sums run over, along which blocks lie; None where there is none."""
    channel, rank = channel_axis(graph, node, index), len(graph.tensor(node.inputs[index]).shape or ())
    if node.operator not in ("Gemm", "MatMul") or channel is None or rank < 2:
        return None
    return rank - 2 if channel == rank - 1 else channel + 1


def _adds_plainly(graph: Graph, node: Node, bias: int) -> bool:
    """Whether the bias is a constant vector that is added as it is, to products of a constant weight."""
    value = graph.tensor(node.inputs[bias])
    plain = all(graph.attribute(node, name) in (None, 1, 1.0) for name in ("alpha", "beta")) if node.operator == "Gemm" else True
    return plain and value.const and value.shape is not None and len(value.shape) == 1 and node.inputs[1] in graph.constants
