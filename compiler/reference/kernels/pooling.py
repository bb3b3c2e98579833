"""Pools: rectangular windows folded one axis after the other, so that a window of 56 x 56 costs 112 steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .operands import number
from .window import Axis, axes, padded, taps


def fold(x: Value, windows: Sequence[Axis], function: Any) -> Value:
    """The windows of a padded tensor reduced by a ufunc (np.add, np.maximum)."""
    lead = x.ndim - len(windows)
    for offset, window in enumerate(windows):
        x = _folded_along(x, lead + offset, window, function)
    return x


def _folded_along(x: Value, axis: int, window: Axis, function: Any) -> Value:
    before = (slice(None),) * axis
    if window.positions < window.kernel:
        starts = range(0, window.positions * window.stride, window.stride)
        pieces = [function.reduce(x[(*before, slice(s, s + window.reach, window.dilation))], axis=axis, keepdims=True) for s in starts]
        return np.concatenate(pieces, axis=axis) if pieces else x[(*before, slice(0, 0))]
    result = x[(*before, window.tap(0))].copy()
    for index in range(1, window.kernel):
        function(result, x[(*before, window.tap(index))], out=result)
    return result


def _windows(call: Call) -> tuple[Axis, ...]:
    return axes(call, call.inputs[0].shape[2:], call.attributes["kernel_shape"])


def lowest(x: Value) -> Any:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def max_pool(call: Call) -> tuple[Value, ...]:
    """Also, where it is asked for, the flat index of each maximum in X (column-major in the spatial axes with storage_order)."""
    x, windows = call.inputs[0], _windows(call)
    wide = padded(x, windows, lowest(x))
    if call.outputs < 2:
        return (fold(wide, windows, np.maximum),)
    return _with_indices(wide, _positions(call, x, windows), windows)


def _positions(call: Call, x: Value, windows: Sequence[Axis]) -> Value:
    """The flat index of each element of x, padded with -1."""
    spatial: Any = np.arange(prod(x.shape[2:]), dtype=np.int64)
    spatial = spatial.reshape(x.shape[2:], order="F" if call.attributes.get("storage_order", 0) else "C")
    planes = np.arange(prod(x.shape[:2]), dtype=np.int64) * spatial.size
    return padded(planes.reshape(*x.shape[:2], *[1] * len(windows)) + spatial, windows, -1)


def _with_indices(x: Value, where: Value, windows: Sequence[Axis]) -> tuple[Value, ...]:
    best: Any = None
    index: Any = None
    for _, tap in taps(windows):
        value, place = x[(..., *tap)], where[(..., *tap)]
        if best is None:
            best, index = value.copy(), place.copy()
            continue
        better = (place >= 0) & ((index < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best)))
        np.copyto(best, value, where=better)
        np.copyto(index, place, where=better)
    return best, index


def counts(call: Call, sizes: Sequence[int], windows: Sequence[Axis]) -> Value:
    """How many elements each window averages: with count_include_pad the stated padding too, never what ceil_mode adds behind it."""
    include = bool(call.attributes.get("count_include_pad", 0))
    result: Any = np.ones(())
    for size, window in zip(sizes, windows, strict=True):
        begin, end = (window.begin, window.end) if include else (0, 0)
        ones = np.ones(size + begin + end)
        line = padded(ones, [replace(window, begin=window.begin - begin)], 0)
        result = np.multiply.outer(result, _folded_along(line, 0, window, np.add))
    return result


def average_pool(call: Call) -> tuple[Value, ...]:
    x, windows = call.inputs[0], _windows(call)
    return (fold(padded(x, windows, 0), windows, np.add) / counts(call, x.shape[2:], windows),)


def _norm(total: Value, p: float) -> Value:
    return np.sqrt(total) if p == 2 else total ** (1 / p)


def _powers(x: Value, p: float) -> Value:
    return x * x if p == 2 else np.abs(x) ** p


def lp_pool(call: Call) -> tuple[Value, ...]:
    x, windows, p = call.inputs[0], _windows(call), number(call, "p", 2)
    return (_norm(fold(padded(_powers(x, p), windows, 0), windows, np.add), p),)


def _spatial(x: Value) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def global_average_pool(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    return (x.mean(_spatial(x), keepdims=True),)


def global_max_pool(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    return (x.max(_spatial(x), keepdims=True),)


def global_lp_pool(call: Call) -> tuple[Value, ...]:
    x, p = call.inputs[0], number(call, "p", 2)
    return (_norm(_powers(x, p).sum(_spatial(x), keepdims=True), p),)


def max_unpool(call: Call) -> tuple[Value, ...]:
    """The values at the places (flat indices of the unpooled tensor) that MaxPool gave; zeros elsewhere. A third input states the shape."""
    x, index, shape = call.inputs[0], call.inputs[1], call.input(2)
    rank = x.ndim - 2
    strides, pads = call.attributes.get("strides") or [1] * rank, call.attributes.get("pads") or [0] * (2 * rank)
    kernel = call.attributes["kernel_shape"]
    inner = [(x.shape[2 + i] - 1) * strides[i] - pads[i] - pads[i + rank] + kernel[i] for i in range(rank)]
    natural = (*x.shape[:2], *inner)
    flat = np.zeros(prod(natural), x.dtype)
    if shape is None:
        flat[index.ravel()] = x.ravel()
        return (flat.reshape(natural),)
    wanted = tuple(int(n) for n in shape)
    result = np.zeros(wanted, x.dtype)
    flat[index.ravel()] = x.ravel()
    result[tuple(slice(0, n) for n in natural)] = flat.reshape(natural)
    return (result,)


KERNELS: Mapping[str, Kernel] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "GlobalLpPool": global_lp_pool,
    "MaxUnpool": max_unpool,
}
