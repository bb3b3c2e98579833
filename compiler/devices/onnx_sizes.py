"""Sizes and pads as ONNX's operators state them, resolved: all shapes are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from .onnx_node import OnnxNode, axes_of


class Sized(Protocol):
    """What a node of any converter knows of its operands."""

    def has(self, index: int) -> bool: ...

    def shape(self, index: int) -> tuple[int, ...]: ...

    def whole_numbers(self, index: int) -> list[int]: ...


def ones(node: OnnxNode, name: str) -> list[int]:
    """A number for each spatial axis: strides or dilations, 1 where they are left out."""
    return list(node.attribute(name, [1] * (len(node.shape(0)) - 2)))


def interleaved(pads: Sequence[int]) -> list[int]:
    """ONNX: all beginnings, then all ends; Apple's formats: beginning and end of each axis."""
    half = len(pads) // 2
    return [pads[k // 2 + half * (k % 2)] for k in range(len(pads))]


def window_pads(node: OnnxNode, kernel: Sequence[int]) -> list[int]:
    """Explicit, beginning and end of each axis. SAME_UPPER and SAME_LOWER: ONNX's definition, the output is ceil(size / stride)."""
    mode = node.attribute("auto_pad", "NOTSET")
    spatial = node.shape(0)[2:]
    if mode == "VALID":
        return [0] * (2 * len(spatial))
    if mode == "NOTSET":
        return interleaved(node.attribute("pads", [0] * (2 * len(spatial))))
    pads = []
    for size, window, stride, dilation in zip(spatial, kernel, ones(node, "strides"), ones(node, "dilations"), strict=True):
        total = max((-(-size // stride) - 1) * stride + (window - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        pads += [small, large] if mode == "SAME_UPPER" else [large, small]
    return pads


def resized_shape(node: OnnxNode) -> list[int]:
    """What a Resize makes, by sizes or scales. Raises Refused where they are computed."""
    shape = node.shape(0)
    if node.has(3) and node.constant(3).size:
        given: list[float] = [float(size) for size in node.whole_numbers(3)]
    else:
        given = [float(scale) * size for scale, size in zip(node.constant(2).reshape(-1), _axes_sizes(node, shape), strict=True)]
    axes = node.attribute("axes") or list(range(len(shape)))
    target = list(shape)
    for axis, size in zip(axes, given, strict=True):
        target[axis] = math.floor(size)
    return target


def _axes_sizes(node: OnnxNode, shape: tuple[int, ...]) -> list[int]:
    return [shape[axis] for axis in node.attribute("axes") or range(len(shape))]


def reshaped(node: OnnxNode) -> list[int]:
    """What a Reshape makes: 0 and -1 as numbers. Raises Refused where the shape is computed."""
    shape, wanted = node.shape(0), node.whole_numbers(1)
    if not node.attribute("allowzero", 0):
        wanted = [shape[k] if size == 0 else size for k, size in enumerate(wanted)]
    if -1 in wanted:
        known = -math.prod(wanted)
        wanted = [math.prod(shape) // known if size == -1 else size for size in wanted]
    return wanted


def flattened(node: OnnxNode) -> list[int]:
    """What a Flatten makes."""
    shape = node.shape(0)
    axis = node.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return [math.prod(shape[:axis]), math.prod(shape[axis:])]


def squeezed_axes(node: OnnxNode) -> list[int]:
    """Which axes a Squeeze takes away, from the front. Raises Refused where they are computed."""
    shape = node.shape(0)
    return axes_of(node.whole_numbers(1), len(shape)) if node.has(1) else [k for k, dim in enumerate(shape) if dim == 1]


def unsqueezed_axes(node: OnnxNode) -> list[int]:
    """Which axes of its result an Unsqueeze adds, in order. Raises Refused where they are computed."""
    axes = node.whole_numbers(1)
    return sorted(axes_of(axes, len(node.shape(0)) + len(axes)))


def split_sizes(node: OnnxNode) -> list[int]:
    """Of the parts of a Split. Raises Refused where they are computed."""
    axis, count = node.attribute("axis", 0), len(node.proto.output)
    length = node.shape(0)[axis]
    each = -(-length // count)
    return node.whole_numbers(1) if node.has(1) else [each] * (count - 1) + [length - each * (count - 1)]


def slice_ranges(node: Sized) -> list[range]:
    """The indices that a Slice takes of each axis. Raises Refused where bounds are computed."""
    shape = node.shape(0)
    starts, ends = node.whole_numbers(1), node.whole_numbers(2)
    axes = axes_of(node.whole_numbers(3), len(shape)) if node.has(3) else list(range(len(starts)))
    steps = node.whole_numbers(4) if node.has(4) else [1] * len(starts)
    spans = [range(size) for size in shape]
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        spans[axis] = range(shape[axis])[slice(first, last, step)]
    return spans
