"""An emitted segment means what the model means at the opset it declares; targets' opset ranges bind the runtimes they describe."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
from make_target import make_device, make_link, make_target
from onnx import defs
from run_model import infer
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.graph.part import part_of
from autoglmc.passes.graph.versions import FORWARD_COMPATIBLE, NEWEST, REINTERPRETED, newest, unlike
from autoglmc.passes.library import RECOVER
from autoglmc.passes.place.cut_segments import segment_opset
from autoglmc.passes.rule.apply import apply

WIDER = {
    "Attention", "AveragePool", "BitShift", "Cast", "CastLike", "DequantizeLinear", "MaxPool", "Mod", "Pad", "QuantizeLinear", "Range",
    "ReduceMax", "ReduceMin", "Resize", "SpaceToDepth",
}  # fmt: skip
"""Operators whose text or attributes changed after 18, read and found to keep the meaning of what was written before (for those in
REINTERPRETED: up to the version named there)."""
SILU = "s = Sigmoid(x) y = Mul(x, s)"
GROUPS = f"g (float[1,4,6] x, float[2] w) => (float[1,4,6] y, float[1,4,6] z) {{{SILU} z = GroupNormalization <num_groups = 2> (x, w, w) }}"
CEILED = "g (float[1,1,5] x) => (float[1,1,3] y) { y = MaxPool <kernel_shape = [2], strides = [2], ceil_mode = 1> (x) }"


def successive() -> Iterator[tuple[defs.OpSchema, defs.OpSchema]]:
    """Versions of ai.onnx operators that follow one another, the later one after FORWARD_COMPATIBLE."""
    every: dict[str, list[defs.OpSchema]] = {}
    for item in defs.get_all_schemas_with_history():
        if item.domain == "":
            every.setdefault(item.name, []).append(item)
    for versions in every.values():
        versions.sort(key=lambda item: item.since_version)
        yield from ((a, b) for a, b in pairwise(versions) if b.since_version > FORWARD_COMPATIBLE)


def test_every_operator_that_a_version_changed_has_been_looked_at() -> None:
    """Same attributes, defaults, operands and text, but for dtypes: nothing to look at. A newer onnx may bring more."""
    changed = {a.name for a, b in successive() if _said(a) != _said(b)}
    assert changed >= {"DFT", "GridSample", "GroupNormalization", "Cast"}
    assert changed <= WIDER | REINTERPRETED.keys()


def _said(schema: defs.OpSchema) -> tuple[object, ...]:
    operands = [operand.name for operand in (*schema.inputs, *schema.outputs)]
    return {name: str(a.default_value) for name, a in schema.attributes.items()}, operands, (schema.doc or "").split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"g (float[2,4] x) => (float[2,4] y) {{ {SILU} }}", NEWEST),
        (GROUPS, 20),
        ("g (float[1,1,4,4] x, float[1,2,2,2] p) => (float[1,1,2,2] y) { y = GridSample(x, p) }", 19),
        ("g (float[1,1,5] x) => (float[1,1,2] y) { y = MaxPool <kernel_shape = [2], strides = [2]> (x) }", NEWEST),
        (CEILED, 21),
        ("g (float[2] x) => (float[2] y) { y = RandomNormalLike(x) }", 21),
        ("g (bool c, float[4] x) => (float[4] y) { y = If(c) <then_branch = t () => (float[4] p) { p = RandomNormalLike(x) },"
         " else_branch = e () => (float[4] q) { q = Identity(x) }> }", 21),
    ],
)  # fmt: skip
def test_how_far_a_graph_can_be_declared(text: str, expected: int) -> None:
    assert newest(parse(text), 18) == expected
    assert newest(parse(text), 13) == 13
    assert newest(parse(text), 26) == 26


def test_no_operator_is_recovered_beside_one_it_would_reinterpret() -> None:
    """Swish is of opset 24, where GroupNormalization of opset 18 reads its scale per channel."""
    graph = Graph(infer(parse(GROUPS)))
    decisions = apply(graph, RECOVER)
    assert [d.taken for d in decisions if d.rule == "recover_swish"] == [False]
    assert "Swish exists since opset 24" in next(d.reason for d in decisions if d.rule == "recover_swish")


def test_a_model_newer_than_the_range_reaches_the_accelerator(tmp_path: Path) -> None:
    """Relu and MatMul of opset 26 are those of 13; CumProd is of 26 alone, so it stays on the host, at the model's own opset."""
    text = "g (float[64,512] x) => (float[64,512] y) { a = MatMul(x, w) b = Relu(a) k = Constant <value = int64 {1}> () y = CumProd(b, k) }"
    model = parse(text, opset=26, ir=10)
    model.graph.initializer.append(onnx.helper.make_tensor("w", 1, [512, 512], b"\0\0\200?" * 512 * 512, raw=True))
    npu, cpu = make_device("npu", ["MatMul", "Relu", "CumProd"], dispatch=0.0), make_device("cpu", None, adapter="ort", peak=1e6)
    result = compile_model(save(model, tmp_path), make_target([npu, cpu], [make_link("npu", "cpu")], opset=(13, 21)), verify=False)
    declared = {s.device: (s.runtime.opset, s.runtime.ir_version) for s in result.manifest.segments}
    assert declared == {"npu": (21, 10), "cpu": (26, declared["cpu"][1])}


def test_an_attribute_that_came_later_and_says_its_default_is_left_out(tmp_path: Path) -> None:
    text = 'g (float[2] x) => (float16[2] y) { y = Cast <to = 10, round_mode = "up"> (x) }'
    npu, cpu = make_device("npu", ["Cast"], dispatch=0.0), make_device("cpu", None, adapter="ort", peak=1e-3)
    target = make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-12)], opset=(13, 21))
    result = compile_model(save(parse(text, opset=26, ir=10), tmp_path), target, verify=False)
    (segment,) = result.manifest.segments
    emitted = onnx.load(result.folder / segment.file)
    assert (segment.device, segment.runtime.opset) == ("npu", 21)
    assert [a.name for a in emitted.graph.node[0].attribute] == ["to"]
    onnx.checker.check_model(emitted, full_check=True)


@pytest.mark.parametrize(
    ("text", "written", "opset", "why"),
    [
        ("g (float[2] x) => (float[2] y) { y = Relu(x) }", 26, 21, ""),
        ("g (float[2] x) => (float[2] y) { y = Gelu(x) }", 26, 21, ""),
        ("g (float[2] x) => (float[2] y) { y = Swish(x) }", 26, 21, "exists since opset 24"),
        ('g (float[2] x) => (float16[2] y) { y = Cast <to = 10, round_mode = "down"> (x) }', 26, 21, "no attribute round_mode"),
        ('g (float[2] x) => (float16[2] y) { y = Cast <to = 10, round_mode = "up"> (x) }', 26, 21, ""),
        ("g (bfloat16[2] x) => (bfloat16[2] y) { y = HardSwish(x) }", 26, 21, "does not take bf16"),
        ("g (int2[2] x) => (float[2] y) { y = Cast <to = 1> (x) }", 26, 21, "input has a dtype that opset 21 may not have"),
        ("g (float[2] x, float[2] z) => (float[2] y) { y = Mod(x, z) }", 28, 21, "without fmod"),
        ("g (float[2] x, float[2] z) => (float[2] y) { y = Mod <fmod = 1> (x, z) }", 28, 21, ""),
        ("g (int64[2] x, int64[2] z) => (int64[2] y) { y = Mod(x, z) }", 28, 21, ""),
        (CEILED, 26, 21, "changed"),
        ("g (float[2,3] x) => (float[2,3] y) { y = Softmax <axis = 0> (x) }", 11, 13, "differs"),
    ],
)
def test_what_is_the_same_at_another_opset(text: str, written: int, opset: int, why: str) -> None:
    graph = Graph(parse(text, opset=written, ir=10))
    (node,) = graph.nodes
    reason = unlike(graph.view(node), written, opset, node.attributes)
    assert (why in reason) if why else not reason


def test_a_segment_declares_the_opset_that_says_what_rewrites_wrote() -> None:
    """GroupNormalization recovered from its parts, in a model of opset 18: scale and bias per channel are those of opset 21."""
    parts = """g (float[1,4,6] x) => (float[1,4,6] y)
      <float[4,1] w = {1, 2, 3, 4}, float[4,1] b = {4, 3, 2, 1},
       int64[3] three = {0, 2, -1}, float[2] one = {1, 1}, float[2] zero = {0, 0}, int64[3] back = {1, 4, 6}> {
      r = Reshape(x, three) n = InstanceNormalization(r, one, zero) h = Reshape(n, back) m = Mul(h, w) y = Add(m, b) }"""
    graph = Graph(onnx.shape_inference.infer_shapes(parse(parts, 18)))
    apply(graph, RECOVER)
    (node,) = (node for node in graph.nodes if node.operator == "GroupNormalization")
    assert segment_opset(graph, [node]) == REINTERPRETED["GroupNormalization"]
    header = onnx.helper.make_model(graph.model.graph, opset_imports=[onnx.helper.make_opsetid("", 21)])
    for name in ("node", "initializer"):
        header.graph.ClearField(name)
    assert part_of(graph, [node], header).newest >= REINTERPRETED["GroupNormalization"]
