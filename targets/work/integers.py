"""Quantised operators under one spelling: a QLinearConv costs what a Conv between DequantizeLinears and a QuantizeLinear costs where a
device computes that in integers. Scales and zero points are no operands there: they are a few bytes, and part of the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..operator_view import OperatorView, TensorView


@dataclass(frozen=True, slots=True)
class Spelling:
    """operator: without its quantisation. operands: its operands by label, each with the label and the place that it has here."""

    operator: str
    operands: Mapping[str, tuple[str, int]]


_TWO = {"A": ("A", 0), "B": ("B", 3)}
_ONE = {"X": ("X", 0)}
SPELLINGS: Mapping[str, Spelling] = {
    "QLinearConv": Spelling("Conv", {"X": ("x", 0), "W": ("w", 3), "B": ("B", 8)}),
    "QLinearMatMul": Spelling("MatMul", {"A": ("a", 0), "B": ("b", 3)}),
    "QGemm": Spelling("Gemm", {**_TWO, "C": ("C", 6)}),
    "ConvInteger": Spelling("Conv", {"X": ("x", 0), "W": ("w", 1)}),
    "MatMulInteger": Spelling("MatMul", {"A": ("A", 0), "B": ("B", 1)}),
    "QLinearAdd": Spelling("Add", _TWO),
    "QLinearMul": Spelling("Mul", _TWO),
    "QLinearSigmoid": Spelling("Sigmoid", _ONE),
    "QLinearLeakyRelu": Spelling("LeakyRelu", _ONE),
    "QLinearSoftmax": Spelling("Softmax", _ONE),
    "QLinearGlobalAveragePool": Spelling("GlobalAveragePool", _ONE),
    "QLinearAveragePool": Spelling("AveragePool", _ONE),
}
"""Operators on integers, those of com.microsoft among them. Not QLinearConcat, whose operands come in threes."""
PER_ELEMENT: Mapping[str, float] = {
    "Add": 4, "Sub": 4, "Mul": 4, "Div": 4, "Softmax": 10,
    **dict.fromkeys(("Sigmoid", "LeakyRelu", "Tanh", "Gelu", "Erf", "Exp", "HardSwish", "HardSigmoid", "Elu", "Sqrt"), 2),
}  # fmt: skip
"""Operations per element of the result in integers, two scales and a rounding among them; a function of one byte is read off a table."""


def in_plain_spelling(view: OperatorView) -> OperatorView:
    """An operator that has its quantisation in its name as the quantised operator that it is; others as they are."""
    spelling = SPELLINGS.get(view.operator) if view.domain in ("", "ai.onnx", "com.microsoft") else None
    if spelling is None:
        return view
    found = {label: _operand(view, *where) for label, where in spelling.operands.items()}
    operands = {label: tensor for label, tensor in found.items() if tensor is not None}
    return replace(view, domain="", operator=spelling.operator, inputs=operands, quantised=True)


def _operand(view: OperatorView, label: str, place: int) -> TensorView | None:
    found = view.inputs.get(f"operand.{place}")
    return view.inputs.get(label) if found is None else found
