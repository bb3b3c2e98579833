"""Quantised models for devices that compute in floats only: weights stored as floats, and rounding to the grid written as arithmetic.

DequantizeLinear(W; s, z)                      ->  the float constant (W - z)·s
DequantizeLinear(QuantizeLinear(x; s, z); s, z)  ->  Clip(Round(x / s), l - z, h - z)·s            l..h the range of the dtype

Both give what the operators give; of a zero the second may give the other sign. x is divided and rounded half to even as the
standard has it, and z, an integer, moves into the bounds.
"""

from __future__ import annotations

import numpy as np
from onnx import helper

from ...targets.dtypes import BYTES, DTYPES, ELEMENT
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def is_grid(dtype: str) -> bool:
    """Whether it is a dtype of quantised activations: 8 or 16 bits."""
    return dtype in BYTES or (dtype in DTYPES and DTYPES[dtype].bits == 16 and DTYPES[dtype].kind in ("int", "uint"))


def exact_in_fp32(stored: str, scale: str) -> bool:
    """Whether one product in fp32, rounded once to the scale's dtype, is what the standard asks for."""
    return (stored in BYTES and scale == "fp16") or ((stored == "int32" or is_grid(stored)) and scale == "fp32")


def match_weight(graph: Graph, node: Node) -> Bindings | None:
    operands = [name for name in node.inputs if name]
    if not all(name in graph.constants for name in operands) or graph.attribute(node, "block_size"):
        return None
    return Bindings(node, {}) if exact_in_fp32(*(graph.tensor(name).dtype for name in node.inputs[:2])) else None


def build_weight(b: Builder, found: Bindings) -> str:
    node, graph = found.root, b.graph
    stored = graph.value(node.inputs[0])
    assert stored is not None, "match() has seen it"
    steps = stored.astype(np.int32) - _along(graph, node, 2, stored.ndim, np.int32)
    return b.array(steps.astype(np.float32) * _along(graph, node, 1, stored.ndim, np.float32))


def match_grid(graph: Graph, node: Node) -> Bindings | None:
    q = graph.producer(node.inputs[0])
    if (
        q is None
        or q.kind != "QuantizeLinear"
        or graph.tensor(q.inputs[0]).dtype != "fp32"
        or graph.tensor(node.outputs[0]).dtype != "fp32"
    ):
        return None
    if not is_grid(graph.tensor(q.outputs[0]).dtype) or any(
        graph.attribute(n, name) for n in (q, node) for name in ("block_size", "precision")
    ):
        return None
    rank = len(graph.tensor(q.inputs[0]).shape or ())
    scales, zeros = [_operand(graph, n, 1) for n in (q, node)], [_operand(graph, n, 2) for n in (q, node)]
    same = all(a is not None and b is not None and np.array_equal(a, b) for a, b in (scales, zeros))
    along = (scales[0] is not None and scales[0].size == 1) or _axis(graph, q, rank) == _axis(graph, node, rank)
    known = same and along and zeros[0] is not None and np.unique(zeros[0]).size == 1
    return Bindings(node, {"x": q.inputs[0], "q": q.outputs[0]}) if known and graph.tensor(q.inputs[0]).shape is not None else None


def build_grid(b: Builder, found: Bindings) -> str:
    node, graph = found.root, b.graph
    rank, zero = len(graph.tensor(found["x"]).shape or ()), _operand(graph, node, 2)
    assert zero is not None, "match() has seen it"
    kind = np.iinfo(helper.tensor_dtype_to_np_dtype(ELEMENT[graph.tensor(found["q"]).dtype]))
    moved = int(zero.flat[0])
    scale = b.array(_along(graph, node, 1, rank, np.float32))
    rounded = b.op("Round", b.op("Div", found["x"], scale))
    return b.mul(b.op("Clip", rounded, float(kind.min - moved), float(kind.max - moved)), scale)


def _operand(graph: Graph, node: Node, index: int) -> np.ndarray | None:
    """Scale or zero point; one that is left out is 0. None where it is not constant."""
    if len(node.inputs) <= index or not node.inputs[index]:
        return np.zeros((), np.int32)
    return graph.value(node.inputs[index])


def _axis(graph: Graph, node: Node, rank: int) -> int:
    axis = graph.attribute(node, "axis")
    return (axis if isinstance(axis, int) else 1) % max(rank, 1)


def _along(graph: Graph, node: Node, index: int, rank: int, kind: type) -> np.ndarray:
    """The operand in the dtype `kind`, shaped to be broadcast over a tensor of that rank."""
    value = _operand(graph, node, index)
    assert value is not None, "match() has seen it"
    value = value.astype(kind)
    if value.size == 1:
        return value.reshape(())
    return value.reshape([-1 if axis == _axis(graph, node, rank) else 1 for axis in range(rank)])


DEQUANTIZE_WEIGHT = Rewrite(
    name="dequantize_weight",
    summary="DequantizeLinear(W; s, z) -> (W - z)·s, a constant",
    operators=("DequantizeLinear",),
    emits=(),
    contract=Contract("exact"),
    match=match_weight,
    build=build_weight,
)
QUANTIZE_IN_FLOATS = Rewrite(
    name="quantize_in_floats",
    summary="DequantizeLinear(QuantizeLinear(x; s, z); s, z) -> Clip(Round(x / s), l - z, h - z)·s",
    operators=("DequantizeLinear",),
    emits=("Div", "Round", "Clip", "Mul"),
    contract=Contract("reassociates"),
    match=match_grid,
    build=build_grid,
)
QUANTISATION = (DEQUANTIZE_WEIGHT, QUANTIZE_IN_FLOATS)
