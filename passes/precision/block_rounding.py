"""Weights in blocks, rounded so that the products with real inputs change least (GPTQ: Frantar et al. 2022, arXiv:2210.17323).

Of y = x·W, the square of the error over samples is tr(D'·H·D) with H = sum of x'·x and D what rounding changes. Rows of W are rounded one
after the other; what that changes is made up for in the rows behind, by least squares: row j gets -(U[i,j] / U[i,i]) times the error of
row i, where U'·U is the inverse of H (Cholesky). The scale of a block is the one of a few, up to its largest element, with the least square
error weighted by H's diagonal.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ...targets.precision import Form
from .scales import SMALLEST, limits, quantised
from .weights import Weight, in_blocks

DAMPING = 0.01
"""Added to the diagonal of H, of its mean: few samples say little of rare channels."""
SHARES = np.linspace(0.7, 1.0, 13)
"""Of the largest element of a block, where its grid may end."""


NONE: Mapping[Any, Any] = MappingProxyType({})
Key = tuple[str, str, int, int, str, float | None]
"""What `BlockRounding.weight` is asked about, without the values."""


class BlockRounding:
    """Of one graph. second: by tensor, the sums of products of its last axis over the samples; made: weights that are rounded already."""

    def __init__(self, second: Mapping[str, np.ndarray], made: Mapping[Key, Weight] = NONE) -> None:
        self._second = second
        self._made = dict(made)

    def weight(self, read: str, name: str, values: np.ndarray, axis: int, block: int, dtype: str, least_scale: float | None) -> Weight:
        """The constant `name` beside the tensor `read`, as `in_blocks`: that makes it where it is no matrix, or `read` not known."""
        key = (read, name, axis, block, dtype, least_scale)
        if key in self._made:
            return self._made[key]
        second = self._second.get(read)
        if second is None or values.ndim != 2 or second.shape != (values.shape[axis],) * 2:
            return in_blocks(values, axis, block, dtype, least_scale)
        self._made[key] = compensated(values, axis, block, dtype, second, least_scale)
        return self._made[key]

    def made(self, read: str, name: str, axis: int | None, form: Form) -> Weight | None:
        """The constant `name` beside the tensor `read`, where it was rounded to the form before; axis: that blocks lie along."""
        return None if axis is None else self._made.get((read, name, axis, form.block, form.weights, None))


TO_NEAREST = BlockRounding({})
"""Where nothing is known of the inputs."""


def compensated(values: np.ndarray, axis: int, block: int, dtype: str, second: np.ndarray, least_scale: float | None = None) -> Weight:
    """A matrix, with a scale for each run of `block` elements along the axis; least_scale is that of `in_blocks`."""
    rows = np.moveaxis(values.astype(np.float64), axis, 0).copy()
    factor = _inverse_root(second)
    importance, low, high = np.diag(second), *limits(dtype)
    stored, scales = np.empty_like(rows), []
    for start in range(0, len(rows), block):
        end = min(start + block, len(rows))
        scale = _scale(rows[start:end], importance[start:end], low, high, least_scale)
        errors = np.empty((end - start, rows.shape[1]))
        for k in range(start, end):
            stored[k] = np.clip(np.rint(rows[k] / scale), low, high)
            errors[k - start] = (rows[k] - stored[k] * scale) / factor[k, k]
            rows[k + 1 : end] -= np.outer(factor[k, k + 1 : end], errors[k - start])
        rows[end:] -= factor[start:end, end:].T @ errors
        scales.append(scale)
    scale = np.moveaxis(np.stack(scales), 0, axis).astype(np.float32)
    return Weight(quantised(np.moveaxis(stored, 0, axis), 1.0, 0, dtype), scale, axis, block, dtype)


def _inverse_root(second: np.ndarray) -> np.ndarray:
    """The upper U with U'·U the inverse of the damped sums; of a channel that is always 0, nothing is known and nothing made up for."""
    damped = second + np.diag(np.where(np.diag(second) == 0, 1.0, 0.0))
    damped += DAMPING * max(float(np.diag(second).mean()), SMALLEST) * np.eye(len(second))
    return np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T)


def _scale(rows: np.ndarray, importance: np.ndarray, low: int, high: int, least_scale: float | None) -> np.ndarray:
    """One a column, of the ends of the grid that SHARES names the one with the least weighted error; a number of float32."""
    extreme = np.take_along_axis(rows, np.abs(rows).argmax(0)[None], 0)[0]
    whole = extreme / low if least_scale is None else np.abs(extreme) / high
    least = SMALLEST if least_scale is None else least_scale
    best, error = np.empty(0), np.full(rows.shape[1], np.inf)
    for share in SHARES[::-1]:
        scale = whole * share
        scale = np.where(np.abs(scale) > least, scale, least).astype(np.float32).astype(np.float64)
        off = (np.square(np.clip(np.rint(rows / scale), low, high) * scale - rows) * importance[:, None]).sum(0)
        best = scale if not best.size else np.where(off < error, scale, best)
        error = np.minimum(off, error)
    return best
