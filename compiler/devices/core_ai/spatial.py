"""Convolution and pooling: ONNX's conventions for windows as Core AI's. Padding is an operator of its own there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..onnx_node import Converter, OnnxNode
from ..onnx_sizes import ones, window_pads
from .api import CoreValue, tensor_type
from .movement import as_shape, padded, sliced
from .tensor import counts, tensor


def _flat(node: OnnxNode, x: CoreValue) -> CoreValue:
    """Core AI has no windows along one axis: they are of a height of 1."""
    return as_shape(node, x, (*x.shape[:2], 1, x.shape[2])) if len(x.shape) == 3 else x


def _unflat(node: OnnxNode, made: CoreValue) -> CoreValue:
    return as_shape(node, made, (*made.shape[:2], made.shape[3])) if len(node.shape(0)) == 3 else made


def _two(node: OnnxNode, values: Sequence[int], fill: int) -> list[int]:
    """Numbers of the spatial axes, with that of the height."""
    each = len(values) // max(len(node.shape(0)) - 2, 1)
    return [fill] * each + list(values) if len(node.shape(0)) == 3 else list(values)


def _filters(node: OnnxNode) -> CoreValue:
    """A constant filter is reshaped here."""
    shape = node.shape(1)
    if node.is_constant(1) and len(shape) == 3:
        made: CoreValue = node.api.value(node.constant(1).reshape(*shape[:2], 1, shape[2]))
        return made
    return _flat(node, tensor(node, 1))


def _biased(node: OnnxNode, made: CoreValue) -> CoreValue:
    if not node.has(2):
        return made
    shape = (node.shape(2)[0], *(1,) * (len(made.shape) - 2))
    bias = node.api.value(node.constant(2).reshape(shape)) if node.is_constant(2) else as_shape(node, tensor(node, 2), shape)
    result: CoreValue = node.api.broadcasting_add(made, bias)
    return result


def _dimensions(node: OnnxNode, name: str) -> str:
    rank = len(node.shape(0))
    if rank not in (3, 4, 5):
        raise node.refuse(f"rank {rank} is not converted")
    return f"{name}{3 if rank == 5 else 2}d"


def _conv(node: OnnxNode) -> Any:
    name = _dimensions(node, "conv")
    x = _padded(node, _flat(node, tensor(node, 0)), window_pads(node, node.shape(1)[2:]), 0.0)
    settings = (counts(_two(node, ones(node, "strides"), 1)), counts(_two(node, ones(node, "dilations"), 1)))
    made = getattr(node.api, name)(x, _filters(node), *settings, _count(node.attribute("group", 1)))
    return _unflat(node, _biased(node, made))


def _count(value: int) -> Any:
    import numpy

    return numpy.array(value, numpy.uint32)


def _padded(node: OnnxNode, x: CoreValue, pads: Sequence[int], value: float) -> CoreValue:
    """Of the spatial axes."""
    return padded(node, x, [0, 0, 0, 0, *_two(node, pads, 0)], value)


def _conv_transpose(node: OnnxNode) -> Any:
    """The whole output, cut at its ends. output_padding: less is cut at the end, or zeros are added."""
    name = _dimensions(node, "conv_transpose")
    if node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or node.attribute("output_shape") is not None:
        raise node.refuse("only explicit padding is converted")
    x = _flat(node, tensor(node, 0))
    strides, dilations = (_two(node, ones(node, what), 1) for what in ("strides", "dilations"))
    none = counts([0] * len(strides))
    settings = (counts(strides), none, counts(dilations), none, _count(node.attribute("group", 1)))
    made = getattr(node.api, name)(x, _filters(node), *settings)
    pads = _two(node, window_pads(node, node.shape(1)[2:]), 0)
    more = _two(node, node.attribute("output_padding", [0] * (len(node.shape(0)) - 2)), 0)
    ends = [after - extra for after, extra in zip(pads[1::2], more, strict=True)]
    cut = [range(before, size - max(end, 0)) for size, before, end in zip(made.shape[2:], pads[::2], ends, strict=True)]
    made = sliced(node, made, [range(made.shape[0]), range(made.shape[1]), *cut])
    added = [number for end in ends for number in (0, max(-end, 0))]
    return _unflat(node, _biased(node, padded(node, made, [0, 0, 0, 0, *added], 0.0)))


def _window(node: OnnxNode) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Kernel, strides, dilations, pads, and what `ceil_mode` adds at the end of each axis."""
    if len(node.outputs) > 1:
        raise node.refuse("indices are not converted")
    kernel, strides, dilations = list(node.attribute("kernel_shape")), ones(node, "strides"), ones(node, "dilations")
    pads = window_pads(node, kernel)
    over = [0] * len(kernel)
    if node.attribute("ceil_mode", 0) and node.attribute("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        for k, size in enumerate(node.shape(0)[2:]):
            span, before, after = (kernel[k] - 1) * dilations[k] + 1, pads[2 * k], pads[2 * k + 1]
            steps = -(-(size + before + after - span) // strides[k])
            steps -= steps * strides[k] >= size + before  # no window begins in the padding at the end
            over[k] = max(steps * strides[k] + span - size - before - after, 0)
    return kernel, strides, dilations, pads, over


def _max_pool(node: OnnxNode) -> Any:
    import numpy

    name = _dimensions(node, "maxpool")
    kernel, strides, dilations, pads, over = _window(node)
    x = _flat(node, tensor(node, 0))
    least = -numpy.inf if x.dtype.kind == "f" else numpy.iinfo(x.dtype).min
    x = _padded(node, x, [n + over[k // 2] * (k % 2) for k, n in enumerate(pads)], least)
    sizes = [_two(node, numbers, 1) for numbers in (kernel, strides, dilations)]
    spans = [(size - (k - 1) * d - 1) // s + 1 for size, k, s, d in zip(x.shape[2:], *sizes, strict=True)]
    output = tensor_type((*x.shape[:2], *spans), x.dtype)
    return _unflat(node, getattr(node.api, name)(output, x, *map(counts, sizes), numpy.array(False)))


def _average_pool(node: OnnxNode) -> Any:
    """A sum over the window, times one over how many elements count: a number, or one for each place where padding does not count."""
    name = _dimensions(node, "sumpool")
    kernel, strides, dilations, pads, over = _window(node)
    total = [n + over[k // 2] * (k % 2) for k, n in enumerate(pads)]
    x = _padded(node, _flat(node, tensor(node, 0)), total, 0.0)
    sizes = [counts(_two(node, numbers, 1)) for numbers in (kernel, strides, dilations)]
    made = getattr(node.api, name)(x, *sizes)
    shares = _shares(node, kernel, strides, dilations, pads, over)
    return _unflat(node, node.api.broadcasting_mul(made, shares.astype(made.dtype).reshape((1, 1, *_two(node, shares.shape, 1)))))


def _shares(node: OnnxNode, kernel: list[int], strides: list[int], dilations: list[int], pads: list[int], over: list[int]) -> Any:
    """One over the number of elements that count, by place; of one element per axis where all places are alike."""
    import numpy

    counted = bool(node.attribute("count_include_pad", 0))
    along = []
    for k, size in enumerate(node.shape(0)[2:]):
        before, after = pads[2 * k], pads[2 * k + 1]
        full = numpy.zeros(before + size + after + over[k])
        full[: before + size + after] = counted
        full[before : before + size] = 1
        starts = range(0, len(full) - (kernel[k] - 1) * dilations[k], strides[k])
        numbers = numpy.array([full[s : s + (kernel[k] - 1) * dilations[k] + 1 : dilations[k]].sum() for s in starts])
        along.append(numbers[:1] if len(set(numbers.tolist())) == 1 else numbers)
    return 1 / math.prod(numpy.ix_(*along))


SPATIAL: Mapping[str, Converter] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
}
