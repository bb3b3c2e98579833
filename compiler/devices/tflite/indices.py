"""Elements by their places. LiteRT counts from the front only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..onnx_node import axes_of
from .elementwise import cast, joined
from .node import Converter, TfliteNode
from .order import plain, stored
from .pieces import sliced
from .records import Tensor


def positive(node: TfliteNode, index: int, length: int) -> Tensor:
    """Indices from the front: LiteRT takes no others."""
    import numpy

    if node.is_constant(index):
        given = node.constant(index)
        return node.numbers(numpy.where(given < 0, given + length, given), "int32")
    given_tensor = node.read(index, plain(len(node.shape(index))))
    below = joined(node, "LESS", given_tensor, node.like(0, given_tensor), "bool")
    behind = joined(node, "ADD", given_tensor, node.like(length, given_tensor))
    return node.emit("SELECT_V2", [below, behind, given_tensor], given_tensor.shape, dtype=given_tensor.dtype)


def _gather(node: TfliteNode) -> None:
    shape = node.shape(0)
    axis = axes_of([node.attribute("axis", 0)], len(shape))[0]
    if node.is_constant(1) and node.constant(1).ndim == 0:
        _take_one(node, axis)
        return
    indices = positive(node, 1, shape[axis])
    if node.last:
        order = node.order_of(node.name(0))
        place = node.place(axis)
        made = node.emit("GATHER", [node.read(0), indices], stored(node.out_shape(), order), axis=place)
        node.write(made, order=order)
        return
    x = node.read(0, plain(len(shape)))
    made = node.emit("GATHER", [x, indices], node.out_shape(), axis=axis)
    node.write(made, order=plain(len(node.out_shape())))


def _take_one(node: TfliteNode, axis: int) -> None:
    """One constant index: a slice, without that axis."""
    shape = node.shape(0)
    index = int(node.constant(1))
    index += shape[axis] if index < 0 else 0
    x = node.read(0, plain(len(shape)))
    spans = [range(index, index + 1) if k == axis else range(size) for k, size in enumerate(x.shape)]
    node.write(node.reshape(sliced(node, x, spans), node.out_shape()), order=plain(len(node.out_shape())))


def gathered(node: TfliteNode, x: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """Constant places along a stored axis."""
    if list(indices) == list(range(x.shape[axis])):
        return x
    shape = (*x.shape[:axis], len(indices), *x.shape[axis + 1 :])
    return node.emit("GATHER", [x, node.numbers(list(indices))], shape, scales=x.scales, axis=axis)


def _gather_elements(node: TfliteNode) -> None:
    """As GATHER_ND: the places along the other axes are constants."""
    import numpy

    shape, target = node.shape(0), node.shape(1)
    axis = axes_of([node.attribute("axis", 0)], len(shape))[0]
    indices = positive(node, 1, shape[axis])
    grid = numpy.moveaxis(numpy.indices(target), 0, -1).copy()
    if indices.data is not None:
        grid[..., axis] = indices.data
        places = node.numbers(grid)
    else:
        column = cast(node, node.reshape(indices, (*target, 1)), "int32")
        parts = [node.numbers(grid[..., :axis]), column, node.numbers(grid[..., axis + 1 :])]
        parts = [part for part in parts if part.shape[-1]]
        places = column if len(parts) == 1 else node.emit("CONCATENATION", parts, grid.shape, axis=len(target))
    x = node.read(0, plain(len(shape)))
    node.write(node.emit("GATHER_ND", [x, places], target), order=plain(len(target)))


def _gather_nd(node: TfliteNode) -> None:
    import numpy

    if node.attribute("batch_dims", 0):
        raise node.refuse("batch_dims is not converted")
    shape = node.shape(0)
    sizes = numpy.array(shape[: node.shape(1)[-1]])
    if node.is_constant(1):
        given = node.constant(1)
        indices = node.numbers(numpy.where(given < 0, given + sizes, given))
    else:
        read = node.read(1, plain(len(node.shape(1))))
        below = joined(node, "LESS", read, node.like(0, read), "bool")
        indices = node.emit("SELECT_V2", [below, joined(node, "ADD", read, node.like(sizes, read)), read], read.shape, dtype=read.dtype)
    x = node.read(0, plain(len(shape)))
    node.write(node.emit("GATHER_ND", [x, indices], node.out_shape()), order=plain(len(node.out_shape())))


def _one_hot(node: TfliteNode) -> None:
    depth = int(node.constant(1).item())
    rank = len(node.out_shape())
    axis = axes_of([node.attribute("axis", -1)], rank)[0]
    off, on = (node.numbers(value, node.dtype(2)) for value in node.constant(2).reshape(-1))
    if node.dtype(0) not in ("int32", "int64"):
        raise node.refuse("indices that are not int32 or int64 are not converted")
    indices = positive(node, 0, depth)
    operands = [indices, node.numbers(depth), on, off]
    made = node.emit("ONE_HOT", operands, node.out_shape(), dtype=on.dtype, axis=axis)
    node.write(made, order=plain(rank))


INDICES: Mapping[str, Converter] = {
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
}
