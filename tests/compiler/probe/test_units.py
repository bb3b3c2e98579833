"""What a runtime is asked about: quantised operators with what stands around them, and never what only makes constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler.probe.fault import fault
from autoglmc.compiler.probe.slice_model import all_values, only
from autoglmc.compiler.probe.try_models import ProbeResult
from autoglmc.compiler.probe.units import Units

QUANTISED = """g (float[2,8] x) => (float[2,8] y) <float s = {0.05}, uint8 z = {128}, int64[2] shape = {2, 8}> {
    q0 = QuantizeLinear(x, s, z)  d0 = DequantizeLinear(q0, s, z)  e = Exp(d0)  q1 = QuantizeLinear(e, s, z)
    d1 = DequantizeLinear(q1, s, z)  c = Reshape(w, shape)  m = Mul(d1, c)  q2 = QuantizeLinear(m, s, z)
    y = DequantizeLinear(q2, s, z) }"""
X = {"x": np.linspace(-2, 1, 16, dtype=np.float32).reshape(2, 8)}


def model() -> onnx.ModelProto:
    made = parse(QUANTISED)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.linspace(0.1, 1, 16, dtype=np.float32), "w"))
    return made


def kinds(nodes: list[onnx.NodeProto]) -> list[str]:
    return [node.op_type for node in nodes]


@pytest.fixture
def units() -> Units:
    made = model()
    return Units(made.graph.node, {tensor.name for tensor in made.graph.initializer})


def test_only_operators_that_compute_are_asked_about(units: Units) -> None:
    assert kinds(units.computing()) == ["Exp", "Mul"]


def test_an_operator_comes_with_its_grids_and_constants(units: Units) -> None:
    exp, mul = units.computing()
    assert kinds(units.whole(exp)) == ["DequantizeLinear", "Exp", "QuantizeLinear"]
    assert kinds(units.whole(mul)) == ["DequantizeLinear", "Reshape", "Mul", "QuantizeLinear"]


def test_its_neighbours_are_the_operators_behind_the_grids(units: Units) -> None:
    exp, mul = units.computing()
    assert {"Exp", "Mul", "Reshape"} <= set(kinds(units.around(units.whole(exp))))
    assert {"Exp", "Mul"} <= set(kinds(units.around(units.whole(mul))))


def test_where_nothing_computes_each_node_is_asked_about() -> None:
    nodes = parse("g (float[4] x) => (uint8[4] y) <float s = {0.5}, uint8 z = {0}> { y = QuantizeLinear(x, s, z) }").graph.node
    assert kinds(Units(nodes, {"s", "z"}).computing()) == ["QuantizeLinear"]


def said(change: Mapping[str, int]) -> str:
    """What is said of a device that is off by so many steps at the unit of Exp."""
    made = model()
    unit = Units(made.graph.node, {tensor.name for tensor in made.graph.initializer})
    values = all_values(made, X)
    small = only(made, unit.whole(unit.computing()[0]), values)
    right = values["q1"].astype(np.int64)
    off = np.where(np.arange(right.size).reshape(right.shape) % change["every"] == 0, change["steps"], 0)
    return fault(small, values, ProbeResult(message="", outputs={"q1": (right + off).clip(0, 255).astype(np.uint8)}))


def test_integers_are_judged_in_steps_of_their_grid() -> None:
    assert said({"every": 1, "steps": 0}) == ""
    assert said({"every": 3, "steps": 1}) == "", "another way to round"
    assert said({"every": 2, "steps": 20}).startswith("it is computed wrong"), "another result"
