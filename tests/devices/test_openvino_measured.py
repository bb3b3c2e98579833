"""OpenVINO's own counters find the operators of a segment, whatever it fuses and expands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.calibrate.measure.join import join
from autoglmc.compiler.calibrate.measure.openvino_source import OpenVinoSource
from autoglmc.compiler.calibrate.measure.ports import ports_of
from autoglmc.compiler.calibrate.measure.segment_kernels import segment_kernels
from autoglmc.compiler.calibrate.measure.source import Runnable
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.hw.load_target import load_target

LACK = absence("openvino", ("cpu",))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
TARGET = load_target(str(Path(__file__).parents[2] / "benchmarks" / "openvino_cpu.hw"))


def model_of(nodes: list[onnx.NodeProto], shape: list[int], result: list[int], **weights: np.ndarray) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (("x", shape), ("y", result))]
    kept = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], kept)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11))


def attended() -> onnx.ModelProto:
    """LayerNormalization and Attention, which OpenVINO has not: it makes both of others."""
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["n"], name="norm", axis=-1),
        helper.make_node("MatMul", ["n", "w"], ["q"], name="project"),
        helper.make_node("Attention", ["q", "n", "n"], ["y"], name="attend", q_num_heads=4, kv_num_heads=4),
    ]
    made = np.random.default_rng(0)
    return model_of(nodes, [1, 96, 64], [1, 96, 64], w=made.random((64, 64)), scale=made.random(64), bias=made.random(64))


def swished() -> onnx.ModelProto:
    """What OpenVINO fuses into a convolution and the target does not."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["s"], name="gate"),
        helper.make_node("Mul", ["c", "s"], ["y"], name="swish"),
    ]
    return model_of(nodes, [1, 16, 28, 28], [1, 32, 28, 28], w=np.random.default_rng(0).standard_normal((32, 16, 3, 3)) / 9)


@pytest.mark.parametrize(("make", "timed"), [(attended, {"norm", "project", "attend"}), (swished, {"conv", "gate"})])
def test_every_operator_gets_its_time(make: Callable[[], onnx.ModelProto], timed: set[str], tmp_path: Path) -> None:
    model = make()
    onnx.save_model(model, tmp_path / "m.onnx")
    runnable = Runnable(tmp_path / "m.onnx", ports_of(model), len(model.graph.node))
    kernels = segment_kernels(model, TARGET, TARGET.device("cpu")).kernels
    joined = join(kernels, OpenVinoSource().profile(runnable, 1e-4, 0.01).reported)
    assert joined.missing == 0.0, joined.unjoined
    assert {kernels[number].name for number, seconds in joined.seconds.items() if seconds > 0} >= timed
