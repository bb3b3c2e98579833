"""Who reads the rows of a cache, from where new ones are put behind it: until attention has closed those without a token, each row must be
computed for itself."""

from __future__ import annotations

from collections.abc import Iterable

from ..graph.graph import Graph
from ..graph.node import Node
from .closed_scores import is_causal
from .errors import NotFixable
from .grown_axes import MOVES, GrownAxes
from .places import Sizes, Unrolled

MASK = 3
EACH = MOVES | frozenset(
    "Abs Add And BitShift Ceil Clip Cos Div Equal Erf Exp Expand Floor Gelu Greater GreaterOrEqual IsNaN Less LessOrEqual Log Max Min "
    "Mod Mul Neg Not Or Pad Pow Reciprocal Relu Round Sigmoid Sign Sin Softplus Sqrt Sub Swish Tanh Tile Where Xor".split()
)
"""Operators that compute an element from those at the same place, or move elements."""
OVER_LAST = frozenset({"LayerNormalization", "RMSNormalization", "RotaryEmbedding"})
"""Operators that compute an element from those of the same row, where rows are not along the last axis."""


def check_readers(graphs: Unrolled, grown: GrownAxes, joined: Iterable[str], sizes: Sizes) -> None:
    """joined: tensors that hold the rows of caches, old and new. Raises NotFixable where something reads a row that holds no token."""
    graph, weighted = graphs.last, set[str]()
    rows = set(joined)
    for node in graph.nodes:
        held = [name for name in node.reads if name in rows]
        if not held or rows.issuperset(node.writes):
            continue
        where = f"{node.kind} {node.name or node.outputs[0]}, which reads {held[0]!r}"
        if node.kind == "Attention":
            _check_attention(graphs, node, rows, sizes, where)
        elif node.kind == "Softmax":
            _check_softmax(graphs, grown, node, sizes, where)
            rows.add(node.outputs[0])
            weighted.add(node.outputs[0])
        elif node.kind == "MatMul" and _contracts(graph, grown, node, rows):
            if not weighted.intersection(held) or not rows.issuperset(node.inputs):
                raise NotFixable("a product sums over the rows of a cache with other weights than a softmax's", where)
        elif node.kind in EACH or node.kind == "MatMul" or _within_rows(graph, grown, node, held):
            if any(grown.axis(name) is None for name in node.writes):
                raise NotFixable("something else than attention reads the rows of a cache together", where)
            rows.update(node.writes)
            if weighted.intersection(held):
                weighted.update(node.writes)
        else:
            raise NotFixable("something else than attention reads the rows of a cache together", where)
    for name in rows.intersection(graph.outputs):
        if grown.axis(name) is None:
            raise NotFixable("rows of a cache go out together", repr(name))


def _check_attention(graphs: Unrolled, node: Node, rows: set[str], sizes: Sizes, where: str) -> None:
    if (
        not rows.issuperset(node.inputs[1:3])
        or any(name in rows for k, name in enumerate(node.inputs) if k not in (1, 2))
        or any(node.inputs[4:])
    ):
        raise NotFixable("attention reads the rows of a cache as something else than keys and values", where)
    if graphs.last.attribute(node, "is_causal"):
        raise NotFixable("the operator masks by itself, from the first row of the cache", where)
    whole = graphs.first.producer(node.outputs[0])
    masked = whole is not None and whole.kind == "Attention" and len(whole.inputs) > MASK and whole.inputs[MASK]
    if whole is None or not masked or not is_causal(graphs.first, whole.inputs[MASK], sizes.length):
        raise NotFixable("attention is not causal: a token sees those behind it, or its mask is computed from an input", where)


def _check_softmax(graphs: Unrolled, grown: GrownAxes, node: Node, sizes: Sizes, where: str) -> None:
    graph, whole = graphs.last, graphs.first.producer(node.outputs[0])
    along, rank = graph.attribute(node, "axis"), len(graph.tensor(node.inputs[0]).shape or ())
    if not isinstance(along, int) or along % rank != rank - 1 or grown.axis(node.inputs[0]) != rank - 1:
        raise NotFixable("a softmax is not over the rows of a cache, or not along the last axis", where)
    if whole is None or whole.kind != "Softmax" or not is_causal(graphs.first, whole.inputs[0], sizes.length):
        raise NotFixable("attention is not causal: a token sees those behind it, or its mask is computed from an input", where)


def _contracts(graph: Graph, grown: GrownAxes, node: Node, rows: set[str]) -> bool:
    """Whether a product sums over rows."""
    for k, name in enumerate(node.inputs):
        rank = len(graph.tensor(name).shape or ())
        if name in rows and grown.axis(name) == rank - 1 - k % 2:
            return True
    return False


def _within_rows(graph: Graph, grown: GrownAxes, node: Node, held: list[str]) -> bool:
    ranks = {name: len(graph.tensor(name).shape or ()) for name in held}
    return node.kind in OVER_LAST and all(grown.axis(name) not in (None, ranks[name] - 1) for name in held)
