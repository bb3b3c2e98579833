"""Reductions, extrema with their places, running sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .operands import axes_of, axis_of, is_float


def _reduce(function: Callable[[Value, Any], Value], before: Callable[[Value], Value], after: Callable[[Value], Value]) -> Kernel:
    """`after(function(before(x)))`; with noop_with_empty_axes and no axes only what is before and after (opset 18 and later)."""

    def kernel(call: Call) -> tuple[Value, ...]:
        x = np.asarray(call.inputs[0])
        axes = axes_of(call, 1, x.ndim)
        if axes is None and call.attributes.get("noop_with_empty_axes", 0):
            return (after(before(x)).astype(x.dtype),)
        keep = bool(call.attributes.get("keepdims", 1))
        if axes is not None and not keep and len(axes) == 0:
            return (x,)
        total = function(before(x), axes if axes is not None else tuple(range(x.ndim)))
        result = np.asarray(after(total)).astype(x.dtype)
        return (result if keep else result.reshape(_without(x.shape, axes)),)

    return kernel


def _without(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return () if axes is None else tuple(size for i, size in enumerate(shape) if i not in axes)


def _sum(x: Value, axes: Any) -> Value:
    return np.sum(x, axis=axes, keepdims=True, dtype=None if is_float(x) else x.dtype)


def _product(x: Value, axes: Any) -> Value:
    return np.prod(x, axis=axes, keepdims=True, dtype=None if is_float(x) else x.dtype)


def _mean(x: Value, axes: Any) -> Value:
    return np.trunc(np.mean(x, axis=axes, keepdims=True)) if not is_float(x) else np.mean(x, axis=axes, keepdims=True)


def _extreme(largest: bool) -> Callable[[Value, Any], Value]:
    """Of nothing: the dtype's own end of the line."""

    def function(x: Value, axes: Any) -> Value:
        if x.dtype == bool:
            return (np.any if largest else np.all)(x, axis=axes, keepdims=True)
        limit = np.inf if is_float(x) else np.iinfo(x.dtype).min if largest else np.iinfo(x.dtype).max
        initial = -np.inf if largest and is_float(x) else limit
        return (np.max if largest else np.min)(x, axis=axes, keepdims=True, initial=initial)

    return function


def _log_sum_exp(x: Value, axes: Any) -> Value:
    """Shifted by the largest element, where that is finite."""
    if not x.size:
        return np.log(_sum(np.exp(x), axes))
    largest = np.max(x, axis=axes, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0)
    return np.log(_sum(np.exp(x - shift), axes)) + shift


def _same(x: Value) -> Value:
    return x


def _square(x: Value) -> Value:
    return x * x


def _arg(largest: bool) -> Kernel:
    def kernel(call: Call) -> tuple[Value, ...]:
        x = np.asarray(call.inputs[0])
        axis = axis_of(int(call.attributes.get("axis", 0)), x.ndim)
        last = bool(call.attributes.get("select_last_index", 0))
        looked = np.flip(x, axis) if last else x
        found = (np.argmax if largest else np.argmin)(looked, axis=axis, keepdims=bool(call.attributes.get("keepdims", 1)))
        return (np.asarray(x.shape[axis] - 1 - found if last else found, np.int64),)

    return kernel


def top_k(call: Call) -> tuple[Value, ...]:
    """Of equal elements the one with the lower index comes first."""
    x = call.inputs[0]
    k = int(call.attributes["k"]) if call.version < 10 else int(np.asarray(call.inputs[1]).ravel()[0])
    axis = axis_of(int(call.attributes.get("axis", -1)), x.ndim)
    if call.attributes.get("largest", 1):
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis=axis, kind="stable")
    chosen = np.take(order, range(k), axis=axis)
    return np.take_along_axis(x, chosen, axis), chosen.astype(np.int64)


def _running(function: Any, neutral: int) -> Kernel:
    """CumSum and CumProd with `exclusive` and `reverse`."""

    def kernel(call: Call) -> tuple[Value, ...]:
        x, axis = call.inputs[0], axis_of(int(np.asarray(call.inputs[1]).ravel()[0]), call.inputs[0].ndim)
        backward = bool(call.attributes.get("reverse", 0))
        y = np.flip(x, axis) if backward else x
        if call.attributes.get("exclusive", 0):
            first = np.full_like(np.take(y, [0], axis=axis), neutral)
            y = np.concatenate([first, np.take(y, range(x.shape[axis] - 1), axis=axis)], axis=axis)
        y = function(y, axis=axis, dtype=x.dtype)
        return (np.flip(y, axis) if backward else y,)

    return kernel


KERNELS: Mapping[str, Kernel] = {
    "ReduceSum": _reduce(_sum, _same, _same),
    "ReduceMean": _reduce(_mean, _same, _same),
    "ReduceProd": _reduce(_product, _same, _same),
    "ReduceMax": _reduce(_extreme(True), _same, _same),
    "ReduceMin": _reduce(_extreme(False), _same, _same),
    "ReduceL1": _reduce(_sum, np.abs, _same),
    "ReduceL2": _reduce(_sum, _square, np.sqrt),
    "ReduceSumSquare": _reduce(_sum, _square, _same),
    "ReduceLogSum": _reduce(_sum, _same, np.log),
    "ReduceLogSumExp": _reduce(_log_sum_exp, _same, _same),
    "ArgMax": _arg(True),
    "ArgMin": _arg(False),
    "TopK": top_k,
    "CumSum": _running(np.cumsum, 0),
    "CumProd": _running(np.cumprod, 1),
}
