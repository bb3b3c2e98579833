"""Parts of stored tensors, and what is put around them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .node import FLOAT, TfliteNode
from .records import Operator, Tensor

MOST_BROADCAST, MOST_ONES = 6, 1 << 16
"""Dims that XNNPACK broadcasts, and how many ones are written into the file for it."""


def split(node: TfliteNode, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    """A stored tensor in pieces along a stored axis; of a constant, constants: kernels of weights that are computed are slower."""
    if x.data is not None:
        starts = [sum(sizes[:k]) for k in range(len(sizes))]
        parts = [x.data[(slice(None),) * axis + (slice(start, start + size),)] for start, size in zip(starts, sizes, strict=True)]
        return [node.program.constant(part, node.values.fresh(x.name), x.scales) for part in parts]
    shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    made = [Tensor(node.values.fresh(node.hint), shape, x.dtype, None, x.scales) for shape in shapes]
    operands = (x, node.numbers(list(sizes)), node.numbers(axis))
    node.program.add(Operator("SPLIT_V", operands, tuple(made), {"numSplits": len(sizes)}))
    return made


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


def reached(node: TfliteNode, x: Tensor, spans: Sequence[range], value: float = 0) -> Tensor:
    """The elements at one range for each stored axis; `value` where a range reaches beyond the tensor."""
    inside = [range(max(span.start, 0), min(span.stop, size)) for span, size in zip(spans, x.shape, strict=True)]
    around = [(kept.start - span.start, span.stop - kept.stop) for span, kept in zip(spans, inside, strict=True)]
    return padded(node, sliced(node, x, inside), around, value)


def padded(node: TfliteNode, x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0) -> Tensor:
    """A constant around a stored tensor: begin and end of each stored axis."""
    if not any(a or b for a, b in pads):
        return x
    shape = [a + size + b for size, (a, b) in zip(x.shape, pads, strict=True)]
    amounts = node.numbers([list(pair) for pair in pads])
    if value == 0:
        return node.emit("PAD", [x, amounts], shape, scales=x.scales)
    return node.emit("PADV2", [x, amounts, node.like(value, x)], shape, scales=x.scales)


def repeated(node: TfliteNode, x: Tensor, shape: Sequence[int]) -> Tensor:
    """A stored tensor as often along each axis as makes it that shape. BROADCAST_TO goes number by number (83,000 take 1.3 ms, a product
    by ones 12 us), and so does TILE along the last axis."""
    import numpy

    x = node.reshape(x, (*(1,) * (len(shape) - x.rank), *x.shape))
    times = [size // max(own, 1) for size, own in zip(shape, x.shape, strict=True)]
    if set(times) == {1}:
        return x
    broadcasts = all(count == 1 or own == 1 for count, own in zip(times, x.shape, strict=True))
    if broadcasts and x.dtype == FLOAT and x.scales is None and x.rank <= MOST_BROADCAST and math.prod(times) <= MOST_ONES:
        return node.emit("MUL", [x, node.numbers(numpy.ones(times), FLOAT)], shape)
    return node.emit("TILE", [x, node.numbers(times)], shape)
