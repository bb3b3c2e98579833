"""Which sides of a model's operators can be reached at all, and what each hangs on."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper
from small_models import parse

from autoglmc.compiler.inputs.points import possible_points


def points(nodes: str, inputs: str = "float[2,3] x", opset: int = 18, **constants: object) -> set[tuple[str, str]]:
    return {point.key for point in possible_points(model(nodes, inputs, opset, **constants))}


def model(nodes: str, inputs: str = "float[2,3] x", opset: int = 18, **constants: object) -> onnx.ModelProto:
    import numpy as np

    made = parse(f"g ({inputs}) => (float[2,3] y) {{ {nodes} }}", opset)
    for name, value in constants.items():
        made.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return made


def f(value: object) -> object:
    import numpy as np

    return np.asarray(value, np.float32)


def test_a_clip_has_three_sides_and_behind_a_relu_two() -> None:
    constants = {"low": f(0), "high": f(6)}
    assert points("y = Clip(x, low, high)", **constants) == {("y", "below"), ("y", "inside"), ("y", "above")}
    assert points("a = Relu(x) b = Transpose(a) y = Clip(b, low, high)", **constants) == {
        ("a", "below"), ("a", "above"), ("y", "inside"), ("y", "above"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "sides"),
    [
        ("a = Sigmoid(x) y = Clip<min=-1.0, max=2.0>(a)", {"inside"}),
        ("a = Sigmoid(x) y = Clip<min=0.5, max=2.0>(a)", {"below", "inside"}),
        ("a = Tanh(x) b = Add(a, a) y = HardSwish(b)", {"inside"}),
        ("a = Exp(x) y = Relu(a)", {"above"}),
        ("y = Clip<min=-3.4028234663852886e38, max=3.4028234663852886e38>(x)", {"inside"}),
        ("y = Clip<min=0.0>(x)", {"below", "inside"}),
        ("a = Softmax(x) y = HardSigmoid(a)", {"inside"}),
    ],
)
def test_ranges_rule_sides_out(nodes: str, sides: set[str]) -> None:
    assert {side for tensor, side in points(nodes, opset=10 if "Clip" in nodes else 18) if tensor == "y"} == sides


def test_bounds_as_max_and_min_with_a_constant() -> None:
    assert points("a = Max(x, low) y = Min(high, a)", low=f(0), high=f(6)) == {
        ("a", "first"), ("a", "second"), ("y", "first"), ("y", "second"),
    }  # fmt: skip
    assert points("a = Relu(x) y = Max(a, low)", low=f(0)) == {("a", "below"), ("a", "above"), ("y", "first")}
    assert points("y = Max(x, low)", low=f(float("-inf"))) == set() == points("y = Max(x, z)", "float[2,3] x, float[2,3] z")
    texts = {p.key: p.sentence for p in possible_points(model("a = Max(x, low) y = Min(high, a)", low=f(0), high=f(6)))}
    assert (
        texts["a", "second"] == "Max 'a' was never below its constant 0" and texts["a", "first"] == "Max 'a' was never above its constant 0"
    )
    assert texts["y", "first"] == "Min 'y' was never above its constant 6"


def test_what_no_input_decides_has_no_sides() -> None:
    assert points("a = Where(mask, x, b) c = Relu(b) y = Add(a, c)", mask=[True, False, True], b=f([-1, 0, 1])) == set()
    assert points("s = Shape(x) c = Equal(s, s) w = Where(c, s, s) r = Reshape(x, w) y = Neg(r)") == set()
    assert points("n = NonZero(x) s = Shape(n) c = Equal(s, s) w = Where(c, s, s) y = Neg(x)") == {("w", "true"), ("w", "false")}


def test_a_decided_comparison_decides_what_it_chooses() -> None:
    """Nothing is left to reach: the one side that can be is always taken."""
    assert points("a = Sigmoid(x) c = Greater(a, b) y = Where(c, x, a)", b=f(-1)) == set()
    assert points("a = Sigmoid(x) c = Less(a, b) y = Where(c, x, a)", b=f(0)) == set()
    assert points("a = Sigmoid(x) c = LessOrEqual(a, b) y = Where(c, x, a)", b=f(0)) == {("y", "true"), ("y", "false")}


BRANCHES = """y = If(c) <then_branch = t () => (float[2,3] p) { p = Relu(x) },
                        else_branch = e () => (float[2,3] p) { q = Neg(x) p = Clip(q, low, high) }>"""


def test_branches_and_what_stands_in_them() -> None:
    found = {p.key: p for p in possible_points(model(BRANCHES, "float[2,3] x, bool c", low=f(0), high=f(6)))}
    assert set(found) == {("y", "true"), ("y", "false"), *(("y/p", side) for side in ("below", "above", "inside"))}
    assert found["y", "true"].sentence == "If 'y' never took its then branch" and found["y", "true"].inputs == {"c"}
    assert found["y/p", "inside"].within == (("y", "false"),)


def test_of_a_constant_condition_only_the_taken_branch_counts() -> None:
    assert points(BRANCHES, c=True, low=f(0), high=f(6)) == {("y/p", "below"), ("y/p", "above")}
    assert points(BRANCHES, c=False, low=f(0), high=f(6)) == {("y/p", "below"), ("y/p", "inside"), ("y/p", "above")}


def test_the_body_of_a_loop_counts_and_what_is_carried_may_be_anything() -> None:
    loop = """start = Abs(x) y = Loop(n, yes, start) <body = b (int64 i, bool go, float[2,3] v) => (bool go2, float[2,3] w)
        { go2 = Identity(go) m = Sub(v, x) w = Relu(m) }>"""
    assert points(loop, yes=True, n=3) == {("y/w", "below"), ("y/w", "above")}


def test_the_inputs_that_decide_a_side() -> None:
    made = model("c = Greater(x, low) y = Where(c, x, z)", "float[2,3] x, float[2,3] z", low=f(0))
    assert [p.inputs for p in possible_points(made)] == [{"x"}, {"x"}]


def test_one_tensor_name_in_two_branches_is_not_confused() -> None:
    """The range of `a` in one branch is not that of `a` in the other."""
    text = """y = If(c) <then_branch = t () => (float[2,3] p) { a = Sigmoid(x) p = Relu(a) },
                          else_branch = e () => (float[2,3] q) { a = Neg(x) q = Relu(a) }>"""
    found = points(text, "float[2,3] x, bool c")
    assert ("y/p", "below") not in found and ("y/q", "below") in found


def test_times_nothing_is_nothing() -> None:
    made = model("a = Mul(z, none) b = Add(x, a) y = Relu(b)", "float[2,3] x, float z", none=f(0))
    assert {name for p in possible_points(made) for name in p.inputs} == {"x"}


def test_other_domains_have_no_sides() -> None:
    node = helper.make_node("Clip", ["x"], ["y"], domain="com.other")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, [2])], [helper.make_tensor_value_info("y", 1, [2])])
    assert possible_points(helper.make_model(graph)) == ()


def test_local_functions_with_attributes_of_the_call() -> None:
    text = """<ir_version: 8, opset_import: ["": 18, "l": 1]> g (float[4] x) => (float[4] y) { a = l.f <bound = 3.0> (x) y = l.f (a) }
        <domain: "l", opset_import: ["": 18]> f <bound: float = 7.0> (v) => (w) {
            s = Abs(v) w = ThresholdedRelu <alpha: float = @bound> (s) }"""
    found = {p.key: p.sentence for p in possible_points(onnx.parser.parse_model(text))}
    assert found == {
        ("a/w", "below"): "ThresholdedRelu 'a/w' was never below 3",
        ("a/w", "above"): "ThresholdedRelu 'a/w' was never above 3",
        ("y/w", "below"): "ThresholdedRelu 'y/w' was never below 7",
        ("y/w", "above"): "ThresholdedRelu 'y/w' was never above 7",
    }


def test_functions_that_double_end() -> None:
    calls = " ".join(
        f'<domain: "l", opset_import: ["": 18, "l": 1]> f{k} (v) => (w) {{ a = l.f{k + 1}(v) w = l.f{k + 1}(a) }}' for k in range(25)
    )
    last = '<domain: "l", opset_import: ["": 18]> f25 (v) => (w) { w = Relu(v) }'
    text = f'<ir_version: 8, opset_import: ["": 18, "l": 1]> g (float[4] x) => (float[4] y) {{ y = l.f0(x) }} {calls} {last}'
    assert len(possible_points(onnx.parser.parse_model(text))) < 100_000
