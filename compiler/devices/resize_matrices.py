"""Resize along one axis as ONNX defines it: where each element lies on the input's axis, and the matrix [out, in] of weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of ONNX that is resized. `scale` is out / in as it was given, which need not be the ratio of the sizes."""

    size: int
    out: int
    scale: float


def coordinates(form: Axis, rule: str) -> Array:
    """Where each element of the output lies on the input's axis, by `coordinate_transformation_mode`."""
    import numpy

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


def linear_matrix(places: Array, size: int) -> Array:
    """Two neighbours, weighted by distance; the first and last elements go on beyond the edges."""
    import numpy

    made = numpy.zeros((len(places), size))
    low = numpy.floor(places)
    for row, (first, share) in enumerate(zip(low.astype(int), places - low, strict=True)):
        for column, weight in ((first, 1 - share), (first + 1, share)):
            made[row, min(max(column, 0), size - 1)] += weight
    return made


def cubic_matrix(places: Array, size: int, a: float, outside: bool) -> Array:
    """Four neighbours by Keys' cubic; beyond the edges the first and last elements, or where those are left `outside` nothing."""
    import numpy

    made = numpy.zeros((len(places), size))
    for row, place in enumerate(places):
        first = math.floor(place)
        weights = {first + k: keys_cubic(abs(place - first - k), a) for k in range(-1, 3)}
        if outside:
            weights = {column: weight for column, weight in weights.items() if 0 <= column < size}
            total = sum(weights.values())
            weights = {column: weight / total for column, weight in weights.items()}
        for column, weight in weights.items():
            made[row, min(max(column, 0), size - 1)] += weight
    return made


def keys_cubic(distance: float, a: float) -> float:
    """R. Keys, Cubic convolution interpolation for digital image processing, 1981."""
    x = distance
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0
