"""Writes small models with random weights, operator by operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = {
    "float": TensorProto.FLOAT,
    "half": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
}


class Net:
    """A graph being written. `real` is the dtype of weights."""

    def __init__(self, seed: int, real: Any = np.float32) -> None:
        self.rng, self.real = np.random.default_rng(seed), real
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, *shape: int) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))
        return name

    def output(self, tensor: str, name: str, kind: str, *shape: int) -> None:
        self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, KINDS[kind], shape))

    def op(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """The name of the result, or a list of them."""
        names = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"n{len(self.nodes)}", domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def const(self, array: Any, dtype: Any = None) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype or self.real), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def random(self, *shape: int, scale: float | None = None) -> str:
        """Normal weights that keep the size of what goes through them."""
        deep = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        return self.const(self.rng.standard_normal(shape) * (scale or 1 / np.sqrt(deep)))

    def dense(self, x: str, a: int, b: int) -> str:
        return str(self.op("Add", self.op("MatMul", x, self.random(a, b)), self.random(b, scale=0.3)))

    def conv(self, x: str, a: int, b: int, k: int = 3, **attributes: Any) -> str:
        group = attributes.get("group", 1)
        attributes.setdefault("pads", [k // 2] * 4)
        return str(self.op("Conv", x, self.random(b, a // group, k, k), self.random(b, scale=0.2), **attributes))

    def batchnorm(self, x: str, c: int) -> str:
        mean, var = self.random(c, scale=0.3), self.const(self.rng.uniform(0.4, 1.6, c))
        return str(self.op("BatchNormalization", x, self.const(self.rng.uniform(0.6, 1.4, c)), self.random(c, scale=0.3), mean, var))

    def norm(self, x: str, c: int) -> str:
        gamma, beta = self.const(self.rng.uniform(0.6, 1.4, c)), self.random(c, scale=0.3)
        return str(self.op("LayerNormalization", x, gamma, beta, axis=-1))

    def gelu(self, x: str) -> str:
        """As exporters write it."""
        half = self.op("Mul", x, self.const(0.5))
        return str(self.op("Mul", half, self.op("Add", self.op("Erf", self.op("Div", x, self.const(np.sqrt(2)))), self.const(1.0))))

    def heads(self, x: str, length: int, number: int, size: int) -> str:
        return str(self.op("Transpose", self.op("Reshape", x, self.ints(1, length, number, size)), perm=[0, 2, 1, 3]))

    def model(self, opset: int = 18) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model
