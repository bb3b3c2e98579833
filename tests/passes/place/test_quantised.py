"""Quantised operators are one unit: placed on one device, asked about in their integer dtype; and quantising anew is taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_device, make_link, make_target
from onnx import TensorProto, helper, numpy_helper
from run_model import emitted, feeds, infer, run
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import IN_FLOATS
from autoglmc.passes.place.quantised import quantised_units
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.simplify.remove_requantize import REMOVE_REQUANTIZE
from autoglmc.passes.simplify.split_dequantize import split_dequantize
from autoglmc.targets.model import Device, OperatorRule, SupportBlock


def quantised_network() -> onnx.ModelProto:
    """Q, DQ-Conv-Relu-Q, DQ-Flatten-Q, DQ-Gemm-Q, DQ, with weights in int8 and a bias in int32."""
    rng = np.random.default_rng(0)
    arrays = {
        "s": np.float32(0.05), "z": np.int8(3), "w": rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), "ws": np.float32(0.01),
        "wz": np.int8(0), "b": rng.integers(-99, 99, 4).astype(np.int32), "bs": np.float32(0.0005), "bz": np.int32(0),
        "v": rng.integers(-127, 128, (144, 5)).astype(np.int8),
    }  # fmt: skip
    nodes = [("QuantizeLinear", "x s z", "q0"), ("DequantizeLinear", "q0 s z", "d0"), ("DequantizeLinear", "w ws wz", "dw")]
    nodes += [("DequantizeLinear", "b bs bz", "db"), ("Conv", "d0 dw db", "c"), ("Relu", "c", "r"), ("QuantizeLinear", "r s z", "q1")]
    nodes += [("DequantizeLinear", "q1 s z", "d1"), ("Flatten", "d1", "f"), ("QuantizeLinear", "f s z", "q2")]
    nodes += [("DequantizeLinear", "q2 s z", "d2"), ("DequantizeLinear", "v ws wz", "dv"), ("Gemm", "d2 dv", "g")]
    nodes += [("QuantizeLinear", "g s z", "q3"), ("DequantizeLinear", "q3 s z", "y")]
    graph = helper.make_graph(
        [helper.make_node(kind, reads.split(), [out], name=out) for kind, reads, out in nodes],
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def integer_npu(*operators: str, also: str = "") -> Device:
    """An NPU that runs these operators in int8, and `also` in fp32."""
    npu = make_device("npu", also.split() or ["Tanh"], peak=1e12, dispatch=1e-9, launch=0.0)
    rules = tuple(OperatorRule(domain="", operator=operator, where=None, origin=HERE) for operator in operators)
    block = SupportBlock(dtypes=("int8",), everything=False, rules=rules, origin=HERE)
    peaks = (*npu.peaks, replace(npu.peaks[0], dtype="int8", rate=4e12))
    return replace(npu, supports=(*npu.supports, block), peaks=peaks)


def compiled(npu: Device, folder: Path) -> CompileResult:
    """As it is quantised: in floats throughout is another question (tests/compiler/pipeline/test_spellings.py)."""
    target = make_target([npu, make_cpu(peak=1e4, dispatch=1e-3)], [make_link("npu", "cpu", handoff=1e-9)])
    floats = [rule.name for rule in IN_FLOATS]
    return compile_model(save(quantised_network(), folder), target, output=folder / "out", verify=True, emulate=True, disable=floats)


def placed(result: CompileResult) -> dict[str, str]:
    return {node.name: cut.part.device for cut in result.work.segments for node in cut.part.nodes}


def test_the_chain_runs_in_integers_on_one_device(tmp_path: Path) -> None:
    """The table lists neither DequantizeLinear nor any of the operators in floats; what is not between two quantisations stays."""
    result = compiled(integer_npu("Conv", "Relu", "Flatten", "Gemm"), tmp_path)
    where = placed(result)
    assert {name for name, device in where.items() if device == "cpu"} == {"q0", "y"}
    assert [segment.device for segment in result.manifest.segments] == ["cpu", "npu", "cpu"]
    assert next(cut.part.dtypes for cut in result.work.segments if cut.part.device == "npu") == ("int8",)
    assert not isinstance(result.verification, str) and result.verification.verified


def test_weights_stay_quantised(tmp_path: Path) -> None:
    result = compiled(integer_npu("Conv", "Relu", "Flatten", "Gemm"), tmp_path)
    stored = {tensor.name: tensor.data_type for cut in result.work.segments for tensor in cut.model.graph.initializer}
    assert stored["w"] == stored["v"] == TensorProto.INT8


def test_a_unit_with_one_member_that_a_device_lacks_goes_elsewhere_whole(tmp_path: Path) -> None:
    """Without Relu in its table the NPU gets nothing of DQ-Conv-Relu-Q, and no DequantizeLinear is cut off its operator."""
    where = placed(compiled(integer_npu("Conv", "Flatten", "Gemm"), tmp_path))
    assert {where[name] for name in ("d0", "dw", "db", "c", "r", "q1")} == {"cpu"}
    assert {where[name] for name in ("d2", "dv", "g", "q3")} == {"npu"}


def test_in_floats_a_unit_needs_its_quantisations_listed_too(tmp_path: Path) -> None:
    kinds = "Conv Relu Flatten Gemm"
    alone, both = (
        placed(compiled(integer_npu("Tanh", also=also), tmp_path)) for also in (kinds, f"{kinds} DequantizeLinear QuantizeLinear")
    )
    assert set(alone.values()) == {"cpu"}
    assert set(both.values()) == {"npu"}


def test_units_of_the_network() -> None:
    graph = Graph(quantised_network())
    names = [({node.name for node in unit.members}, unit.whole) for unit in quantised_units(graph, graph.nodes)]
    assert names == [({"d0", "dw", "db", "c", "r", "q1"}, True), ({"d1", "f", "q2"}, True), ({"d2", "dv", "g", "q3"}, True)]


def load(text: str) -> onnx.ModelProto:
    return infer(parse(text, opset=21, ir=10))


def again(q: str, s: str, z: str, t: str, o: str) -> str:
    constants = f"float s = {{{s}}}, {q} z = {{{z}}}, float t = {{{t}}}, {q} o = {{{o}}}"
    return f"g ({q}[64] x) => ({q}[64] y) <{constants}> {{ d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, t, o) }}"


@settings(max_examples=60)
@given(st.floats(2.0**-120, 2.0**110, width=32), st.integers(0, 127), st.sampled_from(["int8", "uint8"]))
def test_quantising_anew_is_taken_out_and_changes_nothing(scale: float, zero: int, dtype: str) -> None:
    """All 256 inputs: the model itself gives each back."""
    text = again(dtype, repr(float(scale)), str(zero), repr(float(scale)), str(zero)).replace("[64]", "[256]")
    graph = Graph(load(text))
    assert [decision.taken for decision in apply(graph, [REMOVE_REQUANTIZE])] == [True]
    assert [node.operator for node in graph.nodes] == ["Identity"], "the result keeps its name"
    x = np.arange(256).astype(np.uint8).view(dtype)
    model = load(text)
    np.testing.assert_array_equal(run(model, {"x": x})[0], x)
    np.testing.assert_array_equal(run(emitted(graph), {"x": x})[0], x)


def test_between_operators_quantising_anew_goes() -> None:
    body = "d = DequantizeLinear(x, s, z) q = QuantizeLinear(d, s, z) y = Abs(q)"
    text = f"g (int8[64] x) => (int8[64] y) <float s = {{0.5}}, int8 z = {{1}}> {{ {body} }}"
    model, graph = load(text), Graph(load(text))
    apply(graph, [REMOVE_REQUANTIZE])
    assert [node.operator for node in graph.nodes] == ["Abs"]
    fed = feeds(model, 1)
    np.testing.assert_array_equal(run(emitted(graph), fed)[0], run(model, fed)[0])
    assert onnx.printer.to_text(graph.nodes[0].to_proto()).strip().endswith("y = Abs (x)")


@pytest.mark.parametrize(
    "text",
    [
        again("int8", "0.5", "1", "0.25", "1"),
        again("int8", "0.5", "1", "0.5", "2"),
        again("int8", "1e-40", "0", "1e-40", "0"),
        "g (float[64] x) => (float[64] y) <float s = {0.5}, int8 z = {1}> { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
        "g (int8[64] x) => (uint8[64] y) <float s = {0.5}, int8 z = {0}> { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s) }",
        "g (int8[64] x, float s) => (int8[64] y) <int8 z = {0}> { d = DequantizeLinear(x, s, z) y = QuantizeLinear(d, s, z) }",
    ],
)
def test_other_quantisations_stay(text: str) -> None:
    assert not any(decision.taken for decision in apply(Graph(load(text)), [REMOVE_REQUANTIZE]))


SHARED = """g (int8[64] x) => (float[64] d, float[64] u, float[64] v) <float s = {0.5}, int8 z = {1}> {
    d = DequantizeLinear(x, s, z) u = Tanh(d) v = Mul(d, d) }"""


@pytest.mark.parametrize(("text", "count"), [(SHARED, 3), (SHARED.replace("float[64] d, ", ""), 2), ("", 1)])
def test_every_reader_gets_a_dequantisation_of_its_own(text: str, count: int) -> None:
    if count == 1:
        text = "g (int8[64] x) => (float[64] u) <float s = {0.5}, int8 z = {1}> { d = DequantizeLinear(x, s, z) u = Tanh(d) }"
    model, graph = load(text), Graph(load(text))
    assert len(split_dequantize(graph)) == (count > 1)
    assert [node.operator for node in graph.nodes].count("DequantizeLinear") == count
    fed = feeds(model, 1)
    for before, after in zip(run(model, fed), run(emitted(graph), fed), strict=True):
        np.testing.assert_array_equal(before, after)


def weight_only(operators: str) -> onnx.ModelProto:
    """An int8 weight behind operators that store it in another form, then Conv on floats."""
    text = f"g (float[1,3,8,8] x) => (float[1,4,8,8] y) <float s = {{0.01}}, int8 z = {{0}}> {{ {operators} y = Conv(x, w) }}"
    model = parse(text, opset=21, ir=10)
    values = np.random.default_rng(0).integers(-127, 128, (3, 4, 1, 1)).astype(np.int8)
    model.graph.initializer.append(numpy_helper.from_array(values, "q"))
    return infer(model)


STORED = "d = DequantizeLinear(q, s, z) w = Transpose<perm=[1,0,2,3]>(d)"


@pytest.mark.parametrize("operators", [STORED, "t = Transpose<perm=[1,0,2,3]>(q) w = DequantizeLinear(t, s, z)"])
def test_a_constant_in_another_form_is_constant_for_its_reader(operators: str) -> None:
    """It goes where its reader goes, whole, or not at all."""
    graph = Graph(weight_only(operators))
    conv = graph.nodes[-1]
    assert graph.view(conv).inputs["W"].const and not graph.tensor("w").const
    (unit,) = quantised_units(graph, graph.nodes)
    assert unit.members == graph.nodes and not unit.whole


@pytest.mark.parametrize(
    "operators",
    [f"{STORED} u = Neg(w)", "d = DequantizeLinear(q, s, z) t = Transpose<perm=[1,0,2,3]>(d) w = Tanh(t)"],
    ids=["read twice", "computed"],
)
def test_what_is_read_elsewhere_or_computed_is_no_constant(operators: str) -> None:
    graph = Graph(weight_only(operators))
    assert not graph.view(graph.nodes[-1]).inputs["W"].const
