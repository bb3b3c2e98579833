"""Time per node of every stage, on models of 1,000 to 20,000 nodes: outside the solver it must stay flat.

    python benchmarks/node_scaling.py [--target a16] [--graph transformer] [--repeat 2] [--size 1000 ...]

Three models as exporters write them: a transformer in primitives (layer normalisation, attention, GELU); the same with matrices so wide
that every one of them pays as a segment of its own for tensor_g2; and a convolutional network (convolution, batch normalisation,
depthwise blocks with squeeze and excitation, residual sums). The last column is the exponent p of
the fit seconds ~ nodes^p: 1 is flat per node. The exit code is 1 where p of the whole exceeds LIMIT, or p of a stage that takes at
least MATTERS of the largest model's time exceeds STAGE_LIMIT; others are marked -. The solver, `place-operators`, is shown and not judged.
"""

from __future__ import annotations

import argparse
import gc
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rewrite_scaling import transformer

from autoglmc.compiler.driver.compile_model import compile_model

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)
LIMIT, STAGE_LIMIT = 1.1, 1.3
"""On the total and on a single stage. A walk over 20,000 nodes' objects, which fit in no cache, takes up to 1.7 times as long per node
as one over 1,000, whatever it does: that is an exponent of 1.2."""
MATTERS = 0.05
SOLVER, MANIFEST, TOTAL = "place-operators", "manifest", "all but solver"
CHANNELS, SIDE = 8, 8


class Network:
    """Nodes of a convolutional network, all [1, channels, …]; weights are shared, so that the file stays small."""

    def __init__(self, channels: int) -> None:
        seed, self.channels = np.random.default_rng(0), channels
        shapes = {"dense": (channels, channels, 1, 1), "depthwise": (channels, 1, 3, 3), "b": (channels,), "mean": (channels,)}
        arrays = {name: seed.standard_normal(shape).astype(np.float32) / 4 for name, shape in shapes.items()}
        arrays |= {name: seed.uniform(0.5, 1.5, channels).astype(np.float32) for name in ("scale", "var")}
        self.constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
        self.nodes: list[onnx.NodeProto] = []

    def op(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"n{len(self.nodes)}", **attributes))
        return name

    def normalised(self, x: str) -> str:
        return self.op("BatchNormalization", x, "scale", "b", "mean", "var")

    def block(self, x: str) -> str:
        wide = self.op("HardSwish", self.normalised(self.op("Conv", x, "dense")))
        deep = self.op("Relu", self.normalised(self.op("Conv", wide, "depthwise", group=self.channels, pads=[1, 1, 1, 1])))
        gate = self.op("Relu", self.op("Conv", self.op("GlobalAveragePool", deep), "dense"))
        excited = self.op("Mul", deep, self.op("HardSigmoid", self.op("Conv", gate, "dense")))
        return self.op("Add", x, self.normalised(self.op("Conv", excited, "dense")))


def convolutional(size: int, channels: int = CHANNELS, side: int = SIDE) -> onnx.ModelProto:
    """A model of at least `size` nodes on [1, channels, side, side], typed."""
    network, x = Network(channels), "x"
    while len(network.nodes) < size:
        x = network.block(x)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, side, side]) for name in ("x", x)]
    graph = helper.make_graph(network.nodes, "convolutional", ends[:1], ends[1:], network.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


GRAPHS: Mapping[str, Callable[[int], onnx.ModelProto]] = {
    "transformer": transformer,
    "wide": partial(transformer, width=512),
    "convolutional": convolutional,
}


Row = tuple[int, dict[str, float]]
"""Nodes, and the best seconds per stage; MANIFEST holds bytes."""


def measure(build: Callable[[int], onnx.ModelProto], sizes: Sequence[int], target: str, repeat: int, folder: Path) -> list[Row]:
    """One row per size. Sizes alternate, so that a slow spell of the machine does not fall on one of them."""
    rows: list[Row] = []
    for size in sizes:
        model = build(size)
        onnx.save(model, folder / f"{size}.onnx")
        rows.append((len(model.graph.node), {}))
    for _ in range(repeat):
        for size, (_, best) in zip(sizes, rows, strict=True):
            gc.collect()
            result = compile_model(folder / f"{size}.onnx", target, output=folder / "bundle", verify=False)
            for stage, seconds in result.seconds.items():
                best[stage] = min(seconds, best.get(stage, seconds))
            best[MANIFEST] = (folder / "bundle" / "manifest.json").stat().st_size
            del result
    return rows


def exponent(nodes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of log seconds over log nodes, least squares."""
    return float(np.polyfit(np.log(nodes), np.log(seconds), 1)[0]) if len(nodes) > 1 else math.nan


def report(name: str, rows: Sequence[Row]) -> list[str]:
    """Prints one graph's table; the stages that grow faster than the graph."""
    nodes = [count for count, _ in rows]
    columns = {stage: [row[stage] for _, row in rows] for stage in rows[0][1]}
    sizes = columns.pop(MANIFEST)
    ours = [stage for stage in columns if stage != SOLVER]
    total = [sum(columns[stage][k] for stage in ours) for k in range(len(rows))]
    print(f"{name:26}" + "".join(f"{count:>9}" for count in nodes) + f"{'exponent':>10}")
    steep = []
    for stage, values in {**columns, TOTAL: total}.items():
        power = exponent(nodes, values)
        judged = stage != SOLVER and values[-1] >= MATTERS * total[-1]
        steep += [f"{stage} of {name} ({power:.2f})"] if judged and power > (LIMIT if stage == TOTAL else STAGE_LIMIT) else []
        per_node = [v / n * 1e6 for v, n in zip(values, nodes, strict=True)]
        print(_line(f"{stage}, us/node", per_node) + f"{power:>10.2f}{'' if judged else '  -'}")
    print(_line("manifest, bytes/node", [v / n for v, n in zip(sizes, nodes, strict=True)]), flush=True)
    return steep


def _line(title: str, values: Sequence[float]) -> str:
    return f"  {title:24}" + "".join(f"{value:>9.1f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", help="a stock target or a .hw file (default: a16 and tensor_g2)")
    parser.add_argument("--graph", action="append", choices=GRAPHS, help="default: all")
    parser.add_argument("--size", action="append", type=int, help=f"nodes (default: {', '.join(map(str, SIZES))})")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    steep = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for graph in options.graph or GRAPHS:
            for target in options.target or ["a16", "tensor_g2"]:
                measure(GRAPHS[graph], SIZES[:1], target, 1, folder)  # what is imported and cached on first use is not a cost per node
                steep += report(f"{graph} for {target}", measure(GRAPHS[graph], options.size or SIZES, target, options.repeat, folder))
    if steep:
        raise SystemExit(f"grows faster than the graph: {', '.join(steep)}")


if __name__ == "__main__":
    main()
