"""Which operators have their quantisation in their name, what they are without, and where their scales stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

MICROSOFT = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Spelling:
    """operator: without its quantisation. Quantised operands are three tensors in a row: integers, scale, zero point."""

    operator: str
    operands: tuple[int, ...]
    """Where each begins."""
    result: int
    """Where the result's scale and zero point stand."""
    plain: tuple[int, ...] = ()
    """Operands that are not quantised, in front of the others."""
    channels: int | None = None
    """The axis of the second operand each index of which may have a scale of its own; None: none."""
    bias: int | None = None
    """Where integers stand whose scale is the product of those of the first two operands."""
    optional: bool = False
    """Whether the result may be left in floats."""


_BINARY, _UNARY = ((0, 3), 6), ((0,), 3)
SPELLINGS: Mapping[str, Spelling] = {
    "QLinearConv": Spelling("Conv", *_BINARY, channels=0, bias=8),
    "QLinearMatMul": Spelling("MatMul", *_BINARY, channels=-1),
    "QGemm": Spelling("Gemm", (0, 3), 7, channels=1, bias=6, optional=True),
    "QLinearAdd": Spelling("Add", *_BINARY),
    "QLinearMul": Spelling("Mul", *_BINARY),
    "QLinearWhere": Spelling("Where", (1, 4), 7, plain=(0,)),
    "QLinearSigmoid": Spelling("Sigmoid", *_UNARY),
    "QLinearLeakyRelu": Spelling("LeakyRelu", *_UNARY),
    "QLinearSoftmax": Spelling("Softmax", *_UNARY),
    "QLinearReduceMean": Spelling("ReduceMean", *_UNARY),
    "QLinearAveragePool": Spelling("AveragePool", *_UNARY),
    "QLinearGlobalAveragePool": Spelling("GlobalAveragePool", *_UNARY),
    "QLinearConcat": Spelling("Concat", (), 0),
}
"""QLinearConcat has any number of operands, from its third tensor on."""
MOVES = frozenset({
    "MaxPool", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Expand", "Tile", "Identity",
    "DepthToSpace", "SpaceToDepth", "Concat", "Pad", "Resize",
})  # fmt: skip
"""Operators that leave numbers as they are, Resize by nearest neighbours alone; they take integers as well as floats."""
DROPPED = frozenset({"channels_last", "opset"})
"""Attributes that the operator without its quantisation has not."""


def spelling_of(node: onnx.NodeProto) -> Spelling | None:
    """How the node may be written otherwise; None where it is not such an operator, or says what cannot be said otherwise."""
    from dataclasses import replace

    found = SPELLINGS.get(node.op_type) if node.domain in ("", "ai.onnx", MICROSOFT) else None
    if found is None or said(node, "channels_last", 0):
        return None
    match node.op_type:
        case "QGemm":
            alone = said(node, "alpha", 1.0) == 1.0
            return replace(found, channels=0 if said(node, "transB", 0) else 1) if alone else None
        case "QLinearSoftmax":
            return found if said(node, "opset", 0) >= FLAT or said(node, "axis", 1) == -1 else None
        case "QLinearConcat":
            return replace(found, operands=tuple(range(2, len(node.input), 3)))
        case _:
            return found


FLAT = 13
"""The opset before which Softmax was over all axes from `axis` on."""


def said(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute of the node."""
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
