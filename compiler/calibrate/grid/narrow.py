"""Kernels in few bits: int8 between QuantizeLinear and DequantizeLinear, weights of 4 and 8 bits, products quantised while running,
fp16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .dense import PRODUCTS, convolution, n_bits, product, weight_only
from .kernel_model import Array, KernelModel, Step, scalar, weights
from .light import unary

CONVOLUTIONS = (
    (3, 32, 3, 96, 2, 1), (32, 32, 3, 28, 1, 1), (64, 64, 3, 28, 1, 1), (128, 128, 3, 14, 1, 1), (64, 128, 1, 28, 1, 1),
    (256, 64, 1, 14, 1, 1), (64, 64, 3, 28, 1, 64), (144, 144, 3, 14, 1, 144),
)  # fmt: skip
SMALL = tuple(row for row in PRODUCTS if row[0] * row[1] * row[2] < 80_000_000)[1::3]


def narrow() -> Iterator[KernelModel]:
    """All of them."""
    for row in CONVOLUTIONS:
        yield quantised_convolution(*row)
    for rows, inner, columns in PRODUCTS[1::3]:
        yield quantised_product(rows, inner, columns)
        yield dynamic(rows, inner, columns)
    for shape in ((1, 64, 28, 28), (1, 128, 384)):
        yield quantised(f"Add int8 {shape}", [Step("Add", ("xf", "zf"), ("f",))], {"x": shape, "z": shape}, {})
        yield KernelModel(f"QuantizeLinear {shape}", [Step("QuantizeLinear", ("x", "s", "o"))], {"x": ("float32", shape)}, _scale("s", "o"))
        step = Step("DequantizeLinear", ("x", "s", "o"))
        yield KernelModel(f"DequantizeLinear {shape}", [step], {"x": ("uint8", shape)}, _scale("s", "o"))
    for rows, inner, columns in SMALL:
        if inner % 32 == 0:
            yield weight_only(rows, inner, columns, 8)
            yield weight_only(rows, inner, columns, 4)
            yield n_bits(rows, inner, columns)
        yield product(rows, inner, columns, "float16")
    for row in CONVOLUTIONS[1:6:2]:
        yield convolution(*row, dtype="float16")
    yield unary("Relu", (1, 64, 28, 28), "float16")
    yield unary("Sigmoid", (1, 128, 384), "float16")


def _scale(scale: str, zero: str, value: float = 0.02) -> dict[str, Array]:
    return {scale: scalar(value), zero: scalar(128, "uint8")}


def quantised(name: str, steps: Sequence[Step], inputs: dict[str, tuple[int, ...]], constants: dict[str, Array]) -> KernelModel:
    """Steps that read `<input>f` and write `f`, between quantised tensors of uint8."""
    scales: dict[str, Array] = _scale("scale", "zero")
    before = [Step("DequantizeLinear", (name, "scale", "zero"), (f"{name}f",)) for name in inputs]
    after = Step("QuantizeLinear", ("f", "scale", "zero"))
    kinds = {each: ("uint8", shape) for each, shape in inputs.items()}
    return KernelModel(name, [*before, *steps, after], kinds, scales | constants)


def quantised_convolution(into: int, out: int, kernel: int, side: int, stride: int, groups: int) -> KernelModel:
    """Conv of uint8 by int8 weights with a bias of int32."""
    pad = (kernel - 1) // 2
    attributes = {"strides": [stride] * 2, "pads": [pad] * 4, "group": groups, "kernel_shape": [kernel] * 2}
    steps = [
        Step("DequantizeLinear", ("w", "ws", "wz"), ("wf",)),
        Step("DequantizeLinear", ("b", "bs", "bz"), ("bf",)),
        Step("Conv", ("xf", "wf", "bf"), ("f",), attributes),
    ]
    constants = {
        "w": weights(out, into // groups, kernel, kernel, dtype="int8"), "ws": scalar(0.01), "wz": scalar(0, "int8"),
        "b": weights(out, dtype="int32"), "bs": scalar(0.0002), "bz": scalar(0, "int32"),
    }  # fmt: skip
    name = f"Conv int8 {kernel}x{kernel} {into}->{out} {side}x{side}{f' /{groups}' if groups > 1 else ''}"
    return quantised(name, steps, {"x": (1, into, side, side)}, constants)


def quantised_product(rows: int, inner: int, columns: int) -> KernelModel:
    """MatMul of uint8 by int8 weights."""
    steps = [Step("DequantizeLinear", ("w", "ws", "wz"), ("wf",)), Step("MatMul", ("xf", "wf"), ("f",))]
    constants = {"w": weights(inner, columns, dtype="int8"), "ws": scalar(0.01), "wz": scalar(0, "int8")}
    return quantised(f"MatMul int8 {rows}x{inner}x{columns}", steps, {"x": (1, rows, inner)}, constants)


def dynamic(rows: int, inner: int, columns: int) -> KernelModel:
    """MatMul by int8 weights whose other operand is quantised while running."""
    steps = [
        Step("DynamicQuantizeLinear", ("x",), ("q", "s", "z")),
        Step("MatMulInteger", ("q", "w", "z", "wz"), ("i",)),
        Step("Cast", ("i",), ("c",), {"to": 1}),
        Step("Mul", ("s", "ws"), ("m",)),
        Step("Mul", ("c", "m")),
    ]
    constants = {"w": weights(inner, columns, dtype="int8"), "ws": scalar(0.01), "wz": scalar(0, "int8")}
    return KernelModel(f"MatMul dynamic int8 {rows}x{inner}x{columns}", steps, {"x": ("float32", (1, rows, inner))}, constants)
