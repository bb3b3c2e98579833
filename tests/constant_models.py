"""Random models whose weights are computed: DAGs of operators on initializers, read by operators on the input. By seed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, SIDE = 2048, 128
"""The input is ROWS x SIDE: enough for a device beside the host to be worth its dispatch. Weights are SIDE x SIDE."""


@dataclass
class Builder:
    rng: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    square: list[str] = field(default_factory=list)
    """fp32 constants of SIDE x SIDE."""

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def weight(self, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(array), f"w{len(self.weights)}"))
        return self.weights[-1].name

    def pick(self) -> str:
        return self.square[self.rng.integers(len(self.square))]


def _cast(b: Builder) -> str:
    return b.op("Cast", b.op("Cast", b.pick(), to=TensorProto.FLOAT16), to=TensorProto.FLOAT)


def _half(b: Builder) -> str:
    return b.op("Cast", b.weight(b.rng.standard_normal((SIDE, SIDE)).astype(np.float16)), to=TensorProto.FLOAT)


def _quantize(b: Builder) -> str:
    scale, zero = b.weight(np.float32(0.03)), b.weight(np.int8(3))
    return b.op("DequantizeLinear", b.op("QuantizeLinear", b.pick(), scale, zero), scale, zero)


def _reshape(b: Builder) -> str:
    flat = b.op("Reshape", b.pick(), b.weight(np.array([-1])))
    return b.op("Reshape", flat, b.op("Concat", b.weight(np.array([SIDE])), b.weight(np.array([SIDE])), axis=0))


def _split(b: Builder) -> str:
    left = b.op("Split", b.pick(), outputs=2, axis=1, num_outputs=2)
    return b.op("Concat", left, left.removesuffix("_0") + "_1", axis=1)


def _branch(b: Builder) -> str:
    """An If whose condition is constant, or becomes so."""
    parts = []
    for operator in ("Transpose", "Neg"):
        name = f"b{len(b.nodes)}_{operator}"
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE])
        parts.append(helper.make_graph([helper.make_node(operator, [b.pick()], [name])], "body", [], [result]))
    condition = b.weight(np.array(True)) if b.rng.random() < 0.5 else b.op("Equal", b.op("Size", "x"), b.weight(np.array(ROWS * SIDE)))
    return b.op("If", condition, then_branch=parts[0], else_branch=parts[1])


def _grow(b: Builder) -> str:
    """Larger than folding may make a small model, and small again."""
    big = b.op("Expand", b.weight(np.float32(1)), b.weight(np.array([1 << 22])))
    return b.op("Mul", b.pick(), b.op("ReduceMax", big, keepdims=0))


STEPS = (
    _cast,
    _half,
    _quantize,
    _reshape,
    _split,
    _branch,
    _grow,
    lambda b: b.op("Identity", b.pick()),
    lambda b: b.op("Mul", b.pick(), b.weight(np.float32(0.5))),
    lambda b: b.op("Add", b.pick(), b.pick()),
    lambda b: b.op("Transpose", b.pick(), perm=[1, 0]),
)


def _matmul(b: Builder, x: str) -> str:
    return b.op("Relu", b.op("MatMul", x, b.pick()))


def _add_row(b: Builder, x: str) -> str:
    return b.op("Add", x, b.op("Gather", b.pick(), b.weight(np.array(3)), axis=0))


def _lookup(b: Builder, x: str) -> str:
    """Rows of a constant table by indices that depend on the input."""
    indices = b.op("ArgMax", x, axis=1, keepdims=0)
    return b.op("Add", x, b.op("Gather", b.pick(), indices, axis=0))


def _host(b: Builder, x: str) -> str:
    """What few devices run: segments on both sides of it."""
    return b.op("CumSum", x, b.weight(np.array(1)))


def make_model(seed: int, steps: int = 6) -> onnx.ModelProto:
    """float[ROWS, SIDE] x -> y; every third one with a constant that is not folded."""
    b = Builder(np.random.default_rng(seed))
    b.square = [b.weight(0.1 * b.rng.standard_normal((SIDE, SIDE)).astype(np.float32)) for _ in range(2)]
    for _ in range(steps):
        b.square.append(STEPS[b.rng.integers(len(STEPS))](b))
    if seed % 3 == 0:
        b.square = [_grow(b)]
    x = "x"
    for reader in b.rng.permutation([0, 0, 0, 1, 2, 3]):
        x = (_matmul, _add_row, _lookup, _host)[reader](b, x)
    b.nodes.append(helper.make_node("Relu", [x], ["y"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, SIDE]) for name in "xy"]
    graph = helper.make_graph(b.nodes, f"constants{seed}", ends[:1], ends[1:], b.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
