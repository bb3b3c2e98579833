"""Operators that name the axes anew: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand."""

from __future__ import annotations

from math import prod

import numpy as np

from ..graph.node import Node
from .cells import Axes, Axis
from .contractions import Results
from .spread import Signature, Spread
from .words import called

Block = tuple[list[int], list[int]]
"""Axes before, and those that they become."""


def transpose(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    x, order = operands[0], node.attribute("perm")
    places = [int(one) for one in order if isinstance(one, int)] if isinstance(order, tuple) else range(len(x))[::-1]
    return (tuple(x[place] for place in places),)


def reshape(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Also Flatten, Squeeze and Unsqueeze: elements stay in their order."""
    before, after = (spread.graph.tensor(name).shape for name in (node.inputs[0], node.outputs[0]))
    if before is None or after is None or None in before or None in after or 0 in before:
        return None
    if node.operator == "Reshape" and spread.integers(node.inputs[1]) is None:
        return None
    old, new = [size or 0 for size in before], [size or 0 for size in after]
    result: list[Axis] = [None] * len(new)
    for left, right in blocks(old, new):
        if len(left) == 1 and len(right) == 1:
            result[right[0]] = operands[0][left[0]]
            continue
        merged = _merged(spread, [operands[0][k] for k in left], called(node))
        for k, axis in zip(right, _parted(spread, merged, [new[k] for k in right], called(node)), strict=True):
            result[k] = axis
    return (tuple(result),)


def expand(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Axes that are repeated are none of the operand's."""
    axes = spread.unmoved(node.outputs[0], called(node))
    if axes is None or spread.integers(node.inputs[1]) is None:
        return None
    x, found = operands[0], list(axes)
    for place in range(-len(x), 0):
        mine, out = x[place], axes[place]
        if mine is not None and out is not None and len(mine) == len(out):
            found[place] = mine
        else:
            spread.fix((mine,), called(node))
    return (tuple(found),)


def blocks(old: list[int], new: list[int]) -> list[Block]:
    """The fewest axes that become others of as many elements, in order; axes of one element by themselves."""
    left, right = [k for k, size in enumerate(old) if size > 1], [k for k, size in enumerate(new) if size > 1]
    found: list[Block] = []
    while left or right:
        block: Block = ([], [])
        while not block[0] or prod(old[k] for k in block[0]) != prod(new[k] for k in block[1]):
            more = prod(old[k] for k in block[0]) <= prod(new[k] for k in block[1])
            block[0 if more else 1].append((left if more else right).pop(0))
        found.append(block)
    return [*found, *_ones(old, new)]


def _ones(old: list[int], new: list[int]) -> list[Block]:
    """Axes of one element follow each other from the front; those left over come or go."""
    before, after = [k for k, size in enumerate(old) if size == 1], [k for k, size in enumerate(new) if size == 1]
    same = [([a], [b]) for a, b in zip(before, after, strict=False)] if len(before) == len(after) and old == new else []
    return same or [*(([k], []) for k in before), *(([], [k]) for k in after)]


def _merged(spread: Spread, axes: list[Axis], why: str) -> np.ndarray:
    """One axis in place of several: of these one, the first that can lose anything, gives the cells."""
    known = [axis for axis in axes if axis is not None]
    if not known:
        return spread.cells.still(1, why)
    free = [k for k, axis in enumerate(known) if spread.cells.free(axis).any()]
    chosen = free[0] if free else 0
    spread.fix([axis for k, axis in enumerate(known) if k != chosen], why)
    shape = [len(axis) for axis in known]
    grid = known[chosen].reshape([-1 if k == chosen else 1 for k in range(len(shape))])
    return np.broadcast_to(grid, shape).reshape(-1)


def _parted(spread: Spread, axis: np.ndarray, sizes: list[int], why: str) -> list[Axis]:
    """Several axes in place of one: the one that is chosen has the cells, joined over the others."""
    if len(sizes) == 1 and len(axis) == sizes[0]:
        return [axis]
    still: list[Axis] = [spread.cells.still(size, why) for size in sizes]
    wide = [k for k, size in enumerate(sizes) if size > 1]
    if prod(sizes) != len(axis) or not spread.cells.free(axis).any() or not wide:
        spread.fix((axis,), why)
        return still
    signature: Signature = (len(axis), tuple(sizes))
    if len(wide) > 1:
        spread.seen.setdefault(signature)
    chosen = spread.turns.get(signature, wide[0])
    rows = np.moveaxis(axis.reshape(sizes), chosen, 0).reshape(sizes[chosen], -1)
    still[chosen] = spread.cells.tie(rows.T)
    return still
