"""The operators that can be computed in any order of axes, and what changes where the order does (turn.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import ELEMENTWISE
from .turn import Constant, Order, Turn, induced, integers, rank, turned

Handler = Callable[[Graph, Node, Order], Turn | None]
BROADCAST = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu",
    "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip
ALONG = ("ArgMax", "ArgMin", "Hardmax", "LogSoftmax", "LpNormalization", "Softmax")
REDUCE = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
PICKS = ("ArgMax", "ArgMin", "ReduceMax", "ReduceMin")
"""Results that are one of the operands' numbers, however they are ordered."""


def turn(graph: Graph, node: Node, order: Order) -> Turn | None:
    """How the operator changes where its tensors of rank len(order) come in that order; None where it cannot, or nothing is known of it."""
    handler = HANDLERS.get(node.operator)
    if node.domain or node.captures or handler is None or not node.writes or node.writes != node.outputs:
        return None
    return handler(graph, node, order)


def full(graph: Graph, node: Node, order: Order) -> bool:
    return rank(graph, node.inputs[0]) == len(order) and node.inputs[0] not in graph.constants


def unary(graph: Graph, node: Node, order: Order) -> Turn | None:
    return Turn((0,)) if full(graph, node, order) and len(node.outputs) == 1 else None


def broadcast(graph: Graph, node: Node, order: Order) -> Turn | None:
    """Constants and single numbers may have a lower rank."""
    operands: list[int] = []
    constants: dict[int, Constant] = {}
    stored: dict[int, Constant] = {}
    if rank(graph, node.outputs[0]) != len(order):
        return None
    for index, name in enumerate(node.inputs):
        view = graph.tensor(name)
        value, quantised = graph.value(name), _stored(graph, name)
        if view.elements == 1 and view.shape is not None and (value is not None or len(view.shape) < len(order)):
            continue
        if value is not None:
            constants[index] = _later(value, order)
        elif quantised is not None:
            stored[index] = _later(quantised, order)
        elif view.shape is not None and len(view.shape) == len(order):
            operands.append(index)
        else:
            return None
    return Turn(tuple(operands), constants=constants, stored=stored) if operands else None


def _later(value: np.ndarray, order: Order) -> Constant:
    return lambda: turned(value, order)


def _stored(graph: Graph, tensor: str) -> np.ndarray | None:
    """The constant that a DequantizeLinear with a single constant scale makes the tensor of."""
    node = graph.producer(tensor)
    if node is None or node.kind != "DequantizeLinear" or graph.tensor(node.inputs[1]).elements != 1:
        return None
    return graph.value(node.inputs[0]) if all(name in graph.constants for name in node.inputs if name) else None


def concat(graph: Graph, node: Node, order: Order) -> Turn | None:
    axis = node.attribute("axis")
    if not isinstance(axis, int) or any(rank(graph, name) != len(order) for name in node.inputs):
        return None
    values = {index: value for index, name in enumerate(node.inputs) if (value := graph.value(name)) is not None}
    operands = tuple(index for index in range(len(node.inputs)) if index not in values)
    constants = {index: _later(value, order) for index, value in values.items()}
    return Turn(operands, constants=constants, attributes={"axis": order.index(axis % len(order))}) if operands else None


def split(graph: Graph, node: Node, order: Order) -> Turn | None:
    axis = graph.attribute(node, "axis")
    if not full(graph, node, order) or not isinstance(axis, int):
        return None
    return Turn((0,), tuple(range(len(node.outputs))), attributes={"axis": order.index(axis % len(order))})


def along(graph: Graph, node: Node, order: Order) -> Turn | None:
    """One axis by attribute; ArgMax may take it out."""
    axis, sums = graph.attribute(node, "axis"), node.operator not in PICKS
    if not full(graph, node, order) or graph.version(node) < 13 or not isinstance(axis, int):
        return None
    changed = {"axis": order.index(axis % len(order))}
    if graph.attribute(node, "keepdims") == 0:
        gone = induced(order, frozenset({axis % len(order)}))
        return Turn((0,), (), attributes=changed, smaller_results={0: gone}, sums=sums)
    return Turn((0,), attributes=changed, sums=sums)


def reduction(graph: Graph, node: Node, order: Order) -> Turn | None:
    axes = integers(graph, node, "axes", 1)
    if axes is None or not full(graph, node, order):
        return None
    if not axes and graph.attribute(node, "noop_with_empty_axes"):
        return Turn((0,)) if node.operator in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum") else None
    gone = frozenset(axis % len(order) for axis in axes) or frozenset(range(len(order)))
    moved = sorted(order.index(axis) for axis in gone)
    constants, attributes = _axes(node, moved if axes else ())
    sums = node.operator not in PICKS
    if graph.attribute(node, "keepdims") == 0:
        return Turn((0,), (), constants, {}, attributes, smaller_results={0: induced(order, gone)}, sums=sums)
    return Turn((0,), constants=constants, attributes=attributes, sums=sums)


def _axes(node: Node, axes: Sequence[int]) -> tuple[dict[int, Constant], dict[str, tuple[int, ...]]]:
    """Where the node has its axes: as an operand, or as an attribute."""
    if not axes:
        return {}, {}
    if len(node.inputs) > 1 and node.inputs[1]:
        return {1: lambda: np.array(axes, np.int64)}, {}
    return {}, {"axes": tuple(axes)}


def squeeze(graph: Graph, node: Node, order: Order) -> Turn | None:
    axes = integers(graph, node, "axes", 1)
    if not axes or not full(graph, node, order):
        return None
    gone = frozenset(axis % len(order) for axis in axes)
    constants, attributes = _axes(node, sorted(order.index(axis) for axis in gone))
    return Turn((0,), (), constants, {}, attributes, smaller_results={0: induced(order, gone)})


def unsqueeze(graph: Graph, node: Node, order: Order) -> Turn | None:
    axes = integers(graph, node, "axes", 1)
    if not axes or rank(graph, node.outputs[0]) != len(order) or node.inputs[0] in graph.constants:
        return None
    new = frozenset(axis % len(order) for axis in axes)
    constants, attributes = _axes(node, sorted(order.index(axis) for axis in new))
    return Turn((), (0,), constants, {}, attributes, smaller_operands={0: induced(order, new)})


def pad(graph: Graph, node: Node, order: Order) -> Turn | None:
    widths, count = integers(graph, node, "pads", 1), len(order)
    if widths is None or not full(graph, node, order) or (len(node.inputs) > 3 and node.inputs[3]) or len(widths) != 2 * count:
        return None
    moved = tuple(widths[axis] for axis in order) + tuple(widths[count + axis] for axis in order)
    if node.attribute("pads") is not None:
        return Turn((0,), attributes={"pads": moved})
    return Turn((0,), constants={1: lambda: np.array(moved, np.int64)})


def cut_out(graph: Graph, node: Node, order: Order) -> Turn | None:
    """Slice: starts and ends stay as they are, and are about other axes."""
    starts = integers(graph, node, "starts", 1)
    if not full(graph, node, order) or len(node.inputs) < 3 or starts is None:
        return None
    axes = integers(graph, node, "axes", 3)
    if axes is None:
        return None
    moved = [order.index(axis % len(order)) for axis in axes or range(len(starts))]
    if len(node.inputs) < 4:
        return None
    kind = np.int64 if graph.tensor(node.inputs[1]).dtype == "int64" else np.int32
    return Turn((0,), constants={3: lambda: np.array(moved, kind)})


def repeats(graph: Graph, node: Node, order: Order) -> Turn | None:
    """Tile, and Expand to a shape of the operand's rank."""
    value = integers(graph, node, "", 1)
    if not full(graph, node, order) or value is None or len(value) != len(order):
        return None
    return Turn((0,), constants={1: lambda: np.array([value[axis] for axis in order], np.int64)})


def resize(graph: Graph, node: Node, order: Order) -> Turn | None:
    """Only to where the planes lie last, as runtimes have it."""
    before, result = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape
    if not full(graph, node, order) or before is None or result is None or node.attribute("axes") is not None or len(order) < 3:
        return None
    if any(before[axis] != result[axis] or before[axis] is None for axis in order[:2]):
        return None
    constants: dict[int, Constant] = {}
    for index, name in enumerate(node.inputs[1:], start=1):
        value = graph.value(name) if name else None
        if name and value is None:
            return None
        if value is not None and value.size:
            if value.size % len(order):
                return None
            constants[index] = _each(value, order)
    return Turn((0,), constants=constants)


def _each(value: np.ndarray, order: Order) -> Constant:
    """One number an axis, or (roi) the starts of all axes and then their ends."""
    return lambda: np.ascontiguousarray(value.reshape(-1, len(order))[:, order].reshape(-1))


def quantisation(graph: Graph, node: Node, order: Order) -> Turn | None:
    if not full(graph, node, order) or graph.attribute(node, "block_size"):
        return None
    if graph.tensor(node.inputs[1]).elements == 1:
        return Turn((0,))
    axis = graph.attribute(node, "axis")
    return Turn((0,), attributes={"axis": order.index(axis % len(order))}) if isinstance(axis, int) else None


def normalisation(graph: Graph, node: Node, order: Order) -> Turn | None:
    """LayerNormalization along axes that stay last."""
    axis, count = graph.attribute(node, "axis"), len(order)
    if not full(graph, node, order) or len(node.outputs) != 1 or not isinstance(axis, int):
        return None
    first = axis % count
    return Turn((0,), sums=True) if order[first:] == tuple(range(first, count)) else None


def channels(graph: Graph, node: Node, order: Order) -> Turn | None:
    """BatchNormalization, where batch and channels stay."""
    kept = full(graph, node, order) and len(node.outputs) == 1 and order[:2] == (0, 1)
    return Turn((0,)) if kept else None


def undone(graph: Graph, node: Node, order: Order) -> Order | None:
    """The order that a Transpose of that rank gives its operand; None for any other node."""
    if node.kind != "Transpose" or rank(graph, node.inputs[0]) != len(order):
        return None
    given = node.attribute("perm")
    if not isinstance(given, tuple):
        return tuple(reversed(range(len(order))))
    axes = tuple(int(axis) for axis in given)
    return axes if sorted(axes) == list(range(len(order))) else None  # a damaged file may say anything


HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys((*ELEMENTWISE, "Cast", "Identity", "IsInf", "IsNaN", "Not"), unary),
    **dict.fromkeys(BROADCAST, broadcast),
    **dict.fromkeys(ALONG, along),
    **{f"Reduce{kind}": reduction for kind in REDUCE},
    "BatchNormalization": channels,
    "Concat": concat,
    "DequantizeLinear": quantisation,
    "Expand": repeats,
    "LayerNormalization": normalisation,
    "Pad": pad,
    "QuantizeLinear": quantisation,
    "Resize": resize,
    "Slice": cut_out,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": repeats,
    "Unsqueeze": unsqueeze,
}
