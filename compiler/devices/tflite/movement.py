"""Operators that move elements: all shapes are known, so sizes are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..onnx_node import axes_of
from ..onnx_sizes import slice_ranges
from .indices import gathered
from .node import Converter, TfliteNode
from .order import after_reshape, after_transpose, blocks_of, plain, stored
from .pieces import padded, repeated, sliced, split

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
            node.values.columns[out] = (node.settled(node.reshape(x, after)), before, order)
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
        node.values.write(out, after_transpose(order, perm), node.settled(tensor))


def _concat(node: TfliteNode) -> None:
    order = node.order
    parts = [node.read(index, order) for index in range(len(node.proto.input)) if 0 not in node.shape(index)]
    if len(parts) == 1:
        node.write(parts[0])
        return
    axis, wanted = node.place(node.attribute("axis"), order), node.out_scales
    parts = [part if wanted is None else node.on_grid(part, wanted) for part in parts]
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


def _slice(node: TfliteNode) -> None:
    """Starts and ends are clamped as ONNX says; an end before the first element is a mask, since -1 would be the last."""
    spans = slice_ranges(node)
    order = node.order_of(node.name(0))
    node.write(sliced(node, node.read(0), [spans[axis] for axis in order]))


def _tile(node: TfliteNode) -> None:
    order = node.order
    node.whole_numbers(1)  # raises Refused where they are computed
    node.write(repeated(node, node.read(0, order), stored(node.out_shape(), order)))


def _expand(node: TfliteNode) -> None:
    node.write(repeated(node, node.beside(0, node.order), stored(node.out_shape(), node.order)))


def _pad(node: TfliteNode) -> None:
    """Along each axis: cut off for negative pads, then a constant, or elements of the tensor by their places."""
    import numpy

    shape, mode = node.shape(0), node.attribute("mode", "constant")
    axes = axes_of(node.whole_numbers(3), len(shape)) if node.has(3) else list(range(len(shape)))
    given = node.whole_numbers(1)
    pads = {axis: (given[k], given[k + len(axes)]) for k, axis in enumerate(axes)}
    x, order = node.settled(node.read(0)), node.order_of(node.name(0))
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


def _trilu(node: TfliteNode) -> None:
    import numpy

    shape = node.shape(0)
    k = int(node.constant(1)) if node.has(1) else 0
    square = numpy.ones(shape[-2:], bool)
    kept = numpy.triu(square, k) if node.attribute("upper", 1) else numpy.tril(square, k)
    x = node.read(0, plain(len(shape)))
    mask = node.numbers(kept, "bool")
    node.write(node.emit("SELECT_V2", [mask, x, node.like(0, x)], shape, dtype=x.dtype), order=plain(len(shape)))


def _cumsum(node: TfliteNode) -> None:
    axis = node.place(int(node.constant(1).item()))
    x = node.read(0)
    options: dict[str, Any] = {"exclusive": bool(node.attribute("exclusive", 0)), "reverse": bool(node.attribute("reverse", 0))}
    node.write(node.emit("CUMSUM", [x, node.numbers(axis)], **options))


def _shape(node: TfliteNode) -> None:
    sizes = node.shape(0)[node.attribute("start", 0) : node.attribute("end", None)]
    node.write(node.numbers(list(sizes), "int64"))


MOVEMENT: Mapping[str, Converter] = {
    "Concat": _concat,
    "CumSum": _cumsum,
    "Expand": _expand,
    "Flatten": _reshape,
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
