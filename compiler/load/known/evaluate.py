"""One operator on small known tensors, in numpy: the operators that exporters write shape arithmetic with.

Only what is exact everywhere is here: integers, booleans, moves, and the few operators on floats that IEEE 754 fixes to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Values = Sequence[np.ndarray | None]
"""Operands by position; None for one that is left out."""
Attributes = Mapping[str, Any]
Evaluator = Callable[[Values, Attributes], Any]

LONGEST = 4096
"""Elements of the largest tensor that is followed."""


def evaluate(operator: str, operands: Values, attributes: Attributes) -> list[np.ndarray] | None:
    """The results of an operator of ai.onnx; None where it is not among these, would be large, or is not defined there."""
    evaluator = EVALUATORS.get(operator)
    if evaluator is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = evaluator(operands, attributes)
    except (ArithmeticError, AttributeError, IndexError, KeyError, MemoryError, TypeError, ValueError):
        return None  # wrong operands: whoever runs the model says so
    if found is None:
        return None
    results = [np.asarray(result) for result in (found if isinstance(found, list) else [found])]
    return results if all(result.size <= LONGEST for result in results) else None


def _axes(operands: Values, attributes: Attributes, place: int = 1) -> list[int] | None:
    """Axes as an operand (newer opsets) or as an attribute."""
    given = operands[place] if place < len(operands) else None
    if given is not None:
        return [int(axis) for axis in given.reshape(-1)]
    return [int(axis) for axis in attributes["axes"]] if "axes" in attributes else None


def _room(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape. ValueError if a tensor of it is larger than what is followed."""
    sizes = tuple(int(size) for size in shape)
    if math.prod(sizes) > LONGEST or min(sizes, default=0) < 0:
        raise ValueError(sizes)
    return sizes


def _cast(operands: Values, attributes: Attributes) -> np.ndarray | None:
    from onnx import helper

    return _converted(_data(operands), helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _converted(value: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """None where the result is no plain number, or where the standard leaves it open: a float beyond the integers."""
    if dtype.kind not in "iufb" or value.dtype.kind not in "iufb":
        return None
    if value.dtype.kind == "f" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if not np.all(np.isfinite(value)) or np.any(np.trunc(value) < bounds.min) or np.any(np.trunc(value) > bounds.max):
            return None
    return value.astype(dtype)


def _data(operands: Values, place: int = 0) -> np.ndarray:
    found = operands[place]
    if found is None:
        raise ValueError(place)
    return found


def _gather(operands: Values, attributes: Attributes) -> np.ndarray:
    data, indices, axis = _data(operands), _data(operands, 1), int(attributes.get("axis", 0))
    _room([*data.shape[: axis % data.ndim], *indices.shape, *data.shape[axis % data.ndim + 1 :]])
    return np.take(data, indices, axis)


def _slice(operands: Values, attributes: Attributes) -> np.ndarray:
    data = _data(operands)
    given = [None if value is None else [int(item) for item in value.reshape(-1)] for value in (*operands[1:5], *[None] * 4)]
    starts, ends, axes, steps = given[:4]
    starts, ends = starts if starts is not None else list(attributes["starts"]), ends if ends is not None else list(attributes["ends"])
    axes = axes if axes is not None else list(attributes.get("axes", range(len(starts))))
    cut = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts), strict=True):
        behind = step < 0 and end < -data.shape[axis]  # before the first element: a slice of Python says None
        cut[axis] = slice(start, None if behind else end, step)
    return data[tuple(cut)]


def _squeeze(operands: Values, attributes: Attributes) -> np.ndarray:
    axes = _axes(operands, attributes)
    return np.squeeze(_data(operands), None if axes is None else tuple(axes))


def _unsqueeze(operands: Values, attributes: Attributes) -> np.ndarray:
    return np.expand_dims(_data(operands), tuple(_axes(operands, attributes) or ()))


def _reshape(operands: Values, attributes: Attributes) -> np.ndarray:
    data, wanted = _data(operands), [int(size) for size in _data(operands, 1)]
    copies = not attributes.get("allowzero", 0)
    return data.reshape([data.shape[k] if size == 0 and copies else size for k, size in enumerate(wanted)])


def _flatten(operands: Values, attributes: Attributes) -> np.ndarray:
    data, axis = _data(operands), int(attributes.get("axis", 1))
    axis += data.ndim if axis < 0 else 0
    return data.reshape(math.prod(data.shape[:axis]), math.prod(data.shape[axis:]))


def _split(operands: Values, attributes: Attributes) -> list[np.ndarray] | None:
    data, axis = _data(operands), int(attributes.get("axis", 0))
    sizes = operands[1] if len(operands) > 1 else None
    parts = [int(size) for size in sizes] if sizes is not None else list(attributes.get("split", ()))
    if not parts:
        count = int(attributes["outputs"])  # given by the caller: how many results the node has
        each = -(-data.shape[axis] // count)
        parts = [each] * (count - 1) + [data.shape[axis] - each * (count - 1)]
    return list(np.split(data, np.cumsum(parts)[:-1], axis)) if sum(parts) == data.shape[axis] and min(parts) >= 0 else None


def _expand(operands: Values, attributes: Attributes) -> np.ndarray:
    data = _data(operands)
    return np.broadcast_to(data, _room(np.broadcast_shapes(data.shape, tuple(int(size) for size in _data(operands, 1)))))


def _tile(operands: Values, attributes: Attributes) -> np.ndarray:
    data, repeats = _data(operands), [int(size) for size in _data(operands, 1)]
    _room([size * count for size, count in zip(data.shape, repeats, strict=True)])
    return np.tile(data, repeats)


def _range(operands: Values, attributes: Attributes) -> np.ndarray:
    start, limit, delta = (_data(operands, k).reshape(()) for k in range(3))
    if start.dtype.kind == "f":
        raise ValueError(start.dtype)  # runtimes add up, or multiply
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    _room([count])
    return np.asarray(start + np.arange(count) * delta, start.dtype)


def _filled(operands: Values, attributes: Attributes) -> np.ndarray:
    from onnx import numpy_helper

    value = numpy_helper.to_array(attributes["value"]).reshape(()) if "value" in attributes else np.float32(0)
    return np.full(_room([int(size) for size in _data(operands)]), value)


def _size(operands: Values, attributes: Attributes) -> np.ndarray:
    return np.asarray(_data(operands).size, np.int64)


def _shape(operands: Values, attributes: Attributes) -> np.ndarray:
    return shape_value(_data(operands).shape, attributes)


def shape_value(shape: Sequence[int], attributes: Attributes) -> np.ndarray:
    """What Shape gives of a tensor of this shape."""
    start, end = int(attributes.get("start", 0)), attributes.get("end")
    return np.asarray(list(shape)[start : None if end is None else int(end)], np.int64)


def _divided(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Integers are divided towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if np.any(b == 0):
        return None
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)) if a.dtype.kind == "i" else np.asarray(a // b)


def _modulo(operands: Values, attributes: Attributes) -> np.ndarray | None:
    a, b = _data(operands), _data(operands, 1)
    if a.dtype.kind == "f" or np.any(b == 0):
        return None
    return np.asarray(np.fmod(a, b) if attributes.get("fmod", 0) else np.mod(a, b))


def _two(function: Callable[[np.ndarray, np.ndarray], Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        a, b = _data(operands), _data(operands, 1)
        _room(np.broadcast_shapes(a.shape, b.shape))
        return function(a, b)

    return evaluator


def _many(function: Callable[[np.ndarray, np.ndarray], Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        _room(np.broadcast_shapes(*(_data(operands, k).shape for k in range(len(operands)))))
        result = _data(operands)
        for k in range(1, len(operands)):
            result = function(result, _data(operands, k))
        return result

    return evaluator


def _one(function: Callable[[np.ndarray], Any]) -> Evaluator:
    return lambda operands, attributes: function(_data(operands))


def _where(operands: Values, attributes: Attributes) -> np.ndarray:
    _room(np.broadcast_shapes(*(_data(operands, k).shape for k in range(3))))
    return np.where(_data(operands), _data(operands, 1), _data(operands, 2))


def _reduced(function: Callable[..., Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        data, axes = _data(operands), _axes(operands, attributes)
        if data.dtype.kind == "f":
            return None  # the order of a sum is not fixed
        if not axes and attributes.get("noop_with_empty_axes", 0):
            return data
        axis = tuple(axes) if axes else None
        return np.asarray(function(data, axis=axis, keepdims=bool(attributes.get("keepdims", 1)))).astype(data.dtype)

    return evaluator


def _clip(operands: Values, attributes: Attributes) -> np.ndarray | None:
    if "min" in attributes or "max" in attributes:
        return None  # before opset 11
    low, high = (operands[k] if k < len(operands) else None for k in (1, 2))
    data = _data(operands)
    data = data if low is None else np.maximum(data, low)
    return data if high is None else np.minimum(data, high)


def _cumsum(operands: Values, attributes: Attributes) -> np.ndarray | None:
    data, axis = _data(operands), int(_data(operands, 1).reshape(()))
    if data.dtype.kind == "f" or attributes.get("exclusive", 0):
        return None
    turned = np.flip(data, axis) if attributes.get("reverse", 0) else data
    summed = np.cumsum(turned, axis, dtype=data.dtype)
    return np.flip(summed, axis) if attributes.get("reverse", 0) else summed


EVALUATORS: Mapping[str, Evaluator] = {
    "Abs": _one(np.abs),
    "Add": _two(np.add),
    "And": _two(np.logical_and),
    "Cast": _cast,
    "CastLike": lambda operands, attributes: _converted(_data(operands), _data(operands, 1).dtype),
    "Ceil": _one(np.ceil),
    "Clip": _clip,
    "Concat": lambda operands, attributes: np.concatenate([_data(operands, k) for k in range(len(operands))], int(attributes["axis"])),
    "ConstantOfShape": _filled,
    "CumSum": _cumsum,
    "Div": _two(_divided),
    "Equal": _two(np.equal),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _one(np.floor),
    "Gather": _gather,
    "Greater": _two(np.greater),
    "GreaterOrEqual": _two(np.greater_equal),
    "Identity": _one(lambda value: value),
    "Less": _two(np.less),
    "LessOrEqual": _two(np.less_equal),
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    "Mod": _modulo,
    "Mul": _two(np.multiply),
    "Neg": _one(np.negative),
    "NonZero": _one(lambda value: np.asarray(np.nonzero(value), np.int64) if value.ndim else None),
    "Not": _one(np.logical_not),
    "Or": _two(np.logical_or),
    "Range": _range,
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": _reshape,
    "Round": _one(np.round),
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Sqrt": _one(lambda value: np.sqrt(value) if value.dtype.kind == "f" else None),
    "Squeeze": _squeeze,
    "Sub": _two(np.subtract),
    "Tile": _tile,
    "Transpose": lambda operands, attributes: np.transpose(_data(operands), attributes.get("perm")),
    "Trilu": lambda operands, attributes: (np.triu if attributes.get("upper", 1) else np.tril)(
        _data(operands), int(operands[1].reshape(())) if len(operands) > 1 and operands[1] is not None else 0
    ),
    "Unsqueeze": _unsqueeze,
    "Where": _where,
    "Xor": _two(np.logical_xor),
}
