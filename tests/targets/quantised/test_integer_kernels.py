"""What the CPU's table says is computed in integers, held against what the installed onnxruntime makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.eligible import kept_forms
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.scales import Range
from autoglmc.passes.precision.unit_forms import unit_forms
from autoglmc.targets.precision import FORMS

X = "float[1,8,6,6]"
CONSTANTS: Mapping[str, np.ndarray] = {
    "w": np.linspace(-1, 1, 8 * 8 * 9, dtype=np.float32).reshape(8, 8, 3, 3), "each": np.full((8, 1, 3, 3), 0.1, np.float32),
    "b": np.full(8, 0.1, np.float32), "m": np.linspace(-1, 1, 36, dtype=np.float32).reshape(6, 6), "six": np.full(6, 0.1, np.float32),
    "slope": np.full((8, 1, 1), 0.1, np.float32), "zero": np.array(0.0, np.float32), "half": np.array(0.5, np.float32),
    "two": np.array(2.0, np.float32), "flat": np.array([1, -1]), "rows": np.array([0, 2]), "spatial": np.array([2, 3]),
    "parts": np.array([4, 4]), "from0": np.array([0]), "to4": np.array([4]), "one": np.array([1]), "more": np.array([2, 8, 6, 6]),
    "twice": np.array([2, 1, 1, 1]), "around": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "larger": np.array([1, 1, 2, 2], np.float32),
    "places": np.zeros((1, 8, 6, 6), np.int64), "place": np.zeros((1, 1), np.int64),
}  # fmt: skip
RANK2 = {"Gemm(x, m, six)", "Gemm(x, m)", "Softmax(x)", "MatMul(x, m)"}
CALLS = (
    "Conv(x, w, b)", "Conv<group=8>(x, each)", "ConvTranspose(x, w, b)", "Gemm(x, m, six)", "Gemm(x, m)", "MatMul(x, m)", "MatMul(x, z)",
    "Add(x, z)", "Add(x, b6)", "Mul(x, z)", "Sub(x, z)", "Div(x, two)", "Max(x, z)", "Min(x, z)", "Sum(x, z)", "Mean(x, z)", "Pow(x, two)",
    "Relu(x)", "Clip(x, zero, half)", "LeakyRelu<alpha=0.1>(x)", "PRelu(x, slope)", "Sigmoid(x)", "Tanh(x)", "HardSigmoid(x)",
    "HardSwish(x)", "Gelu(x)", "Elu(x)", "Softmax(x)", "LogSoftmax(x)", "Softplus(x)", "Exp(x)", "Erf(x)", "Neg(x)", "Abs(x)",
    "AveragePool<kernel_shape=[2,2]>(x)", "GlobalAveragePool(x)", "MaxPool<kernel_shape=[2,2]>(x)", "GlobalMaxPool(x)",
    "ReduceMean(x, spatial)", "ReduceSum(x, spatial)", "LayerNormalization(x, six)", "InstanceNormalization(x, b, b)",
    "Concat<axis=1>(x, z)", "Reshape(x, flat)", "Transpose<perm=[0,2,3,1]>(x)", "Squeeze(x, from0)", "Unsqueeze(x, from0)", "Flatten(x)",
    "Slice(x, from0, to4, one)", "Gather<axis=1>(x, rows)", "GatherElements<axis=1>(x, places)", "GatherND(x, place)", "Identity(x)",
    "Expand(x, more)", "Tile(x, twice)", "DepthToSpace<blocksize=2>(x)", "SpaceToDepth<blocksize=2>(x)", "Pad(x, around, zero)",
    'Pad<mode="edge">(x, around)', 'Resize<mode="nearest">(x, , larger)', 'Resize<mode="linear">(x, , larger)', "Where(c, x, z)",
    "CumSum(x, one)", 'Einsum<equation="abij,abjk->abik">(x, z)',
)  # fmt: skip


def graph_of(call: str) -> Graph:
    """x and z are inputs of one shape, c a condition; b6 is a constant of x's shape but for the batch."""
    shape = "float[8,6]" if call in RANK2 else X
    constants = {**CONSTANTS, "b6": np.full((1, 8, 1, 1), 0.1, np.float32)}
    inputs = [f"{shape} x"] + [f"{shape} z"] * (" z)" in call) + ["bool[1,8,6,6] c"] * ("(c," in call)
    text = f'<ir_version: 10, opset_import: ["": 21]> g ({", ".join(inputs)}) => (float y) {{ y = {call} }}'
    model = onnx.parser.parse_model(text)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in constants.items() if f" {name}" in call)
    return Graph(onnx.shape_inference.infer_shapes(model, strict_mode=True))


def fed(graph: Graph) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {name: graph.tensor(name).shape for name in graph.inputs}
    made = {name: random.uniform(-2, 2, shape).astype(np.float32) for name, shape in shapes.items()}
    return {name: array > 0 if name == "c" else array for name, array in made.items()}


def in_integers(graph: Graph, folder: Path) -> bool:
    """Whether onnxruntime computes nothing of the quantised graph in floats."""
    feeds = fed(graph)
    got = onnxruntime.InferenceSession(plain_model(graph).SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
    known = {"y": got, **{name: array for name, array in feeds.items() if name != "c"}}
    ranges = {name: Range(float(min(array.min(), 0)), float(max(array.max(), 0))) for name, array in known.items()}
    assert kept_forms(graph, {"y": FORMS["a8w8"]}, ranges)
    quantise(graph, {"y": FORMS["a8w8"]}, ranges)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.optimized_model_filepath = 4, str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(plain_model(graph).SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(folder / "optimised.onnx").graph
    floats = {"x", "z"} | {name for node in optimised.node if node.op_type == "DequantizeLinear" for name in node.output}
    return all(node.op_type == "QuantizeLinear" or floats.isdisjoint(node.input) for node in optimised.node)


@pytest.mark.parametrize("call", CALLS)
def test_the_table_lists_what_the_runtime_computes_in_integers(call: str, tmp_path: Path) -> None:
    """Of every operator that can be written in integers. Where onnxruntime changes, the table has to."""
    graph = graph_of(call)
    offered = unit_forms(graph, load_target("x86_cpu")).get("y", {}).get("cpu", ())
    listed = "a8w8" in {form.name for form in offered}
    if not kept_forms(graph, {"y": FORMS["a8w8"]}, dict.fromkeys((*graph.inputs, "y"), Range(-1.0, 1.0))):
        assert not listed  # no quantiser of ours writes it in integers
        return
    assert listed == in_integers(graph, tmp_path)
