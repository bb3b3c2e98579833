"""What is known of the channels of each kind of operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..graph.node import Node
from .cells import Axes
from .channelwise import attention, batch_norm, elementwise, first_operand, layer_norm, pool, reduce, softmax
from .contractions import Results, conv, conv_transpose, gemm, matmul
from .cuts import concat, gather, kept_where_alike, resize, shape, slice_, split
from .reshapes import expand, reshape, transpose
from .spread import Spread


@dataclass(frozen=True, slots=True)
class Rule:
    """Of a kind of operator."""

    spread: Callable[[Spread, Node, list[Axes]], Results]
    data: int | None = None
    """How many operands carry channels, from the first on; the others are numbers that stay. None: all."""


UNARY = (
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cast", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round",
    "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
    "com.microsoft::Gelu", "com.microsoft::FastGelu", "com.microsoft::QuickGelu",
)  # fmt: skip
MANY = (
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu",
    "Pow", "Sub", "Sum", "Where", "Xor",
)  # fmt: skip
POOLS = ("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool")
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
RULES: Mapping[str, Rule] = {
    **{kind: Rule(first_operand, 1) for kind in (*UNARY, "Clip", "Dropout")},
    **{kind: Rule(elementwise) for kind in MANY},
    **{kind: Rule(pool, 1) for kind in POOLS},
    **{f"Reduce{kind}": Rule(reduce, 1) for kind in REDUCTIONS},
    "Conv": Rule(conv),
    "ConvTranspose": Rule(conv_transpose),
    "Gemm": Rule(gemm),
    "MatMul": Rule(matmul),
    "BatchNormalization": Rule(batch_norm),
    "InstanceNormalization": Rule(batch_norm),
    "LayerNormalization": Rule(layer_norm),
    "RMSNormalization": Rule(layer_norm),
    "Softmax": Rule(softmax),
    "LogSoftmax": Rule(softmax),
    "LpNormalization": Rule(softmax),
    "Attention": Rule(attention),
    "Transpose": Rule(transpose),
    "Reshape": Rule(reshape, 1),
    "Flatten": Rule(reshape),
    "Squeeze": Rule(reshape, 1),
    "Unsqueeze": Rule(reshape, 1),
    "Expand": Rule(expand, 1),
    "Concat": Rule(concat),
    "Split": Rule(split, 1),
    "Slice": Rule(slice_, 1),
    "Gather": Rule(gather),
    "Pad": Rule(kept_where_alike, 1),
    "Tile": Rule(kept_where_alike, 1),
    "Resize": Rule(resize, 1),
    "Shape": Rule(shape),
}
