"""Operators that move elements, as MIL: all shapes are known, so sizes are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .node import Converter, MilNode, axes_of, float_type


def _reshape(node: MilNode) -> Any:
    shape, wanted = node.shape(0), node.whole_numbers(1)
    if not node.attribute("allowzero", 0):
        wanted = [shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    if -1 in wanted:
        known = -math.prod(wanted)
        wanted = [math.prod(shape) // known if size == -1 else size for size in wanted]
    return node.mb.reshape(x=node.operand(0), shape=wanted)


def _flatten(node: MilNode) -> Any:
    shape = node.shape(0)
    axis = node.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return node.mb.reshape(x=node.operand(0), shape=[math.prod(shape[:axis]), math.prod(shape[axis:])])


def _transpose(node: MilNode) -> Any:
    perm = node.attribute("perm") or list(reversed(range(len(node.shape(0)))))
    return node.mb.transpose(x=node.operand(0), perm=list(perm))


def _squeeze(node: MilNode) -> Any:
    shape = node.shape(0)
    axes = axes_of(node.whole_numbers(1), len(shape)) if node.has(1) else [k for k, dim in enumerate(shape) if dim == 1]
    if len(axes) == len(shape):
        raise node.refuse("a scalar is not converted")
    return node.mb.squeeze(x=node.operand(0), axes=axes) if axes else node.operand(0)


def _unsqueeze(node: MilNode) -> Any:
    axes = node.whole_numbers(1)
    return node.mb.expand_dims(x=node.operand(0), axes=sorted(axes_of(axes, len(node.shape(0)) + len(axes))))


def _concat(node: MilNode) -> Any:
    return node.mb.concat(values=list(node.operands), axis=node.attribute("axis"))


def _split(node: MilNode) -> Any:
    axis, count = node.attribute("axis", 0), len(node.proto.output)
    length = node.shape(0)[axis]
    each = -(-length // count)
    sizes = node.whole_numbers(1) if node.has(1) else [each] * (count - 1) + [length - each * (count - 1)]
    if len(sizes) == 1:
        return [node.operand(0)]
    return list(node.mb.split(x=node.operand(0), split_sizes=sizes, axis=axis))


def _slice(node: MilNode) -> Any:
    """Starts and ends are clamped as ONNX says; an end before the first element is a mask, since -1 would be the last."""
    shape = node.shape(0)
    starts, ends = node.whole_numbers(1), node.whole_numbers(2)
    axes = axes_of(node.whole_numbers(3), len(shape)) if node.has(3) else list(range(len(starts)))
    steps = node.whole_numbers(4) if node.has(4) else [1] * len(starts)
    begin, end, stride, open_end = [0] * len(shape), list(shape), [1] * len(shape), [False] * len(shape)
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        span = range(shape[axis])[slice(first, last, step)]
        if not span:
            raise node.refuse("an empty slice is not converted")
        begin[axis], stride[axis], end[axis] = span.start, step, span.stop
        open_end[axis] = span.stop < 0
    end = [0 if masked else stop for stop, masked in zip(end, open_end, strict=True)]
    return node.mb.slice_by_index(x=node.operand(0), begin=begin, end=end, stride=stride, end_mask=open_end)


def _positive(node: MilNode, index: int, length: int) -> Any:
    """Indices from the front: Core ML takes no others from iOS 17 on."""
    import numpy

    given = node.operand(index)
    if node.is_constant(index):
        return numpy.where(given < 0, given + length, given).astype(numpy.int32)
    behind = node.mb.add(x=given, y=numpy.int32(length))
    return node.mb.select(cond=node.mb.greater_equal(x=given, y=numpy.int32(0)), a=given, b=behind)


def _gather(node: MilNode) -> Any:
    import numpy

    axis = axes_of([node.attribute("axis", 0)], len(node.shape(0)))[0]
    indices = _positive(node, 1, node.shape(0)[axis])
    x = node.operand(0)
    if isinstance(indices, numpy.ndarray) and indices.ndim == 0:
        indices = numpy.int32(indices)
    return node.mb.gather(x=x, indices=indices, axis=axis)


def _gather_elements(node: MilNode) -> Any:
    axis = axes_of([node.attribute("axis", 0)], len(node.shape(0)))[0]
    return node.mb.gather_along_axis(x=node.operand(0), indices=_positive(node, 1, node.shape(0)[axis]), axis=axis)


def _tile(node: MilNode) -> Any:
    return node.mb.tile(x=node.operand(0), reps=node.whole_numbers(1))


def _pad(node: MilNode) -> Any:
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    mode = node.attribute("mode", "constant")
    if mode not in modes or node.has(3) or not node.floats(0):
        raise node.refuse(f"mode {mode}, with axes or on whole numbers, is not converted")
    pads, rank = node.whole_numbers(1), len(node.shape(0))
    if min(pads) < 0 or (mode != "constant" and any(pads[k] or pads[k + rank] for k in range(rank - 2))):
        raise node.refuse("negative pads, and reflected or repeated edges of other axes than the last two, are not converted")
    both = [pads[k // 2 + rank * (k % 2)] for k in range(2 * rank)]
    value = float_type(node.operand(0))(node.constant(2).item() if node.has(2) else 0.0)
    shown = both if mode == "constant" else both[-4:]
    return node.mb.pad(x=node.operand(0), pad=shown, mode=modes[mode], constant_val=value)


def _shape(node: MilNode) -> Any:
    import numpy

    found = numpy.array(node.shape(0), numpy.int32)
    return found[node.attribute("start", 0) : node.attribute("end", None)]


MOVEMENT: Mapping[str, Converter] = {
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
