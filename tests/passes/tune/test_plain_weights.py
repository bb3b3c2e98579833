"""Integer weights of operators in floats: onnxruntime widens them once, to the same numbers, and units in integers stay what they are."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from run_model import emitted, feeds, infer, run

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import TUNE
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.tune.plain_weights import PREPARED

WEIGHTS = {
    "Conv": ([(4, 3, 3, 3)], (1, 3, 8, 8), {}), "ConvTranspose": ([(3, 4, 3, 3)], (1, 3, 8, 8), {}),
    "LSTM": ([(1, 20, 6), (1, 20, 5)], (3, 1, 6), {"hidden_size": 5}), "GRU": ([(1, 15, 6), (1, 15, 5)], (3, 1, 6), {"hidden_size": 5}),
    "RNN": ([(1, 5, 6), (1, 5, 5)], (3, 1, 6), {"hidden_size": 5}), "MatMul": ([(8, 4)], (1, 3, 8, 8), {}),
    "Gemm": ([(8, 4)], (3, 8), {}),
}  # fmt: skip


KINDS: tuple[tuple[type, int, int], ...] = ((np.int8, -128, 127), (np.uint8, 0, 255), (ml_dtypes.int4, -8, 7), (ml_dtypes.uint4, 0, 15))


def model(operator: str, seed: int, which: int, zero: bool, axis: int | None, integers: bool = False) -> onnx.ModelProto:
    """One operator whose weights are DequantizeLinear of constants. integers: as a unit of which activations are integers too."""
    random, (shapes, given_shape, attributes) = np.random.default_rng(seed), WEIGHTS[operator]
    constants, nodes, names = [], [], ["x"]
    if integers:
        constants += [numpy_helper.from_array(np.array(0.02, np.float32), "sx"), numpy_helper.from_array(np.array(128, np.uint8), "zx")]
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["qx"]),
            helper.make_node("DequantizeLinear", ["qx", "sx", "zx"], ["dx"]),
        ]
        names = ["dx"]
    for k, shape in enumerate(shapes):
        (kind, low, high), extent = KINDS[which], () if axis is None else (shape[axis],)
        arrays = {
            f"w{k}": random.integers(low, high + 1, shape).astype(kind),
            f"s{k}": random.uniform(1e-3, 1e-2, extent).astype(np.float32),
        }
        if zero:
            arrays[f"z{k}"] = random.integers(low, high + 1, extent).astype(kind)
        constants += [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
        nodes.append(helper.make_node("DequantizeLinear", list(arrays), [f"d{k}"], **({} if axis is None else {"axis": axis})))
        names.append(f"d{k}")
    nodes.append(helper.make_node(operator, names, ["y"], **attributes))
    if integers:
        nodes[-1].output[0] = "t"
        nodes += [
            helper.make_node("QuantizeLinear", ["t", "sx", "zx"], ["qy"]),
            helper.make_node("DequantizeLinear", ["qy", "sx", "zx"], ["y"]),
        ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, given_shape)], [value("y", 1, None)], constants)
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PREPARED)), st.integers(0, 99), st.integers(0, 3), st.booleans(), st.sampled_from([None, 0, 1]))
def test_the_same_numbers(operator: str, seed: int, which: int, zero: bool, axis: int | None) -> None:
    before = model(operator, seed, which, zero, axis)
    graph = Graph(before)
    apply(graph, TUNE["ort"])
    assert not [node for node in graph.nodes if node.operator == "DequantizeLinear"]
    fed = feeds(before, seed)
    np.testing.assert_array_equal(run(emitted(graph), fed)[0], run(before, fed)[0])


@pytest.mark.parametrize("which", [0, 2])
@pytest.mark.parametrize("operator", sorted(PREPARED))
def test_onnxruntime_is_left_with_constants(operator: str, which: int, tmp_path: Path) -> None:
    graph = Graph(model(operator, 0, which, False, 1))
    apply(graph, TUNE["ort"])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "executed.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(emitted(graph).SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "executed.onnx").graph.node] == [operator]


@pytest.mark.parametrize(("operator", "integers"), [("Conv", True), ("ConvTranspose", True), ("MatMul", True), ("Gemm", True)])
def test_units_in_integers_keep_theirs(operator: str, integers: bool) -> None:
    graph = Graph(model(operator, 0, 0, False, None, integers))
    decisions = apply(graph, TUNE["ort"])
    assert "plain_weights" not in {decision.rule for decision in decisions if decision.taken}


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.sampled_from([np.int8, np.uint8]), st.booleans(), st.booleans(), st.integers(5, 12))
def test_blocks_are_widened_to_the_same_numbers(seed: int, kind: type, zero: bool, turned: bool, rows: int) -> None:
    """Of 4 elements; the last may be shorter."""
    random, blocks = np.random.default_rng(seed), -(-rows // 4)
    limits = np.iinfo(kind)
    arrays = {
        "w": random.integers(limits.min, limits.max + 1, (rows, 3)).astype(kind),
        "s": random.uniform(1e-3, 1e-2, (blocks, 3)).astype(np.float32),
        **({"z": random.integers(limits.min, limits.max + 1, (blocks, 3)).astype(kind)} if zero else {}),
    }
    constants = [numpy_helper.from_array(np.ascontiguousarray(array.T if turned else array), name) for name, array in arrays.items()]
    nodes = [
        helper.make_node("DequantizeLinear", list(arrays), ["d"], axis=int(turned), block_size=4),
        helper.make_node("Gemm", ["x", "d"], ["y"], transB=int(turned)),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in (("x", (2, rows)), ("y", (2, 3)))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    before = infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    after = Graph(before)
    apply(after, TUNE["ort"])
    assert not [node for node in after.nodes if node.operator == "DequantizeLinear"]
    fed = feeds(before, seed)
    np.testing.assert_array_equal(run(emitted(after), fed)[0], run(before, fed)[0])
