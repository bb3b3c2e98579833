"""Between which two numbers does every element of a tensor lie, whatever the inputs? As far as the operators alone say so."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .steps import Flow, Step

if TYPE_CHECKING:
    import onnx

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
LARGEST = 3.4e38

KEEPS = frozenset(
    {"Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Tile", "Slice", "Split", "Gather", "GatherElements",
     "GatherND", "MaxPool", "GlobalMaxPool", "GlobalAveragePool", "ReduceMax", "ReduceMin", "ReduceMean", "DepthToSpace", "SpaceToDepth"}
)  # fmt: skip
"""Results are elements of the first operand, or lie between them."""
WITH_ZERO = frozenset({"AveragePool", "Dropout"})
"""The same, or 0."""
FIXED: dict[str, Range] = {
    "Sigmoid": (0, 1), "Softmax": (0, 1), "Hardmax": (0, 1), "HardSigmoid": (0, 1), "Tanh": (-1, 1), "Erf": (-1, 1), "Sin": (-1, 1),
    "Cos": (-1, 1), "Exp": (0, math.inf), "Sqrt": (0, math.inf), "Softplus": (0, math.inf), "ReduceL1": (0, math.inf),
    "ReduceL2": (0, math.inf), "ReduceSumSquare": (0, math.inf), "Shape": (0, math.inf), "Size": (0, math.inf), "NonZero": (0, math.inf),
    "ArgMax": (0, math.inf), "ArgMin": (0, math.inf), "HardSwish": (-0.375, math.inf), "LogSoftmax": (-math.inf, 0),
    "And": (0, 1), "Or": (0, 1), "Xor": (0, 1), "IsNaN": (0, 1), "IsInf": (0, 1), "OneHot": ANY,
}  # fmt: skip


def ranges(flow: Flow, graph: onnx.GraphProto) -> dict[str, Range]:
    """By tensor; one that is missing may be anything. NaN lies nowhere."""
    found: dict[str, Range] = {}
    for value in graph.input:
        if (limits := _of_dtype(value.type.tensor_type.elem_type)) is not None:
            found[value.name] = limits
    for name, array in flow.constants.items():
        if array is not None and array.size and array.dtype.kind in "bfiu" and not (array != array).any():
            found[name] = unbounded(float(array.min())), unbounded(float(array.max()))
    for step in flow.steps:
        result = _result(step, [found.get(name, ANY) for name in step.inputs])
        if result is not None and result != ANY and not any(map(math.isnan, result)):
            found.update(dict.fromkeys(filter(None, step.outputs), result))
    return found


def unbounded(number: float) -> float:
    """Exporters write "no bound" as the largest number of a dtype."""
    return math.copysign(math.inf, number) if abs(number) >= LARGEST else number


def _of_dtype(code: int) -> Range | None:
    from onnx import TensorProto

    bits: dict[int, int] = {TensorProto.UINT8: 8, TensorProto.UINT16: 16, TensorProto.UINT32: 32, TensorProto.UINT64: 64}
    return (0, 1) if code == TensorProto.BOOL else (0, 2.0 ** bits[code] - 1) if code in bits else None


def _result(step: Step, operands: Sequence[Range]) -> Range | None:
    """What a step's outputs lie between; None if that is not known."""
    if not operands:
        return None
    if step.operator in KEEPS:
        return operands[0]
    if step.operator in WITH_ZERO:
        return min(operands[0][0], 0), max(operands[0][1], 0)
    if step.operator in FIXED:
        return FIXED[step.operator]
    rule = RULES.get(step.operator)
    return None if rule is None else rule(step, operands)


def _clip(step: Step, operands: Sequence[Range]) -> Range:
    """Of min(max(x, low), high)."""
    low = operands[1] if _has(step, 1) else (unbounded(step.attribute("min", -math.inf)),) * 2
    high = operands[2] if _has(step, 2) else (unbounded(step.attribute("max", math.inf)),) * 2
    x = operands[0]
    return min(max(x[0], low[0]), high[0]), min(max(x[1], low[1]), high[1])


def _has(step: Step, index: int) -> bool:
    return index < len(step.inputs) and bool(step.inputs[index])


def _cast(step: Step, operands: Sequence[Range]) -> Range | None:
    """Between floats and to wide integers a cast keeps the order; narrow integers wrap round, and a bool is 0 or 1."""
    from onnx import TensorProto

    to = step.attribute("to", 0)
    low, high = operands[0]
    if to == TensorProto.BOOL:
        return (1, 1) if low > 0 or high < 0 else (0, 1)
    if to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return operands[0]
    if to in (TensorProto.INT64, TensorProto.INT32) and max(-low, high) < 2**31:
        return math.trunc(low), math.trunc(high)
    return _of_dtype(to)


def _mul(step: Step, operands: Sequence[Range]) -> Range:
    (a, b), (c, d) = operands
    if step.inputs[0] == step.inputs[1]:
        return 0, math.inf
    corners = [0.0 if 0 in (x, y) else x * y for x in (a, b) for y in (c, d)]
    return min(corners), max(corners)


def _relu(step: Step, operands: Sequence[Range]) -> Range:
    return max(operands[0][0], 0), max(operands[0][1], 0)


def _abs(step: Step, operands: Sequence[Range]) -> Range:
    low, high = operands[0]
    return (low, high) if low >= 0 else (max(-high, 0), max(-low, high))


def _compared(step: Step, operands: Sequence[Range]) -> Range:
    """Of a comparison, 0 or 1; decided where the operands' ranges are apart."""
    (a, b), (c, d) = operands if step.operator.startswith("Greater") else operands[::-1]
    equal = step.operator.endswith("OrEqual")
    if a > d or (equal and a >= d):
        return 1, 1
    return (0, 0) if b < c or (not equal and b <= c) else (0, 1)


def _equal(step: Step, operands: Sequence[Range]) -> Range:
    (a, b), (c, d) = operands
    return (0, 0) if b < c or d < a else (1, 1) if a == b == c == d else (0, 1)


def _hull(step: Step, operands: Sequence[Range]) -> Range:
    return min(low for low, _ in operands), max(high for _, high in operands)


RULES: dict[str, Callable[[Step, Sequence[Range]], Any]] = {
    "Clip": _clip, "Cast": _cast, "Mul": _mul, "Relu": _relu, "Abs": _abs, "Equal": _equal, "Concat": _hull,
    "Greater": _compared, "GreaterOrEqual": _compared, "Less": _compared, "LessOrEqual": _compared,
    "Where": lambda step, operands: _hull(step, operands[1:]),
    "Not": lambda step, operands: (1 - operands[0][1], 1 - operands[0][0]),
    "Neg": lambda step, operands: (-operands[0][1], -operands[0][0]),
    "Add": lambda step, operands: (operands[0][0] + operands[1][0], operands[0][1] + operands[1][1]),
    "Sub": lambda step, operands: (operands[0][0] - operands[1][1], operands[0][1] - operands[1][0]),
    "Max": lambda step, operands: (max(low for low, _ in operands), max(high for _, high in operands)),
    "Min": lambda step, operands: (min(low for low, _ in operands), min(high for _, high in operands)),
}  # fmt: skip
