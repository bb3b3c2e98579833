"""Elementwise operators whose last axis is short, in long rows: onnxruntime (1.32, CPU) starts anew for every row of a broadcast.

    f(x[…, 1], c)             ->  f(x, Reshape(c, [1, …, 1]))        c has one element and fewer axes than the result
    f(x[rows, n], c[n])       ->  Reshape(f(Reshape(x, [rows/k, n·k]), c k times))        c constant, n at most SHORT

Broadcasting walks from the last axis: where x has a 1 and c no axis at all it takes rows of one element. Mul of [1, 172, 309, 1] by [1]
took 329 us, by [1, 1, 1, 1] 9 us. Rows of n elements: 57,600 elements took 214 us (n = 2), 95 (4), 51 (8), 29 (16), and 12 us in rows of
256 with the constant repeated, reshapes included. [1, 224, 224, 3] minus a mean of three is such a case.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min")
COMPARISONS = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")
LEAST_COLUMN, LEAST = 256, 1024
"""Elements from which on it pays: a column of 300 took 4.4 us before and 2.5 us after, 400 elements in rows of two 4.1 and 3.3 us, in
rows of eight 2.9 and 3.3 us."""
SHORT, LONG = 16, 128
"""Rows from which on, and the length that they are brought to: from 128 on the time no longer depends on it."""
FUSED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What onnxruntime fuses a sum or a product behind it with."""


def match_column(graph: Graph, node: Node) -> Bindings | None:
    """The first operand of one element that has fewer axes than the result, a column. onnxruntime has PRelu in fp32 alone; what it writes
    in its place for another dtype need not take the other shape."""
    result = extents(graph, node.outputs[0])
    if node.kind == "PRelu" and graph.tensor(node.inputs[0]).dtype != "fp32":
        return None
    if result is None or len(result) < 2 or result[-1] != 1 or prod(result) < LEAST_COLUMN:
        return None
    for index, name in enumerate(node.inputs):
        own = extents(graph, name) if name else None
        if own is not None and prod(own) == 1 and len(own) < len(result):
            return Bindings(node, {"index": index, "ones": (1,) * len(result)})
    return None


def build_column(b: Builder, found: Bindings) -> str:
    """The same operator; the operand is a constant of more axes, or goes through a Reshape."""
    root, index, ones = found.root, int(found.number("index")), found.integers("ones")
    name = root.inputs[index]
    value = b.graph.value(name)
    wide = b.reshape(name, ones) if value is None else b.array(value.reshape(ones), b.graph.tensor(name).dtype)
    return b.like(root, *root.inputs[:index], wide, *root.inputs[index + 1 :])


def match_rows(graph: Graph, node: Node) -> Bindings | None:
    result = extents(graph, node.outputs[0])
    if result is None or prod(result) < LEAST:
        return None
    for index in (0, 1):
        wide, row = node.inputs[1 - index], node.inputs[index]
        before, count = graph.producer(wide), _row(graph, row, result)
        if not count or extents(graph, wide) != result or (before is not None and before.kind in FUSED):
            continue
        times = _times(prod(result) // count, count)
        if times * count >= LONG // 2:
            return Bindings(node, {"index": index, "row": row, "wide": wide, "shape": (prod(result) // (count * times), count * times)})
    return None


def _row(graph: Graph, tensor: str, result: tuple[int, ...]) -> int:
    """Elements of a constant that is the same for all rows of a tensor, a row being its last axes; 0 if it is none, or not short."""
    own = extents(graph, tensor)
    if own is None or len(own) > len(result) or not graph.tensor(tensor).const:
        return 0
    while own[:1] == (1,):
        own = own[1:]
    fits = own and own == result[len(result) - len(own) :]
    return prod(own) if fits and 1 < prod(own) <= SHORT and graph.value(tensor) is not None else 0


def _times(rows: int, count: int) -> int:
    """How many rows become one: the fewest that divide the rows and are LONG, or of those that divide them the most."""
    most = min(rows, 8 * LONG // count)
    fitting = [times for times in range(1, most + 1) if rows % times == 0]
    return next((times for times in fitting if times * count >= LONG), fitting[-1])


def build_rows(b: Builder, found: Bindings) -> str:
    root, shape, index = found.root, found.integers("shape"), int(found.number("index"))
    value = b.graph.value(found["row"])
    assert value is not None, "match() has seen that it is constant"
    repeated = b.array(np.tile(value.reshape(-1), shape[1] // value.size), b.graph.tensor(found["row"]).dtype)
    long = b.reshape(found["wide"], shape)
    result = b.like(root, *((repeated, long) if index == 0 else (long, repeated)))
    return b.reshape(result, extents(b.graph, root.outputs[0]) or ())


COLUMN = Rewrite(
    name="broadcast_column",
    summary="f(x[…, 1], c) -> f(x, c[1, …, 1]), c one element with fewer axes",
    operators=(*ARITHMETIC, *COMPARISONS, "Where", "PRelu"),
    emits=("Reshape",),  # and f, which is in the graph already
    contract=Contract("exact"),
    match=match_column,
    build=build_column,
)
ROWS = Rewrite(
    name="lengthen_rows",
    summary="f(x[rows, n], c[n]) -> Reshape(f(Reshape(x, [rows/k, n·k]), c repeated k times)), n at most 16",
    operators=(*ARITHMETIC, *COMPARISONS),
    emits=("Reshape",),  # and f, which is in the graph already
    contract=Contract("exact"),
    match=match_rows,
    build=build_rows,
)
BROADCAST = (COLUMN, ROWS)
