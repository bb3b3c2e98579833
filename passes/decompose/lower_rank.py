"""Concat, Expand and Tile of many axes, between Reshapes, on fewer: neighbouring axes that they leave alone are one.

Reshape(Concat(a, b; axis))  ->  Reshape(Concat(Reshape(a), Reshape(b); 1))        three axes: before, along and behind
Reshape(Expand(x, s))        ->  Reshape(Expand(Reshape(x), s'))                   one axis for each that grows, one for each run between

So exporters write the repetition of keys and values (axes for heads, groups, time, width) and interleaved rotation, and devices of rank 4
refuse the five axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

SHAPING = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")
MOST = 4
"""Axes that nearly every device takes."""


def match(graph: Graph, node: Node) -> Bindings | None:
    f = graph.producer(node.inputs[0])
    if f is None or f.kind not in ("Concat", "Expand", "Tile") or graph.uses(f.outputs[0]) != 1:
        return None
    shape, result = sizes(graph, f.outputs[0]), sizes(graph, node.outputs[0])
    operands = [sizes(graph, name) for name in data(f)]
    if shape is None or result is None or len(shape) <= MOST or 0 in shape or any(given is None for given in operands):
        return None
    axis = graph.attribute(f, "axis")
    acting = {axis % len(shape)} if isinstance(axis, int) else _growing(operands[0] or (), shape)
    if acting is None or len(groups(len(shape), acting)) > MOST:
        return None
    return Bindings(node, {"f": f.outputs[0], "acting": tuple(sorted(acting)), "result": result})


def data(f: Node) -> list[str]:
    """The operands that are not about shapes."""
    return list(f.inputs) if f.kind == "Concat" else f.inputs[:1]


def sizes(graph: Graph, tensor: str) -> tuple[int, ...] | None:
    shape = graph.tensor(tensor).shape
    return None if shape is None or None in shape else tuple(extent or 0 for extent in shape)


def _growing(before: Sequence[int], shape: Sequence[int]) -> set[int] | None:
    """The axes that become longer; None if axes come in front of the others, which are to be grown in their own shape."""
    if len(before) != len(shape):
        return None
    return {axis for axis, (old, new) in enumerate(zip(before, shape, strict=True)) if old != new}


def groups(rank: int, acting: set[int] | Sequence[int]) -> list[list[int]]:
    """Axes that become one, in order: each acting one for itself, runs of others together."""
    found: list[list[int]] = []
    for axis in range(rank):
        if found and axis not in acting and found[-1][-1] not in acting:
            found[-1].append(axis)
        else:
            found.append([axis])
    return found


def build(b: Builder, found: Bindings) -> str:
    graph, acting = b.graph, found.integers("acting")
    f, shape = graph.producer(found["f"]), sizes(graph, found["f"])
    assert f is not None and shape is not None, "match() has seen them"
    merged = groups(len(shape), acting)
    operands = []
    for name in data(f):
        given = sizes(graph, name) or ()
        operands.append(b.reshape(name, [prod(given[axis] for axis in group) for group in merged]))
    if f.kind == "Concat":
        result = b.op("Concat", *operands, axis=merged.index([acting[0]]))
    else:
        result = b.op("Expand", *operands, b.integers([prod(shape[axis] for axis in group) for group in merged]))
    return b.reshape(result, found.integers("result"))


def unless(graph: Graph, found: Bindings) -> str | None:
    f = graph.producer(found["f"])
    assert f is not None, "match() has seen it"
    repeated = f.kind == "Tile" and any((sizes(graph, f.inputs[0]) or ())[axis] != 1 for axis in found.integers("acting"))
    return "Tile repeats an axis of more than one element" if repeated else None


LOWER_RANK = Rewrite(
    name="lower_rank",
    summary="Reshape(f(x, …)) of five axes or more -> Reshape(f'(Reshape(x), …)) of at most four, f Concat, Expand or Tile",
    operators=SHAPING,
    emits=("Concat", "Expand", "Reshape"),
    contract=Contract("exact"),
    match=match,
    unless=unless,
    build=build,
)
