"""Operators that only move elements, or count them: where the shapes that exporters compute come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Values = Sequence[np.ndarray | None]
"""Operands by position; None for one that is left out."""
Attributes = Mapping[str, Any]
LONGEST = 4096
"""Elements of the largest tensor that is followed."""


def axes_of(operands: Values, attributes: Attributes, place: int = 1) -> list[int] | None:
    """Axes as an operand (newer opsets) or as an attribute."""
    given = operands[place] if place < len(operands) else None
    if given is not None:
        return [int(axis) for axis in given.reshape(-1)]
    return [int(axis) for axis in attributes["axes"]] if "axes" in attributes else None


def small(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape. ValueError if a tensor of it is larger than what is followed."""
    sizes = tuple(int(size) for size in shape)
    if math.prod(sizes) > LONGEST or min(sizes, default=0) < 0:
        raise ValueError(sizes)
    return sizes


def operand(operands: Values, place: int = 0) -> np.ndarray:
    found = operands[place]
    if found is None:
        raise ValueError(place)
    return found


def gathered(operands: Values, attributes: Attributes) -> np.ndarray:
    data, indices, axis = operand(operands), operand(operands, 1), int(attributes.get("axis", 0))
    small([*data.shape[: axis % data.ndim], *indices.shape, *data.shape[axis % data.ndim + 1 :]])
    return np.take(data, indices, axis)


def sliced(operands: Values, attributes: Attributes) -> np.ndarray:
    data = operand(operands)
    given = [None if value is None else [int(item) for item in value.reshape(-1)] for value in (*operands[1:5], *[None] * 4)]
    starts, ends, axes, steps = given[:4]
    starts, ends = starts if starts is not None else list(attributes["starts"]), ends if ends is not None else list(attributes["ends"])
    axes = axes if axes is not None else list(attributes.get("axes", range(len(starts))))
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        behind = step < 0 and end < -data.shape[axis]  # before the first element: a slice of Python says None
        cut[axis] = slice(start, None if behind else end, step)
    return data[tuple(cut)]


def squeezed(operands: Values, attributes: Attributes) -> np.ndarray:
    axes = axes_of(operands, attributes)
    return np.squeeze(operand(operands), None if axes is None else tuple(axes))


def unsqueezed(operands: Values, attributes: Attributes) -> np.ndarray:
    return np.expand_dims(operand(operands), tuple(axes_of(operands, attributes) or ()))


def reshaped(operands: Values, attributes: Attributes) -> np.ndarray:
    data, wanted = operand(operands), [int(size) for size in operand(operands, 1)]
    copies = not attributes.get("allowzero", 0)
    return data.reshape([data.shape[k] if size == 0 and copies else size for k, size in enumerate(wanted)])


def flattened(operands: Values, attributes: Attributes) -> np.ndarray:
    data, axis = operand(operands), int(attributes.get("axis", 1))
    axis += data.ndim if axis < 0 else 0
    return data.reshape(math.prod(data.shape[:axis]), math.prod(data.shape[axis:]))


def parts_of(operands: Values, attributes: Attributes) -> list[np.ndarray] | None:
    data, axis = operand(operands), int(attributes.get("axis", 0))
    sizes = operands[1] if len(operands) > 1 else None
    parts = [int(size) for size in sizes] if sizes is not None else list(attributes.get("split", ()))
    if not parts:
        count = int(attributes["outputs"])  # given by the caller: how many results the node has
        each = -(-data.shape[axis] // count)
        parts = [each] * (count - 1) + [data.shape[axis] - each * (count - 1)]
    return list(np.split(data, np.cumsum(parts)[:-1], axis)) if sum(parts) == data.shape[axis] and min(parts) >= 0 else None


def expanded(operands: Values, attributes: Attributes) -> np.ndarray:
    data = operand(operands)
    return np.broadcast_to(data, small(np.broadcast_shapes(data.shape, tuple(int(size) for size in operand(operands, 1)))))


def tiled(operands: Values, attributes: Attributes) -> np.ndarray:
    data, repeats = operand(operands), [int(size) for size in operand(operands, 1)]
    small([size * count for size, count in zip(data.shape, repeats, strict=True)])
    return np.tile(data, repeats)


def counted(operands: Values, attributes: Attributes) -> np.ndarray:
    start, limit, delta = (operand(operands, k).reshape(()) for k in range(3))
    if start.dtype.kind == "f":
        raise ValueError(start.dtype)  # runtimes add up, or multiply
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    small([count])
    return np.asarray(start + np.arange(count) * delta, start.dtype)


def filled(operands: Values, attributes: Attributes) -> np.ndarray:
    from onnx import numpy_helper

    value = numpy_helper.to_array(attributes["value"]).reshape(()) if "value" in attributes else np.float32(0)
    return np.full(small([int(size) for size in operand(operands)]), value)


def size_of(operands: Values, attributes: Attributes) -> np.ndarray:
    return np.asarray(operand(operands).size, np.int64)


def shape_of(operands: Values, attributes: Attributes) -> np.ndarray:
    return shape_value(operand(operands).shape, attributes)


def shape_value(shape: Sequence[int], attributes: Attributes) -> np.ndarray:
    """What Shape gives of a tensor of this shape."""
    start, end = int(attributes.get("start", 0)), attributes.get("end")
    return np.asarray(list(shape)[start : None if end is None else int(end)], np.int64)
