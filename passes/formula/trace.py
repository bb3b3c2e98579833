"""Steps back through a graph: what a tensor is a multiple of, which part of another it is, and from where its values are repeated."""

from __future__ import annotations

from dataclasses import dataclass

from ..graph.graph import Graph
from ..graph.node import Node
from .region import MAX_NODES, Reader

Extents = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """source[..., start:stop:step], along the last axis, whose extent is `extent`."""

    source: str
    start: int
    stop: int
    step: int
    extent: int


def extents(graph: Graph, tensor: str) -> Extents | None:
    """The shape where every extent is known and none is zero."""
    shape = graph.tensor(tensor).shape
    if shape is None or any(not extent for extent in shape):
        return None
    return tuple(extent or 0 for extent in shape)


def constant_integers(graph: Graph, tensor: str) -> Extents | None:
    value = graph.value(tensor) if tensor else None
    return None if value is None or value.dtype.kind not in "iu" else tuple(int(item) for item in value.reshape(-1))


def multiple(reader: Reader, tensor: str, positive: bool = False) -> tuple[str, float]:
    """(source, c) so that tensor = c · source, through Mul, Div and Neg, none of which broadcasts the source to another shape; with
    `positive`, only as long as factors are."""
    factor = 1.0
    for _ in range(MAX_NODES):
        tensor = reader.resolve(tensor)
        node = reader.graph.producer(tensor)
        step = None if node is None or node.domain else _factor(reader, node)
        if step is None or (positive and step[1] < 0):
            break
        tensor, factor = step[0], factor * step[1]
    return tensor, factor


def _factor(reader: Reader, node: Node) -> tuple[str, float] | None:
    if node.operator == "Neg":
        return node.inputs[0], -1.0
    if node.operator not in ("Mul", "Div"):
        return None
    left, right = node.inputs
    number = reader.number(reader.resolve(right))
    if number is None and node.operator == "Mul":
        left, right, number = right, left, reader.number(reader.resolve(left))
    if not number or reader.graph.tensor(left).shape != reader.graph.tensor(node.outputs[0]).shape:
        return None
    return left, number if node.operator == "Mul" else 1.0 / number


def piece(reader: Reader, tensor: str) -> Piece | None:
    """The tensor as a part of another, by Slice or Split along the last axis."""
    graph, tensor = reader.graph, reader.resolve(tensor)
    node = graph.producer(tensor)
    shape = extents(graph, node.inputs[0]) if node is not None and node.operator in ("Slice", "Split") and not node.domain else None
    if node is None or not shape:
        return None
    found = _sliced(graph, node, shape) if node.operator == "Slice" else _split(graph, node, tensor, shape)
    if found is None:
        return None
    start, stop, step = found
    return Piece(reader.resolve(node.inputs[0]), start, stop, step, shape[-1])


def _sliced(graph: Graph, node: Node, shape: Extents) -> tuple[int, int, int] | None:
    given = [constant_integers(graph, name) for name in node.inputs[1:]]
    numbers = [values[0] for values in given if values is not None and len(values) == 1]
    if len(numbers) != len(given) or len(numbers) < 2:
        return None
    start, stop, axis, step = (*numbers, *(0, 1)[len(numbers) - 2 :])
    if axis % len(shape) != len(shape) - 1 or step < 1:
        return None
    start, stop, _ = slice(start, stop, step).indices(shape[-1])
    return start, stop, step


def _split(graph: Graph, node: Node, tensor: str, shape: Extents) -> tuple[int, int, int] | None:
    axis = graph.attribute(node, "axis")
    if not isinstance(axis, int) or axis % len(shape) != len(shape) - 1:
        return None
    sizes = [(graph.tensor(name).shape or (None,))[-1] for name in node.outputs]
    known = [size for size in sizes if size is not None]
    if len(known) != len(sizes) or sum(known) != shape[-1]:
        return None
    start = sum(known[: node.outputs.index(tensor)])
    return start, start + known[node.outputs.index(tensor)], 1


def broadcasts(shape: tuple[int | None, ...] | None, to: Extents) -> bool:
    """Whether a tensor of that shape meets one of shape `to` without making it larger."""
    if shape is None or len(shape) > len(to):
        return False
    return all(extent in (1, other) for extent, other in zip(reversed(shape), reversed(to), strict=False))
