"""Merges what only re-arranges the same elements: only the last shape, and only the product of two orders, matter.

Reshape(Reshape(x, s), t)            ->  Reshape(x, t)                 also where the inner one is a Flatten, Squeeze or Unsqueeze
g(f(x)) of the shape of x            ->  x                             f, g any two of Reshape, Flatten, Squeeze, Unsqueeze
g(f(x))                              ->  Reshape(x)                    for onnxruntime only, which runs each of them as a copy of pointers
Transpose(Transpose(x; p); q)        ->  Transpose(x; p∘q)             x itself where p∘q is the identity
Transpose(f(Transpose(x; p)); q)     ->  f(Transpose(x; p∘q))          f one of the operators that look at one element at a time
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import ELEMENTWISE
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def match_reshape(graph: Graph, node: Node) -> Bindings | None:
    inner = graph.producer(node.inputs[0])
    return Bindings(node, {"x": inner.inputs[0]}) if inner is not None and inner.kind in SHAPING else None


def unless_unknown(graph: Graph, found: Bindings) -> str | None:
    """The outer shape must not depend on the inner one: a 0 in it copies an extent."""
    if _own_shape(graph, found.root):
        return None
    shape = graph.tensor(found.root.outputs[0]).shape
    if shape is None or sum(extent is None for extent in shape) > 1 or 0 in shape:
        return "the resulting shape is not known"
    return None


def _own_shape(graph: Graph, node: Node) -> bool:
    """Whether the shape operand alone says what the result is."""
    wanted = graph.value(node.inputs[1]) if node.kind == "Reshape" and len(node.inputs) > 1 else None
    return wanted is not None and 0 not in wanted


def build_reshape(b: Builder, found: Bindings) -> str:
    if _own_shape(b.graph, found.root):
        return b.op("Reshape", found["x"], found.root.inputs[1])
    shape = b.graph.tensor(found.root.outputs[0]).shape or ()
    return b.reshape(found["x"], [-1 if extent is None else extent for extent in shape])


def match_undone(graph: Graph, node: Node) -> Bindings | None:
    found = match_reshape(graph, node)
    before, after = None if found is None else graph.tensor(found["x"]).shape, graph.tensor(node.outputs[0]).shape
    return found if before is not None and before == after and None not in before else None


def match_transposes(graph: Graph, node: Node) -> Bindings | None:
    inner = graph.producer(node.inputs[0])
    if inner is None or inner.kind != "Transpose":
        return None
    first, second = order(graph, inner), order(graph, node)
    return None if first is None or second is None else Bindings(node, {"x": inner.inputs[0], "order": tuple(first[k] for k in second)})


def match_through(graph: Graph, node: Node) -> Bindings | None:
    """f must have no other reader, or it would be computed twice."""
    f = graph.producer(node.inputs[0])
    if f is None or f.kind not in ELEMENTWISE or graph.uses(f.outputs[0]) != 1:
        return None
    inner, second = graph.producer(f.inputs[0]), order(graph, node)
    first = order(graph, inner) if inner is not None and inner.kind == "Transpose" else None
    if first is None or second is None or inner is None:
        return None
    return Bindings(node, {"x": inner.inputs[0], "f": f.outputs[0], "order": tuple(first[k] for k in second)})


def order(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The permutation a Transpose applies; None where the rank is not known."""
    given = graph.attribute(node, "perm")
    if isinstance(given, tuple):
        return tuple(int(k) for k in given)
    shape = graph.tensor(node.inputs[0]).shape
    return None if shape is None else tuple(reversed(range(len(shape))))


def build_transposes(b: Builder, found: Bindings) -> str:
    merged = found.integers("order")
    if list(merged) == list(range(len(merged))):
        return found["x"]
    return b.op("Transpose", found["x"], perm=merged)


def build_through(b: Builder, found: Bindings) -> str:
    f, merged = b.graph.producer(found["f"]), found.integers("order")
    assert f is not None, "match() has seen it"
    x = found["x"]
    if list(merged) != list(range(len(merged))):
        x = b.op("Transpose", x, perm=merged)
    return b.like(f, x, *f.inputs[1:])


EXACT = Contract("exact")
MERGE_RESHAPE = Rewrite(
    name="merge_reshape",
    summary="Reshape(Reshape(x, s), t) -> Reshape(x, t)",
    operators=("Reshape",),
    emits=("Reshape",),
    contract=EXACT,
    match=match_reshape,
    unless=unless_unknown,
    build=build_reshape,
)
UNDO_RESHAPE = Rewrite(
    name="undo_reshape",
    summary="Unsqueeze(Squeeze(x)) of the shape of x -> x, also of Reshape and Flatten",
    operators=SHAPING,
    emits=(),
    contract=EXACT,
    match=match_undone,
    build=lambda b, found: found["x"],
)
MERGE_SHAPING = Rewrite(
    name="merge_shaping",
    summary="Unsqueeze(Squeeze(x)) -> Reshape(x), also of Reshape and Flatten",
    operators=("Flatten", "Squeeze", "Unsqueeze"),
    emits=("Reshape",),
    contract=EXACT,
    match=match_reshape,
    unless=unless_unknown,
    build=build_reshape,
)
MERGE_TRANSPOSE = Rewrite(
    name="merge_transpose",
    summary="Transpose(Transpose(x; p); q) -> Transpose(x; p∘q), or x",
    operators=("Transpose",),
    emits=("Transpose",),
    contract=EXACT,
    match=match_transposes,
    build=build_transposes,
)
TRANSPOSE_THROUGH = Rewrite(
    name="transpose_through",
    summary="Transpose(f(Transpose(x; p)); q) -> f(Transpose(x; p∘q)), f elementwise",
    operators=("Transpose",),
    emits=("Transpose",),  # and f, which is in the graph already
    contract=EXACT,
    match=match_through,
    build=build_through,
)
MERGES = (UNDO_RESHAPE, MERGE_RESHAPE, MERGE_TRANSPOSE, TRANSPOSE_THROUGH)
