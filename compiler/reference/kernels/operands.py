"""What many kernels ask of a call: axes, attributes with the schema's default, lists of integers that moved from attribute to input."""

from __future__ import annotations

import numpy as np

from .call import Call, Value


def axis_of(axis: int, rank: int) -> int:
    """The axis counted from the front. Raises ValueError outside [-rank, rank)."""
    if not -rank <= axis < max(rank, 1):
        raise ValueError(f"axis {axis} of a tensor of rank {rank}")
    return axis + rank if axis < 0 else axis


def axes_of(call: Call, index: int, rank: int) -> tuple[int, ...] | None:
    """The axes named by that input or, in older opsets, by the attribute; None where neither names any (an empty list included)."""
    axes = integers(call, index, "axes")
    return tuple(axis_of(axis, rank) for axis in axes) if axes else None


def integers(call: Call, index: int, attribute: str) -> list[int] | None:
    """A list of integers from that input or the attribute of older opsets; None where it is absent."""
    given = call.input(index)
    if given is None:
        given = call.attributes.get(attribute)
    return None if given is None else [int(number) for number in np.atleast_1d(np.asarray(given)).ravel()]


def number(call: Call, attribute: str, default: float) -> float:
    """A float attribute; its default is the fp32 number that the schema holds."""
    return float(call.attributes.get(attribute, np.float32(default)))


def is_float(array: Value) -> bool:
    return bool(np.asarray(array).dtype.kind == "f")


def along(vector: Value, axis: int, rank: int) -> Value:
    """A 1-D array reshaped so that it broadcasts along that axis of a tensor of that rank."""
    shape = [1] * rank
    shape[axis] = -1
    return np.asarray(vector).reshape(shape)
