"""Operators that put tensors together along an axis, or take parts of one: Concat, Split, Slice, Gather, Pad, Tile, Resize, Shape."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ..graph.node import Node
from .cells import Axes, Axis
from .contractions import Results
from .spread import Spread
from .words import called


def concat(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    axis, why = spread.number(node, "axis", 0) % len(operands[0]), called(node)
    parts = [one[axis] for one in operands]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        spread.fix(parts, why)
    found: list[Axis] = []
    for place, first in enumerate(operands[0]):
        joined: Axis = first
        for one in operands[1:] if place != axis else ():
            joined = spread.join(joined, one[place], why)
        found.append(joined)
    found[axis] = np.concatenate(known) if len(known) == len(parts) else None
    return (tuple(found),)


def split(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    x = operands[0]
    axis = spread.number(node, "axis", 0) % len(x)
    sizes = [(spread.graph.tensor(name).shape or ())[axis : axis + 1] for name in node.outputs]
    cells = x[axis]
    if cells is None or not all(node.outputs) or any(not size or size[0] is None for size in sizes):
        return None
    ends = list(accumulate(int(size[0] or 0) for size in sizes))
    if ends[-1] != len(cells):
        return None
    return tuple((*x[:axis], cells[low:high], *x[axis + 1 :]) for low, high in zip([0, *ends[:-1]], ends, strict=True))


def bounds(spread: Spread, node: Node, rank: int) -> list[tuple[int, int, int, int]] | None:
    """(axis, start, end, step) of a Slice of constant bounds."""
    rows = [spread.integers(name) if name else () for name in node.inputs[1:]]
    if len(rows) < 2 or None in rows:
        return None
    starts, ends, axes, steps = [*(row or () for row in rows), (), ()][:4]
    places = [axis % rank for axis in axes or range(len(starts))]
    return list(zip(places, starts, ends, steps or (1,) * len(starts), strict=True))


def slice_(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    found, cuts = list(operands[0]), bounds(spread, node, len(operands[0]))
    if cuts is None:
        return None
    for axis, start, end, step in cuts:
        cells = found[axis]
        if cells is None:
            continue
        if step != 1:
            spread.fix((cells,), called(node))
        found[axis] = cells[slice(start, end if step > 0 or end >= -len(cells) else None, step)]
    return (tuple(found),)


def gather(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """At constant places, which must be kept where there is only one; at others, the axis stays."""
    x, where = operands[0], operands[1]
    axis, why = spread.number(node, "axis", 0) % len(x), called(node)
    places, cells = spread.integers(node.inputs[1]), x[axis]
    spread.fix(where, why)
    if places is not None and cells is not None and len(where) == 1:
        return ((*x[:axis], cells[list(places)], *x[axis + 1 :]),)
    spread.fix((cells,) if places is None or cells is None else (cells[list(places)],), why)
    return ((*x[:axis], *where, *x[axis + 1 :]),)


def kept_where_alike(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Pad, Tile, Resize: an axis that keeps its extent is as it was."""
    axes, x = spread.unmoved(node.outputs[0], called(node)), operands[0]
    if axes is None or len(axes) != len(x) or (node.operator == "Pad" and not _unpadded(spread, node)):
        return None
    if any(name and spread.integers(name) is None for name in node.inputs[1:2] if node.operator in ("Pad", "Tile")):
        return None
    found: list[Axis] = []
    for mine, out in zip(x, axes, strict=True):
        alike = mine is not None and out is not None and len(mine) == len(out)
        if not alike:
            spread.fix((mine,), called(node))
        found.append(mine if alike else out)
    return (tuple(found),)


def resize(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    if any(name and spread.graph.value(name) is None for name in node.inputs[1:]):
        return None
    if node.attribute("axes") is not None or node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        return None
    return kept_where_alike(spread, node, operands)


def shape(spread: Spread, node: Node, operands: list[Axes]) -> Results:
    """Whoever knows an extent holds it; where only some of a shape are gathered, these alone."""
    x = operands[0]
    low, high = spread.number(node, "start", 0), spread.number(node, "end", len(x))
    wanted = set(range(len(x))[low:high])
    if low == 0 and high == len(x) and not spread.graph.is_output(node.outputs[0]):
        picked = [_picked(spread, user) for user in spread.graph.users(node.outputs[0])]
        if None not in picked:
            wanted = {place % len(x) for places in picked for place in places or ()}
    spread.fix([x[place] for place in wanted], called(node))
    return (spread.unmoved(node.outputs[0], called(node)) or (),)


def _picked(spread: Spread, user: Node) -> tuple[int, ...] | None:
    return spread.integers(user.inputs[1]) if user.kind == "Gather" else None


def _unpadded(spread: Spread, node: Node) -> bool:
    """A Pad that takes as much off an axis as it adds moves what it keeps."""
    pads = spread.integers(node.inputs[1]) if len(node.inputs) > 1 else None
    return pads is not None and min(pads, default=0) >= 0 and not any(node.inputs[3:])
