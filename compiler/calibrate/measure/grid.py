"""Small models of one operator each, over the sizes that networks have: what holds lines together that few networks exercise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import onnx

FLOAT, HALF, INT64, BOOL, INT8, UINT8 = "float32", "float16", "int64", "bool", "int8", "uint8"
CURVES = (
    "Erf", "Tanh", "Sigmoid", "Exp", "Log", "Sqrt", "Sin", "Cos", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Elu", "Selu",
    "Reciprocal", "Softsign", "Gelu",
)  # fmt: skip
PLAIN = ("Relu", "LeakyRelu", "Abs", "Neg", "Floor", "Sign")
PAIRS = ("Add", "Sub", "Mul", "Div", "Max", "Min")
SIZES = ((1, 64, 32), (1, 128, 28, 28), (1, 64, 112, 112))
"""2 thousand, 100 thousand and 800 thousand elements."""
NEWER = {"Gelu": 20, "Attention": 23, "RMSNormalization": 23, "GroupNormalization": 21}
OPSET = 18


@dataclass(slots=True)
class Builder:
    """One model under construction."""

    opset: int = OPSET
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def input(self, shape: Sequence[int], dtype: str = FLOAT) -> str:
        import numpy as np
        from onnx import helper

        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape)))
        return name

    def weight(self, shape: Sequence[int], dtype: str = FLOAT) -> str:
        """Random, about as large as keeps a layer's results in range; integers over their whole range."""
        import numpy as np

        source = np.random.default_rng(len(self.constants))
        if dtype in (INT8, UINT8):
            return self.constant(source.integers(0, 100, tuple(shape)).astype(dtype))
        values = np.asarray(source.standard_normal(tuple(shape)) * (2 / max(prod(shape[1:]), 1)) ** 0.5)
        return self.constant(values.astype(dtype))

    def constant(self, value: numpy.ndarray[Any, Any] | Sequence[float]) -> str:
        import numpy as np
        from onnx import numpy_helper

        array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def op(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        names = [f"t{len(self.nodes)}" if k == 0 else f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, f"{operator}_{len(self.nodes)}", domain=domain, **attributes))
        return names[0]

    def quantised(self, name: str, dtype: str = UINT8) -> str:
        """DequantizeLinear of an input, or of a weight."""
        return self.op("DequantizeLinear", name, self._scale(0.02), self._zero(dtype))

    def requantised(self, name: str) -> str:
        return self.op("QuantizeLinear", name, self._scale(0.05), self._zero(UINT8))

    def _scale(self, value: float) -> str:
        import numpy as np

        return self.constant(np.array(value, np.float32))

    def _zero(self, dtype: str) -> str:
        import numpy as np

        return self.constant(np.array(0 if dtype == INT8 else 128, dtype))

    def model(self) -> onnx.ModelProto:
        """With the types of its results, which onnx infers (of onnxruntime's operators: as the first input's)."""
        from onnx import helper, shape_inference

        left = [name for node in self.nodes for name in node.output if not any(name in other.input for other in self.nodes)]
        graph = helper.make_graph(self.nodes, "kernel", self.inputs, [helper.make_empty_tensor_value_info(n) for n in left], self.constants)
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        made = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=imports, ir_version=10), data_prop=True)
        for output in made.graph.output:
            if not output.type.HasField("tensor_type") or not output.type.tensor_type.HasField("shape"):
                output.type.CopyFrom(self.inputs[0].type)
        return made


@dataclass(frozen=True, slots=True)
class GridKernel:
    """One model of the grid."""

    name: str
    model: onnx.ModelProto


def grid() -> Iterator[GridKernel]:
    """All kernels, always in the same order."""
    for part in (_windows, _products, _functions, _pairs, _normalised, _moved, _reduced, _recurrent, _narrow):
        yield from part()


def _one(name: str, operator: str, shapes: Sequence[Sequence[int]], weights: Sequence[Sequence[int]] = (), **attributes: Any) -> GridKernel:
    built = Builder(NEWER.get(operator, OPSET))
    built.op(operator, *map(built.input, shapes), *map(built.weight, weights), **attributes)
    return GridKernel(f"{operator} {name}", built.model())


CONVOLUTIONS = (
    # channels, out, extent, kernel, stride, groups
    (3, 32, 224, 3, 2, 1), (3, 64, 112, 7, 2, 1), (3, 16, 64, 3, 1, 1), (1, 32, 96, 3, 1, 1),
    (16, 16, 56, 3, 1, 1), (64, 64, 56, 3, 1, 1), (128, 128, 28, 3, 1, 1), (256, 256, 14, 3, 1, 1), (512, 512, 7, 3, 1, 1),
    (24, 40, 28, 3, 1, 1), (8, 8, 64, 3, 1, 1), (64, 128, 56, 3, 2, 1), (48, 48, 20, 5, 1, 1), (12, 24, 40, 3, 1, 1),
    (16, 96, 112, 1, 1, 1), (64, 256, 56, 1, 1, 1), (96, 24, 56, 1, 1, 1), (256, 64, 28, 1, 1, 1), (512, 512, 14, 1, 1, 1),
    (320, 1280, 7, 1, 1, 1), (24, 72, 28, 1, 1, 1), (8, 24, 56, 1, 1, 1), (1024, 256, 14, 1, 2, 1), (576, 96, 1, 1, 1, 1),
    (32, 32, 112, 3, 1, 32), (96, 96, 56, 3, 2, 96), (144, 144, 28, 3, 1, 144), (240, 240, 14, 5, 1, 240), (960, 960, 7, 5, 1, 960),
    (24, 24, 56, 3, 1, 24), (96, 96, 56, 7, 1, 96), (576, 576, 14, 3, 1, 576),
    (64, 64, 28, 3, 1, 8), (128, 128, 28, 3, 1, 16), (128, 128, 28, 3, 1, 32), (256, 256, 14, 3, 1, 32), (48, 48, 56, 3, 1, 6),
    (240, 240, 14, 3, 1, 10), (120, 120, 28, 3, 1, 5),
)  # fmt: skip


def _windows() -> Iterator[GridKernel]:
    for into, out, extent, kernel, stride, group in CONVOLUTIONS:
        name = f"{kernel}x{kernel} {into}->{out} {extent}x{extent} stride {stride} group {group}"
        given: dict[str, Any] = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": group}
        yield _one(name, "Conv", [(1, into, extent, extent)], [(out, into // group, kernel, kernel)], **given)
    for into, out, extent, kernel, group in ((64, 64, 400, 3, 1), (128, 256, 100, 5, 1), (1, 64, 4000, 10, 1), (256, 256, 100, 3, 256)):
        given = {"kernel_shape": [kernel], "pads": [kernel // 2] * 2, "group": group}
        yield _one(f"{kernel} {into}->{out} {extent} group {group}", "Conv", [(1, into, extent)], [(out, into // group, kernel)], **given)
    for into, out, extent, kernel in ((64, 32, 28, 2), (128, 64, 14, 4), (32, 16, 56, 4), (16, 3, 64, 2)):
        given = {"kernel_shape": [kernel] * 2, "strides": [2, 2], "pads": [(kernel - 2) // 2] * 4}
        yield _one(
            f"{into}->{out} {extent} kernel {kernel}", "ConvTranspose", [(1, into, extent, extent)], [(into, out, kernel, kernel)], **given
        )
    for operator, kernel, stride in (("MaxPool", 3, 2), ("MaxPool", 2, 2), ("MaxPool", 5, 1), ("AveragePool", 2, 2), ("AveragePool", 3, 1)):
        for channels, extent in ((64, 112), (256, 28), (512, 14)):
            given = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2 if kernel != 2 else 0] * 4}
            yield _one(f"{kernel} stride {stride} {channels}x{extent}", operator, [(1, channels, extent, extent)], **given)


def _products() -> Iterator[GridKernel]:
    for rows, inner, columns in (
        (1, 512, 512), (1, 2048, 1000), (1, 64, 256), (2, 768, 768), (4, 256, 1024), (16, 128, 128), (32, 384, 384), (32, 384, 1536),
        (64, 1536, 384), (128, 256, 256), (128, 768, 768), (196, 192, 576), (196, 768, 192), (400, 64, 64), (1024, 32, 32), (32, 768, 3072),
    ):  # fmt: skip
        yield _one(f"{rows}x{inner}x{columns}", "MatMul", [(1, rows, inner)], [(inner, columns)])
        if rows <= 4 or rows == 128:
            yield _one(f"{rows}x{inner}x{columns}", "Gemm", [(rows, inner)], [(inner, columns), (columns,)])
    for heads, rows, inner, columns in (
        (2, 32, 64, 32),
        (12, 32, 32, 32),
        (6, 197, 64, 197),
        (6, 197, 197, 64),
        (12, 128, 64, 128),
        (4, 400, 32, 400),
    ):
        yield _one(f"batched {heads}x{rows}x{inner}x{columns}", "MatMul", [(1, heads, rows, inner), (1, heads, inner, columns)])
    for heads, rows, size in ((2, 32, 64), (12, 32, 32), (3, 197, 64), (12, 128, 64), (6, 64, 64), (8, 16, 64)):
        yield _one(f"{heads} heads {rows}x{size}", "Attention", [(1, heads, rows, size)] * 3)


def _functions() -> Iterator[GridKernel]:
    for operator in (*CURVES, *PLAIN):
        for shape in SIZES:
            yield _one("x".join(map(str, shape)), operator, [shape])
    for shape in SIZES:
        text = "x".join(map(str, shape))
        for name, exponent in (("square", 2.0), ("root", 0.5)):
            built = Builder()
            built.op("Pow", built.input(shape), built.constant(_scalar(exponent)))
            yield GridKernel(f"Pow {name} {text}", built.model())
        built = Builder()
        built.op("Clip", built.input(shape), built.constant(_scalar(0.0)), built.constant(_scalar(6.0)))
        yield GridKernel(f"Clip {text}", built.model())
        if len(shape) == 4:
            yield _one(text, "PRelu", [shape], [(shape[1], 1, 1)])
            yield _one(text, "BatchNormalization", [shape], [(shape[1],)] * 3 + [(shape[1],)])


def _scalar(value: float) -> numpy.ndarray[Any, Any]:
    import numpy as np

    return np.array(value, np.float32)


def _pairs() -> Iterator[GridKernel]:
    for operator in PAIRS:
        for shape in SIZES:
            text = "x".join(map(str, shape))
            yield _one(text, operator, [shape, shape])
            if operator in PAIRS[:4]:
                yield _one(f"{text} with a number", operator, [shape], [()])
                if len(shape) == 4:
                    yield _one(f"{text} by channel", operator, [shape, (1, shape[1], 1, 1)])
    for operator in ("Add", "Mul"):
        for shape in ((1, 32, 384, 1), (1, 128, 64, 1)):
            yield _one(f"{'x'.join(map(str, shape))} by 1", operator, [shape], [(1,)])
    for shape in SIZES:
        built = Builder()
        less = built.op("Less", built.input(shape), built.input(shape))
        built.op("Where", less, built.input(shape), built.weight(()))
        yield GridKernel(f"Less and Where {'x'.join(map(str, shape))}", built.model())
        for to in (INT64, HALF, BOOL):
            yield _cast(shape, FLOAT, to)
        yield _cast(shape, INT64, FLOAT)


def _cast(shape: Sequence[int], source: str, to: str) -> GridKernel:
    import numpy as np
    from onnx import helper

    built = Builder()
    built.op("Cast", built.input(shape, source), to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))
    return GridKernel(f"Cast {source} to {to} {'x'.join(map(str, shape))}", built.model())


def _normalised() -> Iterator[GridKernel]:
    for rows, size in ((32, 128), (32, 384), (128, 256), (197, 192), (197, 768), (3136, 96)):
        yield _one(f"{rows}x{size}", "LayerNormalization", [(1, rows, size)], [(size,), (size,)], axis=-1)
        yield _one(f"{rows}x{size}", "RMSNormalization", [(1, rows, size)], [(size,)], axis=-1)
    for shape in ((2, 32, 32), (12, 32, 32), (3, 197, 197), (12, 128, 128), (1, 1, 1000), (4, 400, 400)):
        yield _one("x".join(map(str, shape)), "Softmax", [(1, *shape)], axis=-1)
    for shape in ((1, 21, 64, 64), (1, 64, 28, 28), (1, 2, 4096)):
        yield _one(f"over axis 1 of {'x'.join(map(str, shape))}", "Softmax", [shape], axis=1)
    for shape in ((1, 4096, 4), (1, 16, 400, 8)):
        yield _one("x".join(map(str, shape)), "Softmax", [shape], axis=-1)
    for channels, extent in ((32, 64), (64, 28), (128, 14)):
        shape = (1, channels, extent, extent)
        yield _one(f"{channels}x{extent}", "InstanceNormalization", [shape], [(channels,), (channels,)])
        yield _one(f"{channels}x{extent}", "GroupNormalization", [shape], [(channels,), (channels,)], num_groups=8)
        yield _one(f"{channels}x{extent}", "LRN", [shape], size=5)


ORDERS = (
    ((1, 32, 4, 32), (0, 2, 1, 3)), ((1, 128, 12, 64), (0, 2, 1, 3)), ((1, 12, 128, 64), (0, 1, 3, 2)), ((1, 64, 56, 56), (0, 2, 3, 1)),
    ((1, 28, 28, 128), (0, 3, 1, 2)), ((1, 2, 64, 28, 28), (0, 2, 1, 3, 4)), ((1, 256, 196), (0, 2, 1)), ((1, 7, 7, 7, 7, 96), (0, 1, 3, 2, 4, 5)),
)  # fmt: skip


def _moved() -> Iterator[GridKernel]:
    for shape, order in ORDERS:
        yield _one(f"{'x'.join(map(str, shape))} {order}", "Transpose", [shape], perm=list(order))
    for channels, extent in ((32, 16), (64, 28), (64, 56)):
        shape = (1, channels, extent, extent)
        text = "x".join(map(str, shape))
        yield _one(f"2 of {text} axis 1", "Concat", [shape, shape], axis=1)
        yield _one(f"2 of {text} last axis", "Concat", [shape, shape], axis=-1)
        yield _one(f"{text} in 2", "Split", [shape], outputs=2, axis=1, num_outputs=2)
        yield _one(text, "DepthToSpace", [shape], blocksize=2)
        yield _one(text, "SpaceToDepth", [shape], blocksize=2)
        yield from _shaped(shape, text)
    for rows, width, taken in ((1000, 128, 32), (30000, 384, 32), (400, 64, 4000)):
        built = Builder()
        built.op("Gather", built.weight((rows, width)), built.constant([k * 7 % rows for k in range(taken)]))
        built.nodes[0].input[1] = built.input((1, taken), INT64)
        yield GridKernel(f"Gather {taken} of {rows}x{width}", built.model())


def _shaped(shape: tuple[int, ...], text: str) -> Iterator[GridKernel]:
    """Operators whose result has a shape of its own, given by constants."""
    import numpy as np

    for name, operator, constants in (
        ("half", "Slice", ([0], [shape[1] // 2], [1])), ("every second", "Slice", ([0], [shape[3]], [3], [2])),
        ("by 1", "Pad", ([0, 0, 1, 1, 0, 0, 1, 1],)), ("twice", "Tile", ([1, 1, 1, 2],)), ("4 of it", "Expand", ([4, *shape[1:]],)),
    ):  # fmt: skip
        built = Builder()
        built.op(operator, built.input(shape), *map(built.constant, constants))
        yield GridKernel(f"{operator} {name} {text}", built.model())
    for mode in ("nearest", "linear", "cubic"):
        built = Builder()
        scales = built.constant(np.array([1, 1, 2, 2], np.float32))
        how = "asymmetric" if mode == "nearest" else "half_pixel"
        more = {"nearest_mode": "floor"} if mode == "nearest" else {}
        built.op("Resize", built.input(shape), "", scales, mode=mode, coordinate_transformation_mode=how, **more)
        yield GridKernel(f"Resize {mode} {text}", built.model())


def _reduced() -> Iterator[GridKernel]:
    for channels, extent in ((64, 56), (256, 14), (960, 7)):
        shape = (1, channels, extent, extent)
        yield _one(f"{channels}x{extent}", "GlobalAveragePool", [shape])
        yield _one(f"{channels}x{extent}", "GlobalMaxPool", [shape])
    for operator in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2", "ArgMax", "CumSum", "TopK"):
        for shape in ((1, 32, 384), (1, 400, 256)):
            built = Builder()
            x = built.input(shape)
            if operator == "ArgMax":
                built.op(operator, x, axis=-1)
            elif operator == "TopK":
                built.op(operator, x, built.constant([5]), outputs=2, axis=-1)
            elif operator == "CumSum":
                built.op(operator, x, built.constant([1]))
                built.constants[0].dims[:] = []
            else:
                built.op(operator, x, built.constant([-1]))
            yield GridKernel(f"{operator} {'x'.join(map(str, shape))}", built.model())


def _recurrent() -> Iterator[GridKernel]:
    for operator, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        for steps, size, width in ((16, 32, 64), (50, 64, 128), (32, 128, 256), (100, 40, 96)):
            yield _one(
                f"{steps} steps {size}->{width}", operator, [(steps, 1, size)],
                [(1, gates * width, size), (1, gates * width, width), (1, 2 * gates * width)], hidden_size=width,
            )  # fmt: skip


def _narrow() -> Iterator[GridKernel]:
    """int8 in the forms that quantisers write, weights of fewer bits, and fp16."""
    for into, out, extent, kernel, group in (
        (64, 64, 28, 3, 1),
        (32, 96, 56, 1, 1),
        (128, 128, 14, 3, 1),
        (96, 96, 56, 3, 96),
        (3, 32, 112, 3, 1),
        (256, 256, 14, 1, 1),
    ):
        given: dict[str, Any] = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, "group": group}
        name, shape = f"{kernel}x{kernel} {into}->{out} {extent} group {group}", (out, into // group, kernel, kernel)
        built = Builder()
        built.requantised(
            built.op(
                "Conv",
                built.quantised(built.input((1, into, extent, extent), UINT8)),
                built.quantised(built.weight(shape, INT8), INT8),
                **given,
            )
        )
        yield GridKernel(f"Conv int8 {name}", built.model())
        built = Builder()
        built.op("Conv", built.input((1, into, extent, extent), HALF), built.weight(shape, HALF), **given)
        yield GridKernel(f"Conv fp16 {name}", built.model())
    for rows, inner, columns in ((32, 384, 384), (32, 384, 1536), (128, 256, 256), (1, 512, 512), (196, 192, 576), (64, 768, 768)):
        yield from _narrow_products(rows, inner, columns)
    for shape in SIZES:
        built = Builder()
        built.requantised(built.op("Add", built.quantised(built.input(shape, UINT8)), built.quantised(built.input(shape, UINT8))))
        yield GridKernel(f"Add int8 {'x'.join(map(str, shape))}", built.model())
        built = Builder()
        built.requantised(built.input(shape))
        yield GridKernel(f"QuantizeLinear {'x'.join(map(str, shape))}", built.model())
        built = Builder()
        built.quantised(built.input(shape, UINT8))
        yield GridKernel(f"DequantizeLinear {'x'.join(map(str, shape))}", built.model())


def _narrow_products(rows: int, inner: int, columns: int) -> Iterator[GridKernel]:
    import numpy as np
    from onnx import TensorProto, helper

    name = f"{rows}x{inner}x{columns}"
    built = Builder()
    left, right = built.quantised(built.input((1, rows, inner), UINT8)), built.quantised(built.weight((inner, columns), INT8), INT8)
    built.requantised(built.op("MatMul", left, right))
    yield GridKernel(f"MatMul int8 {name}", built.model())
    built = Builder()
    built.op("MatMul", built.input((1, rows, inner), HALF), built.weight((inner, columns), HALF))
    yield GridKernel(f"MatMul fp16 {name}", built.model())
    built = Builder()
    narrow = built.op("DynamicQuantizeLinear", built.input((1, rows, inner)), outputs=3)
    built.op("MatMulInteger", narrow, built.weight((inner, columns), INT8), f"{narrow}_2")
    built.nodes[0].output[2] = f"{narrow}_2"
    yield GridKernel(f"MatMulInteger {name}", built.model())
    built = Builder()
    packed = built.constant(np.random.default_rng(0).integers(0, 256, (columns, inner // 32, 16)).astype(np.uint8))
    scales = built.constant(np.full(columns * inner // 32, 0.01, np.float32))
    built.op(
        "MatMulNBits", built.input((1, rows, inner)), packed, scales, domain="com.microsoft", K=inner, N=columns, bits=4, block_size=32
    )
    made = built.model()
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info(made.graph.output[0].name, TensorProto.FLOAT, [1, rows, columns]))
    yield GridKernel(f"MatMulNBits {name}", made)
