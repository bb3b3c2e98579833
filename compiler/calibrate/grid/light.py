"""Kernels that are bound by elements or bytes: functions of one element, normalisations, and what only moves data."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from .dense import of_axes
from .kernel_model import KernelModel, Step, axes, scalar, weights

ACTIVATIONS = (
    "Gelu", "Erf", "Tanh", "Sigmoid", "Relu", "HardSwish", "HardSigmoid", "Exp", "Sqrt", "LeakyRelu", "Softplus", "Neg", "Elu", "Mish",
    "Log", "Sin", "Cos", "Selu", "Reciprocal", "Softsign", "Abs", "Floor", "Sign",
)  # fmt: skip
SIZES = ((1, 32, 128), (1, 64, 28, 28), (1, 128, 1536), (1, 32, 112, 112))
ARITHMETIC = ("Add", "Mul", "Sub", "Div", "Max", "Min")
SOFTMAX = (
    ((12, 32, 32), -1),
    ((4, 128, 128), -1),
    ((1, 1000), -1),
    ((6, 196, 196), -1),
    ((1, 64, 28, 28), 1),
    ((1, 8400, 16), -1),
    ((128, 4), -1),
)
ROWS = ((1, 32, 128), (1, 128, 384), (1, 196, 192), (1, 64, 768), (1, 3136, 24), (8, 16, 256))
TRANSPOSED = (
    ((1, 32, 4, 32), (0, 2, 1, 3)), ((1, 128, 12, 64), (0, 2, 1, 3)), ((1, 64, 28, 28), (0, 2, 3, 1)), ((1, 28, 28, 64), (0, 3, 1, 2)),
    ((1, 196, 384), (0, 2, 1)), ((1, 2, 58, 28, 28), (0, 2, 1, 3, 4)), ((1, 32, 112, 112), (0, 2, 3, 1)), ((1, 12, 64, 32), (0, 1, 3, 2)),
)  # fmt: skip
PLANES = ((16, 28), (64, 56), (32, 112), (256, 14))


def light() -> Iterator[KernelModel]:
    """All of them, in fp32."""
    for operator in ACTIVATIONS:
        for shape in SIZES if operator in ACTIVATIONS[:5] else SIZES[1:2]:
            yield unary(operator, shape)
    yield from _arithmetic()
    yield from _normalised()
    yield from _moved()
    yield from _windows()
    yield from _rarer()


def unary(operator: str, shape: tuple[int, ...], dtype: str = "float32", **attributes: int) -> KernelModel:
    """A function of one element."""
    suffix = f" {dtype}" if dtype != "float32" else ""
    return KernelModel(f"{operator} {_spelled(shape)}{suffix}", [Step(operator, ("x",), attributes=attributes)], {"x": (dtype, shape)})


def binary(operator: str, shape: tuple[int, ...], other: tuple[int, ...], constant: bool = False) -> KernelModel:
    """Of two operands, the second a constant or an input."""
    name = f"{operator} {_spelled(shape)} by {'constant ' if constant else ''}{_spelled(other)}"
    inputs = {"x": ("float32", shape)} | ({} if constant else {"z": ("float32", other)})
    return KernelModel(name, [Step(operator, ("x", "z"))], inputs, {"z": abs(weights(*other)) + 1} if constant else {})


def _arithmetic() -> Iterator[KernelModel]:
    for operator in ARITHMETIC:
        for shape in SIZES if operator in ("Add", "Mul") else SIZES[1:2]:
            yield binary(operator, shape, shape)
    for operator in ("Add", "Mul"):
        yield binary(operator, (1, 128, 384), (384,), constant=True)
        yield binary(operator, (1, 64, 56, 56), (64, 1, 1), constant=True)
        yield binary(operator, (1, 96, 28, 28), (1, 96, 1, 1))
        yield binary(operator, (12, 64, 64), (1, 64, 64))
        yield binary(operator, (1, 172, 309), (1,), constant=True)
        yield binary(operator, (1, 64, 28, 28), (), constant=True)
    yield binary("Pow", (1, 128, 384), (), constant=True)
    for shape in ((1, 64, 64), (12, 128, 128)):
        kinds = {"c": ("bool", shape), "x": ("float32", shape)}
        yield KernelModel(f"Where {_spelled(shape)}", [Step("Where", ("c", "x", "z"))], kinds, {"z": scalar(-1e9)})
    yield KernelModel(
        "Clip 1x64x56x56", [Step("Clip", ("x", "a", "b"))], {"x": ("float32", (1, 64, 56, 56))}, {"a": scalar(0), "b": scalar(6)}
    )
    yield KernelModel("Equal 1x128x128", [Step("Equal", ("x", "z"))], {"x": ("int64", (1, 128, 128)), "z": ("int64", (1, 128, 128))})


def _normalised() -> Iterator[KernelModel]:
    for shape, axis in SOFTMAX:
        yield KernelModel(
            f"Softmax {_spelled(shape)} axis {axis}", [Step("Softmax", ("x",), attributes={"axis": axis})], {"x": ("float32", shape)}
        )
    for shape in ROWS:
        constants = {"w": weights(shape[-1]), "b": weights(shape[-1])}
        yield KernelModel(
            f"LayerNormalization {_spelled(shape)}", [Step("LayerNormalization", ("x", "w", "b"))], {"x": ("float32", shape)}, constants
        )
    for channels, side in PLANES[:3]:
        c = {name: abs(weights(channels)) + 1 for name in ("s", "b", "m", "v")}
        inputs = {"x": ("float32", (1, channels, side, side))}
        yield KernelModel(
            f"BatchNormalization {channels}x{side}x{side}", [Step("BatchNormalization", ("x", "s", "b", "m", "v"))], inputs, c
        )
        own = {name: c[name] for name in ("s", "b")}
        yield KernelModel(f"InstanceNormalization {channels}x{side}x{side}", [Step("InstanceNormalization", ("x", "s", "b"))], inputs, own)
    for operator in ("ReduceMean", "ReduceSum", "ReduceMax"):
        yield of_axes(f"{operator} 1x128x384 last", operator, (1, 128, 384), -1)
        yield of_axes(f"{operator} 1x64x28x28 planes", operator, (1, 64, 28, 28), 2, 3)
        yield of_axes(f"{operator} 1x196x192 middle", operator, (1, 196, 192), 1, keepdims=0)
    for shape in ((1, 32, 1000), (1, 21, 64, 64)):
        yield unary("ArgMax", shape, axis=1)
    yield KernelModel("LRN 64x28x28", [Step("LRN", ("x",), attributes={"size": 5})], {"x": ("float32", (1, 64, 28, 28))})


def _moved() -> Iterator[KernelModel]:
    for shape, order in TRANSPOSED:
        name = f"Transpose {_spelled(shape)} to {''.join(map(str, order))}"
        yield KernelModel(name, [Step("Transpose", ("x",), attributes={"perm": list(order)})], {"x": ("float32", shape)})
    for shape, axis in (((1, 32, 28, 28), 1), ((1, 64, 56, 56), 1), ((1, 128, 192), 2), ((1, 16, 128), 1)):
        inputs = {"x": ("float32", shape), "z": ("float32", shape)}
        yield KernelModel(f"Concat 2 of {_spelled(shape)} axis {axis}", [Step("Concat", ("x", "z"), attributes={"axis": axis})], inputs)
        step = Step("Split", ("x",), ("y", "z"), {"axis": axis, "num_outputs": 2})
        yield KernelModel(f"Split {_spelled(shape)} axis {axis}", [step], {"x": ("float32", shape)}, outputs=("y", "z"))
        bounds = {"a": axes(0), "b": axes(shape[axis] // 2), "c": axes(axis)}
        yield KernelModel(f"Slice {_spelled(shape)} axis {axis}", [Step("Slice", ("x", "a", "b", "c"))], {"x": ("float32", shape)}, bounds)
    for rows, extent, count in ((1000, 128, 32), (8000, 384, 128), (5000, 64, 1000)):
        yield KernelModel(
            f"Gather {count} of {rows}x{extent}", [Step("Gather", ("w", "i"))], {"i": ("int64", (1, count))}, {"w": weights(rows, extent)}
        )
    for source, code, kind in _casts():
        for shape in ((1, 128, 128), (1, 32, 112, 112)):
            yield KernelModel(
                f"Cast {source} to {kind} {_spelled(shape)}", [Step("Cast", ("x",), attributes={"to": code})], {"x": (source, shape)}
            )
    for channels, side in PLANES[:2]:
        pads = {"p": axes(0, 0, 1, 1, 0, 0, 1, 1)}
        yield KernelModel(f"Pad {channels}x{side}x{side}", [Step("Pad", ("x", "p"))], {"x": ("float32", (1, channels, side, side))}, pads)
    yield KernelModel("Expand 1x1x64 to 1x128x64", [Step("Expand", ("x", "s"))], {"x": ("float32", (1, 1, 64))}, {"s": axes(1, 128, 64)})
    yield KernelModel(
        "DepthToSpace 64x28x28", [Step("DepthToSpace", ("x",), attributes={"blocksize": 2})], {"x": ("float32", (1, 64, 28, 28))}
    )


def _rarer() -> Iterator[KernelModel]:
    for rows, extent in ((32, 384), (400, 256), (64, 768)):
        shape = (1, rows, extent)
        inputs = {"x": ("float32", shape)}
        size = _spelled(shape)
        yield KernelModel(f"RMSNormalization {size}", [Step("RMSNormalization", ("x", "w"))], inputs, {"w": weights(extent)}, opset=23)
        yield KernelModel(f"CumSum {size}", [Step("CumSum", ("x", "a"))], inputs, {"a": scalar(1, "int64")})
        yield KernelModel(f"Tile {size}", [Step("Tile", ("x", "r"))], inputs, {"r": axes(1, 2, 1)})
        yield of_axes(f"ReduceL2 {size} last", "ReduceL2", shape, -1)
    for channels, side in PLANES[:2]:
        size, planes = f"{channels}x{side}x{side}", {"x": ("float32", (1, channels, side, side))}
        two = {"s": weights(channels), "b": weights(channels)}
        step = Step("GroupNormalization", ("x", "s", "b"), attributes={"num_groups": 8})
        yield KernelModel(f"GroupNormalization {size}", [step], planes, two)
        yield KernelModel(f"SpaceToDepth {size}", [Step("SpaceToDepth", ("x",), attributes={"blocksize": 2})], planes)
        yield KernelModel(f"GlobalMaxPool {size}", [Step("GlobalMaxPool", ("x",))], planes)
        yield KernelModel(f"PRelu {size}", [Step("PRelu", ("x", "p"))], planes, {"p": weights(channels, 1, 1)})
        yield binary("Less", (1, channels, side, side), (1, channels, side, side))


def _windows() -> Iterator[KernelModel]:
    for channels, side in PLANES[1:]:
        inputs = {"x": ("float32", (1, channels, side, side))}
        for operator, kernel, stride in (("MaxPool", 3, 2), ("MaxPool", 2, 2), ("AveragePool", 3, 1)):
            step = Step(operator, ("x",), attributes={"kernel_shape": [kernel] * 2, "strides": [stride] * 2})
            yield KernelModel(f"{operator} {kernel}x{kernel} {channels}x{side}x{side}", [step], inputs)
        yield KernelModel(f"GlobalAveragePool {channels}x{side}x{side}", [Step("GlobalAveragePool", ("x",))], inputs)
    for channels, side, mode in ((32, 28, "nearest"), (64, 14, "nearest"), (32, 28, "linear"), (16, 56, "linear")):
        step = Step("Resize", ("x", "", "s"), attributes={"mode": mode})
        sizes = {"s": weights(4) * 0 + [1, 1, 2, 2]}
        constants = {"s": sizes["s"].astype("float32")}
        yield KernelModel(f"Resize {mode} {channels}x{side}x{side}", [step], {"x": ("float32", (1, channels, side, side))}, constants)


def _spelled(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) if prod(shape) and shape else "scalar"


def _casts() -> Iterator[tuple[str, int, str]]:
    """(from, onnx's number of the dtype, to)."""
    yield "float32", 7, "int64"
    yield "float32", 10, "float16"
    yield "int64", 1, "float32"
    yield "bool", 1, "float32"
