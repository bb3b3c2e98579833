"""One operator on small known tensors, in numpy: the operators that exporters write shape arithmetic with.

Only what is exact everywhere is here: integers, booleans, moves, and the few operators on floats that IEEE 754 fixes to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .moves import (
    LONGEST,
    Attributes,
    Values,
    axes_of,
    counted,
    expanded,
    filled,
    flattened,
    gathered,
    operand,
    parts_of,
    reshaped,
    shape_of,
    size_of,
    sliced,
    small,
    squeezed,
    tiled,
    unsqueezed,
)

Evaluator = Callable[[Values, Attributes], Any]


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


def _cast(operands: Values, attributes: Attributes) -> np.ndarray | None:
    from onnx import helper

    return _converted(operand(operands), helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _converted(value: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """None where the result is no plain number, or where the standard leaves it open: a float beyond the integers."""
    if dtype.kind not in "iufb" or value.dtype.kind not in "iufb":
        return None
    if value.dtype.kind == "f" and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if not np.all(np.isfinite(value)) or np.any(np.trunc(value) < bounds.min) or np.any(np.trunc(value) > bounds.max):
            return None
    return value.astype(dtype)


def _divided(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """Integers are divided towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if np.any(b == 0):
        return None
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) != (b < 0), -quotient, quotient).astype(a.dtype)) if a.dtype.kind == "i" else np.asarray(a // b)


def _modulo(operands: Values, attributes: Attributes) -> np.ndarray | None:
    a, b = operand(operands), operand(operands, 1)
    if a.dtype.kind == "f" or np.any(b == 0):
        return None
    return np.asarray(np.fmod(a, b) if attributes.get("fmod", 0) else np.mod(a, b))


def _two(function: Callable[[np.ndarray, np.ndarray], Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        a, b = operand(operands), operand(operands, 1)
        small(np.broadcast_shapes(a.shape, b.shape))
        return function(a, b)

    return evaluator


def _many(function: Callable[[np.ndarray, np.ndarray], Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        small(np.broadcast_shapes(*(operand(operands, k).shape for k in range(len(operands)))))
        result = operand(operands)
        for k in range(1, len(operands)):
            result = function(result, operand(operands, k))
        return result

    return evaluator


def _one(function: Callable[[np.ndarray], Any]) -> Evaluator:
    return lambda operands, attributes: function(operand(operands))


def _where(operands: Values, attributes: Attributes) -> np.ndarray:
    small(np.broadcast_shapes(*(operand(operands, k).shape for k in range(3))))
    return np.where(operand(operands), operand(operands, 1), operand(operands, 2))


def _reduced(function: Callable[..., Any]) -> Evaluator:
    def evaluator(operands: Values, attributes: Attributes) -> Any:
        data, axes = operand(operands), axes_of(operands, attributes)
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
    data = operand(operands)
    data = data if low is None else np.maximum(data, low)
    return data if high is None else np.minimum(data, high)


def _cumsum(operands: Values, attributes: Attributes) -> np.ndarray | None:
    data, axis = operand(operands), int(operand(operands, 1).reshape(()))
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
    "CastLike": lambda operands, attributes: _converted(operand(operands), operand(operands, 1).dtype),
    "Ceil": _one(np.ceil),
    "Clip": _clip,
    "Concat": lambda operands, attributes: np.concatenate([operand(operands, k) for k in range(len(operands))], int(attributes["axis"])),
    "ConstantOfShape": filled,
    "CumSum": _cumsum,
    "Div": _two(_divided),
    "Equal": _two(np.equal),
    "Expand": expanded,
    "Flatten": flattened,
    "Floor": _one(np.floor),
    "Gather": gathered,
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
    "Range": counted,
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": reshaped,
    "Round": _one(np.round),
    "Shape": shape_of,
    "Size": size_of,
    "Slice": sliced,
    "Split": parts_of,
    "Sqrt": _one(lambda value: np.sqrt(value) if value.dtype.kind == "f" else None),
    "Squeeze": squeezed,
    "Sub": _two(np.subtract),
    "Tile": tiled,
    "Transpose": lambda operands, attributes: np.transpose(operand(operands), attributes.get("perm")),
    "Trilu": lambda operands, attributes: (np.triu if attributes.get("upper", 1) else np.tril)(
        operand(operands), int(operands[1].reshape(())) if len(operands) > 1 and operands[1] is not None else 0
    ),
    "Unsqueeze": unsqueezed,
    "Where": _where,
    "Xor": _two(np.logical_xor),
}
