"""Operators that move elements: all shapes are known, so sizes are numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .elementwise import cast, joined
from .node import Converter, TfliteNode, axes_of
from .order import after_reshape, after_transpose, blocks_of, plain, stored
from .program import Operator, Tensor

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def _reshape(node: TfliteNode) -> None:
    """In the order in which the input lies, where that is an order of the output; flattened columns as they lie for products that take
    them so."""
    name, out = node.proto.input[0], node.proto.output[0]
    before, after = node.shape(0), node.out_shape()
    if node.last and name not in node.values.constants:
        order = node.order_of(name)
        through = after_reshape(blocks_of(before, after), order)
        x = node.read(0)
        if through is not None:
            node.write(node.reshape(x, stored(after, through)), order=through)
            return
        if len(after) == 2 and after[0] == before[0] == x.shape[0]:
            node.values.columns[out] = (node.reshape(x, after), before, order)
            return
    node.write(node.reshape(node.read(0, plain(len(before))), after), order=plain(len(after)))


def _transpose(node: TfliteNode) -> None:
    """The bytes stay; a reader that needs another order turns them."""
    name, out = node.proto.input[0], node.proto.output[0]
    perm = tuple(node.attribute("perm") or reversed(range(len(node.shape(0)))))
    if name in node.values.constants:
        node.write(node.read(0, perm), order=plain(len(perm)))
        return
    node.read(0, next(iter(node.values.made.get(name, {})), plain(len(perm))))
    for order, tensor in node.values.made[name].items():
        node.values.write(out, after_transpose(order, perm), tensor)


def _concat(node: TfliteNode) -> None:
    order = node.order
    parts = [node.read(index, order) for index in range(len(node.proto.input)) if 0 not in node.shape(index)]
    if len(parts) == 1:
        node.write(parts[0])
        return
    axis = node.place(node.attribute("axis"), order)
    node.write(node.emit("CONCATENATION", parts, stored(node.out_shape(), order), axis=axis))


def _split(node: TfliteNode) -> None:
    x, axis = node.read(0), node.place(node.attribute("axis", 0))
    names = [name for name in node.proto.output]
    logical = node.attribute("axis", 0)
    sizes = [node.out_shape(k)[logical] for k in range(len(names))]
    if len(sizes) == 1:
        node.write(x)
        return
    made = split(node, x, axis, sizes)
    for index, tensor in enumerate(made):
        if names[index]:
            node.write(tensor, index)


def split(node: TfliteNode, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    """A stored tensor in pieces along a stored axis."""
    shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    made = [Tensor(node.values.fresh(node.hint), shape, x.dtype, None, x.scales) for shape in shapes]
    operands = (x, node.numbers(list(sizes)), node.numbers(axis))
    node.program.add(Operator("SPLIT_V", operands, tuple(made), {"numSplits": len(sizes)}))
    return made


def _slice(node: TfliteNode) -> None:
    """Starts and ends are clamped as ONNX says; an end before the first element is a mask, since -1 would be the last."""
    shape = node.shape(0)
    starts, ends = node.whole_numbers(1), node.whole_numbers(2)
    axes = axes_of(node.whole_numbers(3), len(shape)) if node.has(3) else list(range(len(starts)))
    steps = node.whole_numbers(4) if node.has(4) else [1] * len(starts)
    spans = [range(size) for size in shape]
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        spans[axis] = range(shape[axis])[slice(first, last, step)]
    order = node.order_of(node.name(0))
    node.write(sliced(node, node.read(0), [spans[axis] for axis in order]))


def sliced(node: TfliteNode, x: Tensor, spans: Sequence[range]) -> Tensor:
    """The elements of a stored tensor at one range for each stored axis."""
    shape = [len(span) for span in spans]
    if all(span == range(size) for span, size in zip(spans, x.shape, strict=True)):
        return x
    begin = node.numbers([span.start for span in spans])
    if all(span.step == 1 for span in spans):
        return node.emit("SLICE", [x, begin, node.numbers(shape)], shape, scales=x.scales)
    mask = sum(1 << axis for axis, span in enumerate(spans) if span.stop < 0)
    stop, step = node.numbers([max(span.stop, 0) for span in spans]), node.numbers([span.step for span in spans])
    return node.emit("STRIDED_SLICE", [x, begin, stop, step], shape, scales=x.scales, endMask=mask)


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
    grid = numpy.stack(numpy.indices(target), -1)
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


def _tile(node: TfliteNode) -> None:
    order = node.order
    repeats = node.whole_numbers(1)
    node.write(node.emit("TILE", [node.read(0, order), node.numbers([repeats[axis] for axis in order])], stored(node.out_shape(), order)))


def _expand(node: TfliteNode) -> None:
    x, shape = node.beside(0, node.order), stored(node.out_shape(), node.order)
    if x.shape != shape:
        x = node.emit("BROADCAST_TO", [x, node.numbers(list(shape))], shape)
    node.write(x)


def _pad(node: TfliteNode) -> None:
    """Along each axis: cut off for negative pads, then a constant, or elements of the tensor by their places."""
    import numpy

    shape, mode = node.shape(0), node.attribute("mode", "constant")
    axes = axes_of(node.whole_numbers(3), len(shape)) if node.has(3) else list(range(len(shape)))
    given = node.whole_numbers(1)
    pads = {axis: (given[k], given[k + len(axes)]) for k, axis in enumerate(axes)}
    x, order = node.read(0), node.order_of(node.name(0))
    both = [pads.get(axis, (0, 0)) for axis in order]
    if mode != "constant":
        for axis, (begin, end) in enumerate(both):
            places = numpy.pad(numpy.arange(x.shape[axis]), (max(begin, 0), max(end, 0)), mode=mode)
            cut = places[max(-begin, 0) : len(places) - max(-end, 0)]
            x = gathered(node, x, axis, [int(place) for place in cut])
        node.write(x)
        return
    x = sliced(node, x, [range(max(-a, 0), size - max(-b, 0)) for (a, b), size in zip(both, x.shape, strict=True)])
    value = node.constant(2).item() if node.has(2) else 0
    node.write(padded(node, x, [(max(a, 0), max(b, 0)) for a, b in both], value))


def padded(node: TfliteNode, x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0) -> Tensor:
    """A constant around a stored tensor: begin and end of each stored axis."""
    if not any(a or b for a, b in pads):
        return x
    shape = [a + size + b for size, (a, b) in zip(x.shape, pads, strict=True)]
    amounts = node.numbers([list(pair) for pair in pads])
    if value == 0:
        return node.emit("PAD", [x, amounts], shape, scales=x.scales)
    return node.emit("PADV2", [x, amounts, node.like(value, x)], shape, scales=x.scales)


def _trilu(node: TfliteNode) -> None:
    import numpy

    shape = node.shape(0)
    k = int(node.constant(1)) if node.has(1) else 0
    square = numpy.ones(shape[-2:], bool)
    kept = numpy.triu(square, k) if node.attribute("upper", 1) else numpy.tril(square, k)
    x = node.read(0, plain(len(shape)))
    mask = node.numbers(kept, "bool")
    node.write(node.emit("SELECT_V2", [mask, x, node.like(0, x)], shape, dtype=x.dtype), order=plain(len(shape)))


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


def _cumsum(node: TfliteNode) -> None:
    axis = node.place(int(node.constant(1).item()))
    x = node.read(0)
    options = {"exclusive": bool(node.attribute("exclusive", 0)), "reverse": bool(node.attribute("reverse", 0))}
    node.write(node.emit("CUMSUM", [x, node.numbers(axis)], **options))


def _shape(node: TfliteNode) -> None:
    sizes = node.shape(0)[node.attribute("start", 0) : node.attribute("end", None)]
    node.write(node.numbers(list(sizes), "int64"))


MOVEMENT: Mapping[str, Converter] = {
    "Concat": _concat,
    "CumSum": _cumsum,
    "Expand": _expand,
    "Flatten": _reshape,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _reshape,
}
