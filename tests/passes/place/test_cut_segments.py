"""Segments: graphs of their own that share weights with the whole graph, written as models once."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from onnx import numpy_helper
from small_models import parse

from autoglmc.compiler.pipeline.tune_segments import rules_of, tune
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.cut_segments import cut
from autoglmc.passes.place.placed import Part
from autoglmc.passes.place.segment import KERNEL, Segment
from autoglmc.targets.model import Target

MODEL = """g (float[2,8,32] x) => (float[2,8,32] y, float[2,8,32] b) {
    a = MatMul(x, w) b = Relu(a) m = MatMul(b, w) c = Add(m, v) d = Abs(c) y = Tanh(d) }"""
TARGET = make_target([make_device("npu", ["MatMul", "Relu"], kernels=[["MatMul", "Relu"]]), make_cpu()], [make_link("npu", "cpu")])


@pytest.fixture
def whole() -> Graph:
    model = parse(MODEL)
    model.graph.initializer.append(numpy_helper.from_array(np.ones((32, 32), np.float32), "w"))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(32, np.float32), "v"))
    return Graph(onnx.shape_inference.infer_shapes(model))


def split(graph: Graph, target: Target = TARGET) -> tuple[Segment, ...]:
    nodes = graph.nodes
    parts = (Part("npu", tuple(nodes[:2]), 1e-3, ("fp32",)), Part("cpu", tuple(nodes[2:]), 2e-3, ("fp32",)))
    return cut(graph, parts, target)


def test_borders_are_what_crosses(whole: Graph) -> None:
    first, second = split(whole)
    assert (first.inputs, first.outputs) == (("x",), ("b",))
    assert (second.inputs, second.outputs) == (("b",), ("y",))
    assert [len(segment.kernels) for segment in (first, second)] == [1, 4]
    assert (first.seconds, first.compute_dtype, first.device) == (1e-3, "fp32", "npu")


def test_weights_are_shared_and_not_copied(whole: Graph) -> None:
    first, second = split(whole)
    assert first.constants[0] is second.constants[0] is whole.constants["w"]
    assert not first.without_weights().graph.initializer and len(first.model.graph.initializer) == 1


def test_each_model_is_whole_and_names_its_launches(whole: Graph) -> None:
    first, second = split(whole)
    for segment in (first, second):
        onnx.checker.check_model(segment.model, full_check=True)
        assert [node.name for node in segment.model.graph.node] == [name for group in segment.kernels for name in group]
        assert (segment.model.ir_version, segment.model.opset_import[0].version) == (segment.ir_version, segment.opset)
    marks = [[(entry.key, entry.value) for entry in node.metadata_props] for node in first.model.graph.node]
    assert marks == [[(KERNEL, "0")], [(KERNEL, "0")]]
    assert not any(node.metadata_props for node in second.model.graph.node)


def test_marks_of_an_earlier_compilation_go(whole: Graph) -> None:
    relu = whole.nodes[1]
    relu.proto = onnx.NodeProto()
    relu.proto.metadata_props.add(key=KERNEL, value="7")
    relu.proto.metadata_props.add(key="mine", value="kept")
    marks = {entry.key: entry.value for entry in split(whole)[0].model.graph.node[1].metadata_props}
    assert marks == {"mine": "kept", KERNEL: "0"}


def test_tuning_rewrites_a_copy(whole: Graph) -> None:
    """Rows for onnxruntime: the segment it starts from and the whole graph stay as they are, and so do borders and weights."""
    segments = split(whole)
    before = [segment.without_weights() for segment in segments]
    tuned, decisions = tune(segments, TARGET, {"cpu": rules_of(TARGET.device("cpu"), TARGET.precision)})
    assert decisions and tuned[0] is segments[0] and "Gemm" in {node.operator for node in tuned[1].graph.nodes}
    assert (tuned[1].inputs, tuned[1].outputs) == (segments[1].inputs, segments[1].outputs)
    assert [segment.without_weights() for segment in segments] == before
    assert [node.operator for node in whole.nodes] == ["MatMul", "Relu", "MatMul", "Add", "Abs", "Tanh"]
    assert tuned[1].graph.constants["w"] is whole.constants["w"]
    onnx.checker.check_model(tuned[1].model, full_check=True)
