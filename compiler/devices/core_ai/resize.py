"""Resize as Core AI's operators: `interpolate` where it samples at the same places; elsewhere elements are taken by constant indices, or
axes multiplied by the matrix of their weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..onnx_node import Converter, OnnxNode
from ..onnx_sizes import resized_shape
from ..resize_matrices import Axis, coordinates, cubic_matrix, linear_matrix
from .api import CoreValue, choice
from .indices import taken
from .movement import as_shape
from .tensor import tensor

PLACES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDING: Mapping[str, Callable[[float], float]] = {
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _resize(node: OnnxNode) -> Any:
    if node.attribute("antialias", 0):
        raise node.refuse("antialiasing is not converted")
    if node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise node.refuse("keep_aspect_ratio_policy is not converted")
    mode, place = node.attribute("mode", "nearest"), node.attribute("coordinate_transformation_mode", "half_pixel")
    target = resized_shape(node)
    if mode == "cubic" or (mode == "linear" and place == "half_pixel_symmetric"):
        return _weighted(node, tensor(node, 0), target, _scales(node, target), place)
    if mode not in ("nearest", "linear") or place not in PLACES:
        raise node.refuse(f"mode {mode}, coordinates {place} are not converted")
    return (_nearest if mode == "nearest" else _linear)(node, tensor(node, 0), target, _scales(node, target), place)


def _scales(node: OnnxNode, target: list[int]) -> list[float]:
    """As given, or of the sizes."""
    shape = node.shape(0)
    if node.has(3) and node.constant(3).size:
        return [new / old for new, old in zip(target, shape, strict=True)]
    given = [float(scale) for scale in node.constant(2).reshape(-1)]
    axes = node.attribute("axes") or list(range(len(shape)))
    return [given[axes.index(axis)] if axis in axes else 1.0 for axis in range(len(shape))]


def _nearest(node: OnnxNode, x: CoreValue, target: list[int], scales: list[float], place: str) -> CoreValue:
    """Every element as often as its neighbours: `interpolate`; else axis by axis."""
    rounded = ROUNDING[node.attribute("nearest_mode", "round_prefer_floor")]
    axes = list(zip(x.shape, target, scales, strict=True))
    indices = [[_index(k, old, new, scale, place, rounded) for k in range(new)] for old, new, scale in axes]
    if all(new % old == 0 and found == [k * old // new for k in range(new)] for (old, new, _), found in zip(axes, indices, strict=True)):
        return _interpolated(node, x, target, [new / old for old, new, _ in axes], [0.0] * len(axes), "nearest_neighbor")
    for axis, found in enumerate(indices):
        x = taken(node, x, axis, found)
    return x


def _index(k: int, old: int, new: int, scale: float, place: str, rounded: Callable[[float], float]) -> int:
    """Where the element k of an axis comes from. old · scale: its new length, which ONNX leaves with its fraction."""
    found = {
        "half_pixel": (k + 0.5) / scale - 0.5,
        "pytorch_half_pixel": (k + 0.5) / scale - 0.5 if new > 1 else 0.0,
        "align_corners": k * (old - 1) / (old * scale - 1) if new > 1 else 0.0,
        "asymmetric": k / scale,
    }[place]
    return min(max(int(rounded(found)), 0), old - 1)


def _linear(node: OnnxNode, x: CoreValue, target: list[int], scales: list[float], place: str) -> CoreValue:
    found = [_sampled(old, new, scale, place) for old, new, scale in zip(x.shape, target, scales, strict=True)]
    return _interpolated(node, x, target, [scale for scale, _ in found], [offset for _, offset in found], "linear")


def _sampled(old: int, new: int, scale: float, place: str) -> tuple[float, float]:
    """The scale and offset of an axis, with which `interpolate` samples where ONNX does."""
    if place in ("align_corners", "pytorch_half_pixel") and new == 1:
        return 1.0, 0.0
    if place == "align_corners":
        scale = (old * scale - 1) / (old - 1) if old > 1 else float(new)
    return scale, 0.5 * (1 - scale) if place in ("align_corners", "asymmetric") else 0.0


def _weighted(node: OnnxNode, x: CoreValue, target: list[int], scales: list[float], place: str) -> CoreValue:
    """Each axis times the matrix of its weights: from the left, what lies behind the axis being columns, so that nothing is turned."""
    import numpy

    for axis, (old, new, scale) in enumerate(zip(x.shape, target, scales, strict=True)):
        if old == new and scale == 1.0:
            continue
        matrix = numpy.asarray(_matrix(node, Axis(old, new, scale), place), x.dtype)
        shape, columns = (*x.shape[:axis], new, *x.shape[axis + 1 :]), math.prod(x.shape[axis + 1 :])
        flat = as_shape(node, x, (math.prod(x.shape[:axis]), old, columns))
        x = as_shape(node, node.api.broadcasting_batch_matmul(node.api.value(matrix), flat), shape)
    return x


def _matrix(node: OnnxNode, form: Axis, place: str) -> Any:
    try:
        places = coordinates(form, place)
    except LookupError:
        raise node.refuse(f"coordinates by {place} are not converted") from None
    if node.attribute("mode") == "linear":
        return linear_matrix(places, form.size)
    return cubic_matrix(places, form.size, node.attribute("cubic_coeff_a", -0.75), bool(node.attribute("exclude_outside", 0)))


def _interpolated(
    node: OnnxNode, x: CoreValue, target: list[int], scales: Sequence[float], offsets: Sequence[float], mode: str
) -> CoreValue:
    """place = (k + 0.5 - offset) / scale - 0.5."""
    import numpy

    if tuple(target) == x.shape and not any(offsets):
        return x
    numbers = [numpy.array(values, numpy.float32) for values in (scales, offsets)]
    made: CoreValue = node.api.interpolate(x, numpy.array(target, numpy.int32), *numbers, choice("interpolation_mode", mode))
    return made


RESIZE: Mapping[str, Converter] = {"Resize": _resize}
