"""Keeps what a mask says of a row that it closes as a whole, in front of onnxruntime's Attention.

    Attention(Q, K, V, m)  ->  Attention(Q, K, V, Where(max(m) = -inf, NaN, Where(m = lowest, L, m)))   L just above the lowest

The standard adds the mask and takes the softmax: a row that is closed by finite numbers gives the mean of V, one closed by -inf NaN.
onnxruntime's kernel (1.32, CPU) gives 0 where the largest number of a row is the lowest of the dtype or -inf: the row of a padding token,
in a model padded at the start. With a number just above the lowest, or NaN, it gives what the standard says. Only the parts that the mask
may need are written, and once for all layers that share it (pipeline/tune_segments.py).
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder, largest
from ..rule.rewrite import Bindings, Contract, Rewrite

NAME = "keep_closed_rows"
MASK = 3
"""The operand of Attention that is added to the scores."""
LEAST = {"fp32": -3e38, "fp16": -6e4}
"""What stands for the lowest number: scores change it by nothing, or leave it finite in fp16."""
MOVED = frozenset({"Expand", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
CLOSERS = frozenset({"lowest", "inf"})
DEEP = 12
"""Operators behind a mask that are looked at."""
HUGE = 1 / 4
"""Share of the largest number from which on a factor may give the lowest one: others make fills such as -1e4."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """An Attention whose mask may hold the lowest number, or -inf."""
    if node.domain or len(node.inputs) <= MASK or graph.tensor(node.inputs[MASK]).dtype not in LEAST or _guarded(graph, node.inputs[MASK]):
        return None
    closers = _closers(graph, node.inputs[MASK])
    return Bindings(node, {"mask": node.inputs[MASK], **dict.fromkeys(sorted(closers), 1)}) if closers else None


def _guarded(graph: Graph, tensor: str) -> bool:
    node = graph.producer(tensor)
    test = None if node is None or node.kind != "Where" else graph.producer(node.inputs[0])
    return test is not None and test.kind == "Equal" and graph.scalar(test.inputs[1]) in (-np.inf, *map(_lowest, LEAST))


def _closers(graph: Graph, tensor: str, left: int = DEEP) -> frozenset[str]:
    """Which of the lowest number and -inf the mask may hold; what is not known may hold both."""
    known = _of_constant(graph, tensor)
    if known is not None:
        return known
    node = graph.producer(tensor)
    if node is None or node.domain or not left:
        return CLOSERS
    if node.kind in MOVED or (node.kind == "Cast" and graph.tensor(node.inputs[0]).dtype in LEAST):
        return _closers(graph, node.inputs[0], left - 1)
    if node.kind == "Cast":
        return frozenset()
    if node.kind == "Where":
        return _closers(graph, node.inputs[1], left - 1) | _closers(graph, node.inputs[2], left - 1)
    if node.kind in ("Mul", "Add", "Sub"):
        return _of_arithmetic(graph, node, left)
    return CLOSERS


def _of_constant(graph: Graph, tensor: str) -> frozenset[str] | None:
    value = graph.value(tensor)
    if value is None or value.dtype.kind != "f" or not value.size:
        return None
    found = {"lowest": value == np.finfo(value.dtype).min, "inf": np.isneginf(value)}
    return frozenset(name for name, where in found.items() if where.any())


def _of_arithmetic(graph: Graph, node: Node, left: int) -> frozenset[str]:
    """A factor is taken for what it multiplies 0 and 1 with; two lowest numbers add up to -inf."""
    if node.kind == "Mul":
        factors = [number for name in node.inputs if (number := graph.scalar(name)) is not None]
        if not factors:
            return CLOSERS
        huge = abs(factors[0]) >= HUGE * largest(graph.tensor(node.outputs[0]).dtype)
        return frozenset() if not huge else frozenset({"lowest"}) if np.isfinite(factors[0]) else CLOSERS
    held = [_closers(graph, name, left - 1) for name in node.inputs]
    return held[0] | held[1] | (frozenset({"inf"}) if held[0] and held[1] else frozenset())


def build(b: Builder, found: Bindings) -> tuple[str, ...]:
    node, mask = found.root, found["mask"]
    dtype = b.graph.tensor(mask).dtype
    inner = b.within(dtype)
    kept = mask
    if "lowest" in found:
        kept = inner.op("Where", inner.op("Equal", mask, _lowest(dtype)), LEAST[dtype], mask)
    if "inf" in found:
        top = inner.with_axes("ReduceMax", mask, (-1,), keepdims=1)
        kept = inner.op("Where", inner.op("Equal", top, -np.inf), np.nan, kept)
    return _like(b, node, kept)


def _like(b: Builder, node: Node, mask: str) -> tuple[str, ...]:
    new = b.graph.node(node.operator, [*node.inputs[:MASK], mask, *node.inputs[MASK + 1 :]], outputs=len(node.outputs), hint=b.hint)
    new.attributes = dict(node.attributes)
    new.outputs = [fresh if old else "" for fresh, old in zip(new.outputs, node.outputs, strict=True)]
    b.nodes.append(new)
    return tuple(new.outputs)


def _lowest(dtype: str) -> float:
    return -largest(dtype)


KEEP_ROWS = Rewrite(
    name=NAME,
    summary="Attention(Q, K, V, m) -> the same with a number just above the lowest for the lowest in m, NaN in a row of -inf",
    operators=("Attention",),
    emits=("Attention", "Where", "Equal", "ReduceMax"),
    contract=Contract("reassociates"),
    match=match,
    build=build,
)
