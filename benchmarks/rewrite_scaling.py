"""Time of all rules per node, on transformers of 1,000 to 100,000 nodes as exporters write them.

    python benchmarks/rewrite_scaling.py [--repeat 3]

"All rules" is what a compilation for onnxruntime does at most: recovering, simplifying and tuning applied until nothing changes, equal
nodes merged, and every substitution and decomposition asked for at every node that is left. At the largest size it alternates with
onnx-graphsurgeon, which only imports the same model and exports it again. Exit code 1 where the time grows faster than nodes^1.1, or
where the rules take longer than that.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY, SUBSTITUTE, TUNE
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Match, Rewrite
from autoglmc.passes.simplify.merge_equal import merge_equal

WIDTH = 16
SIZES = (1_000, 10_000, 100_000)
LIMIT = 1.1


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


def all_rules(graph: Graph) -> tuple[int, int]:
    """(rewrites taken, substitutions that could be made)."""
    taken = sum(d.taken for rules in (RECOVER, SIMPLIFY) for d in apply(graph, rules))
    taken += len(merge_equal(graph))
    by_root: dict[str, list[Rewrite]] = {}
    for rule in SUBSTITUTE:
        for kind in rule.operators:
            by_root.setdefault(kind, []).append(rule)
    offers = sum(isinstance(rule.find(graph, node), Match) for node in graph.nodes for rule in by_root.get(node.kind, ()))
    return taken + sum(d.taken for d in apply(graph, TUNE["ort"])), offers


def seconds(work: Callable[[], object]) -> float:
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(size: int, repeat: int, compare: bool) -> tuple[int, float, float, tuple[int, int]]:
    """(nodes, best seconds of the rules, best of graphsurgeon or nan, what was done)."""
    import onnx_graphsurgeon

    model = transformer(size)
    data, ours, theirs, done = model.SerializeToString(), float("inf"), float("inf"), [(0, 0)]
    for _ in range(repeat):
        graph = Graph(onnx.ModelProto.FromString(data))
        ours = min(ours, seconds(lambda graph=graph: done.append(all_rules(graph))))  # type: ignore[misc]
        del graph
        if compare:
            theirs = min(theirs, seconds(lambda: onnx_graphsurgeon.export_onnx(onnx_graphsurgeon.import_onnx(model))))
    return len(model.graph.node), ours, theirs if compare else float("nan"), done[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    sys.stdout.write(f"{'nodes':>8}{'rewrites':>10}{'offers':>10}{'s':>10}{'us/node':>10}{'graphsurgeon s':>16}{'ratio':>8}\n")
    points, broken = [], []
    for size in SIZES:
        nodes, ours, theirs, (taken, offers) = measure(size, options.repeat, size == SIZES[-1])
        points.append((nodes, ours))
        row = f"{nodes:>8}{taken:>10}{offers:>10}{ours:>10.3f}{ours / nodes * 1e6:>10.1f}{theirs:>16.3f}{ours / theirs:>8.2f}\n"
        sys.stdout.write(row)
        sys.stdout.flush()
        if ours > theirs:
            broken.append(f"{nodes} nodes take {ours / theirs:.2f} times as long as importing and exporting them")
    power = float(np.polyfit(*np.log(np.array(points)).T, 1)[0])
    sys.stdout.write(f"exponent {power:.3f}\n")
    broken += [f"seconds ~ nodes^{power:.2f}"] if power > LIMIT else []
    if broken:
        raise SystemExit(f"not met: {'; '.join(broken)}")


if __name__ == "__main__":
    main()
