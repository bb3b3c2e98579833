"""GridSample in primitives, for devices that lack it.

    GridSample(x, g)  ->  Σ over corners c of  w_c(g) · x[i_c(g)]

A place of the grid, -1 to 1 from border to border, is p = g·a + b in elements. With floor(p) and floor(p) + 1 along each axis as
corners the weights are 1 - (p - floor(p)) and p - floor(p); the nearest element is round(p), to even as in ONNX. Outside the image a
corner counts as 0 ("zeros": its weight is multiplied by whether it is inside), p is clamped ("border"), or folded back ("reflection").
Elements are gathered as rows of [places, channels]. Covered: linear and nearest sampling of images (rank 4); a place that is not a
number is not defined.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from onnx import TensorProto

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

LINEAR, NEAREST = ("bilinear", "linear"), "nearest"
MOST = 2**31 - 1
Corner = tuple[str, str]
"""Along one axis: the place as an int32 inside the image, and its weight; "" for one that is 1."""


def match(graph: Graph, node: Node) -> Bindings | None:
    """The sizes: batch, channels, height and width of the image, height and width of the result."""
    image, grid = (extents(graph, name) for name in node.inputs[:2])
    mode, padding = graph.attribute(node, "mode"), graph.attribute(node, "padding_mode")
    if image is None or grid is None or len(image) != 4 or len(grid) != 4 or grid[3] != 2 or 0 in image or 0 in grid:
        return None
    if mode not in (*LINEAR, NEAREST) or graph.tensor(node.inputs[0]).dtype not in COMPUTED or image[0] * image[2] * image[3] > MOST:
        return None
    if graph.tensor(node.inputs[0]).dtype != graph.tensor(node.inputs[1]).dtype:
        return None
    return Bindings(node, {"sizes": (*image, *grid[1:3]), "mode": str(mode), "padding": str(padding)})


def build(b: Builder, found: Bindings) -> str:
    image, grid = found.root.inputs[:2]
    batch, channels, height, width, rows, columns = found.integers("sizes")
    places = batch * rows * columns
    table = b.reshape(b.op("Transpose", image, perm=(0, 2, 3, 1)), (batch * height * width, channels))
    flat = b.reshape(grid, (places, 2))
    corners = bool(b.graph.attribute(found.root, "align_corners"))
    axes = [_corners(b, _column(b, flat, k), size, found, corners) for k, size in ((1, height), (0, width))]
    total = ""
    for (y, of_y), (x, of_x) in product(*axes):
        row = b.op("Add", b.op("Mul", y, _whole(b, width)), x)
        if batch > 1:
            row = b.op("Add", row, b.array(np.repeat(np.arange(batch), rows * columns)[:, None] * height * width, "int32"))
        weight = b.mul(of_y, of_x) if of_y and of_x else of_y or of_x
        taken = b.op("GatherND", table, b.op("Cast", row, to=TensorProto.INT64))
        taken = b.mul(taken, weight) if weight else taken
        total = b.add(total, taken) if total else taken
    return b.op("Transpose", b.reshape(total, (batch, rows, columns, channels)), perm=(0, 3, 1, 2))


def _column(b: Builder, flat: str, k: int) -> str:
    return b.op("Slice", flat, *(b.integers([number]) for number in (k, k + 1, 1, 1)))


def _whole(b: Builder, number: int) -> str:
    return b.array(np.array(number), "int32")


def _corners(b: Builder, unit: str, size: int, found: Bindings, corners: bool) -> list[Corner]:
    """Of an axis: where to read, and how much that counts."""
    place = b.add(b.mul(unit, (size - 1 if corners else size) / 2), (size - 1) / 2)
    zeros, nearest = found["padding"] == "zeros", found["mode"] == NEAREST
    place = b.op("Round", place) if nearest else place
    if not zeros:
        place = _clamped(b, _folded(b, place, size, corners) if found["padding"] == "reflection" else place, size)
    if nearest:
        return [_corner(b, b.op("Round", place), "", size, zeros)]
    low = b.op("Floor", place)
    upper = b.sub(place, low)
    return [_corner(b, low, b.sub(1.0, upper), size, zeros), _corner(b, b.add(low, 1.0), upper, size, zeros)]


def _corner(b: Builder, place: str, weight: str, size: int, zeros: bool) -> Corner:
    inside = _clamped(b, place, size)
    if zeros:
        there = b.cast(b.op("Equal", place, inside), b.dtype)
        weight = b.mul(weight, there) if weight else there
    return b.op("Cast", inside, to=TensorProto.INT32), weight


def _clamped(b: Builder, place: str, size: int) -> str:
    return b.op("Clip", place, b.number(0.0), b.number(size - 1.0))


def _folded(b: Builder, place: str, size: int, corners: bool) -> str:
    """Folded back at the borders: the distance from the nearest point that an even number of spans lies from the lower border."""
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    span = high - low
    if span == 0:
        return b.mul(place, 0.0)
    offset = b.op("Abs", b.sub(place, low))
    turns = b.op("Floor", b.mul(offset, 1 / (2 * span)))
    rest = b.sub(offset, b.mul(turns, 2 * span))
    return b.add(b.sub(span, b.op("Abs", b.sub(rest, span))), low)


GRID_SAMPLE_GATHER = Rewrite(
    name="grid_sample_gather",
    summary="GridSample(x, g) -> Σ w(g)·x[i(g)] over the corners around each place",
    operators=("GridSample",),
    emits=("Reshape", "Transpose", "Slice", "Mul", "Add", "Sub", "Round", "Floor", "Clip", "Abs", "Equal", "Cast", "GatherND"),
    contract=Contract("reassociates", over="places that are numbers"),
    match=match,
    build=build,
)
