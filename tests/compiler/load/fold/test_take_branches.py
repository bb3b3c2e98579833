"""An If of constant condition becomes its branch, under the names the rest of the graph knows; any other stays."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import SHAPES, model_path
from run_model import feeds, infer, run
from small_models import parse

from autoglmc.compiler.load.fold.take_branches import take_branches
from autoglmc.compiler.load.load_model import load_model

THEN = "a () => (float[2] p) <float one = {1}> { t = Add(x, one) p = Relu(t) }"
ELSE = "b () => (float[2] q) { t = Neg(x) q = Exp(t) }"


def model(condition: str, tail: str = "y = Neg(i)", more: str = "", then: str = THEN) -> onnx.ModelProto:
    branches = f"i = If<then_branch = {then}, else_branch = {ELSE}>(c)"
    return infer(parse(f"g (float[2] x) => (float[2] y) <bool c = {{{condition}}}{more}> {{ {branches} {tail} }}", opset=21, ir=10))


@pytest.mark.parametrize(("condition", "expected"), [("1", ["Add", "Relu", "Neg"]), ("0", ["Neg", "Exp", "Neg"])])
def test_the_branch_that_runs_is_taken(condition: str, expected: list[str]) -> None:
    before, after = model(condition), model(condition)
    assert take_branches(after) == 1
    onnx.checker.check_model(after, full_check=True)
    assert [node.op_type for node in after.graph.node] == expected
    assert "i" in {name for node in after.graph.node for name in node.output}
    fed = feeds(before, 1)
    np.testing.assert_array_equal(run(before, fed)[0], run(after, fed)[0])


def test_two_branches_with_the_same_names_do_not_meet() -> None:
    tail = f"j = If<then_branch = {THEN}, else_branch = {ELSE}>(c) y = Sub(i, j)"
    before, after = model("1", tail), model("1", tail)
    assert take_branches(after) == 2
    onnx.checker.check_model(after, full_check=True)
    written = [name for node in after.graph.node for name in node.output]
    assert len(set(written)) == len(written) == 5
    fed = feeds(before, 1)
    np.testing.assert_array_equal(run(before, fed)[0], run(after, fed)[0])


@pytest.mark.parametrize("then", ["a () => (float[2] k) <float[2] k = {1,2}> { }", "a () => (float[2] x) { }"])
def test_a_branch_that_hands_on_what_it_does_not_compute_is_copied(then: str) -> None:
    tail = "y = Mul(i, x)"
    before, after = model("1", tail, then=then), model("1", tail, then=then)
    assert take_branches(after) == 1
    assert [node.op_type for node in after.graph.node] == ["Identity", "Mul"]
    fed = feeds(after, 1)
    expected = fed["x"] * (fed["x"] if "x)" in then else np.array([1, 2], np.float32))
    np.testing.assert_array_equal(run(after, fed)[0], expected)
    assert len(before.graph.node) == 2


def test_an_if_within_a_taken_branch_waits_and_keeps_reading_the_right_names() -> None:
    inner = "u () => (float[2] v) { v = Add(t, x) }, else_branch = w () => (float[2] z) { z = Sub(t, x) }"
    then = f"a () => (float[2] p) {{ t = Relu(x) p = If<then_branch = {inner}>(d) }}"
    before, after = model("1", more=", bool d = {0}", then=then), model("1", more=", bool d = {0}", then=then)
    assert take_branches(after) == 1
    assert [node.op_type for node in after.graph.node] == ["Relu", "If", "Neg"]
    assert take_branches(after) == 1
    onnx.checker.check_model(after, full_check=True)
    assert [node.op_type for node in after.graph.node] == ["Relu", "Sub", "Neg"]
    fed = feeds(before, 1)
    np.testing.assert_array_equal(run(before, fed)[0], run(after, fed)[0])


def test_a_condition_that_is_an_input_stays() -> None:
    text = f"g (float[2] x, bool c) => (float[2] y) {{ y = If<then_branch = {THEN}, else_branch = {ELSE}>(c) }}"
    after = infer(parse(text, opset=21, ir=10))
    assert take_branches(after) == 0
    assert [node.op_type for node in after.graph.node] == ["If"]


def test_a_real_model_has_no_if_left_once_its_shapes_are_bound() -> None:
    loaded = load_model(model_path("silero_vad_16k_op15"), SHAPES["silero_vad_16k_op15"])
    kinds = [node.op_type for node in loaded.proto.graph.node]
    assert "LSTM" in kinds
    assert not {"If", "Shape", "Equal"} & set(kinds)


@pytest.mark.parametrize(("condition", "left"), [("bool[1] c = {0}", ["Abs"]), ("bool c = {1}", ["Neg"]), ("bool[0] c = {}", ["If"])])
def test_a_condition_of_one_axis_counts_and_one_of_no_element_does_not(condition: str, left: list[str]) -> None:
    branches = "then_branch = t () => (float[4] p) { p = Neg(x) }, else_branch = e () => (float[4] q) { q = Abs(x) }"
    model = parse(f"g (float[4] x) => (float[4] y) <{condition}> {{ y = If(c) <{branches}> }}")
    take_branches(model)
    assert [node.op_type for node in model.graph.node] == left
