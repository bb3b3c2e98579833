"""Where the elements of a tensor belong together: channels or rows of one scale, and fills that are no numbers of the model at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FILL = 1e4
"""Magnitude from which on an element may be a fill, such as the -1e9 behind a mask."""
GAP = 100.0
"""And it is one if nothing of the tensor lies between it and a hundredth of it."""
APART = 4.0
"""Ratio of the largest (or smallest) root mean square of a channel to the typical one from which on channels are judged apart."""
TINY = 2.0**-126
"""Below it there is no scale."""
FEWEST = 8
"""Elements of a channel on one input set below which it cannot be judged alone: each set has a rounding of its own."""


def fills(values: Array) -> Array:
    """Which elements stand for "nothing here": finite, very large, and far from all others."""
    size = np.abs(values)
    finite = np.isfinite(values)
    small = size[finite & (size < FILL)]
    if not small.size:
        return np.zeros(values.shape, bool)
    result: Array = finite & (size >= max(FILL, GAP * float(small.max())))
    return result


def channel_axis(expected: Sequence[Array]) -> int | None:
    """The axis along which scales differ most, where they differ much; None where the tensor is of one scale. `expected`: the arrays of
    all input sets, of one shape."""
    shape = expected[0].shape
    axes = [axis for axis, length in enumerate(shape) if length >= 2 and expected[0].size >= FEWEST * length]
    means: dict[int, list[Array]] = {axis: [] for axis in axes}
    for e in expected:  # one array of squares at a time
        with np.errstate(over="ignore"):
            square = np.where(np.isfinite(e) & ~fills(e), e, 0.0) ** 2
        for axis in axes:
            means[axis].append(square.mean(axis=tuple(k for k in range(len(shape)) if k != axis)))
    best, found = APART, None
    for axis in axes:
        scales = np.sqrt(np.mean(means[axis], axis=0))
        scales = scales[(scales > TINY) & np.isfinite(scales)]
        if not scales.size:
            continue
        typical = float(np.median(scales))
        spread = max(float(scales.max()) / typical, typical / float(scales.min()))
        if spread > best:
            best, found = spread, axis
    return found


def by_channel(values: Array, axis: int | None) -> Array:
    """The array as [channels, elements]; one channel where there is no axis."""
    return values.reshape(1, -1) if axis is None else np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def index_of(channel: int, element: int, shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """The index in the array of an element of `by_channel`."""
    if axis is None:
        return tuple(int(k) for k in np.unravel_index(element, shape))
    rest = tuple(size for k, size in enumerate(shape) if k != axis)
    inner = [int(k) for k in np.unravel_index(element, rest)] if rest else []
    inner.insert(axis, channel)
    return tuple(inner)
