"""Operators that leave channels where they are: element by element, along other axes, or joined with constants of the same channels."""

from __future__ import annotations

from ..graph.node import Node
from .cells import Axes, Axis
from .contractions import Results
from .spread import Spread
from .words import called


def elementwise(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """All operands, broadcast."""
    shape = spread.graph.tensor(node.outputs[0]).shape
    return None if shape is None else (spread.broadcast(operands, len(shape), called(node)),)


def first_operand(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """The result is as the first operand is."""
    return (operands[0],)


def batch_norm(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Also InstanceNormalization: numbers for each channel."""
    if len(node.writes) != 1:
        return None
    for one in operands[1:]:
        spread.join(operands[0][1], one[0], called(node))
    return (operands[0],)


def layer_norm(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """What is normalised together stays together."""
    if len(node.writes) != 1:
        return None
    axis = spread.number(node, "axis", -1) % len(operands[0])
    for one in operands[1:]:
        spread.fix(one, called(node))
    spread.fix(operands[0][axis:], called(node))
    return (operands[0],)


def softmax(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Below opset 13 over all axes from `axis` on."""
    x, old = operands[0], spread.graph.version(node) < 13
    axis = spread.number(node, "axis", 1 if old else -1) % len(x)
    spread.fix(x[axis:] if old else (x[axis],), called(node))
    return (x,)


def pool(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Over the axes behind the channels."""
    axes = spread.unmoved(node.outputs[0], called(node))
    if len(node.writes) != 1 or axes is None or len(axes) != len(operands[0]):
        return None
    spread.fix(operands[0][2:], called(node))
    return ((*operands[0][:2], *axes[2:]),)


def reduce(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Axes that are reduced stay as they are."""
    x, why = operands[0], called(node)
    wanted = node.attribute("axes")
    axes = spread.integers(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else wanted if isinstance(wanted, tuple) else ()
    if axes is None:
        return None
    if not axes and spread.number(node, "noop_with_empty_axes", 0):
        return (x,)
    gone = {int(axis) % len(x) for axis in axes if isinstance(axis, int)} or set(range(len(x)))
    spread.fix([x[axis] for axis in gone], why)
    one = spread.cells.still(1, why)
    kept = spread.number(node, "keepdims", 1)
    found: list[Axis] = [one if axis in gone else cells for axis, cells in enumerate(x) if kept or axis not in gone]
    return (tuple(found),)


def attention(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Whole heads: of several query heads that share one of keys and values, all with it. Heads on the second axis of four, or in
    blocks of the last of three."""
    q, k, v = operands[:3]
    why = called(node)
    if len(node.writes) != 1 or any(node.inputs[4:]) or any(axis is None for axes in (q, k, v) for axis in (axes[1], axes[-1])):
        return None
    if len(q) == 3:
        queries, keys = spread.number(node, "q_num_heads", 1), spread.number(node, "kv_num_heads", 1)
        rows = [_tied(spread, axes[2], heads) for axes, heads in ((q, queries), (k, keys), (v, keys))]
        width = 0 if v[2] is None else len(v[2]) // keys
    else:
        rows, width = [q[1], k[1], v[1]], 0
        spread.fix((q[3], k[3]), why)
    many, few = len(rows[0]), len(rows[1])
    spread.heads.extend(rows[1].tolist())
    spread.join(rows[1], rows[2], why)
    if few == 0 or many % few:
        return None
    for one in rows[0].reshape(few, -1).T:
        spread.join(rows[1], one, why)
    spread.fix((q[-2], k[-2], v[-2]), why)
    if len(operands) > 3 and node.inputs[3]:
        _mask(spread, operands[3], rows[0], why)
    if len(q) == 3:
        return ((q[0], q[1], rows[0].repeat(width)),)
    return ((q[0], rows[0], q[2], v[3]),)


def _tied(spread: Spread, axis: Axis, heads: int):  # type: ignore[no-untyped-def]
    assert axis is not None
    return spread.cells.tie(axis.reshape(heads, -1).T)


def _mask(spread: Spread, mask: Axes, heads: Axis, why: str) -> None:
    for place, axis in enumerate(mask):
        if place == len(mask) - 3 and axis is not None and heads is not None and len(axis) == len(heads) > 1:
            spread.join(axis, heads, why)
        else:
            spread.fix((axis,), why)
