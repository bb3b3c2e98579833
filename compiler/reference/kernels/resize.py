"""Resize and Upsample: along each axis every result is a weighted sum of a few elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .operands import axis_of, integers, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How one axis is sampled."""

    size: int
    out: int
    scale: float
    length: float
    """That of the result before it is made whole: size · scale where scales are given, as the standard's expected outputs have it."""
    start: float = 0.0
    """The region of interest, as fractions of the axis (tf_crop_and_resize only)."""
    end: float = 1.0


def _origin(s: Sampling, mode: str) -> Value:
    """Where in the original axis each element of the result lies."""
    x = np.arange(s.out, dtype=np.float64)
    half = (x + 0.5) / s.scale - 0.5
    if mode == "half_pixel":
        return half
    if mode == "half_pixel_symmetric":
        return s.size / 2 * (1 - s.out / (s.size * s.scale)) + half
    if mode == "pytorch_half_pixel":
        return half if s.out > 1 else np.zeros(s.out)
    if mode == "align_corners":
        return x * (s.size - 1) / (s.length - 1) if s.length != 1 else np.zeros(s.out)
    if mode == "asymmetric":
        return x / s.scale
    if mode == "tf_half_pixel_for_nn":
        return (x + 0.5) / s.scale
    if mode == "tf_crop_and_resize":
        if s.out > 1:
            return s.start * (s.size - 1) + x * (s.end - s.start) * (s.size - 1) / (s.out - 1)
        return np.full(s.out, 0.5 * (s.start + s.end) * (s.size - 1))
    raise ValueError(f"coordinate_transformation_mode {mode!r}")


def _nearest(x: Value, s: Sampling, mode: str) -> Value:
    """The index of the element that stands for each coordinate. Runtimes hold coordinates in fp32: one within its rounding of a whole
    number, or of a half, is meant to lie there."""
    x = x.astype(np.float32).astype(np.float64)
    if mode == "simple":  # Upsample, and Resize of opset 10
        mode = "ceil" if s.scale < 1 else "floor"
    functions: Mapping[str, Any] = {
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    return functions[mode](x).astype(np.int64)


def _cubic(distance: Value, a: float) -> Value:
    """R. Keys, "Cubic convolution interpolation for digital image processing" (1981)."""
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _taps(call: Call, s: Sampling, x: Value) -> tuple[Value, Value]:
    """(indices, weights), each [out, taps], of one axis; indices beyond the ends still to be clamped."""
    mode = call.attributes.get("mode", "nearest")
    if mode == "nearest":
        how = call.attributes.get("nearest_mode", "round_prefer_floor") if call.version >= 11 else "simple"
        return _nearest(x, s, how)[:, None], np.ones((s.out, 1))
    squeeze = min(s.scale, 1.0) if call.attributes.get("antialias", 0) else 1.0
    reach = 2 if mode == "cubic" else 1
    first = int(np.floor(-reach / squeeze)) + 1
    indices = np.floor(x).astype(np.int64)[:, None] + np.arange(first, 2 - first)
    distances = (indices - x[:, None]) * squeeze
    if mode == "cubic":
        weights = _cubic(distances, number(call, "cubic_coeff_a", -0.75))
    else:
        weights = np.clip(1 - np.abs(distances), 0, 1)
    if call.attributes.get("exclude_outside", 0):
        weights = np.where((indices >= 0) & (indices < s.size), weights, 0)
    return indices, weights / weights.sum(1, keepdims=True)


def _sampled(x: Value, axis: int, indices: Value, weights: Value) -> Value:
    clamped = np.clip(indices, 0, x.shape[axis] - 1)
    if indices.shape[1] == 1:
        return np.take(x, clamped[:, 0], axis=axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    used = [tap for tap in range(indices.shape[1]) if np.any(weights[:, tap])]
    return sum(np.take(x, clamped[:, tap], axis=axis) * weights[:, tap].reshape(shape) for tap in used)


def _samplings(call: Call, x: Value) -> list[Sampling]:
    """Of every axis."""
    rank = x.ndim
    if call.version < 11:
        given = call.attributes["scales"] if call.operator == "Upsample" and call.version < 9 else call.inputs[1]
        return [_by_scale(size, float(scale)) for size, scale in zip(x.shape, given, strict=True)]
    named = call.attributes.get("axes")
    axes = list(range(rank)) if named is None else [axis_of(axis, rank) for axis in named]
    roi = _roi(call, axes, rank)
    scales, sizes = call.input(2), integers(call, 3, "")
    plain = {axis: Sampling(size=x.shape[axis], out=x.shape[axis], scale=1.0, length=x.shape[axis]) for axis in range(rank)}
    if sizes:
        made = _by_sizes(call, [x.shape[axis] for axis in axes], sizes)
    else:
        made = [_by_scale(x.shape[axis], float(scale)) for axis, scale in zip(axes, np.asarray(scales).ravel(), strict=True)]
    plain.update(zip(axes, made, strict=True))
    return [replace(s, start=roi[axis][0], end=roi[axis][1]) for axis, s in sorted(plain.items())]


def _roi(call: Call, axes: Sequence[int], rank: int) -> list[tuple[float, float]]:
    found = [(0.0, 1.0)] * rank
    roi = call.input(1)
    if roi is not None and np.size(roi) and call.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        for i, axis in enumerate(axes):
            found[axis] = (float(roi[i]), float(roi[i + len(axes)]))
    return found


def _by_scale(size: int, scale: float) -> Sampling:
    """The result's size is the floor of the product in fp32, in which scales are given: 10 · 0.7 is 7, not 6.99…"""
    return Sampling(size=size, out=int(np.floor(np.float32(size) * np.float32(scale))), scale=scale, length=size * scale)


def _by_sizes(call: Call, sizes: Sequence[int], wanted: Sequence[int]) -> list[Sampling]:
    policy = call.attributes.get("keep_aspect_ratio_policy", "stretch")
    ratios = [want / size for size, want in zip(sizes, wanted, strict=True)]
    if policy != "stretch":
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        wanted, ratios = [int(np.floor(ratio * size + 0.5)) for size in sizes], [ratio] * len(sizes)
    return [Sampling(size=size, out=want, scale=ratio, length=want) for size, want, ratio in zip(sizes, wanted, ratios, strict=True)]


def resize(call: Call) -> tuple[Value, ...]:
    """Every mode of opsets 7 to 19; below 11 coordinates are asymmetric."""
    x = np.asarray(call.inputs[0])
    mode = call.attributes.get("coordinate_transformation_mode", "half_pixel") if call.version >= 11 else "asymmetric"
    y: Any = x
    outside: Any = np.zeros((), bool)
    samplings = _samplings(call, x)
    for axis, s in enumerate(samplings):
        if s.scale == 1 and s.out == s.size and not mode.startswith("tf_"):
            continue
        origin = _origin(s, mode)
        rounding = 1e-6 * s.size  # of regions and scales in fp32
        beyond = (origin < -rounding) | (origin > s.size - 1 + rounding)
        outside = outside | beyond.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        y = _sampled(y, axis, *_taps(call, s, origin))
    if mode == "tf_crop_and_resize":
        y = np.where(outside, number(call, "extrapolation_value", 0.0), y)
    return (y if x.dtype.kind == "f" else _as_integers(y, x.dtype),)


def _as_integers(y: Value, dtype: Any) -> Value:
    """Of integer images: truncated, within the dtype."""
    if y.dtype == dtype:
        return y
    limits = np.iinfo(dtype)
    return np.clip(np.trunc(y), limits.min, limits.max).astype(dtype)


KERNELS: Mapping[str, Kernel] = {"Resize": resize, "Upsample": resize}
