"""GELU between two quantisations as a table: bit for bit what the three operators compute, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_device, make_link, make_target
from run_model import emitted, infer, run
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import family
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.simplify.remove_requantize import REMOVE_REQUANTIZE
from autoglmc.passes.substitute.gelu_table import GELU_TABLE
from autoglmc.targets.model import Device, OperatorRule, RewriteLine, SupportBlock

BODY = "d = DequantizeLinear(x, s, z) g = Gelu(d) y = QuantizeLinear(g, t, u)"


def text(body: str = BODY, into: str = "int8", out: str = "int8", s: object = 0.03, z: int = 3, t: object = 0.02, u: int = 5) -> str:
    constants = f"float s = {{{s}}}, {into} z = {{{z}}}, float t = {{{t}}}, {out} u = {{{u}}}"
    return f"g ({into}[256] x) => ({out}[256] y) <{constants}> {{ {body} }}"


def load(source: str) -> onnx.ModelProto:
    return infer(parse(source, opset=21, ir=10))


def every(dtype: str) -> np.ndarray:
    return np.arange(256).astype(np.uint8).view(dtype)


BYTES = st.sampled_from(["int8", "uint8"])
SCALES = st.floats(2.0**-13, 8, width=32)


@settings(max_examples=150)
@given(BYTES, BYTES, SCALES, SCALES, st.integers(0, 127), st.integers(0, 127), st.sampled_from(["none", "tanh"]))
def test_all_inputs_give_the_same_bits(into: str, out: str, s: float, t: float, z: int, u: int, mode: str) -> None:
    source = text(BODY.replace("Gelu(", f'Gelu<approximate="{mode}">('), into, out, repr(s), z, repr(t), u)
    graph = Graph(load(source))
    assert [decision.rule for decision in apply(graph, [GELU_TABLE, REMOVE_REQUANTIZE]) if decision.taken] == [
        "gelu_table",
        "remove_requantize",
    ]
    assert [node.operator for node in graph.nodes] == ["Cast", "Gather"]
    (before,), (after,) = run(load(source), {"x": every(into)}), run(emitted(graph), {"x": every(into)})
    np.testing.assert_array_equal(before, after)


def test_it_is_exact_before_the_rest_is_tidied_up() -> None:
    source = text(out="uint8").replace("QuantizeLinear(g, t, u)", "QuantizeLinear(g, t)")
    graph = Graph(load(source))
    apply(graph, [GELU_TABLE])
    after = run(emitted(graph), {"x": every("int8")})[0]
    np.testing.assert_array_equal(run(load(source), {"x": every("int8")})[0], after)
    assert len(set(after.tolist())) > 50, "the output depends on the input"
    kinds = [onnx.printer.to_text(node.to_proto()).strip().partition("] ")[2] for node in graph.nodes]
    assert [kind.partition(" = ")[2] for kind in kinds] == [
        "Cast <to: int = 6> (x)",
        "Gather <axis: int = 0> (g_1, g_cast_2)",
        "DequantizeLinear (g_gather_4, t, constant_6)",
        "QuantizeLinear (g, t)",
    ]


HALVES, ONES = ",".join(["0.5"] * 256), ",".join("1" * 256)
PER_ELEMENT = text(BODY.replace("Linear(x", "Linear<axis=0>(x")).replace(
    "float s = {0.03}, int8 z = {3}", f"float[256] s = {{{HALVES}}}, int8[256] z = {{{ONES}}}"
)


@pytest.mark.parametrize(
    "source",
    [
        text("d = DequantizeLinear(x, s, z) e = Gelu(d) g = Neg(e) y = QuantizeLinear(g, t, u)"),
        text().replace("(int8[256] y)", "(int8[256] y, float[256] g)"),
        text().replace("int8[256] x)", "int8[256] x, float t)").replace("float t = {0.02}, ", ""),
        text(t="1e-40"),
        text(into="int16"),
        text("f = Cast<to=1>(x) g = Gelu(f) y = QuantizeLinear(g, t, u)"),
        text("d = DequantizeLinear(x, s, z) g = Tanh(d) y = QuantizeLinear(g, t, u)"),
        PER_ELEMENT,
    ],
)  # fmt: skip
def test_other_gelus_are_left_alone(source: str) -> None:
    assert not any(decision.taken for decision in apply(Graph(load(source)), [GELU_TABLE]))


def npu(asked: str) -> Device:
    """Moves bytes and looks them up; has no Gelu and nothing like it."""
    device = make_device("npu", ["DequantizeLinear", "QuantizeLinear"], peak=1e12, dispatch=1e-9, launch=0.0)
    kinds = ("Cast", "Gather", "DequantizeLinear", "QuantizeLinear")
    block = SupportBlock(
        dtypes=("int8",),
        everything=False,
        rules=tuple(OperatorRule(domain="", operator=o, where=None, origin=HERE) for o in kinds),
        origin=HERE,
    )
    lines = (RewriteLine(operator="Gelu", rule=asked, tolerance=1e-3, keep=(), where=None, origin=HERE),) if asked else ()
    peaks = (*device.peaks, replace(device.peaks[0], dtype="int8"))
    return replace(device, supports=(*device.supports, block), peaks=peaks, rewrites=lines)


@pytest.mark.parametrize("asked", ["gelu_table", "gelu", ""])
def test_a_device_without_gelu_runs_the_table(asked: str, tmp_path: Path) -> None:
    """Two Gelus of equal shapes: one between quantisations, one not."""
    source = text(f"{BODY} h = Gelu(f)").replace("x)", "x, float[256] f)", 1).replace("y)", "y, float[256] h)", 1)
    target = make_target([npu(asked), make_cpu(peak=1e4, dispatch=1e-6)], [make_link("npu", "cpu", handoff=1e-9)])
    result = compile_model(save(load(source), tmp_path), target, output=tmp_path / "out", verify=True, emulate=True)
    kinds = {cut.part.device: [node.operator for node in Graph(cut.model).nodes] for cut in result.work.segments}
    assert kinds == {"npu": ["Cast", "Gather"], "cpu": ["Gelu"]}
    assert not isinstance(result.verification, str) and result.verification.verified


def test_it_belongs_to_the_forms_of_gelu() -> None:
    assert GELU_TABLE in family("gelu", "Gelu") and GELU_TABLE not in family("gelu", "com.microsoft::Gelu")
    assert family("gelu_table") == (GELU_TABLE,)
