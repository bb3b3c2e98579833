"""Single operators between DequantizeLinear and QuantizeLinear, with random grids and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class Case:
    """`inputs`: shapes of what is computed; `weights`: shape and channel axis of a constant by operand; `floats`: constants as they are."""

    operator: str
    inputs: Sequence[tuple[int, ...]]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[int, tuple[tuple[int, ...], int]] = field(default_factory=dict)
    floats: Mapping[int, Any] = field(default_factory=dict)
    behind: str = ""
    """An activation before the result is quantised."""
    exact: bool = False
    """Whether LiteRT is held to the very integers of onnxruntime."""
    same_grid: bool = False
    """Whether the result lies on the grid of the first operand."""
    unit: tuple[float, int] | None = None
    """The grid of the result in int8, where the operator has a usual one."""


X4, X3, X2 = (1, 4, 9, 7), (2, 5, 6), (3, 8)
PADS, TWICE = np.array([0, 0, 1, 2, 0, 0, 2, 1], np.int64), np.array([1, 1, 2, 2], np.float32)
FROM_ONE, TO_FOUR, ONE = (np.array([number], np.int64) for number in (1, 4, 1))
BY_TWO = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
BY_PLACES = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
CASES: Mapping[str, Case] = {
    "Conv": Case("Conv", [X4], {"pads": [1, 1, 1, 1]}, {1: ((6, 4, 3, 3), 0)}, {2: (6,)}, exact=True),
    "Conv strided": Case("Conv", [(1, 4, 8, 8)], BY_TWO, {1: ((6, 4, 3, 3), 0)}, {2: (6,)}, "Relu", exact=True),
    "Conv without a bias": Case("Conv", [X4], {}, {1: ((6, 4, 1, 1), 0)}, exact=True),
    "Conv of one spatial dim": Case("Conv", [(1, 4, 12)], {"dilations": [2]}, {1: ((6, 4, 3), 0)}, {2: (6,)}, exact=True),
    "depthwise": Case("Conv", [X4], {"group": 4, "auto_pad": "SAME_UPPER"}, {1: ((4, 1, 3, 3), 0)}, {2: (4,)}, "Clip", exact=True),
    "depthwise, two each": Case("Conv", [X4], {"group": 4}, {1: ((8, 1, 3, 3), 0)}, {2: (8,)}, exact=True),
    "ConvTranspose": Case("ConvTranspose", [X4], {"strides": [2, 2]}, {1: ((4, 6, 3, 3), 1)}, {2: (6,)}),
    "Gemm": Case("Gemm", [X2], {"transB": 1}, {1: ((5, 8), 0)}, {2: (5,)}, exact=True),
    "MatMul": Case("MatMul", [(2, 3, 8)], {}, {1: ((8, 5), 1)}, exact=True),
    "MatMul of two": Case("MatMul", [(2, 3, 8), (2, 8, 4)]),
    "Add": Case("Add", [X4, X4], exact=True),
    "Add that broadcasts": Case("Add", [X4, (1, 4, 1, 1)], exact=True),
    "Sum": Case("Sum", [X4, X4], behind="Relu", exact=True),
    "Sub": Case("Sub", [X2, X2], exact=True),
    "Mul": Case("Mul", [X4, (1, 4, 1, 1)]),
    "Mul by a number": Case("Mul", [X2], {}, {}, {1: 0.37}),
    "Div by a number": Case("Div", [X2], {}, {}, {1: 2.7}),
    "Relu": Case("Relu", [X4]),
    "Clip": Case("Clip", [X4], {}, {}, {1: -0.7, 2: 0.9}),
    "LeakyRelu": Case("LeakyRelu", [X4], {"alpha": 0.1}),
    "HardSwish": Case("HardSwish", [X4]),
    "Gelu": Case("Gelu", [X2]),
    "Sigmoid": Case("Sigmoid", [X2], unit=(1 / 256, -128)),
    "Tanh": Case("Tanh", [X2], unit=(1 / 128, 0)),
    "Softmax": Case("Softmax", [X2], {"axis": -1}, unit=(1 / 256, -128)),
    "Softmax of channels": Case("Softmax", [X3], {"axis": 1}, unit=(1 / 256, -128)),
    "AveragePool": Case("AveragePool", [X4], {"kernel_shape": [3, 2], "strides": [2, 2]}, same_grid=True),
    "AveragePool onto another grid": Case("AveragePool", [X4], {"kernel_shape": [3, 3]}),
    "GlobalAveragePool": Case("GlobalAveragePool", [X4]),
    "ReduceMean": Case("ReduceMean", [X3], {"keepdims": 0}, {}, {1: np.array([1], np.int64)}),
    "MaxPool": Case("MaxPool", [X4], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, same_grid=True, exact=True),
    "MaxPool onto another grid": Case("MaxPool", [X4], {"kernel_shape": [2, 2]}),
    "Reshape": Case("Reshape", [X4], {}, {}, {1: np.array([1, -1], np.int64)}, same_grid=True, exact=True),
    "Transpose": Case("Transpose", [X3], {"perm": [2, 0, 1]}, same_grid=True, exact=True),
    "Transpose onto another grid": Case("Transpose", [X3], {"perm": [2, 0, 1]}),
    "Concat": Case("Concat", [X4, X4], {"axis": 1}),
    "Pad": Case("Pad", [X4], {}, {}, {1: PADS}, same_grid=True, exact=True),
    "Pad by a number": Case("Pad", [X4], {}, {}, {1: PADS, 2: 0.5}, same_grid=True, exact=True),
    "Slice": Case("Slice", [X3], {}, {}, {1: FROM_ONE, 2: TO_FOUR, 3: ONE}, same_grid=True, exact=True),
    "Split": Case("Split", [X4], {"axis": 1, "num_outputs": 2}, same_grid=True, exact=True),
    "Resize": Case("Resize", [X4], BY_PLACES, {}, {2: TWICE}, same_grid=True, exact=True),
    "Resize linear": Case("Resize", [X4], {"mode": "linear"}, {}, {2: TWICE}, same_grid=True),
}  # fmt: skip


def model_of(case: Case, dtype: str, rng: np.random.Generator, per_channel: bool = True) -> onnx.ModelProto:
    """The operator with integer inputs and an integer output. The grid of the result holds what inputs of a spread of 1 make of it."""
    integer = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    bits, middle = np.iinfo(dtype), (0 if np.iinfo(dtype).min else 2 ** (np.iinfo(dtype).bits - 1))
    nodes, constants, names, ports = [], [], [], []

    def constant(name: str, values: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def grid(name: str, scale: float, zero: int) -> list[str]:
        return [constant(f"{name}.scale", np.float32(scale)), constant(f"{name}.zero", np.array(zero).astype(dtype))]

    first_scale, first_zero = 0.0, 0
    for k, shape in enumerate(case.inputs):
        scale = float(rng.uniform(2.0, 6.0)) / (bits.max - bits.min)
        zero = 0 if bits.bits == 16 else middle + int(rng.integers(-20, 20))
        names.append(f"x{k}.float")
        nodes.append(helper.make_node("DequantizeLinear", [f"x{k}", *grid(f"x{k}", scale, zero)], [names[-1]]))
        ports.append(helper.make_tensor_value_info(f"x{k}", integer, shape))
        first_scale, first_zero = (scale, zero) if k == 0 else (first_scale, first_zero)
    weight_scale = np.float32(1)
    for index, (shape, axis) in case.weights.items():
        weight_scale = rng.uniform(0.002, 0.02, shape[axis] if per_channel else ()).astype(np.float32)
        stored = constant("w", rng.integers(-127, 128, shape).astype(np.int8))
        zero = constant("w.zero", np.zeros(weight_scale.shape, np.int8))
        nodes.append(helper.make_node("DequantizeLinear", [stored, constant("w.scale", weight_scale), zero], ["w.float"], axis=axis))
        names[index:index] = ["w.float"]
    for index, given in case.floats.items():
        names += [""] * (index - len(names))
        if isinstance(given, tuple):
            scale = (np.float32(first_scale) * weight_scale).astype(np.float32)
            bias = constant("b", rng.integers(-2000, 2000, given).astype(np.int32))
            per = [constant("b.scale", scale), constant("b.zero", np.zeros(np.shape(scale), np.int32))]
            nodes.append(helper.make_node("DequantizeLinear", [bias, *per], ["b.float"], axis=0))
            names.append("b.float")
        else:
            names.append(constant(f"c{index}", given if isinstance(given, np.ndarray) else np.float32(given)))
    unread = [f"y{k}.unread" for k in range(1, case.attributes.get("num_outputs", 1))]
    nodes.append(helper.make_node(case.operator, names, ["y.float", *unread], **case.attributes))
    last = "y.float"
    if case.behind:
        limits = [constant("low", np.float32(0)), constant("high", np.float32(6))] if case.behind == "Clip" else []
        nodes.append(helper.make_node(case.behind, [last, *limits], ["y.limited"]))
        last = "y.limited"
    terms = [float(np.prod(shape[1:])) for shape, _ in case.weights.values()]
    spread = 3.0 * float(np.max(weight_scale)) * 60 * np.sqrt(terms[0]) if terms else 3.0
    scale, zero = 2 * spread / (bits.max - bits.min), 0 if bits.bits == 16 else middle + int(rng.integers(-20, 20))
    if case.same_grid:
        scale, zero = first_scale, first_zero
    elif case.unit is not None:
        scale, zero = (case.unit[0], case.unit[1] + middle) if bits.bits == 8 else (1 / 32768, 0)
    nodes.append(helper.make_node("QuantizeLinear", [last, *grid("y", scale, zero)], ["y"]))
    graph = helper.make_graph(nodes, "g", ports, [helper.make_tensor_value_info("y", integer, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def integers_for(model: onnx.ModelProto, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All integers of the dtype, so that limits are met too."""
    found = {}
    for value in model.graph.input:
        dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        limits = np.iinfo(dtype)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        found[value.name] = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
    return found
