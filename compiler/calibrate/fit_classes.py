"""Which kinds of operators get a rate of their own: lines in the order of the file, from special to general.

The first line that matches counts. A line that too few measured operators match is left out, so that its operators fall to the next one
that matches: classes collapse to their parents of themselves, and with little data few numbers remain.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...targets.calibration import Measure
from ...targets.exact_condition import number
from ...targets.formula import Among, Attribute, Binary, Call, Expression, Name, Text, Unary
from ...targets.operators import version_at
from ...targets.work.kind import SHORT


def known(operators: tuple[str, ...], opset: int) -> tuple[str, ...]:
    """Those that a file for this opset may name: later ones are unknown to it."""
    return tuple(name for name in operators if "::" in name or version_at(name, opset) is not None)


@dataclass(frozen=True, slots=True)
class Class:
    """A line that may be written."""

    operators: tuple[str, ...]
    measure: Measure
    where: Expression | None = None
    general: bool = False
    """Whether it is one of the few that all others could be merged into."""
    kept: bool = False
    """Whether it is a line though no model at hand needs one: runtimes compute it by other code, and it may be most of another model."""


def signed(value: float) -> Expression:
    """A number as the parser reads it: a minus is an operator."""
    return Unary("-", number(-value)) if value < 0 else number(value)


def dim(operand: str, axis: int) -> Expression:
    return Call("dim", (Name(operand), signed(axis)))


def remainder(operand: str, axis: int, divisor: int) -> Expression:
    return Call("remainder", (Name(operand), signed(axis), signed(divisor)))


def rank(operand: str) -> Expression:
    return Call("rank", (Name(operand),))


def const(operand: str) -> Expression:
    return Call("const", (Name(operand),))


def attribute(name: str) -> Expression:
    return Attribute(name)


def compare(left: Expression, operator: str, right: Expression | float | str) -> Expression:
    """`left operator right`, numbers and words as the language spells them."""
    return Binary(operator, left, Text(right) if isinstance(right, str) else signed(right) if isinstance(right, int | float) else right)


def both(first: Expression, *rest: Expression) -> Expression:
    """All of them."""
    for part in rest:
        first = Binary("and", first, part)
    return first


def dtype_in(operand: str, *dtypes: str) -> Expression:
    asked = Call("dtype", (Name(operand),))
    return Among(asked, tuple(map(Text, dtypes))) if len(dtypes) > 1 else compare(asked, "==", dtypes[0])


_PLANAR = compare(rank("W"), "==", 4)
_DEPTHWISE = both(compare(attribute("group"), ">", 1), compare(dim("W", 1), "==", 1))
_POINTWISE = both(compare(dim("W", -1), "==", 1), compare(dim("W", -2), "==", 1))
_UNBLOCKED = compare(remainder("W", 0, 4), "!=", 0)
_STRIDED = compare(Call("item", (attribute("strides"), number(0))), ">=", 2)
_WIDE = compare(dim("W", -1), ">=", 5)
_SMALL = both(compare(dim("Y", -1), "<=", 8), compare(dim("Y", -2), "<=", 8))
_ONE_PIXEL = both(compare(dim("Y", -1), "==", 1), compare(dim("Y", -2), "==", 1))
_IMAGE = both(compare(dim("W", 1), "<=", 4), compare(dim("W", -1), "<=", 4))
_FEW_ROWS = both(const("B"), compare(dim("A", -2), "<=", 4))
_INNER_AXIS = both(compare(attribute("axis"), "!=", -1), compare(attribute("axis"), "!=", Binary("-", rank("input"), number(1))))
_GATED = both(compare(rank("C"), "==", 4), compare(dim("C", -1), ">", 1), Unary("not", Call("same_shape", (Name("A"), Name("B")))))
"""A plane by a number, as squeeze-and-excitation does it: runtimes that compute in blocks of channels leave them for it."""
_BROADCAST = both(compare(dim("C", -1), "<=", 4), Unary("not", Call("same_shape", (Name("A"), Name("B")))))
_APART = both(_DEPTHWISE, Binary("or", compare(rank("W"), "!=", 4), _UNBLOCKED))
"""Windows that runtimes have in blocks of channels on planes only."""
_BATCH = compare(dim("X", 1), ">", 1)
"""Sequences side by side, as layout 0 has them."""
_SAMPLED = compare(attribute("mode"), "!=", "nearest")
_ACROSS = both(compare(dim("data", -1), ">", 1), compare(dim("reduced", -1), "==", dim("data", -1)))
_TURNS = compare(dim("data", -1), "!=", dim("transposed", -1))
_HALF = ("fp16", "bf16")
_BYTE = ("int8", "uint8")

MICROSOFT = "com.microsoft::"
PRODUCTS = ("MatMul", "Gemm")
INTEGER_PRODUCTS = (
    "MatMulInteger",
    "QLinearMatMul",
    f"{MICROSOFT}QGemm",
    f"{MICROSOFT}DynamicQuantizeMatMul",
    f"{MICROSOFT}MatMulIntegerToFloat",
)
FUSED_PRODUCTS = (f"{MICROSOFT}FusedMatMul", f"{MICROSOFT}FusedGemm", f"{MICROSOFT}TransposeMatMul")
RECURRENT = ("LSTM", "GRU", "RNN")
ATTENTION = ("Attention", f"{MICROSOFT}MultiHeadAttention", f"{MICROSOFT}GroupQueryAttention", f"{MICROSOFT}Attention")
COMPUTE = ("Conv", "ConvTranspose", *PRODUCTS, *FUSED_PRODUCTS, "Einsum")
NORMS = (
    "LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization",
    "MeanVarianceNormalization", "LpNormalization", f"{MICROSOFT}SkipLayerNormalization", f"{MICROSOFT}SkipSimplifiedLayerNormalization",
    f"{MICROSOFT}BiasGelu", f"{MICROSOFT}EmbedLayerNormalization",
)  # fmt: skip
SKIP_NORMS = (f"{MICROSOFT}SkipLayerNormalization", f"{MICROSOFT}SkipSimplifiedLayerNormalization")
CURVES = (
    "Erf", "Gelu", "Tanh", "Sigmoid", "Exp", "Log", "Pow", "Sin", "Cos", "Swish", "HardSigmoid", "HardSwish", "Elu", "Selu",
    "Celu", "Softsign", "Sqrt", "Reciprocal", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh",
    f"{MICROSOFT}Gelu", f"{MICROSOFT}FastGelu", f"{MICROSOFT}QuickGelu", f"{MICROSOFT}BiasGelu",
)  # fmt: skip
SCALAR = (
    "PRelu", "Log", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Asin", "Acos", "Atan", "Asinh", "Acosh", "Atanh", "Elu", "Selu", "Celu",
    "ReduceSumSquare", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp", "Hardmax", "Shrink",
)  # fmt: skip
"""What runtimes compute one element at a time."""
SEVERAL = ("Mish", "Softplus", "LRN", "TopK")
"""And in several steps for each."""
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
LOGIC = (
    "And", "Or", "Xor", "Not", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "BitShift", "BitwiseAnd", "BitwiseOr",
    "BitwiseXor", "BitwiseNot", "IsNaN", "IsInf",
)  # fmt: skip
PLAIN = (
    *ARITHMETIC, "Relu", "Clip", "LeakyRelu", "Abs", "Neg", "Max", "Min", "Sum", "Mean", "Floor", "Ceil", "Round", "Sign",
    "ThresholdedRelu", "BatchNormalization", "Dropout", "Shrink",
)  # fmt: skip
REDUCED = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin")
REDUCTIONS = (
    "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
    "ReduceSumSquare", "ArgMax", "ArgMin", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "CumSum", "CumProd",
)  # fmt: skip
POOLS = ("MaxPool", "AveragePool", "LpPool", f"{MICROSOFT}QLinearAveragePool")
GATHERS = ("Gather", "GatherElements", "GatherND", "ScatterND", "ScatterElements", "OneHot", "NonZero", "Compress")
MOVERS = (
    "Concat", "Split", "Slice", "Pad", "Expand", "Tile", "Where", "Cast", "CastLike", "Trilu", "ConstantOfShape", "Range",
    "DepthToSpace", "SpaceToDepth", "ReverseSequence", "CenterCropPad", "EyeLike",
)  # fmt: skip
QUANTISERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
INTEGER_PLAIN = (f"{MICROSOFT}QLinearAdd", f"{MICROSOFT}QLinearMul", f"{MICROSOFT}QLinearSigmoid", f"{MICROSOFT}QLinearConcat")


def _alone(*operators: str, measure: Measure = "elements") -> tuple[Class, ...]:
    return tuple(Class((name,), measure) for name in operators)


CLASSES: tuple[Class, ...] = (
    # Arithmetic of matrices and windows, in operations.
    Class(("QLinearConv", "ConvInteger"), "operations"),
    Class(("Conv",), "operations", dtype_in("X", *_BYTE)),
    Class((*PRODUCTS, "MatMulInteger"), "operations", dtype_in("A", *_BYTE), kept=True),
    Class(INTEGER_PRODUCTS, "operations"),
    Class((f"{MICROSOFT}MatMulNBits",), "operations"),
    Class(("Conv",), "operations", dtype_in("X", *_HALF)),
    Class(PRODUCTS, "operations", dtype_in("A", *_HALF)),
    Class(("Conv",), "operations", _APART, kept=True),
    Class(("Conv",), "operations", both(_DEPTHWISE, _PLANAR, _WIDE)),
    Class(("Conv",), "operations", both(_DEPTHWISE, _PLANAR, _STRIDED)),
    Class(("Conv",), "operations", both(_DEPTHWISE, _PLANAR, compare(dim("Y", -1), "<=", 14))),
    Class(("Conv",), "operations", _DEPTHWISE),
    Class(("Conv",), "operations", both(compare(attribute("group"), ">", 1), compare(dim("W", -1), "==", 1))),
    Class(("Conv",), "operations", both(compare(attribute("group"), ">", 1), compare(dim("W", 1), "<=", 8))),
    Class(("Conv",), "operations", compare(attribute("group"), ">", 1)),
    Class(("Conv",), "operations", both(compare(rank("W"), "==", 3), compare(dim("Y", -1), "<=", 8))),
    Class(("Conv",), "operations", both(compare(rank("W"), "==", 3), compare(dim("W", 0), "<=", 32))),
    Class(("Conv",), "operations", compare(rank("W"), "==", 3), kept=True),
    Class(("Conv",), "operations", compare(rank("W"), "==", 5), kept=True),
    Class(("Conv",), "bytes", _ONE_PIXEL),
    Class(("Conv",), "operations", both(_IMAGE, compare(dim("W", 0), "<=", 16))),
    Class(("Conv",), "operations", _IMAGE),
    Class(("Conv",), "operations", both(_POINTWISE, _SMALL)),
    Class(("Conv",), "operations", _SMALL),
    Class(("Conv",), "operations", both(_POINTWISE, compare(dim("W", 1), "<=", 32))),
    Class(("Conv",), "operations", _POINTWISE),
    Class(("Conv",), "operations", compare(dim("W", 0), "<=", 16)),
    Class(("ConvTranspose",), "operations", compare(dim("W", 0), "<=", 64)),
    Class(("ConvTranspose",), "operations"),
    Class(ATTENTION[:1], "operations", compare(dim("Q", -2), "<=", 50)),
    Class(ATTENTION, "operations"),
    Class(RECURRENT, "operations", _BATCH, kept=True),
    Class(RECURRENT, "operations"),
    Class(PRODUCTS, "bytes", _FEW_ROWS),
    Class(PRODUCTS, "operations", const("B")),
    Class(("MatMul", *FUSED_PRODUCTS, f"{MICROSOFT}MatMulNBits", "Einsum"), "operations"),
    Class(("Conv",), "operations"),
    Class(COMPUTE, "operations", general=True),
    # Functions of elements, norms and reductions, in elements.
    Class(("Erf", "Softmax", "Tanh", "Exp"), "elements", dtype_in("input", *_BYTE)),
    Class(("LayerNormalization", "Sigmoid", "Relu"), "elements", dtype_in("X", *_BYTE)),
    Class(ARITHMETIC, "elements", dtype_in("A", *_BYTE)),
    *_alone("Erf", "Gelu", "Tanh", "Sigmoid", "Exp", "Pow", "Sqrt"),
    Class(SCALAR, "elements"),
    Class(SEVERAL, "elements"),
    Class(("Softmax", "LogSoftmax"), "elements", both(compare(Name("opset"), ">=", 13), _INNER_AXIS)),
    Class(("Softmax", "LogSoftmax"), "elements", compare(dim("input", -1), "<=", 32)),
    Class(("Softmax", "LogSoftmax"), "elements"),
    Class(("LayerNormalization",), "elements", compare(dim("X", -1), "<=", SHORT)),
    Class(SKIP_NORMS, "elements"),
    Class(("InstanceNormalization", "GroupNormalization"), "elements"),
    Class(NORMS, "elements"),
    Class(("Resize", "Upsample", "GridSample"), "elements", _SAMPLED),
    Class(("Resize", "Upsample", "GridSample"), "elements"),
    Class(REDUCED, "elements", _ACROSS),
    Class(REDUCTIONS, "elements"),
    Class(POOLS[1:2], "operations"),
    Class(POOLS, "operations"),
    Class(CURVES, "elements", general=True),
    # What moves bytes.
    Class(ARITHMETIC, "elements", _BROADCAST),
    Class(ARITHMETIC, "bytes", _GATED),
    Class(("BatchNormalization",), "bytes"),
    Class(("DynamicQuantizeLinear",), "bytes"),
    Class(QUANTISERS, "bytes"),
    Class(INTEGER_PLAIN, "bytes"),
    Class(("Transpose",), "bytes", compare(rank("data"), "==", 4)),
    Class(("Transpose",), "bytes", _TURNS),
    Class(("Transpose",), "bytes"),
    Class(("Concat",), "bytes"),
    Class(GATHERS, "bytes"),
    Class(("Cast", "CastLike"), "bytes"),
    Class(("Where", "DepthToSpace"), "bytes"),
    Class(("Where", *LOGIC), "bytes"),
    Class(MOVERS, "bytes"),
    Class(PLAIN, "bytes"),
    Class((*PLAIN, *LOGIC, *MOVERS, "Transpose", *GATHERS, *QUANTISERS), "bytes", general=True),
)
"""Every operator here is named with the operands and attributes that its own conditions ask for."""


def _lonely() -> frozenset[int]:
    found = set()
    for index, row in enumerate(CLASSES):
        behind = {name for later in CLASSES[index + 1 :] if later.where is None for name in later.operators}
        if not behind.issuperset(row.operators):
            found.add(index)
    return frozenset(found)


LONELY = _lonely()
"""Classes behind which no other stands for some of their operators: they are lines even of a few operators, which then say so."""
