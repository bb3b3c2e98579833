"""The rows of shaped_cases.py: (operator, operands, attributes)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

CaseRow = tuple[str, Sequence[str | Sequence[int]], Mapping[str, Any]]

RANKS = ("16", "4x16", "2x8x16", "1x16x12x12", "1x4x4x8x8")
UNARY = (
    "Abs", "Acos", "Asin", "Atan", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt",
    "Swish", "Tan", "Tanh", "ThresholdedRelu", "com.microsoft::Gelu", "com.microsoft::QuickGelu",
)  # fmt: skip
BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
PAIRS = (
    ("1x16x12x12", "1x16x12x12"), ("1x16x12x12", "1x16x1x1*"), ("2x8x16", "16*"), ("2x8x16", "[]*"), ("2x8x16", "8x16"),
    ("1x4x4x8x8", "8*"), ("4x16", "1x16"), ("16", "16"),
)  # fmt: skip
LOGICAL = ("And", "Or", "Xor")
REDUCE = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "ReduceL2", "ReduceL1", "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare")
SAME2 = {"pads": [1, 1, 1, 1]}


def _rows() -> Iterator[CaseRow]:
    yield from _elementwise()
    yield from _convolutions()
    yield from _pools()
    yield from _products()
    yield from _normalisations()
    yield from _reductions()
    yield from _movement()


def _elementwise() -> Iterator[CaseRow]:
    for operator in UNARY:
        for shape in (*RANKS[::-1], "f16:1x16x12x12", "i32:2x8x16"):
            yield operator, (shape,), {}
    for operator in BINARY:
        for pair in (*PAIRS, ("f16:2x8x16", "f16:16*"), ("i32:2x8x16", "i32:2x8x16"), ("i64:2x8x16", "i64:2x8x16"), ("i64:16", "i64:[]*")):
            yield operator, pair, {}
    for operator in LOGICAL:
        for pair in PAIRS:
            yield operator, tuple(f"bool:{side}" for side in pair), {}
    for shape in RANKS:
        yield "Not", (f"bool:{shape}",), {}
        for to in (1, 6, 7, 9, 10):
            yield "Cast", (shape,), {"to": to}
        for start in ("i64", "i32", "bool"):
            yield "Cast", (f"{start}:{shape}",), {"to": 1}
        yield "Where", (f"bool:{shape}", shape, shape), {}
        yield "Where", (f"bool:{shape}", shape, "[]*"), {}
        yield "Clip", (shape, "[]*", ""), {}
    for condition in ("1x1x32x32", "1x8x32x32", "1x1x32x32*", "1x1x1x32"):
        yield "Where", (f"bool:{condition}", "1x8x32x32", "[]*"), {}
        yield "Where", (f"bool:{condition}", "[]*", "1x8x32x32"), {}
        yield "Where", (f"bool:{condition}", "1x8x32x32", "1x8x32x32"), {}


def _convolutions() -> Iterator[CaseRow]:
    for bias in ((), ("{m}*",)):
        for n, c, size, m, kernel, group, more in (
            (1, 3, 32, 16, 3, 1, {"strides": [2, 2], **SAME2}),
            (1, 16, 24, 32, 1, 1, {}),
            (1, 16, 24, 16, 3, 1, {**SAME2, "dilations": [2, 2]}),
            (1, 16, 24, 32, 3, 4, SAME2),
            (1, 16, 24, 16, 3, 16, SAME2),
            (1, 32, 48, 32, 3, 32, SAME2),
            (1, 32, 48, 32, 3, 32, {"strides": [2, 2], **SAME2}),
            (1, 8, 24, 8, 5, 8, {"pads": [2, 2, 2, 2]}),
            (1, 8, 24, 16, 3, 8, SAME2),
            (2, 8, 24, 8, 3, 8, SAME2),
            (2, 16, 12, 8, 3, 1, {"auto_pad": "SAME_UPPER"}),
            (1, 96, 12, 96, 7, 96, {"pads": [3, 3, 3, 3]}),
        ):
            rest = tuple(part.format(m=m) for part in bias)
            yield "Conv", (f"{n}x{c}x{size}x{size}", f"{m}x{c // group}x{kernel}x{kernel}*", *rest), {"group": group, **more}
    yield "Conv", ("1x16x24x24", "8x16x3x3"), {}
    yield "Conv", ("1x16x64", "32x16x3*", "32*"), {"pads": [1, 1]}
    yield "Conv", ("1x16x64", "16x1x3*"), {"pads": [1, 1], "group": 16}
    yield "Conv", ("1x4x8x8x8", "8x4x3x3x3*"), {}
    yield "Conv", ("f16:1x16x12x12", "f16:16x16x3x3*"), SAME2
    yield "Conv", ("1x1x32", "129x1x16*"), {"strides": [8]}
    for more in ({}, {"strides": [2, 2]}, {"strides": [2, 2], **SAME2}, {"strides": [2, 2], "output_padding": [1, 1]}):
        yield "ConvTranspose", ("1x8x12x12", "8x16x3x3*", "16*"), more
    yield "ConvTranspose", ("1x8x12x12", "8x1x2x2*"), {"strides": [2, 2], "group": 8}
    yield "ConvTranspose", ("1x8x12x12", "8x16x2x2*"), {"strides": [2, 2]}
    yield "ConvTranspose", ("1x8x16", "8x4x2*"), {"strides": [2]}
    yield "ConvTranspose", ("1x4x6x6x6", "4x4x2x2x2*"), {}


def _pools() -> Iterator[CaseRow]:
    for operator in ("AveragePool", "MaxPool"):
        for kernel, strides, pads in (
            (3, 2, (1, 1, 1, 1)), (3, 1, (1, 1, 1, 1)), (2, 2, (0, 0, 0, 0)), (3, 2, (0, 0, 0, 0)), (3, 2, (0, 0, 1, 1)),
            (5, 1, (2, 2, 2, 2)),
            (3, 2, (1, 1, 0, 0)), (2, 1, (0, 0, 1, 1)), (12, 12, (0, 0, 0, 0)), (2, 2, (1, 1, 1, 1)),
        ):  # fmt: skip
            base = {"kernel_shape": [kernel] * 2, "strides": [strides] * 2, "pads": pads}
            for more in ({}, {"ceil_mode": 1}) + (({"count_include_pad": 1},) if operator == "AveragePool" else ()):
                yield operator, ("1x16x12x12",), {**base, **more}
        yield operator, ("1x16x12x12",), {"kernel_shape": [3, 3], "auto_pad": "SAME_UPPER", "strides": [2, 2]}
        yield operator, ("1x16x7x7",), {"kernel_shape": [7, 7]}
        yield operator, ("1x1280x7x7",), {"kernel_shape": [7, 7], "strides": [1, 1]}
        yield operator, ("1x8x1x80",), {"kernel_shape": [1, 2], "strides": [1, 2]}
        yield operator, ("2x8x24x24",), {"kernel_shape": [3, 3], "strides": [2, 2]}
        yield operator, ("1x8x32",), {"kernel_shape": [3], "strides": [2]}
        yield operator, ("1x4x8x8x8",), {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}
    for operator in ("GlobalAveragePool", "GlobalMaxPool"):
        for shape in ("1x16x7x7", "1x1280x7x7", "2x8x24x24", "1x8x32", "1x8x4x4x4", "1x16x1x40"):
            yield operator, (shape,), {}


def _products() -> Iterator[CaseRow]:
    for a, b in (
        ("8x16", "16x32*"), ("8x16", "16x32"), ("2x8x16", "16x32*"), ("1x2x8x16", "1x2x16x8"), ("2x2x8x16", "16x8*"), ("16", "16x8*"),
        ("2x8x16", "16*"), ("1x2x2x8x16", "1x2x2x16x8"), ("1x1x64", "64x128*"), ("2x8x16", "2x16x8*"), ("f16:8x16", "f16:16x8*"),
        ("1x4x8x16", "4x16x8"), ("i32:8x16", "i32:16x8"),
    ):  # fmt: skip
        yield "MatMul", (a, b), {}
    for c in ((), ("32*",), ("8x32*",), ("1x32*",), ("8x1*",), ("[]*",)):
        yield "Gemm", ("8x16", "16x32*", *c), {}
    yield "Gemm", ("8x16", "32x16*", "32*"), {"transB": 1}
    yield "Gemm", ("16x8", "16x32*", "32*"), {"transA": 1}
    yield "Gemm", ("8x16", "16x32", "32"), {}
    yield "Gemm", ("8x16", "32x16*", "32*"), {"transB": 1, "alpha": 0.5}
    yield "Gemm", ("1x1280", "1000x1280*", "1000*"), {"transB": 1}


def _normalisations() -> Iterator[CaseRow]:
    for operator in ("Softmax", "LogSoftmax"):
        for rank, shape in enumerate(RANKS, 1):
            for axis in {-1, 1 if rank > 2 else 0, 0}:
                yield operator, (shape,), {"axis": axis}
    for shape, last in (("4x16", 16), ("2x8x16", 16), ("1x16x12x12", 12), ("1x4x4x8x8", 8)):
        yield "LayerNormalization", (shape, f"{last}*", f"{last}*"), {"axis": -1}
        yield "LayerNormalization", (shape, f"{last}*"), {"axis": -1}
        yield "RMSNormalization", (shape, f"{last}*"), {"axis": -1}
        yield "com.microsoft::SimplifiedLayerNormalization", (shape, f"{last}*"), {"axis": -1}
    yield "LayerNormalization", ("2x8x16", "8x16*", "8x16*"), {"axis": 1}
    yield "LayerNormalization", ("2x8x16", "16", "16"), {"axis": -1}
    for shape, channels in (("2x8x16", 8), ("1x16x12x12", 16), ("2x8x6x6", 8), ("1x4x4x8x8", 4)):
        yield "InstanceNormalization", (shape, f"{channels}*", f"{channels}*"), {}
        yield "GroupNormalization", (shape, f"{channels}*", f"{channels}*"), {"num_groups": 2}
        yield "BatchNormalization", (shape, *(f"{channels}*",) * 4), {}
        yield "LpNormalization", (shape,), {"p": 2, "axis": -1}
        yield "LpNormalization", (shape,), {"p": 2, "axis": 1}
        yield "LRN", (shape,), {"size": 3}
    yield "BatchNormalization", ("4x16", *("16*",) * 4), {}


def _reductions() -> Iterator[CaseRow]:
    for operator in REDUCE:
        for shape, axes in (
            ("16", [0]), ("4x16", [1]), ("4x16", [-1]), ("2x8x16", [1]), ("1x16x12x12", [2, 3]), ("1x16x12x12", [1]), ("1x4x4x8x8", [4]),
            ("1x4x4x8x8", [2, 3, 4]), ("2x8x16", [0, 1, 2]), ("i64:2x8x16", [2]),
        ):  # fmt: skip
            for keepdims in (0, 1):
                yield operator, (shape, axes), {"keepdims": keepdims}
    for operator in ("ArgMax", "ArgMin"):
        for shape, axis in (("16", 0), ("4x16", 1), ("2x8x16", -1), ("1x16x12x12", 1), ("1x4x4x8x8", 4)):
            for keepdims in (0, 1):
                yield operator, (shape,), {"axis": axis, "keepdims": keepdims}
    for shape in RANKS:
        yield "CumSum", (shape, [len(shape.split("x")) - 1]), {}
        yield "TopK", (shape, [3]), {"axis": -1}


def _movement() -> Iterator[CaseRow]:
    yield from _layout()
    yield from _picking()
    for mode, coordinates, nearest in (
        ("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "floor"), ("nearest", "half_pixel", "round_prefer_floor"),
        ("nearest", "align_corners", "round_prefer_floor"), ("linear", "half_pixel", "floor"), ("linear", "align_corners", "floor"),
        ("linear", "asymmetric", "floor"), ("linear", "pytorch_half_pixel", "floor"), ("cubic", "half_pixel", "floor"),
    ):  # fmt: skip
        more = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": nearest}
        for sizes in ([1, 8, 24, 24], [1, 8, 18, 18], [1, 8, 6, 6]):
            yield "Resize", ("1x8x12x12", "", "", sizes), more
    yield "Resize", ("1x8x16", "", "", [1, 8, 32]), {"mode": "linear"}
    yield "Resize", ("1x4x4x4x4", "", "", [1, 4, 8, 8, 8]), {"mode": "nearest", "nearest_mode": "floor"}


def _layout() -> Iterator[CaseRow]:
    for shape, perm in (
        ("4x16", [1, 0]), ("2x8x16", [0, 2, 1]), ("2x8x16", [2, 1, 0]), ("1x16x12x12", [0, 2, 3, 1]), ("1x16x12x8", [0, 2, 1, 3]),
        ("1x4x4x8x8", [0, 3, 4, 1, 2]), ("1x4x4x8x8", [4, 3, 2, 1, 0]), ("i64:2x8x16", [0, 2, 1]), ("f16:2x8x16", [0, 2, 1]),
        ("1x2x2x4x4x4", [0, 2, 1, 3, 5, 4]),
    ):  # fmt: skip
        yield "Transpose", (shape,), {"perm": perm}
    for shape, to in (("4x16", [64]), ("2x8x16", [2, -1]), ("1x16x12x12", [1, 16, 144]), ("1x4x4x8x8", [1, 16, 64]),
    ("64", [1, 2, 2, 4, 4]),
                      ("64", [1, 2, 2, 2, 2, 4]), ("i64:2x8x16", [16, 16]), ("f16:4x16", [64]), ("bool:4x16", [64])):  # fmt: skip
        yield "Reshape", (shape, to), {}
    for shape in RANKS:
        yield "Flatten", (shape,), {"axis": 1}
        yield "Unsqueeze", (shape, [0]), {}
        yield "Squeeze", (f"1x{shape}", [0]), {}
        yield "Concat", (shape, shape), {"axis": 0}
        yield "Concat", (shape, f"{shape}*"), {"axis": -1}
        yield "Tile", (shape, [2] * len(shape.split("x"))), {}
        yield "Expand", (shape, [2, *map(int, shape.split("x"))][-5:]), {}
        yield "Split", (shape,), {"axis": -1, "num_outputs": 2}
        for mode in ("constant", "reflect", "edge"):
            rank = len(shape.split("x"))
            yield "Pad", (shape, [0] * (rank - 1) + [1] + [0] * (rank - 1) + [2]), {"mode": mode}
    yield "Expand", ("1x1x16", [2, 8, 16]), {}
    yield "Expand", ("bool:1x1x16", [2, 8, 16]), {}
    yield "Concat", ("i64:2x8", "i64:2x8"), {"axis": 1}
    yield "Concat", ("1x8x6x6", "1x4x6x6", "1x4x6x6"), {"axis": 1}
    yield "Pad", ("1x8x12x12", [0, 0, 1, 1, 0, 0, 1, 1], "[]*"), {}
    yield "DepthToSpace", ("1x16x6x6",), {"blocksize": 2, "mode": "CRD"}
    yield "DepthToSpace", ("1x16x6x6",), {"blocksize": 2, "mode": "DCR"}
    yield "SpaceToDepth", ("1x4x12x12",), {"blocksize": 2}
    yield "Split", ("1x16x6x6", [4, 12]), {"axis": 1}


def _picking() -> Iterator[CaseRow]:
    for shape, starts, ends, axes, steps in (
        ("16", [2], [9], [0], [1]), ("4x16", [0], [8], [1], [1]), ("2x8x16", [1], [8], [1], [2]),
        ("1x16x12x12", [0, 1], [12, 12], [2, 3], [2, 2]),
        ("1x4x4x8x8", [1], [3], [2], [1]), ("2x8x16", [-1], [-20], [2], [-1]), ("i64:2x8x16", [1], [4], [2], [1]),
    ):  # fmt: skip
        yield "Slice", (shape, starts, ends, axes, steps), {}
    for data, indices, axis in (
        ("16x8*", "i64:4", 0), ("16x8*", "i32:4", 0), ("16x8", "i64:4*", 0), ("16x8", "i32:2x3", 0), ("2x8x16", "i64:3*", 1),
        ("2x8x16", "i64:[]*", 1),
        ("1x16x12x12", "i64:5*", 3), ("1x4x4x8x8", "i64:3*", 2), ("i64:16x8", "i64:3*", 0), ("1000x32*", "i64:1x8", 0),
        ("2x8x16", "i64:[]*", 2),
    ):  # fmt: skip
        yield "Gather", (data, indices), {"axis": axis}
    yield "GatherElements", ("4x8", "i64:4x3*"), {"axis": 1}
    yield "GatherElements", ("2x4x8", "i32:2x4x3"), {"axis": 2}
    yield "GatherND", ("4x8x16", "i64:3x2*"), {}
    yield "ScatterElements", ("4x8", "i64:4x2*", "4x2"), {"axis": 1}
    yield "ScatterND", ("8x8", "i64:3x1*", "3x8"), {}


SHAPED: tuple[CaseRow, ...] = tuple(_rows())
