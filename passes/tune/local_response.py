"""LRN in operators that onnxruntime's CPU computes in vectors: its own kernel (1.32, one thread) takes 19 ns an element.

    LRN(x; n, α, β, k)  ->  x/(k + α·AveragePool(x²))^β      the pool over n channels, of a plane of channels

The pool counts its padding, so it is the sum of n squares, those beyond the channels 0, over n: LRN's α/n times the sum. The exponent ¾ is
√d·√√d. [1, 64, 56, 56] took 4,047 us, so 432; as a 1x1 convolution with a band of weights 390, for 192 channels 1,840 against 1,331 (all
of 12,130); with the plane as one axis 1,160: its rows outgrow the nearest cache.
"""

from __future__ import annotations

from math import prod

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, reassociating

LEAST = 128
"""Elements from which on it pays: of 256, LRN took 7.9 us, its parts 5.3."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """In fp32, of known extents and the four axes that onnxruntime takes; k and α are such that no power is of 0 or less."""
    shape = extents(graph, node.inputs[0])
    alpha, bias, beta, size = (graph.attribute(node, name) for name in ("alpha", "bias", "beta", "size"))
    if shape is None or len(shape) != 4 or graph.tensor(node.inputs[0]).dtype != "fp32" or prod(shape) < LEAST:
        return None
    if not (isinstance(alpha, float) and isinstance(bias, float) and isinstance(beta, float) and isinstance(size, int)):
        return None
    fits = alpha >= 0 and bias > 0 and size > 0
    return Bindings(node, {"alpha": alpha, "bias": bias, "beta": beta, "size": size}) if fits else None


def build(b: Builder, found: Bindings) -> str:
    x, size = found.root.inputs[0], int(found.number("size"))
    shape = extents(b.graph, x) or ()
    before = (size - 1) // 2
    planes = b.reshape(b.mul(x, x), (shape[0], 1, *shape[1:]))
    pads = (before, 0, 0, size - 1 - before, 0, 0)
    mean = b.op("AveragePool", planes, kernel_shape=(size, 1, 1), pads=pads, count_include_pad=1)
    base = b.add(b.mul(mean, found.number("alpha")), found.number("bias"))
    return b.op("Div", x, b.reshape(_power(b, base, found.number("beta")), shape))


def _power(b: Builder, base: str, beta: float) -> str:
    if beta == 1.0:
        return base
    if beta == 0.5:
        return b.op("Sqrt", base)
    if beta != 0.75:
        return b.op("Pow", base, beta)
    half = b.op("Sqrt", base)
    return b.mul(half, b.op("Sqrt", half))


LOCAL_RESPONSE = reassociating(
    "lrn_pool",
    "LRN(x; n, α, β, k) -> x/(k + α·AveragePool(x²))^β, the pool over n channels",
    "LRN",
    ("Mul", "Add", "Reshape", "AveragePool", "Sqrt", "Pow", "Div"),
    match,
    build,
)
