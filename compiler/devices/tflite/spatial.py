"""Convolutions and pools: ONNX's conventions for padding as LiteRT's.

LiteRT knows no padding (VALID) or its own (SAME, which on even sizes with stride 2 is not symmetric): any other is a PAD in front.
What has one spatial axis is done with a second one of size 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .depthwise import MOST_PLACES, depthwise_in_parts
from .elementwise import joined
from .integers.weights import bias_numbers, integer_bias, weight_scales
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, plain, stored
from .pieces import reached, sliced
from .products import connected
from .records import Scales, Tensor
from .window import SAME, VALID, Window, window

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

LOWEST = -3.4028234663852886e38


def plane(node: TfliteNode, index: int = 0) -> Tensor:
    """An input as NHWC, where it has one spatial axis too."""
    shape = node.shape(index)
    x = node.read(index, channels_last(len(shape)))
    return x if x.rank == 4 else node.reshape(x, (x.shape[0], 1, *x.shape[1:]))


def write_plane(node: TfliteNode, made: Tensor) -> None:
    shape = node.out_shape()
    order = channels_last(len(shape))
    node.write(node.reshape(made, stored(shape, order)), order=order)


def _enclosed(node: TfliteNode, x: Tensor, w: Window, value: float = 0) -> Tensor:
    """Padded or cut so that no window is partly outside."""
    spans = [range(-begin, size + end) for size, (begin, end) in zip(w.sizes, w.pads, strict=True)]
    return reached(node, x, [range(x.shape[0]), *spans, range(x.shape[3])], value)


def _conv(node: TfliteNode) -> None:
    if node.dtype(0) != FLOAT and node.scales(0) is None:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    shape, groups = node.shape(1), node.attribute("group", 1)
    if _is_one_product(node, groups):
        _conv_as_product(node)
        return
    w = window(node, shape[2:])
    x = plane(node)
    depthwise = groups == node.shape(0)[1] and groups > 1
    kernel = _kernel(node, 1, (3, 1, 2, 0) if depthwise else (0, 2, 3, 1), depthwise)
    bias = bias_of(node, shape[0])
    if depthwise and shape[0] == groups and math.prod(w.kernel) > MOST_PLACES and kernel.data is not None and node.scales(0) is None:
        write_plane(node, depthwise_in_parts(node, x, kernel, bias, w))
        return
    padding = SAME if w.is_same else VALID
    x = x if padding == SAME else _enclosed(node, x, w)
    options = {**w.options(padding), **w.dilation_options()}
    if depthwise:
        options["depthMultiplier"] = shape[0] // groups
    code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    write_plane(node, node.emit(code, [x, kernel, bias], (x.shape[0], *w.out, shape[0]), **options))


def _is_one_product(node: TfliteNode, groups: int) -> bool:
    """A window that is the whole input, of more spatial axes than LiteRT's convolutions have: patches that were cut before."""
    pads = node.attribute("pads", [0])
    return len(node.shape(0)) > 4 and groups == 1 and node.is_constant(1) and node.shape(0)[1:] == node.shape(1)[1:] and not any(pads)


def _conv_as_product(node: TfliteNode) -> None:
    shape = node.shape(0)
    if node.scales(0) is not None:
        raise node.refuse("more than two spatial dims are not converted in integers")
    weights = node.constant(1).reshape(node.shape(1)[0], -1).T
    x = node.reshape(node.read(0, plain(len(shape))), (shape[0], weights.shape[0]))
    made = connected(node, x, weights, node.constant(2) if node.has(2) else None)
    node.write(node.reshape(made, node.out_shape()), order=plain(len(shape)))


def _kernel(node: TfliteNode, index: int, order: tuple[int, ...], depthwise: bool = False) -> Tensor:
    """Weights with two spatial axes, in LiteRT's order: [O, H, W, I] of ONNX's [O, I, H, W], depthwise [1, H, W, O]."""
    shape = node.shape(index)
    if node.is_constant(index):
        values = node.constant(index)
        values = values if values.ndim == 4 else values[:, :, None, :]
        scales = weight_scales(node, index, 0, 3 if depthwise else 0)
        return node.numbers((values.transpose(1, 2, 3, 0) if depthwise else values.transpose(order)), values.dtype.name, scales)
    if node.scales(0) is not None:
        raise node.refuse("weights that are computed are not converted in integers")
    weights = node.read(index, tuple(range(len(shape))))
    weights = weights if weights.rank == 4 else node.reshape(weights, (*shape[:2], 1, shape[2]))
    return node.transpose(weights, (1, 2, 3, 0) if depthwise else order)


def bias_of(node: TfliteNode, size: int, axis: int = 0) -> Tensor:
    """Zeros where there is none: LiteRT's convolutions refuse to go without. axis: of the output channels in ONNX's weights."""
    import numpy

    weights = weight_scales(node, 1, axis, 0)
    if weights is not None:
        return integer_bias(node, bias_numbers(node, 2) if node.has(2) else numpy.zeros(size), weights)
    if node.has(2) and not node.is_constant(2):
        return node.read(2)
    return node.numbers(node.constant(2) if node.has(2) else numpy.zeros(size), FLOAT)


def _pool_window(node: TfliteNode) -> Window:
    """Raises Refused where one sees nothing of the input: ONNX's ceil_mode has some that onnxruntime leaves out."""
    w = window(node, node.attribute("kernel_shape"))
    if any((o - 1) * s >= size + pads[0] for o, s, size, pads in zip(w.out, w.strides, w.sizes, w.pads, strict=True)):
        raise node.refuse("a window that lies wholly in the padding is not converted")
    return w


def _max_pool(node: TfliteNode) -> None:
    if len(node.proto.output) > 1 and node.proto.output[1]:
        raise node.refuse("the places of the largest elements are not converted")
    w = _pool_window(node)
    x = plane(node)
    if set(w.dilations) != {1}:
        write_plane(node, _dilated_pool(node, x, w))
        return
    padding = SAME if w.is_same else VALID
    x = x if padding == SAME else _enclosed(node, x, w, LOWEST)
    write_plane(node, _pooled(node, "MAX_POOL_2D", x, w, padding))


def _dilated_pool(node: TfliteNode, x: Tensor, w: Window) -> Tensor:
    """The maximum of what each place of the window sees."""
    x = _enclosed(node, x, w, LOWEST)
    result = None
    for row in range(w.kernel[0]):
        for column in range(w.kernel[1]):
            starts = (row * w.dilations[0], column * w.dilations[1])
            spans = [range(a, a + (o - 1) * s + 1, s) for a, o, s in zip(starts, w.out, w.strides, strict=True)]
            part = sliced(node, x, [range(x.shape[0]), *spans, range(x.shape[3])])
            result = part if result is None else joined(node, "MAXIMUM", result, part)
    if result is None:
        raise node.refuse("a window without elements is not converted")
    return result


def _pooled(node: TfliteNode, code: str, x: Tensor, w: Window, padding: int) -> Tensor:
    if x.dtype != FLOAT and x.scales is None:
        raise node.refuse(f"{x.dtype} is not converted")
    shape = (x.shape[0], *w.out, x.shape[3])
    window = {"filterHeight": w.kernel[0], "filterWidth": w.kernel[1], **w.options(padding)}
    return node.emit(code, [x], shape, scales=x.scales, **window)


def _average_pool(node: TfliteNode) -> None:
    """LiteRT's SAME counts what is inside alone. Else all of a padded window is averaged, times what makes it the average of those that
    ONNX counts."""
    w = _pool_window(node)
    if set(w.dilations) != {1}:
        raise node.refuse("dilations are not converted")
    x, inside = plane(node), not node.attribute("count_include_pad", 0)
    if x.scales is not None:
        write_plane(node, _average_in_integers(node, x, w, inside))
        return
    if inside and w.is_same:
        write_plane(node, _pooled(node, "AVERAGE_POOL_2D", x, w, SAME))
        return
    made = _pooled(node, "AVERAGE_POOL_2D", _enclosed(node, x, w), w, VALID)
    factors = _factors(node, w, inside)
    write_plane(node, made if (factors == 1).all() else joined(node, "MUL", made, node.numbers(factors, FLOAT)))


def _average_in_integers(node: TfliteNode, x: Tensor, w: Window, inside: bool) -> Tensor:
    """As AVERAGE_POOL_2D where the result is on the input's grid, which that kernel keeps; else as a depthwise convolution by ones with the
    scale 1 / elements, which rounds once."""
    import numpy

    if inside and w.is_same and x.scales == node.out_scales:
        return _pooled(node, "AVERAGE_POOL_2D", x, w, SAME)
    if (_factors(node, w, inside) != 1).any():
        raise node.refuse("windows of several sizes are not converted in integers")
    x, channels = _enclosed(node, x, w), x.shape[3]
    if x.scales == node.out_scales:
        return _pooled(node, "AVERAGE_POOL_2D", x, w, VALID)
    scale = Scales((1 / (w.kernel[0] * w.kernel[1]),), (0,))
    ones = node.numbers(numpy.ones((1, *w.kernel, channels)), "int8", scale)
    options = {**w.options(VALID), **w.dilation_options(), "depthMultiplier": 1}
    bias = integer_bias(node, numpy.zeros(channels), scale)
    return node.emit("DEPTHWISE_CONV_2D", [x, ones, bias], (x.shape[0], *w.out, channels), **options)


def _factors(node: TfliteNode, w: Window, inside: bool) -> Array:
    """The window's size over the number of elements that count, for each place of the output; what ceil_mode adds never counts."""
    import numpy

    rank = len(node.shape(0)) - 2
    stated = [0] * (2 * rank) if node.attribute("auto_pad", "NOTSET") != "NOTSET" else list(node.attribute("pads", [0] * (2 * rank)))
    ends = [0] * (2 - rank) + stated[rank:]
    per_axis = []
    for axis in range(2):
        begin, end = w.pads[axis]
        end = end if node.attribute("auto_pad", "NOTSET") != "NOTSET" else ends[axis]
        first, stop = (0, w.sizes[axis]) if inside else (-begin, w.sizes[axis] + end)
        starts = numpy.arange(w.out[axis]) * w.strides[axis] - begin
        counted = numpy.minimum(starts + w.kernel[axis], stop) - numpy.maximum(starts, first)
        per_axis.append(w.kernel[axis] / numpy.maximum(counted, 1))
    made: Array = numpy.outer(*per_axis).reshape(1, *w.out, 1)
    return made


SPATIAL: Mapping[str, Converter] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "MaxPool": _max_pool,
}
