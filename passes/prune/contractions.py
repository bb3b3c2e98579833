"""Operators that sum over channels and make new ones: Conv, ConvTranspose, Gemm, MatMul."""

from __future__ import annotations

from ..graph.node import Node
from .cells import Axes, Axis
from .spread import Site, Spread
from .words import called

Results = tuple[Axes, ...] | None
"""Axes of an operator's results; None where nothing is known of it."""


def conv(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Groups of several channels lose the same ones each; of one channel (depthwise), the group goes."""
    x, w, why = operands[0], operands[1], called(node)
    group = spread.number(node, "group", 1)
    outputs, inputs, images = w[0], w[1], x[1]
    if node.inputs[1] not in spread.graph.constants or outputs is None or inputs is None or images is None:
        return None
    spread.fix((*w[2:], *x[2:]), why)
    if group == 1:
        spread.join(images, inputs, why)
        spread.sums.append(Site(node.outputs[0], node.inputs[1], 1))
    elif len(inputs) == 1 and len(images) == group:
        spread.fix((inputs,), why)
        for one in outputs.reshape(group, -1).T:
            spread.join(images, one, why)
    else:
        spread.join(spread.cells.tie(images.reshape(group, -1)), inputs, why)
        spread.cells.tie(outputs.reshape(group, -1))
        spread.sums.append(Site(node.outputs[0], node.inputs[1], 1))
    if len(operands) > 2 and node.inputs[2]:
        spread.join(outputs, operands[2][0], why)
    if group == 1 or len(inputs) > 1:
        spread.makers.append(Site(node.outputs[0], node.inputs[1], 0))
    return ((x[0], outputs, *_still(spread, node, 2)),)


def conv_transpose(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    x, w, why = operands[0], operands[1], called(node)
    group = spread.number(node, "group", 1)
    inputs, outputs, images = w[0], w[1], x[1]
    if node.inputs[1] not in spread.graph.constants or outputs is None or inputs is None or images is None:
        return None
    if group != 1 and not (len(outputs) == 1 and len(inputs) == group):
        return None
    spread.fix((*w[2:], *x[2:]), why)
    spread.join(images, inputs, why)
    made, axis = (outputs, 1) if group == 1 else (inputs, 0)
    if group == 1:
        spread.sums.append(Site(node.outputs[0], node.inputs[1], 0))
        spread.makers.append(Site(node.outputs[0], node.inputs[1], axis))
    else:
        spread.fix((outputs,), why)
    if len(operands) > 2 and node.inputs[2]:
        spread.join(made, operands[2][0], why)
    return ((x[0], made, *_still(spread, node, 2)),)


def gemm(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    a, b, why = operands[0], operands[1], called(node)
    left, right = spread.number(node, "transA", 0), spread.number(node, "transB", 0)
    if left:
        a = (a[1], a[0])
    if right:
        b = (b[1], b[0])
    _sum_over(spread, node, (a[1], 0 if left else 1), (b[0], 1 if right else 0))
    if node.inputs[1] in spread.graph.constants:
        spread.makers.append(Site(node.outputs[0], node.inputs[1], 0 if right else 1))
    result: Axes = (a[0], b[1])
    if len(operands) > 2 and node.inputs[2]:
        spread.broadcast((result, operands[2]), 2, why)
    return (result,)


def matmul(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    a, b, why = operands[0], operands[1], called(node)
    if len(a) < 2 or len(b) < 2:
        return None
    _sum_over(spread, node, (a[-1], len(a) - 1), (b[-2], len(b) - 2))
    for k, axis in ((1, len(b) - 1), (0, len(a) - 2)):
        if node.inputs[k] in spread.graph.constants:
            spread.makers.append(Site(node.outputs[0], node.inputs[k], axis))
    batch = spread.broadcast((a[:-2], b[:-2]), max(len(a), len(b)) - 2, why)
    if not any(name in spread.graph.constants for name in node.inputs):
        spread.heads.extend(int(cell) for axis in batch if axis is not None for cell in axis)
    return ((*batch, a[-2], b[-1]),)


def _sum_over(spread: Spread, node: Node, left: tuple[Axis, int], right: tuple[Axis, int]) -> None:
    """A term can only be left out where weights stand in it: of two activations, nothing says that it is small."""
    constant = [name in spread.graph.constants for name in node.inputs[:2]]
    if constant[0] == constant[1]:
        spread.fix((left[0], right[0]), called(node))
        return
    spread.join(left[0], right[0], called(node))
    k = constant.index(True)
    spread.sums.append(Site(node.outputs[0], node.inputs[k], (left, right)[k][1]))


def _still(spread: Spread, node: Node, first: int) -> Axes:
    axes = spread.unmoved(node.outputs[0], called(node))
    return () if axes is None else axes[first:]
