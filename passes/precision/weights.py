"""Constants in integers: per output channel, in blocks, as a bias of products; symmetric throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scales import SMALLEST, limits, quantised

MOST_BIAS = 2**30
"""Largest stored bias: half of int32, so that the sum of products beside it has room."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant in integers."""

    stored: np.ndarray
    scale: np.ndarray
    """fp32: a scalar, one for each index of `axis`, or of the rank of the weight, one for each block along the axis."""
    axis: int | None
    block: int
    dtype: str
    zero: np.ndarray | None = None
    """Of the shape of `scale` and the dtype of what is stored; None: 0."""
    offset: np.ndarray | None = None
    """fp32, of the shape of `scale`: what is added to a block where 0 lies between two of its levels; None: 0."""


def per_channel(values: np.ndarray, axis: int | None, dtype: str, least_scale: np.ndarray | float = SMALLEST) -> Weight:
    """axis None: one scale. The scales are no smaller than `least_scale`."""
    others = tuple(k for k in range(values.ndim) if k != axis)
    largest = np.abs(values).max(axis=others).astype(np.float64) if values.size else np.zeros(())
    scale = np.maximum(largest / limits(dtype)[1], least_scale).astype(np.float32)
    along = scale if axis is None else scale.reshape([-1 if k == axis else 1 for k in range(values.ndim)])
    return Weight(quantised(values, along.astype(np.float64), 0, dtype), scale, axis, 0, dtype)


def in_rows(values: np.ndarray, dtype: str) -> Weight:
    """A matrix with a scale for each row, in fp16 where all scales are normal numbers of it: a table of embeddings has as many as words."""
    found = per_channel(values, 0, dtype)
    half = np.finfo(np.float16)
    if not found.scale.size or found.scale.min() < half.tiny or found.scale.max() > half.max / 2:
        return found
    largest = np.abs(values).max(axis=1).astype(np.float64) / limits(dtype)[1]
    scale = found.scale.astype(np.float16)
    scale = np.where(scale < largest, np.nextafter(scale, np.float16(np.inf)), scale)  # or the largest of a row is cut off
    return Weight(quantised(values, scale.astype(np.float64)[:, None], 0, dtype), scale, 0, 0, dtype)


def in_blocks(values: np.ndarray, axis: int, block: int, dtype: str, least_scale: float | None = None) -> Weight:
    """A scale for each run of `block` elements along the axis; the last run may be shorter. least_scale: what scales are at least; without
    it they may be negative, where that uses one step more of the grid."""
    moved = np.moveaxis(values.astype(np.float64), axis, -1)
    runs = -(-moved.shape[-1] // block)
    padded = np.concatenate([moved, np.zeros((*moved.shape[:-1], runs * block - moved.shape[-1]))], axis=-1)
    split = padded.reshape(*moved.shape[:-1], runs, block)
    # the largest of a run becomes the end of the grid that is one step longer: of int4, -8
    extreme = np.take_along_axis(split, np.abs(split).argmax(-1, keepdims=True), -1)[..., 0]
    if least_scale is None:
        scale = np.where(np.abs(extreme) > SMALLEST, extreme / limits(dtype)[0], SMALLEST).astype(np.float32)
    else:
        scale = np.maximum(np.abs(extreme) / limits(dtype)[1], least_scale).astype(np.float32)
    stored = quantised(split, scale.astype(np.float64)[..., None], 0, dtype).reshape(padded.shape)[..., : moved.shape[-1]]
    return Weight(np.moveaxis(stored, -1, axis), np.moveaxis(scale, -1, axis), axis, block, dtype)


def restored(weight: Weight) -> np.ndarray:
    """In fp32, as DequantizeLinear has it, and with its offsets."""
    scale, stored = weight.scale.astype(np.float32), weight.stored.astype(np.float32)
    if weight.block and weight.axis is not None:
        size = stored.shape[weight.axis]

        def spread(each: np.ndarray) -> np.ndarray:
            return np.repeat(each.astype(np.float32), weight.block, axis=weight.axis).take(range(size), axis=weight.axis)

        scale = spread(weight.scale)
        stored = stored if weight.zero is None else stored - spread(weight.zero)
        if weight.offset is not None:
            return np.asarray(stored * scale + spread(weight.offset), np.float32)
    elif weight.axis is not None:
        along = [-1 if k == weight.axis else 1 for k in range(stored.ndim)]
        scale = scale.reshape(along)
        stored = stored if weight.zero is None else stored - weight.zero.astype(np.float32).reshape(along)
    return np.asarray(stored * scale, np.float32)


def bias_of(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """int32; `scale` is the product of the scales of input and weights."""
    return np.asarray(np.clip(np.rint(values.astype(np.float64) / scale), -MOST_BIAS, MOST_BIAS), np.int32)


def least_scale_for(bias: np.ndarray, input_scale: float) -> np.ndarray:
    """The smallest scales of weights beside which the bias can be stored."""
    return np.asarray(np.maximum(np.abs(bias.astype(np.float64)) / (MOST_BIAS * input_scale), SMALLEST))
