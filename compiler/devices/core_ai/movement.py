"""Operators that move elements, as Core AI's: all shapes are known, so sizes are numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..onnx_node import Converter, OnnxNode, axes_of
from ..onnx_sizes import flattened, interleaved, reshaped, slice_ranges, split_sizes, squeezed_axes, unsqueezed_axes
from .api import CoreValue
from .tensor import counts, like, tensor, whole


def as_shape(node: OnnxNode, x: CoreValue, shape: Sequence[int]) -> CoreValue:
    """The value itself where it has that shape."""
    if tuple(shape) == x.shape:
        return x
    made: CoreValue = node.api.reshape(x, whole(list(shape)))
    return made


def transposed(node: OnnxNode, x: CoreValue, order: Sequence[int]) -> CoreValue:
    """Axes in another order."""
    if list(order) == list(range(len(order))):
        return x
    made: CoreValue = node.api.transpose(x, counts(list(order)))
    return made


def sliced(node: OnnxNode, x: CoreValue, spans: Sequence[range]) -> CoreValue:
    """The indices of each axis; not empty. Taken forwards and then reversed where they fall: coreai-core 1.0.0b3 leaves the last one out of
    a slice backwards to the first element."""
    backwards = [axis for axis, span in enumerate(spans) if span.step < 0]
    spans = [range(span[-1], span[0] + 1, -span.step) if span.step < 0 else span for span in spans]
    if any(span != range(size) for span, size in zip(spans, x.shape, strict=True)):
        x = node.api.slice_(x, *(whole([getattr(span, bound) for span in spans]) for bound in ("start", "stop", "step")))
    return node.api.reverse(x, whole(backwards)) if backwards else x


def padded(node: OnnxNode, x: CoreValue, pads: Sequence[int], value: float, mode: str = "constant") -> CoreValue:
    """pads: beginning and end of each axis, none negative."""
    if not any(pads):
        return x
    made: CoreValue = node.api.pad(x, counts(list(pads)), like(x, value), mode)
    return made


def _reshape(node: OnnxNode) -> Any:
    return as_shape(node, tensor(node, 0), reshaped(node))


def _flatten(node: OnnxNode) -> Any:
    return as_shape(node, tensor(node, 0), flattened(node))


def _transpose(node: OnnxNode) -> Any:
    return transposed(node, tensor(node, 0), node.attribute("perm") or list(reversed(range(len(node.shape(0))))))


def _squeeze(node: OnnxNode) -> Any:
    gone = set(squeezed_axes(node))
    return as_shape(node, tensor(node, 0), [size for k, size in enumerate(node.shape(0)) if k not in gone])


def _unsqueeze(node: OnnxNode) -> Any:
    shape = list(node.shape(0))
    for axis in unsqueezed_axes(node):
        shape.insert(axis, 1)
    return as_shape(node, tensor(node, 0), shape)


def _concat(node: OnnxNode) -> Any:
    parts = [tensor(node, k) for k in range(len(node.operands))]
    return node.api.concat(node.attribute("axis"), parts) if len(parts) > 1 else parts[0]


def _split(node: OnnxNode) -> Any:
    sizes = split_sizes(node)
    x = tensor(node, 0)
    return [x] if len(sizes) == 1 else node.api.split(x, counts(sizes), whole_scalar(node.attribute("axis", 0)))


def whole_scalar(value: int) -> Any:
    """An axis."""
    import numpy

    return numpy.array(value, numpy.int32)


def _slice(node: OnnxNode) -> Any:
    spans = slice_ranges(node)
    if not all(spans):
        raise node.refuse("an empty slice is not converted")
    return sliced(node, tensor(node, 0), spans)


def _expand(node: OnnxNode) -> Any:
    import numpy

    x = tensor(node, 0)
    shape = numpy.broadcast_shapes(x.shape, tuple(node.whole_numbers(1)))
    return x if shape == x.shape else node.api.broadcast_to(x, counts(list(shape)))


def _tile(node: OnnxNode) -> Any:
    repeats = node.whole_numbers(1)
    x = tensor(node, 0)
    return x if set(repeats) <= {1} else node.api.tile(x, counts(repeats))


MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(node: OnnxNode) -> Any:
    mode, x = node.attribute("mode", "constant"), tensor(node, 0)
    if mode not in MODES:
        raise node.refuse(f"mode {mode} is not converted")
    axes = axes_of(node.whole_numbers(3), len(x.shape)) if node.has(3) else list(range(len(x.shape)))
    given = interleaved(node.whole_numbers(1))
    pads = [0] * (2 * len(x.shape))
    for k, axis in enumerate(axes):
        pads[2 * axis : 2 * axis + 2] = given[2 * k : 2 * k + 2]
    if min(pads, default=0) < 0:
        x, pads = _cropped(node, x, pads)
    if mode != "constant" and any(max(pads[2 * k : 2 * k + 2]) > size - (mode == "reflect") for k, size in enumerate(x.shape)):
        raise node.refuse(f"mode {mode} reaches beyond the tensor")
    value = node.constant(2).item() if node.has(2) and node.constant(2).size else 0
    return padded(node, x, pads, value, MODES[mode])


def _cropped(node: OnnxNode, x: CoreValue, pads: list[int]) -> tuple[CoreValue, list[int]]:
    """Without what negative pads take away, and the other ones, which ONNX adds to what is left."""
    spans = [range(max(-pads[2 * k], 0), size + min(pads[2 * k + 1], 0)) for k, size in enumerate(x.shape)]
    if not all(spans):
        raise node.refuse("pads that leave nothing are not converted")
    return sliced(node, x, spans), [max(pad, 0) for pad in pads]


def _shape(node: OnnxNode) -> Any:
    import numpy

    found = numpy.array(node.shape(0), numpy.int64)
    return found[node.attribute("start", 0) : node.attribute("end", None)]


def _size(node: OnnxNode) -> Any:
    import numpy

    return numpy.array(math.prod(node.shape(0)), numpy.int64)


def _depth_to_space(node: OnnxNode) -> Any:
    b, (n, c, h, w) = node.attribute("blocksize"), node.shape(0)
    left = c // b // b
    first = node.attribute("mode", "DCR") == "DCR"
    split = as_shape(node, tensor(node, 0), (n, b, b, left, h, w) if first else (n, left, b, b, h, w))
    return as_shape(node, transposed(node, split, (0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3)), (n, left, h * b, w * b))


def _space_to_depth(node: OnnxNode) -> Any:
    b, (n, c, h, w) = node.attribute("blocksize"), node.shape(0)
    split = as_shape(node, tensor(node, 0), (n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if node.attribute("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return as_shape(node, transposed(node, split, order), (n, c * b * b, h // b, w // b))


MOVEMENT: Mapping[str, Converter] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
