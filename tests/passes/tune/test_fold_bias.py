"""A bias goes into a Gemm where a device's table asks for Gemm, and stays where the device could not run that."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from run_model import emitted, feeds, infer, run
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.pipeline.tune_segments import rules_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import family
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.tune.fold_bias import FOLD_BIAS
from autoglmc.targets.precision import Precision

W = "float[4,2] w = {1,2,3,4,5,6,7,8}, int64[2] s = {6,4}, int64[3] t = {2,3,2}"
WIDE = "a = Reshape(x, s) p = Gemm(a, w) q = Reshape(p, t) y = Add(q, b)"


def text(body: str, x: str = "float[3,4] x", y: str = "float[3,2] y", bias: str = "float[2] b = {9,-9}") -> str:
    return f"g ({x}) => ({y}) <{W}, {bias}> {{ {body} }}"


FIRES = (
    text("p = Gemm<alpha=0.5, beta=0.0>(x, w) y = Add(p, b)"),
    text("p = Gemm(x, w) y = Add(b, p)", bias="float[3,1] b = {1,2,3}"),
    text("p = Gemm(x, w) y = Add(b, p)", bias="float b = {3}"),
    text(WIDE, "float[2,3,4] x", "float[2,3,2] y"),
    text(WIDE, "float[2,3,4] x", "float[2,3,2] y", "float[1,1,2] b = {5,6}"),
)
STAYS = (
    text("p = Gemm(x, w, c) y = Add(p, b)", bias="float[2] b = {9,-9}, float[2] c = {1,2}"),
    text("p = Gemm(x, w) y = Add(p, b)", y="float[2,3,2] y", bias="float[2,1,1] b = {9,-9}"),
    text("p = Gemm(x, w) y = Add(p, b)", y="float[3,2] y, float[3,2] p"),
    text(WIDE, "float[2,3,4] x", "float[2,3,2] y", "float[3,1] b = {1,2,3}"),
    text("p = MatMul(x, w) y = Add(p, b)"),
)


def load(source: str) -> onnx.ModelProto:
    return infer(parse(source, opset=21, ir=10))


@pytest.mark.parametrize("source", FIRES)
def test_it_fires_and_keeps_the_value(source: str) -> None:
    model, graph = load(source), Graph(load(source))
    apply(graph, [FOLD_BIAS])
    assert "Add" not in {node.operator for node in graph.nodes}
    after = emitted(graph)

    @settings(max_examples=8)
    @given(st.integers(0, 999))
    def check(seed: int) -> None:
        fed = feeds(model, seed)
        (before,), (ours,), (moved,) = run(model, fed), run(after, fed), run(after, feeds(model, seed + 1))
        np.testing.assert_allclose(ours, before, rtol=1e-5, atol=1e-5)
        assert not np.array_equal(ours, moved)

    check()


@pytest.mark.parametrize("source", STAYS)
def test_it_stays_out(source: str) -> None:
    assert not any(decision.taken for decision in apply(Graph(load(source)), [FOLD_BIAS]))


def test_the_golden_text() -> None:
    graph = Graph(load(FIRES[3]))
    apply(graph, [FOLD_BIAS])
    assert [onnx.printer.to_text(node.to_proto()).strip().partition("] ")[2] for node in graph.nodes] == [
        "a = Reshape (x, s)",
        "y_2 = Gemm (a, w, y_1)",
        "y = Reshape (y_2, t)",
    ]


@pytest.mark.parametrize(
    ("asked", "kinds"), [("gemm", ["Reshape", "Gemm", "Reshape"]), ("matmul_2d", ["Reshape", "MatMul", "Reshape", "Add"])]
)
def test_a_rewrite_line_makes_one_gemm_of_product_and_bias(asked: str, kinds: list[str], tmp_path: object) -> None:
    """`rewrite MatMul -> gemm` on a device that has MatMul, too."""
    npu = make_device("npu", ["MatMul", "Gemm", "Add", "Reshape", "Relu"], dispatch=1e-9, rewrites=[("MatMul", asked, None)])
    target = make_target([npu, make_cpu(peak=1e3)], [make_link("npu", "cpu")])
    source = text("p = MatMul(x, w) y = Add(p, b)", "float[2,3,4] x", "float[2,3,2] y")
    result = compile_model(save(load(source), tmp_path), target, output=tmp_path / "out", verify=True, emulate=True)  # type: ignore[operator,arg-type]
    assert [segment.device for segment in result.manifest.segments] == ["npu"]
    assert [node.operator for node in Graph(result.work.segments[0].model).nodes] == kinds


def test_a_device_that_cannot_run_the_result_keeps_its_add() -> None:
    npu = make_device("npu", ["Relu"], rewrites=[("MatMul", "gemm", None)])
    graph = Graph(load(FIRES[0]))
    decisions = apply(graph, rules_of(npu, Precision(default=None, compute=(), keep=()), {"matmul_gemm"}))
    assert [decision.taken for decision in decisions] == [False]
    assert "`Gemm` is not in npu's table" in decisions[0].reason


def test_every_direction_between_products_has_a_rule() -> None:
    found = {
        (name, root): [rule.name for rule in family(name, root)]
        for name in ("gemm", "conv", "matmul")
        for root in ("MatMul", "Gemm", "Conv")
    }
    assert found["gemm", "MatMul"] == ["matmul_2d_gemm", "matmul_gemm"]
    assert found["matmul", "MatMul"] == ["matmul_2d"]
    del found["matmul", "MatMul"], found["gemm", "MatMul"]
    assert {key: rules for key, rules in found.items() if rules} == {
        ("gemm", "Conv"): ["conv_gemm"],
        ("conv", "MatMul"): ["matmul_conv"],
        ("conv", "Gemm"): ["gemm_conv"],
        ("matmul", "Gemm"): ["gemm_matmul"],
        ("matmul", "Conv"): ["conv_matmul", "conv_whole"],
    }
