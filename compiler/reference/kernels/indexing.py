"""Operators that read or write elements by index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .operands import axis_of

_REDUCTIONS: Mapping[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def gather(call: Call) -> tuple[Value, ...]:
    """Negative indices count from the end. Raises IndexError beyond it."""
    return (np.take(call.inputs[0], call.inputs[1], axis=int(call.attributes.get("axis", 0))),)


def _places(indices: Value, shape: tuple[int, ...], axis: int) -> tuple[Value, ...]:
    """For each element of `indices`, its own position with the axis replaced by its value."""
    grid: list[Value] = list(np.ogrid[tuple(slice(0, n) for n in indices.shape)]) if indices.ndim else []
    grid[axis] = np.where(indices < 0, indices + shape[axis], indices)
    return tuple(grid)


def gather_elements(call: Call) -> tuple[Value, ...]:
    x, indices = call.inputs
    return (x[_places(indices, x.shape, axis_of(int(call.attributes.get("axis", 0)), x.ndim))],)


def gather_nd(call: Call) -> tuple[Value, ...]:
    x, indices = call.inputs
    batch = int(call.attributes.get("batch_dims", 0))
    lead = np.ogrid[tuple(slice(0, n) for n in x.shape[:batch])] if batch else []
    rest = (1,) * (indices.ndim - 1 - batch)
    where = (*(axis.reshape(*axis.shape, *rest) for axis in lead), *np.moveaxis(indices, -1, 0))
    return (x[where],)


def _written(x: Value, where: tuple[Value, ...], updates: Value, reduction: str) -> Value:
    result = np.array(x)
    if reduction == "none":
        result[where] = updates
    else:
        _REDUCTIONS[reduction].at(result, where, updates)
    return result


def scatter_elements(call: Call) -> tuple[Value, ...]:
    x, indices, updates = call.inputs
    axis = axis_of(int(call.attributes.get("axis", 0)), x.ndim)
    return (_written(x, _places(indices, x.shape, axis), updates, call.attributes.get("reduction", "none")),)


def scatter_nd(call: Call) -> tuple[Value, ...]:
    x, indices, updates = call.inputs
    return (_written(x, tuple(np.moveaxis(indices, -1, 0)), updates, call.attributes.get("reduction", "none")),)


def tensor_scatter(call: Call) -> tuple[Value, ...]:
    """A cache with the update written from write_indices[b] on along the axis; "circular" wraps round."""
    cache, update, starts = call.inputs[0], call.inputs[1], call.input(2)
    axis = axis_of(int(call.attributes.get("axis", -2)), cache.ndim)
    starts = np.zeros(cache.shape[0], np.int64) if starts is None else starts
    steps = starts[:, None] + np.arange(update.shape[axis])
    if call.attributes.get("mode", "linear") == "circular":
        steps = steps % cache.shape[axis]
    result = np.moveaxis(np.array(cache), axis, 1)
    result[np.arange(cache.shape[0])[:, None], steps] = np.moveaxis(update, axis, 1)
    return (np.moveaxis(result, 1, axis),)


def one_hot(call: Call) -> tuple[Value, ...]:
    """An index outside [-depth, depth) gives a row of off-values."""
    indices, depth, values = call.inputs
    depth = int(np.asarray(depth).ravel()[0])
    axis = axis_of(int(call.attributes.get("axis", -1)), indices.ndim + 1)
    indices = np.asarray(indices).astype(np.int64)
    indices = np.expand_dims(np.where(indices < 0, indices + depth, indices), axis)
    shape = [1] * indices.ndim
    shape[axis] = depth
    return (np.where(indices == np.arange(depth).reshape(shape), values[1], values[0]),)


def non_zero(call: Call) -> tuple[Value, ...]:
    x = np.asarray(call.inputs[0])
    return (np.array(np.nonzero(np.atleast_1d(x)), np.int64).reshape(max(x.ndim, 0) or 1, -1),)


def unique(call: Call) -> tuple[Value, ...]:
    """The distinct elements (or slices along `axis`), sorted or in order of appearance; first index, inverse, count."""
    x, axis = call.inputs[0], call.attributes.get("axis")
    values, first, inverse, count = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.ravel()
    if not call.attributes.get("sorted", 1):
        order = np.argsort(first)
        rank = np.argsort(order)
        values, first, inverse, count = np.take(values, order, axis=axis or 0), first[order], rank[inverse], count[order]
    return values, *(v.astype(np.int64) for v in (first, inverse, count))


def compress(call: Call) -> tuple[Value, ...]:
    x, axis = call.inputs[0], call.attributes.get("axis")
    kept = np.nonzero(call.inputs[1])[0]
    return (np.take(x.ravel() if axis is None else x, kept, axis=0 if axis is None else axis),)


def feature_extractor(call: Call) -> tuple[Value, ...]:
    """ai.onnx.ml ArrayFeatureExtractor: columns of the last axis."""
    x, y = call.inputs
    picked = x[..., np.asarray(y).ravel()]
    return (picked.reshape(1, -1) if x.ndim == 1 else picked,)


KERNELS: Mapping[str, Kernel] = {
    "Gather": gather, "GatherElements": gather_elements, "GatherND": gather_nd, "ScatterElements": scatter_elements,
    "Scatter": scatter_elements, "ScatterND": scatter_nd, "TensorScatter": tensor_scatter, "OneHot": one_hot, "NonZero": non_zero,
    "Unique": unique, "Compress": compress,
}  # fmt: skip
ML_KERNELS: Mapping[str, Kernel] = {"ArrayFeatureExtractor": feature_extractor}
