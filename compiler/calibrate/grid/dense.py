"""Kernels that compute: convolutions, products, attention, recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

from .kernel_model import MICROSOFT, KernelModel, Step, axes, scalar, weights

CONVOLUTIONS = (
    # channels in, out, kernel, side, stride, groups
    (3, 32, 3, 96, 2, 1), (3, 64, 7, 112, 2, 1), (3, 16, 3, 224, 2, 1), (1, 32, 3, 64, 1, 1), (3, 48, 11, 96, 4, 1),
    (16, 16, 3, 56, 1, 1), (32, 64, 3, 56, 2, 1), (64, 64, 3, 56, 1, 1), (128, 256, 3, 14, 2, 1), (512, 512, 3, 7, 1, 1),
    (24, 40, 3, 20, 1, 1),
    (8, 12, 3, 40, 1, 1), (48, 48, 5, 20, 1, 1), (16, 32, 5, 28, 1, 1), (64, 32, 7, 14, 1, 1),
    (24, 144, 1, 28, 1, 1), (64, 256, 1, 28, 1, 1), (256, 64, 1, 28, 1, 1), (512, 128, 1, 14, 1, 1), (1024, 256, 1, 7, 1, 1),
    (40, 10, 1, 1, 1, 1), (20, 36, 1, 40, 1, 1), (8, 24, 1, 80, 1, 1), (256, 512, 1, 14, 2, 1),
    (16, 16, 3, 112, 1, 16), (32, 32, 3, 56, 1, 32), (64, 64, 3, 56, 2, 64), (96, 96, 3, 28, 1, 96), (144, 144, 5, 28, 2, 144),
    (256, 256, 3, 14, 1, 256), (512, 512, 5, 7, 1, 512), (72, 72, 3, 20, 1, 72), (36, 36, 7, 28, 1, 36), (96, 96, 7, 14, 1, 96),
    (32, 32, 3, 28, 1, 4), (64, 64, 3, 28, 1, 8), (128, 128, 3, 28, 1, 32), (256, 256, 3, 14, 1, 32), (64, 128, 1, 28, 1, 4),
    (96, 96, 3, 14, 1, 12), (48, 48, 3, 28, 2, 3), (240, 240, 1, 14, 1, 3),
)  # fmt: skip
TRANSPOSED = (
    (16, 16, 2, 32, 2), (32, 16, 4, 24, 2), (64, 32, 3, 14, 2), (64, 64, 2, 28, 2), (128, 64, 4, 8, 2), (32, 1, 9, 32, 3),
    (32, 3, 4, 24, 2),
)  # fmt: skip
"""Channels in, out, kernel, side, stride."""
PRODUCTS = (
    # rows, K, columns
    (1, 128, 128), (1, 512, 512), (1, 1024, 1000), (1, 1024, 4096), (8, 256, 256), (16, 64, 64), (16, 768, 768), (32, 128, 512),
    (32, 512, 128), (32, 384, 384), (49, 192, 768), (64, 256, 1024), (64, 1024, 256), (128, 128, 128), (128, 384, 1536),
    (128, 768, 768), (196, 192, 576), (256, 64, 256), (400, 384, 384), (196, 24, 96),
)  # fmt: skip
BATCHED = (
    (2, 32, 64, 32),
    (4, 64, 32, 64),
    (4, 128, 64, 128),
    (6, 196, 32, 196),
    (8, 64, 64, 64),
    (12, 32, 64, 32),
    (12, 128, 128, 64),
    (3, 49, 16, 49),
)
"""Batch, rows, K, columns: both operands vary."""
ATTENTION = ((2, 32, 64), (4, 64, 32), (6, 128, 64), (12, 32, 64), (3, 196, 64), (8, 49, 32))
"""Heads, length, extent of a head."""
RECURRENT = (
    ("LSTM", 16, 64, 64),
    ("LSTM", 48, 128, 128),
    ("LSTM", 1, 128, 64),
    ("GRU", 32, 64, 64),
    ("GRU", 64, 40, 128),
    ("RNN", 32, 64, 64),
)
"""Operator, steps, extent of the input, of the state."""


def dense() -> Iterator[KernelModel]:
    """All of them, in fp32."""
    for into, out, kernel, side, stride, groups in CONVOLUTIONS:
        yield convolution(into, out, kernel, side, stride, groups)
    for channels, kernel in ((32, 3), (64, 1), (64, 3)):
        yield convolution(channels, channels, kernel, 28, 1, 1, ("Relu",))
        yield convolution(channels, channels, kernel, 28, 1, 1, ("Sigmoid",))
    for into, out, kernel, side, stride in TRANSPOSED:
        yield transposed(into, out, kernel, side, stride)
    for rows, inner, columns in PRODUCTS:
        yield product(rows, inner, columns)
    for rows, inner, columns in PRODUCTS[1::3]:
        yield gemm(rows, inner, columns)
        yield varying_product(rows, inner, columns)
    for batch, rows, inner, columns in BATCHED:
        yield batched(batch, rows, inner, columns)
    for heads, length, extent in ATTENTION:
        yield attention(heads, length, extent)
        inputs = {name: ("float32", (1, heads, length, extent)) for name in ("q", "k", "v")}
        yield KernelModel(f"Attention {heads} heads {length}x{extent}", [Step("Attention", ("q", "k", "v"))], inputs, opset=23)
    for operator, steps, extent, state in RECURRENT:
        yield recurrent(operator, steps, extent, state)


def convolution(
    into: int, out: int, kernel: int, side: int, stride: int, groups: int, activation: tuple[str, ...] = (), dtype: str = "float32"
) -> KernelModel:
    """Conv with a bias, and what follows it."""
    pad = (kernel - 1) // 2
    attributes = {"strides": [stride] * 2, "pads": [pad] * 4, "group": groups, "kernel_shape": [kernel] * 2}
    names = ["y"] if not activation else ["c", "y"]
    steps = [Step("Conv", ("x", "w", "b"), names[:1], attributes), *(Step(operator, ("c",)) for operator in activation)]
    group = f" /{groups}" if groups > 1 else ""
    name = f"Conv {kernel}x{kernel} {into}->{out} {side}x{side}{group}{f' stride {stride}' if stride > 1 else ''}"
    constants = {"w": weights(out, into // groups, kernel, kernel, dtype=dtype), "b": weights(out, dtype=dtype)}
    suffix = "".join(f" {operator}" for operator in activation) + (f" {dtype}" if dtype != "float32" else "")
    return KernelModel(name + suffix, steps, {"x": (dtype, (1, into, side, side))}, constants)


def transposed(into: int, out: int, kernel: int, side: int, stride: int) -> KernelModel:
    """ConvTranspose."""
    step = Step("ConvTranspose", ("x", "w"), attributes={"strides": [stride] * 2})
    name = f"ConvTranspose {kernel}x{kernel} {into}->{out} {side}x{side}"
    return KernelModel(name, [step], {"x": ("float32", (1, into, side, side))}, {"w": weights(into, out, kernel, kernel)})


def product(rows: int, inner: int, columns: int, dtype: str = "float32") -> KernelModel:
    """MatMul by a constant."""
    suffix = f" {dtype}" if dtype != "float32" else ""
    shape = (1, rows, inner)
    return KernelModel(
        f"MatMul {rows}x{inner}x{columns}{suffix}",
        [Step("MatMul", ("x", "w"))],
        {"x": (dtype, shape)},
        {"w": weights(inner, columns, dtype=dtype)},
    )


def varying_product(rows: int, inner: int, columns: int) -> KernelModel:
    """MatMul of two inputs."""
    inputs = {"x": ("float32", (rows, inner)), "z": ("float32", (inner, columns))}
    return KernelModel(f"MatMul {rows}x{inner}x{columns} both vary", [Step("MatMul", ("x", "z"))], inputs)


def gemm(rows: int, inner: int, columns: int) -> KernelModel:
    """Gemm with a bias, the weight as a framework stores it."""
    constants = {"w": weights(columns, inner), "b": weights(columns)}
    step = Step("Gemm", ("x", "w", "b"), attributes={"transB": 1})
    return KernelModel(f"Gemm {rows}x{inner}x{columns}", [step], {"x": ("float32", (rows, inner))}, constants)


def batched(batch: int, rows: int, inner: int, columns: int) -> KernelModel:
    """MatMul of two stacks."""
    inputs = {"x": ("float32", (1, batch, rows, inner)), "z": ("float32", (1, batch, inner, columns))}
    return KernelModel(f"MatMul {batch} x {rows}x{inner}x{columns}", [Step("MatMul", ("x", "z"))], inputs)


def attention(heads: int, length: int, extent: int) -> KernelModel:
    """As exporters spell it: two products, a scale and a Softmax."""
    shape = (1, heads, length, extent)
    steps = [
        Step("Transpose", ("k",), ("t",), {"perm": [0, 1, 3, 2]}),
        Step("MatMul", ("q", "t"), ("s",)),
        Step("Mul", ("s", "scale"), ("m",)),
        Step("Softmax", ("m",), ("p",), {"axis": -1}),
        Step("MatMul", ("p", "v")),
    ]
    inputs = {name: ("float32", shape) for name in ("q", "k", "v")}
    return KernelModel(f"attention {heads} heads {length}x{extent}", steps, inputs, {"scale": scalar(extent**-0.5)})


def recurrent(operator: str, steps: int, extent: int, state: int) -> KernelModel:
    """One layer, forward."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    constants = {"w": weights(1, gates * state, extent), "r": weights(1, gates * state, state)}
    step = Step(operator, ("x", "w", "r"), attributes={"hidden_size": state})
    return KernelModel(f"{operator} {steps} steps {extent}->{state}", [step], {"x": ("float32", (steps, 1, extent))}, constants)


def weight_only(rows: int, inner: int, columns: int, bits: int, block: int = 32) -> KernelModel:
    """MatMul by weights that are dequantised in blocks, as ONNX spells it."""
    import ml_dtypes
    import numpy

    dtype = ml_dtypes.int4 if bits == 4 else numpy.int8
    stored = weights(inner, columns, dtype="int8") >> (8 - bits)
    constants = {"q": stored.astype(dtype), "s": abs(weights(inner // block, columns)) + numpy.float32(0.01)}
    steps = [Step("DequantizeLinear", ("q", "s"), ("w",), {"axis": 0, "block_size": block}), Step("MatMul", ("x", "w"))]
    return KernelModel(f"MatMul int{bits} weights {rows}x{inner}x{columns}", steps, {"x": ("float32", (1, rows, inner))}, constants)


def n_bits(rows: int, inner: int, columns: int, block: int = 32) -> KernelModel:
    """MatMulNBits of four bits."""
    import numpy

    blocks = inner // block
    constants = {"q": weights(columns, blocks, block // 2, dtype="uint8"), "s": abs(weights(columns * blocks)) + numpy.float32(0.01)}
    attributes = {"K": inner, "N": columns, "bits": 4, "block_size": block}
    step = Step("MatMulNBits", ("x", "q", "s"), attributes=attributes, domain=MICROSOFT)
    name, inputs = f"MatMulNBits {rows}x{inner}x{columns}", {"x": ("float32", (1, rows, inner))}
    return KernelModel(name, [step], inputs, constants, result=(1, rows, columns))


def of_axes(name: str, operator: str, shape: tuple[int, ...], *reduced: int, **attributes: int) -> KernelModel:
    """A reduction over axes given as a constant."""
    step = Step(operator, ("x", "axes"), attributes=attributes)
    return KernelModel(name, [step], {"x": ("float32", shape)}, {"axes": axes(*reduced)})
