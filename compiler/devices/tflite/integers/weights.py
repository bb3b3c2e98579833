"""Weights, biases and limits of operators in integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..records import Scales, Tensor
from .grids import WITH_ZERO, floats_of, place_on

if TYPE_CHECKING:
    import numpy

    from ..node import TfliteNode

    Array = numpy.ndarray[Any, Any]

BIAS, WIDE_BIAS = "int32", "int64"
"""dtype of a bias beside int8 and beside int16."""
MOST_BIAS = 2**30
"""Which leaves as much for the sum of products: 33,000 terms of 8 bits."""
EXACT_ZERO = "weights with a zero point are not converted: LiteRT's integer kernels take none"


def weight_scales(node: TfliteNode, index: int, axis: int, stored_axis: int) -> Scales | None:
    """Of a constant weight, whose channels are the ONNX axis `axis`; None in floats.

    Raises Refused for what LiteRT's kernels do not take."""
    given = node.scales(index)
    if node.scales(0) is None:
        return None
    if given is None or not node.is_constant(index):
        raise node.refuse(f"input {index} must be a constant in integers")
    if any(given.zero):
        raise node.refuse(EXACT_ZERO)
    if node.constant(index).dtype.name != WITH_ZERO:
        raise node.refuse(f"weights of {node.constant(index).dtype.name} are not converted")
    if len(given.scale) == 1:
        return Scales(given.scale, given.zero)
    if given.axis != axis:
        raise node.refuse(f"scales along axis {given.axis} of the weights are not converted")
    return Scales(given.scale, given.zero, stored_axis)


def integer_bias(node: TfliteNode, values: Array, weights: Scales) -> Tensor:
    """Numbers on the grid of the sums of products: scale of the input times that of the weights. Raises Refused where they do not fit."""
    import numpy

    given, wanted = node.scales(0), node.out_scales
    assert given is not None and wanted is not None
    scales = tuple(given.scale[0] * scale for scale in weights.scale)
    exact = values.astype(numpy.float64) / numpy.array(scales)
    steps = numpy.rint(exact)
    if not numpy.isfinite(steps).all() or numpy.abs(steps).max(initial=0) > MOST_BIAS:
        raise node.refuse("its bias does not fit into 32 bits")
    if (numpy.abs(exact - steps) * numpy.array(scales)).max(initial=0) > wanted.scale[0] / 2:
        raise node.refuse("its bias lies between two steps of the products, which are coarser than those of the result")
    grid = Scales(scales, (0,) * len(scales), 0)
    return node.numbers(steps.astype(numpy.int64), BIAS if node.dtype(0) == WITH_ZERO else WIDE_BIAS, grid)


def bias_numbers(node: TfliteNode, index: int) -> Array:
    """The numbers of a constant bias, stored with scales or not."""
    values, scales = node.constant(index), node.scales(index)
    return values if scales is None else floats_of(values, scales)


def clamped(node: TfliteNode, x: Tensor, low: float | None, high: float | None) -> Tensor:
    """Limits on numbers that are on the grid of the result; none where the grid has no further ones."""
    import numpy

    wanted = node.out_scales
    assert wanted is not None
    x = node.on_grid(x, wanted)
    ends = numpy.iinfo(x.dtype)
    least = int(ends.min) if low is None else place_on(wanted, low, x.dtype)
    most = int(ends.max) if high is None else place_on(wanted, high, x.dtype)
    if low == 0 and high == 6 and most < ends.max:
        return node.emit("RELU6", [x], scales=wanted)
    if low == 0 and most == ends.max:
        return x if least == ends.min else node.emit("RELU", [x], scales=wanted)
    for code, limit, needed in (("MAXIMUM", least, least > ends.min), ("MINIMUM", most, most < ends.max)):
        if needed:
            x = node.emit(code, [x, node.numbers(limit, x.dtype, wanted)], scales=wanted)
    return x
