"""Operators written at today's opset reach a device whose runtime reads only an older one, where the older spelling says the same."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
from make_target import make_device, make_link, make_target
from models import SHAPES, model_path
from onnx import defs
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.explain.explain_model import explain_model
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.graph.older_opsets import CHANGED, OLDEST
from autoglmc.passes.graph.versions import FORWARD_COMPATIBLE, unlike

READ = {
    "Abs", "Add", "ArgMax", "ArgMin", "AveragePool", "Cast", "Ceil", "Clip", "Constant", "DepthToSpace", "Div", "Floor", "GRU",
    "Gather", "GatherElements", "GatherND", "Gemm", "LRN", "LSTM", "Loop", "MaxPool", "Mod", "Mul", "RNN", "ReduceL1", "ReduceL2",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
    "Reshape", "Scatter", "ScatterElements", "ScatterND", "Shape", "Slice", "Split", "Squeeze", "Sub", "TopK", "Unsqueeze",
}  # fmt: skip
"""Operators whose text or signature changed after OLDEST, up to 18, read and found to keep the meaning where the same signature is used."""
CONV = "g (float[1,2,4,4] x, float[2,2,3,3] w) => (float[1,2,2,2] y) { y = Conv(x, w) }"
MEAN = "g (float[2,4] x) => (float[2,1] y) { k = Constant <value = int64[1] {1}> () y = ReduceMean(x, k) }"


def successive() -> Iterator[tuple[defs.OpSchema, defs.OpSchema]]:
    every: dict[str, list[defs.OpSchema]] = {}
    for item in defs.get_all_schemas_with_history():
        if item.domain == "":
            every.setdefault(item.name, []).append(item)
    for versions in every.values():
        versions.sort(key=lambda item: item.since_version)
        yield from ((a, b) for a, b in pairwise(versions) if OLDEST < b.since_version <= FORWARD_COMPATIBLE)


def said(schema: defs.OpSchema) -> tuple[object, ...]:
    operands = [operand.name for operand in (*schema.inputs, *schema.outputs)]
    return {name: str(a.default_value) for name, a in schema.attributes.items()}, operands, (schema.doc or "").split()


def test_every_operator_that_a_version_changed_has_been_looked_at() -> None:
    changed = {a.name for a, b in successive() if said(a) != said(b)}
    assert changed <= READ | CHANGED.keys()
    assert not READ & CHANGED.keys()


@pytest.mark.parametrize(
    ("text", "written", "opset", "why"),
    [
        (CONV, 18, 17, ""),
        (CONV, 22, 11, ""),
        (CONV, 18, 9, "differs from"),
        ("g (float[2,3] x) => (float[2,3] y) { y = Softmax(x) }", 18, 13, ""),
        ("g (float[2,3] x) => (float[2,3] y) { y = Softmax(x) }", 18, 12, "opset 13 changed"),
        ("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }", 18, 12, ""),
        ("g (int32[2,3] x) => (int32[2,3] y) { y = Relu(x) }", 18, 13, "does not take int32"),
        ("g (float[2] x, int64[2] z) => (float[2] y) { y = Pow(x, z) }", 18, 13, ""),
        ("g (float[2] x, int64[2] z) => (float[2] y) { y = Pow(x, z) }", 18, 11, "does not take int64 as Y"),
        ("g (float[2,4] x, int64[1] k) => (float[2,1] y) { y = ReduceMean(x, k) }", 18, 17, "operand axes"),
        ("g (float[2,4] x) => (float[1,1] y) { y = ReduceMean(x) }", 18, 17, ""),
        ("g (float[2,4] x, int64[1] k) => (float[2,1] y) { y = ReduceSum(x, k) }", 18, 13, ""),
        ("g (float[2,4] x, int64[2] s) => (float[4,2] y) { y = Reshape <allowzero = 1> (x, s) }", 18, 13, "no attribute allowzero"),
        ("g (float[2,4] x, int64[2] s) => (float[4,2] y) { y = Reshape <allowzero = 0> (x, s) }", 18, 13, ""),
        ("g (float[2,4] x, int64[4] p) => (float[3,5] y) { y = Pad(x, p) }", 18, 17, "opset 18 changed"),
        ("g (float[2,4] x) => (float[2,2] y, float[2,2] z) { y, z = Split <axis = 1, num_outputs = 2> (x) }", 18, 17, "num_outputs"),
        ("g (float[2,3] x) => (float[2,3] y) { y = Gelu(x) }", 20, 17, "exists since opset 20"),
    ],
)  # fmt: skip
def test_what_an_older_opset_says_the_same(text: str, written: int, opset: int, why: str) -> None:
    graph = Graph(parse(text, opset=written, ir=8))
    (node,) = graph.nodes
    reason = unlike(graph.view(node), written, opset, node.attributes)
    assert (why in reason) if why else not reason


@pytest.mark.parametrize(
    ("model", "last", "kinds"),
    [
        ("ppocr2_cls", 17, {"Conv": 53, "Relu": 1, "GlobalAveragePool": 1}),
        ("bert_tiny", 13, {"MatMul": 10, "Softmax": 2}),
    ],
)
def test_a_board_of_an_older_opset_gets_the_heavy_operators(model: str, last: int, kinds: dict[str, int], tmp_path: Path) -> None:
    operators = ["Conv", "Relu", "HardSigmoid", "GlobalAveragePool", "MatMul", "Add", "Mul", "Div", "Softmax", "Transpose", "Reshape"]
    npu, cpu = make_device("npu", operators), make_device("cpu", None, adapter="ort", peak=1e9)
    target = make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-6)], opset=(13, last))
    result = compile_model(model_path(model), target, shapes=SHAPES[model], output=tmp_path / "b", emulate=True)
    assert isinstance(result.verification, VerifyReport) and result.verification.verified, result.verification
    segments = [segment for segment in result.manifest.segments if segment.device == "npu"]
    found: dict[str, int] = {}
    for segment in segments:
        emitted = onnx.load(result.folder / segment.file)
        assert [entry.version for entry in emitted.opset_import if entry.domain == ""] == [segment.runtime.opset]
        assert 13 <= segment.runtime.opset <= last
        onnx.checker.check_model(emitted, full_check=True)
        for node in emitted.graph.node:
            found[node.op_type] = found.get(node.op_type, 0) + 1
    assert all(found.get(kind, 0) >= number for kind, number in kinds.items()), found


def test_an_attribute_that_came_later_and_says_its_default_is_not_written(tmp_path: Path) -> None:
    text = "g (float[2,4] x) => (float[4,2] y) { s = Constant <value = int64[2] {4, 2}> () y = Reshape <allowzero = 0> (x, s) }"
    npu, cpu = make_device("npu", ["Reshape"], dispatch=0.0), make_device("cpu", None, adapter="ort", peak=1e-3, launch=1.0)
    target = make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-12)], opset=(11, 13))
    result = compile_model(save(parse(text), tmp_path), target, output=tmp_path / "b", emulate=True)
    (segment,) = result.manifest.segments
    emitted = onnx.load(result.folder / segment.file)
    assert (segment.device, segment.runtime.opset, len(emitted.graph.node[0].attribute)) == ("npu", 13, 0)
    onnx.checker.check_model(emitted, full_check=True)


def test_why_names_the_opsets_that_would_do(tmp_path: Path) -> None:
    """ReduceMean's axes are an input from 18 on."""
    npu, cpu = make_device("npu", ["ReduceMean"], dispatch=0.0), make_device("cpu", None, adapter="ort", peak=1e3)
    target = make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-9)], opset=(13, 17))
    told = explain_model(save(parse(MEAN), tmp_path), target, word="ReduceMean")
    (subject,) = told.subjects
    assert ("`onnx opset 13..18;`", 1) in [(one.change.text, one.placed) for one in subject.tried if not one.refusal]
