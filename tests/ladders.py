"""Ladders: each step reads the one before more than once, so that what is short as a graph is exponentially long written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Step = Callable[["Ladder", str, str], str]
NUMBERS = {
    "zero": 0.0, "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "six": 6.0, "root": 2**0.5, "eps": 1e-5, "cubic": 0.044715,
    "c": (2 / np.pi) ** 0.5,
}  # fmt: skip


class Ladder:
    """Nodes over [4, 8], and the names of what they write."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def mean(self, x: str) -> str:
        return self("ReduceMean", x, "axis")

    def spread(self, x: str) -> str:
        return self("Sqrt", self("Add", self.mean(self("Mul", x, x)), "eps"))

    def softplus(self, x: str) -> str:
        return self("Log", self("Add", self("Exp", x), "one"))

    def relu6(self, x: str) -> str:
        return self("Min", self("Max", self("Add", x, "three"), "zero"), "six")

    def gelu(self, x: str) -> str:
        return self("Mul", self("Mul", x, "half"), self("Add", self("Erf", self("Div", x, "root")), "one"))

    def tanh_gelu(self, x: str) -> str:
        cubic = self("Mul", self("Add", x, self("Mul", self("Pow", x, "three"), "cubic")), "c")
        return self("Mul", self("Mul", x, "half"), self("Add", self("Tanh", cubic), "one"))

    def layernorm(self, x: str) -> str:
        d = self("Sub", x, self.mean(x))
        return self("Add", self("Mul", self("Div", d, self.spread(d)), "scale"), "bias")


STEPS: Mapping[str, Step] = {
    "relu + tanh": lambda op, s, _: op("Add", op("Relu", s), op("Tanh", s)),
    "three functions": lambda op, s, _: op("Sum", op("Exp", s), op("Tanh", s), op("Sigmoid", s)),
    "product of functions": lambda op, s, _: op("Mul", op("Erf", s), op("Sigmoid", s)),
    "quotient of functions": lambda op, s, _: op("Div", op("Tanh", s), op("Relu", s)),
    "squares": lambda op, s, _: op("Mul", s, s),
    "doubles": lambda op, s, _: op("Add", s, s),
    "s² + s": lambda op, s, _: op("Add", op("Mul", s, s), s),
    "s³ - s/2": lambda op, s, _: op("Sub", op("Pow", s, "three"), op("Mul", s, "half")),
    "fibonacci": lambda op, s, before: op("Add", s, before),
    "products of two steps": lambda op, s, before: op("Mul", op("Add", s, "one"), before),
    "tanh of two steps": lambda op, s, before: op("Add", op("Tanh", s), op("Tanh", before)),
    "s·sigmoid": lambda op, s, _: op("Mul", s, op("Sigmoid", s)),
    "s·tanh, residual": lambda op, s, _: op("Add", s, op("Mul", s, op("Tanh", s))),
    "s·sqrt(s + 1)": lambda op, s, _: op("Mul", s, op("Sqrt", op("Add", s, "one"))),
    "s / (s + 1)": lambda op, s, _: op("Div", s, op("Add", s, "one")),
    "s / (1 + exp s)": lambda op, s, _: op("Div", s, op("Add", op("Exp", s), "one")),
    "relu - relu of minus": lambda op, s, _: op("Sub", op("Relu", s), op("Relu", op("Neg", s))),
    "relu6, gated": lambda op, s, _: op("Mul", op("Tanh", s), op.relu6(s)),
    "clips of clips": lambda op, s, _: op("Min", op("Max", s, "zero"), "six"),
    "clips of clips, twice": lambda op, s, _: op("Add", op("Max", s, "zero"), op("Min", s, "six")),
    "hard-swish": lambda op, s, _: op("Div", op("Mul", s, op.relu6(s)), "six"),
    "mish": lambda op, s, _: op("Mul", s, op("Tanh", op.softplus(s))),
    "gelu": lambda op, s, _: op.gelu(s),
    "gelu, residual": lambda op, s, _: op("Add", s, op.gelu(s)),
    "tanh gelu, residual": lambda op, s, _: op("Add", s, op.tanh_gelu(s)),
    "almost gelu, residual": lambda op, s, _: op("Add", s, op("Mul", s, op("Add", op("Erf", s), "half"))),
    "centred": lambda op, s, _: op("Sub", s, op.mean(s)),
    "over its root mean square": lambda op, s, _: op("Div", s, op.spread(s)),
    "layer normalisation, residual": lambda op, s, _: op("Add", s, op.layernorm(s)),
    "means of means": lambda op, s, _: op("Add", op.mean(s), op.mean(op("Mul", s, s))),
    "scaled by constants": lambda op, s, _: op("Add", op("Mul", op("Tanh", s), "scale"), op("Mul", op("Relu", s), "bias")),
    "casts and identities": lambda op, s, _: op("Add", op("Identity", op("Tanh", s)), op("Identity", op("Cast", s, to=1))),
    "two equal halves": lambda op, s, _: op("Sub", op("Add", op("Relu", s), op("Tanh", s)), op("Add", op("Tanh", s), op("Relu", s))),
}


def ladder(step: Step, steps: int) -> onnx.ModelProto:
    """A typed model of so many steps."""
    op, before, s = Ladder(), "x", "x"
    for _ in range(steps):
        before, s = s, step(op, s, before)
    arrays = {name: np.float32(value) for name, value in NUMBERS.items()}
    arrays |= {"axis": np.array([-1]), "scale": np.linspace(1, 2, 8, dtype=np.float32), "bias": np.linspace(0, 1, 8, dtype=np.float32)}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", [4, 8]), (s, None))]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(op.nodes, "ladder", ends[:1], ends[1:], constants)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
