"""Resize: ONNX's rules for coordinates against LiteRT's, compared for the sizes at hand.

For each axis ONNX's rule is a matrix [out, in]. Where it is the one that LiteRT's kernel computes by, that kernel is used; else nearest
elements are gathered by their places, and the rest is a product with the matrix, axis by axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from ..onnx_node import axes_of
from ..resize_matrices import Axis, coordinates, cubic_matrix, linear_matrix
from .indices import gathered
from .integers.limits import WIDE
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, stored
from .products import connected, multiplied
from .records import Tensor

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]

CLOSE = 2e-6
"""How far two matrices may be apart that are the same rule, in float32."""
KERNEL_STEPS = 1024
"""To one element, in which LiteRT's kernel of 16 bits has its places."""
FORMS: tuple[dict[str, Any], ...] = ({"halfPixelCenters": True}, {"alignCorners": True}, {})
"""What LiteRT's two kernels know."""


def _resize(node: TfliteNode) -> None:
    order = node.order
    x, resized = node.read(0, order), _axes(node)
    if node.attribute("antialias", 0):
        raise node.refuse("antialias is not converted")
    mode = node.attribute("mode", "nearest")
    if mode == "nearest":
        _nearest(node, x, resized)
    elif node.dtype(0) != FLOAT and x.scales is None:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    elif mode == "linear":
        _weighted(node, x, {axis: _linear(node, form) for axis, form in resized.items()})
    elif mode == "cubic":
        _weighted(node, x, {axis: _cubic(node, form) for axis, form in resized.items()})
    else:
        raise node.refuse(f"mode {mode} is not converted")


def _axes(node: TfliteNode) -> dict[int, Axis]:
    """Axes of ONNX whose size or scale is another one."""
    before, after = node.shape(0), node.out_shape()
    axes = axes_of(node.attribute("axes", range(len(before))), len(before))
    given = node.constant(2).reshape(-1) if node.is_constant(2) and node.constant(2).size else None
    if given is None and not node.is_constant(3):
        raise node.refuse("scales or sizes that are computed are not converted")
    scales = {axis: float(given[k]) if given is not None else _scale(node, axis, k, axes) for k, axis in enumerate(axes)}
    return {axis: Axis(before[axis], after[axis], scales[axis]) for axis in axes if scales[axis] != 1 or before[axis] != after[axis]}


def _scale(node: TfliteNode, axis: int, position: int, axes: Sequence[int]) -> float:
    before, sizes = node.shape(0), node.whole_numbers(3)
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    ratios = [sizes[k] / before[other] for k, other in enumerate(axes)]
    if policy == "stretch":
        return ratios[position]
    return min(ratios) if policy == "not_larger" else max(ratios)


def _coordinates(node: TfliteNode, form: Axis) -> Array:
    rule = node.attribute("coordinate_transformation_mode", "half_pixel")
    try:
        return coordinates(form, rule)
    except LookupError:
        raise node.refuse(f"coordinates by {rule} are not converted") from None


def _places(node: TfliteNode, form: Axis) -> Array:
    """The nearest elements by `nearest_mode`."""
    rounding: dict[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: numpy.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: numpy.floor(x + 0.5),
        "floor": numpy.floor,
        "ceil": numpy.ceil,
    }
    found = _coordinates(node, form)
    exact = numpy.abs(found - numpy.round(found * 2) / 2) < 1e-6  # a tie that division missed
    found = numpy.where(exact, numpy.round(found * 2) / 2, found)
    places = rounding[node.attribute("nearest_mode", "round_prefer_floor")](found)
    return numpy.clip(places, 0, form.size - 1).astype(int)


def _nearest(node: TfliteNode, x: Tensor, resized: Mapping[int, Axis]) -> None:
    order = node.order
    wanted = {axis: _places(node, form) for axis, form in resized.items()}
    if x.rank == 4 and order == channels_last(4) and (x.dtype == FLOAT or x.scales is not None) and set(wanted) <= {2, 3}:
        for options in FORMS:
            if all((_kernel_places(resized[axis], **options) == places).all() for axis, places in wanted.items()):
                _by_kernel(node, "RESIZE_NEAREST_NEIGHBOR", x, options)
                return
    for axis, places in wanted.items():
        x = gathered(node, x, order.index(axis), [int(place) for place in places])
    node.write(x)


def _kernel_places(form: Axis, halfPixelCenters: bool = False, alignCorners: bool = False) -> Array:
    """As LiteRT's kernel computes them, in float32; halves are rounded up."""
    i, half = numpy.arange(form.out, dtype=numpy.float32), numpy.float32(0.5)
    if alignCorners and form.out > 1:
        places = numpy.floor(i * (numpy.float32(form.size - 1) / numpy.float32(form.out - 1)) + half)
    else:
        places = numpy.floor((i + (half if halfPixelCenters else 0)) * (numpy.float32(form.size) / numpy.float32(form.out)))
    made: Array = numpy.minimum(places, form.size - 1).astype(int)
    return made


def _by_kernel(node: TfliteNode, code: str, x: Tensor, options: Mapping[str, bool]) -> None:
    shape = stored(node.out_shape(), node.order)
    node.write(node.emit(code, [x, node.numbers(list(shape[1:3]))], shape, **options))


def _linear(node: TfliteNode, form: Axis) -> Array:
    return linear_matrix(_coordinates(node, form), form.size)


def _cubic(node: TfliteNode, form: Axis) -> Array:
    a, outside = node.attribute("cubic_coeff_a", -0.75), bool(node.attribute("exclude_outside", 0))
    return cubic_matrix(_coordinates(node, form), form.size, a, outside)


def _weighted(node: TfliteNode, x: Tensor, wanted: Mapping[int, Array]) -> None:
    order = node.order
    if x.rank == 4 and order == channels_last(4) and set(wanted) <= {2, 3} and _exact(node, wanted):
        for options in FORMS:
            if all(_is_kernels(matrix, **options) for matrix in wanted.values()):
                _by_kernel(node, "RESIZE_BILINEAR", x, options)
                return
    if x.scales is not None:
        raise node.refuse("only what LiteRT's own kernel computes is converted in integers")
    for axis, matrix in wanted.items():
        x = _multiplied_along(node, x, order.index(axis), matrix)
    node.write(x)


def _multiplied_along(node: TfliteNode, x: Tensor, place: int, matrix: Array) -> Tensor:
    """A stored axis times the matrix: from the left, what lies behind the axis being columns, so that nothing is turned."""
    shape = (*x.shape[:place], len(matrix), *x.shape[place + 1 :])
    if place == x.rank - 1:
        return connected(node, x, matrix.T)
    batch, columns = math.prod(x.shape[:place]), math.prod(x.shape[place + 1 :])
    flat = node.reshape(x, (batch, x.shape[place], columns) if batch > 1 else (x.shape[place], columns))
    return node.reshape(multiplied(node, node.numbers(matrix, FLOAT), flat), shape)


def _exact(node: TfliteNode, wanted: Mapping[int, Array]) -> bool:
    """Whether LiteRT's kernel has the weights as they are. In 16 bits it goes along an axis in whole steps, and what they are short of adds
    up, to 14 % of the range from 100 elements to 333. Its kernels of 8 bits and of floats do otherwise."""
    steps = [matrix * KERNEL_STEPS for matrix in wanted.values()]
    return node.dtype(0) != WIDE or all(numpy.allclose(each, numpy.rint(each), rtol=0, atol=CLOSE) for each in steps)


def _is_kernels(matrix: Array, halfPixelCenters: bool = False, alignCorners: bool = False) -> bool:
    out, size = matrix.shape
    form = Axis(size, out, out / size)
    rule = "half_pixel" if halfPixelCenters else "align_corners" if alignCorners else "asymmetric"
    if alignCorners and out == 1:
        return False
    return bool(numpy.abs(matrix - linear_matrix(coordinates(form, rule), size)).max() < CLOSE)


RESIZE: Mapping[str, Converter] = {"Resize": _resize}
