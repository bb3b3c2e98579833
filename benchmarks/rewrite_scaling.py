"""Time of recovery and simplification per node, on transformers of 1,000 to 20,000 nodes as exporters write them.

    python benchmarks/rewrite_scaling.py

Prints nodes, milliseconds and microseconds per node; the last column should stay flat.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from autoglmc.passes.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY
from autoglmc.passes.rewrite import apply

WIDTH = 16
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)
REPEATS = 3


class Writer:
    """Nodes of a transformer in primitives: layer normalisation, attention-like products, GELU in its erf form."""

    def __init__(self, width: int) -> None:
        seed = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        arrays = {
            "half": np.float32(0.5), "one": np.float32(1), "two": np.float32(2), "root": np.float32(2**0.5), "eps": np.float32(1e-5),
            "axis": np.array([-1]), "w": seed.standard_normal((width, width)).astype(np.float32) / 4,
            "scale": seed.uniform(0.5, 1.5, width).astype(np.float32), "bias": seed.standard_normal(width).astype(np.float32),
        }  # fmt: skip
        self.constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]

    def op(self, operator: str, *inputs: str) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"n{len(self.nodes)}"))
        return name

    def normalised(self, x: str) -> str:
        d = self.op("Sub", x, self.op("ReduceMean", x, "axis"))
        spread = self.op("Sqrt", self.op("Add", self.op("ReduceMean", self.op("Pow", d, "two"), "axis"), "eps"))
        return self.op("Add", self.op("Mul", self.op("Div", d, spread), "scale"), "bias")

    def gelu(self, x: str) -> str:
        return self.op("Mul", self.op("Mul", x, self.op("Add", self.op("Erf", self.op("Div", x, "root")), "one")), "half")

    def dense(self, x: str) -> str:
        return self.op("Add", self.op("MatMul", x, "w"), "bias")

    def layer(self, x: str) -> str:
        n = self.normalised(x)
        weights = self.op("Softmax", self.op("Div", self.op("MatMul", self.dense(n), self.op("Transpose", self.dense(n))), "two"))
        x = self.op("Add", x, self.dense(self.op("MatMul", weights, self.dense(n))))
        return self.op("Add", x, self.dense(self.gelu(self.dense(self.normalised(x)))))


def transformer(size: int, width: int = WIDTH) -> onnx.ModelProto:
    """A model of at least `size` nodes on [width, width] tensors, typed."""
    writer, x = Writer(width), "x"
    while len(writer.nodes) < size:
        x = writer.layer(x)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [width, width]) for name in ("x", x)]
    graph = helper.make_graph(writer.nodes, "transformer", ends[:1], ends[1:], writer.constants)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def measure(size: int) -> tuple[int, float, int]:
    """(nodes, best seconds of a sweep, rewrites taken)."""
    model, best, taken = transformer(size), float("inf"), 0
    for _ in range(REPEATS):
        graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
        started = time.perf_counter()
        decisions = (*apply(graph, RECOVER), *apply(graph, SIMPLIFY))
        best, taken = min(best, time.perf_counter() - started), sum(d.taken for d in decisions)
    return len(model.graph.node), best, taken


def main() -> None:
    sys.stdout.write(f"{'nodes':>8}{'rewrites':>10}{'ms':>10}{'us/node':>10}\n")
    for size in SIZES:
        nodes, seconds, taken = measure(size)
        sys.stdout.write(f"{nodes:>8}{taken:>10}{seconds * 1e3:>10.1f}{seconds / nodes * 1e6:>10.1f}\n")


if __name__ == "__main__":
    main()
