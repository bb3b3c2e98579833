"""Operators that move elements, as MIL: all shapes are known, so sizes are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode, axes_of
from ..onnx_sizes import flattened, reshaped, slice_ranges, split_sizes, squeezed_axes, unsqueezed_axes
from .node import float_type, is_float


def _reshape(node: OnnxNode) -> Any:
    return node.api.reshape(x=node.operand(0), shape=reshaped(node))


def _flatten(node: OnnxNode) -> Any:
    return node.api.reshape(x=node.operand(0), shape=flattened(node))


def _transpose(node: OnnxNode) -> Any:
    perm = node.attribute("perm") or list(reversed(range(len(node.shape(0)))))
    return node.api.transpose(x=node.operand(0), perm=list(perm))


def _squeeze(node: OnnxNode) -> Any:
    axes = squeezed_axes(node)
    if len(axes) == len(node.shape(0)):
        raise node.refuse("a scalar is not converted")
    return node.api.squeeze(x=node.operand(0), axes=axes) if axes else node.operand(0)


def _unsqueeze(node: OnnxNode) -> Any:
    return node.api.expand_dims(x=node.operand(0), axes=unsqueezed_axes(node))


def _concat(node: OnnxNode) -> Any:
    return node.api.concat(values=list(node.operands), axis=node.attribute("axis"))


def _split(node: OnnxNode) -> Any:
    sizes = split_sizes(node)
    if len(sizes) == 1:
        return [node.operand(0)]
    return list(node.api.split(x=node.operand(0), split_sizes=sizes, axis=node.attribute("axis", 0)))


def _slice(node: OnnxNode) -> Any:
    """An end before the first element is a mask, since -1 would be the last."""
    spans = slice_ranges(node)
    if not all(spans):
        raise node.refuse("an empty slice is not converted")
    return node.api.slice_by_index(
        x=node.operand(0),
        begin=[span.start for span in spans],
        end=[max(span.stop, 0) for span in spans],
        stride=[span.step for span in spans],
        end_mask=[span.stop < 0 for span in spans],
    )


def _positive(node: OnnxNode, index: int, length: int) -> Any:
    """Indices from the front: Core ML takes no others from iOS 17 on."""
    import numpy

    given = node.operand(index)
    if node.is_constant(index):
        return numpy.where(given < 0, given + length, given).astype(numpy.int32)
    behind = node.api.add(x=given, y=numpy.int32(length))
    return node.api.select(cond=node.api.greater_equal(x=given, y=numpy.int32(0)), a=given, b=behind)


def _gather(node: OnnxNode) -> Any:
    import numpy

    axis = axes_of([node.attribute("axis", 0)], len(node.shape(0)))[0]
    indices = _positive(node, 1, node.shape(0)[axis])
    x = node.operand(0)
    if isinstance(indices, numpy.ndarray) and indices.ndim == 0:
        indices = numpy.int32(indices)
    return node.api.gather(x=x, indices=indices, axis=axis)


def _gather_elements(node: OnnxNode) -> Any:
    axis = axes_of([node.attribute("axis", 0)], len(node.shape(0)))[0]
    return node.api.gather_along_axis(x=node.operand(0), indices=_positive(node, 1, node.shape(0)[axis]), axis=axis)


def _tile(node: OnnxNode) -> Any:
    return node.api.tile(x=node.operand(0), reps=node.whole_numbers(1))


def _pad(node: OnnxNode) -> Any:
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    mode = node.attribute("mode", "constant")
    if mode not in modes or node.has(3) or not is_float(node.operand(0)):
        raise node.refuse(f"mode {mode}, with axes or on whole numbers, is not converted")
    pads, rank = node.whole_numbers(1), len(node.shape(0))
    if min(pads) < 0 or (mode != "constant" and any(pads[k] or pads[k + rank] for k in range(rank - 2))):
        raise node.refuse("negative pads, and reflected or repeated edges of other axes than the last two, are not converted")
    both = [pads[k // 2 + rank * (k % 2)] for k in range(2 * rank)]
    value = float_type(node.operand(0))(node.constant(2).item() if node.has(2) else 0.0)
    shown = both if mode == "constant" else both[-4:]
    return node.api.pad(x=node.operand(0), pad=shown, mode=modes[mode], constant_val=value)


def _shape(node: OnnxNode) -> Any:
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
