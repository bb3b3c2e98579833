"""Resize: ONNX's rules for coordinates against LiteRT's, compared for the sizes at hand.

For each axis ONNX's rule is a matrix [out, in]. Where it is the one that LiteRT's kernel computes by, that kernel is used; else nearest
elements are gathered by their places, and the rest is a product with the matrix, axis by axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from ..onnx_node import axes_of
from .indices import gathered
from .node import FLOAT, Converter, TfliteNode
from .order import channels_last, stored
from .products import connected
from .records import Tensor

if TYPE_CHECKING:
    Array = numpy.ndarray[Any, Any]

CLOSE = 2e-6
"""How far two matrices may be apart that are the same rule, in float32."""
FORMS: tuple[dict[str, Any], ...] = ({"halfPixelCenters": True}, {"alignCorners": True}, {})
"""What LiteRT's two kernels know."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of ONNX that is resized. `scale` is out / in as it was given, which need not be the ratio of the sizes."""

    size: int
    out: int
    scale: float


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


def coordinates(form: Axis, rule: str) -> Array:
    """Where each element of the output lies on the input's axis, by `coordinate_transformation_mode`."""
    i = numpy.arange(form.out, dtype=numpy.float64)
    half = (i + 0.5) / form.scale - 0.5
    if rule == "half_pixel":
        return half
    if rule == "pytorch_half_pixel":
        return half if form.out > 1 else i * 0
    if rule == "asymmetric":
        return i / form.scale
    if rule == "align_corners":
        last = form.scale * form.size - 1  # ONNX does not round the size that a scale leads to
        return i * (form.size - 1) / last if form.out > 1 else i * 0
    if rule == "half_pixel_symmetric":
        return form.size / 2 * (1 - form.out / (form.scale * form.size)) + half
    raise LookupError(rule)


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


def linear_matrix(places: Array, size: int) -> Array:
    """Two neighbours, weighted by distance; the first and last elements go on beyond the edges."""
    made = numpy.zeros((len(places), size))
    low = numpy.floor(places)
    for row, (first, share) in enumerate(zip(low.astype(int), places - low, strict=True)):
        for column, weight in ((first, 1 - share), (first + 1, share)):
            made[row, min(max(column, 0), size - 1)] += weight
    return made


def _cubic(node: TfliteNode, form: Axis) -> Array:
    """Four neighbours by Keys' cubic; beyond the edges the first and last elements, or with `exclude_outside` nothing."""
    a, outside = node.attribute("cubic_coeff_a", -0.75), bool(node.attribute("exclude_outside", 0))
    made = numpy.zeros((form.out, form.size))
    for row, place in enumerate(_coordinates(node, form)):
        first = math.floor(place)
        weights = {first + k: keys_cubic(abs(place - first - k), a) for k in range(-1, 3)}
        if outside:
            weights = {column: weight for column, weight in weights.items() if 0 <= column < form.size}
            total = sum(weights.values())
            weights = {column: weight / total for column, weight in weights.items()}
        for column, weight in weights.items():
            made[row, min(max(column, 0), form.size - 1)] += weight
    return made


def keys_cubic(distance: float, a: float) -> float:
    """R. Keys, Cubic convolution interpolation for digital image processing, 1981."""
    x = distance
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _weighted(node: TfliteNode, x: Tensor, wanted: Mapping[int, Array]) -> None:
    order = node.order
    if x.rank == 4 and order == channels_last(4) and set(wanted) <= {2, 3}:
        for options in FORMS:
            if all(_is_kernels(matrix, **options) for matrix in wanted.values()):
                _by_kernel(node, "RESIZE_BILINEAR", x, options)
                return
    if x.scales is not None:
        raise node.refuse("only what LiteRT's own kernel computes is converted in integers")
    for axis, matrix in wanted.items():
        place = order.index(axis)
        behind = (*(k for k in range(x.rank) if k != place), place)
        back = tuple(behind.index(k) for k in range(x.rank))
        x = node.transpose(connected(node, node.transpose(x, behind), matrix.T), back)
    node.write(x)


def _is_kernels(matrix: Array, halfPixelCenters: bool = False, alignCorners: bool = False) -> bool:
    out, size = matrix.shape
    form = Axis(size, out, out / size)
    rule = "half_pixel" if halfPixelCenters else "align_corners" if alignCorners else "asymmetric"
    if alignCorners and out == 1:
        return False
    return bool(numpy.abs(matrix - linear_matrix(coordinates(form, rule), size)).max() < CLOSE)


RESIZE: Mapping[str, Converter] = {"Resize": _resize}
