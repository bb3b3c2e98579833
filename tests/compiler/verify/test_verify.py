"""Verification passes what is equal, finds what is not and where, and refuses to call equality a proof when it is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import numpy_helper
from slicing import ABSENT, bundle_of, cut, facts
from small_models import parse

from autoglmc.compiler.bundle.manifest import BoundRecord, LimitRecord
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError, VerifyError
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.compare import difference, same
from autoglmc.compiler.verify.reference import fixed_outputs
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.compiler.verify.verify import verify

MLP = "g (float[4,32] x) => (float[4,32] y) { a = MatMul(x, w) b = Relu(a) c = MatMul(b, v) y = Tanh(c) }"
APPROXIMATED = (BoundRecord(rule="substitute-gelu", site="c", bound=1e-3, over="real"),)


def mlp(scale: float = 1.0) -> onnx.ModelProto:
    model, rng = parse(MLP), np.random.default_rng(0)
    for name in "wv":
        weight = rng.standard_normal((32, 32)).astype(np.float32) / 6
        model.graph.initializer.append(numpy_helper.from_array(weight * np.float32(scale if name == "v" else 1), name))
    return model


def check(
    tmp_path: Path,
    model: onnx.ModelProto,
    compiled_from: onnx.ModelProto | None = None,
    *,
    bounds: tuple[BoundRecord, ...] = (),
    limits: tuple[LimitRecord, ...] = (),
    inputs: Any = None,
    devices: tuple[str, ...] = ("npu", "cpu"),
) -> VerifyReport:
    """`model` is the truth, the bundle is made from `compiled_from`."""
    data = model.SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data)
    compiled = cut(compiled_from or model, devices, modes=("copy",), runtimes={"npu": ABSENT})
    bundle = bundle_of(compiled, tmp_path / "b", facts(data, bounds=bounds, limits=limits))
    return verify(tmp_path / "m.onnx", bundle, emulate=True, inputs=inputs)


def limit(kind: str, subject: str, comparison: str, value: float) -> LimitRecord:
    return LimitRecord(
        unproven="",
        kind=kind, subject=subject, comparison=comparison, limit=value, text=str(value), basis="measured", value=None, margin=None,
        origin="box.hw:9",
    )  # fmt: skip


def test_equal_is_verified_and_boundaries_are_shown(tmp_path: Path) -> None:
    report = check(tmp_path, mlp())
    assert report.verified, report.reason
    assert report.reason.startswith("1 output on 9 input sets against a float64 reference, within 1.5 times the model's own rounding (y: ")
    assert [d.name for d in report.outputs] == ["y"] and [d.name for d in report.boundaries] == ["b"]
    assert report.inputs[:2] == ("seed 0", "seed 1") and "large numbers" in report.inputs
    assert report.exercised == 1.0 and report.not_exercised == () and report.unchecked == () and report.runtime_faults == ()
    assert report.emulated == ("0 (npu)",)
    assert report.outputs[0].elements == 9 * 4 * 32 and report.outputs[0].cosine > 0.999999
    assert report.records()[0].inputs == ", ".join(report.inputs)
    assert report.as_json()["outputs"][0]["name"] == "y"


@pytest.mark.parametrize("scale", [1.00001, 1.001, 0.5, -1.0])
def test_a_wrong_weight_is_found_and_not_blamed_on_what_comes_before(tmp_path: Path, scale: float) -> None:
    report = check(tmp_path, mlp(), mlp(scale))
    assert not report.verified
    assert report.differences and "between segments" not in report.reason
    assert report.boundaries[0].max_abs_over_std < 1e-5
    worst = report.outputs[0].worst
    assert worst is not None and worst.inputs in report.inputs and len(worst.index) == 2 and worst.expected != worst.got


def test_the_first_boundary_that_is_off_is_named(tmp_path: Path) -> None:
    wrong = mlp()
    weight = numpy_helper.to_array(wrong.graph.initializer[0]).copy()
    weight[3, 5] += 1
    wrong.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "w"))
    report = check(tmp_path, mlp(), wrong)
    assert not report.verified and "the first tensor between segments that differs is b" in report.reason


def test_a_model_that_ignores_its_input_is_not_verified(tmp_path: Path) -> None:
    """Its data flow reaches the output, yet nothing of it arrives: equality there would prove nothing."""
    model = parse("g (float[4] x) => (float[4] y) { z = Sub(x, x) y = Exp(z) }")
    report = check(tmp_path, model)
    assert not report.verified and report.unresponsive == ("y",)
    assert "output y does not depend on any input" in report.reason
    assert report.outputs[0].max_abs == 0


def test_constants_and_shapes_may_stay_the_same(tmp_path: Path) -> None:
    outputs = "y = Neg(x) s = Shape(x) k = Constant <value = float[1] {2}> ()"
    model = parse(f"g (float[4] x) => (float[4] y, int64[1] s, float[1] k) {{ {outputs} }}")
    report = check(tmp_path, model, devices=("npu",))
    assert report.verified, report.reason
    assert report.constant == ("s", "k") and report.unresponsive == ()


def test_an_output_that_changes_rarely_gets_more_inputs(tmp_path: Path) -> None:
    """The sign of one number is the same for the three sets compared, and another one later."""
    model = parse("g (float[1] x) => (float[1] y, float[1] z) { y = Sign(x) z = Neg(x) }")
    assert len({bool(generate_inputs(model, seed)["x"][0] > 0) for seed in range(3)}) == 1
    report = check(tmp_path, model)
    assert report.verified, report.reason


def test_a_model_without_finite_numbers_is_not_verified(tmp_path: Path) -> None:
    model = parse("g (float[4] x) => (float[4] y, float[4] w) { z = Sub(x, x) y = Div(z, z) w = Neg(x) }")
    report = check(tmp_path, model)
    assert not report.verified and "output y of the model itself has no finite number on any input set" in report.reason


def test_nan_on_one_side_is_a_difference(tmp_path: Path) -> None:
    good = parse("g (float[64] x) => (float[64] y) { a = Abs(x) y = Sqrt(a) }")
    bad = parse("g (float[64] x) => (float[64] y) { a = Identity(x) y = Sqrt(a) }")
    report = check(tmp_path, good, bad)
    assert not report.verified and "elements do not match (NaN or infinite on one side only), first at [" in report.reason
    assert report.outputs[0].mismatched > 0


def test_whole_numbers_must_be_equal(tmp_path: Path) -> None:
    good = parse("g (float[64] x) => (int64[64] y) { a = Mul(x, x) y = Cast <to = 7> (a) }")
    bad = parse("g (float[64] x) => (int64[64] y) { a = Abs(x) y = Cast <to = 7> (a) }")
    assert check(tmp_path, good).verified
    for bounds in ((), APPROXIMATED):
        report = check(tmp_path, good, bad, bounds=bounds)
        assert not report.verified and "y: " in report.reason and "elements do not match" in report.reason


def test_an_approximation_is_measured_against_the_targets_limits(tmp_path: Path) -> None:
    close = mlp(1.01)
    assert not check(tmp_path, mlp(), close).verified
    free = check(tmp_path, mlp(), close, bounds=APPROXIMATED)
    assert free.verified and free.approximated
    allowed = (limit("accuracy", "cosine", ">=", 0.999), limit("error", "abs", "<=", 0.1), limit("latency", "", "<=", 1e-9))
    held = check(tmp_path, mlp(), close, bounds=APPROXIMATED, limits=allowed)
    assert held.verified and "within the target's limits" in held.reason
    assert [x.kind for x in held.limits] == ["accuracy", "error"] and held.limits[0].value >= held.outputs[0].cosine
    assert 0 < held.limits[1].value <= held.outputs[0].max_abs  # limits are about usual inputs, not those made to drive the model
    assert all(x.basis == "measured" and x.margin is not None and x.margin > 0 for x in held.limits)
    broken = check(tmp_path, mlp(), close, bounds=APPROXIMATED, limits=(limit("error", "abs", "<=", 1e-5),))
    assert not broken.verified and "error abs is 0.0" in broken.reason and "the target requires <= 1e-05 (box.hw:9)" in broken.reason
    assert not check(tmp_path, mlp(), mlp(-1.0), bounds=APPROXIMATED).verified


def test_another_model_is_refused(tmp_path: Path) -> None:
    check(tmp_path, mlp())
    (tmp_path / "other.onnx").write_bytes(mlp(2.0).SerializeToString())
    with pytest.raises(VerifyError, match="compiled from another model"):
        Bundle.load(tmp_path / "b").verify(tmp_path / "other.onnx", emulate=True)
    with pytest.raises(UserError, match="no such file"):
        Bundle.load(tmp_path / "b").verify(tmp_path / "none.onnx", emulate=True)


def test_given_inputs_are_compared_too(tmp_path: Path) -> None:
    report = check(tmp_path, mlp(), inputs={"x": np.ones((4, 32), np.float32)})
    assert report.verified and report.inputs[:2] == ("given", "seed 0")
    several = [("morning", {"x": np.ones((4, 32), np.float32)}), ("evening", {"x": np.zeros((4, 32), np.float32)})]
    assert check(tmp_path, mlp(), inputs=several).inputs[:3] == ("morning", "evening", "seed 0")


def test_external_weights_are_found(tmp_path: Path) -> None:
    model = mlp()
    onnx.save_model(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    whole = (tmp_path / "m.onnx").read_bytes() + (tmp_path / "m.data").read_bytes()
    bundle = bundle_of(cut(mlp(), ("npu", "cpu")), tmp_path / "b", facts(whole))
    assert verify(tmp_path / "m.onnx", bundle, emulate=True).verified


def test_lightnet(tmp_path: Path) -> None:
    from slicing import bound

    path = Path(__file__).parents[2] / "models" / "lightnet.onnx"
    compiled = cut(bound(onnx.load_model(str(path))), ("npu", "cpu", "npu"), modes=("zero_copy", "convert"), runtimes={"npu": ABSENT})
    bundle = bundle_of(compiled, tmp_path / "b", facts(path.read_bytes()))
    seen: list[str] = []
    report = verify(path, bundle, emulate=True, progress=seen.append)
    assert report.verified, report.reason
    assert len(report.boundaries) >= 2 and sum(one.startswith("comparing on ") for one in seen) == len(report.inputs)


@pytest.mark.parametrize(
    ("graph", "fixed"),
    [
        ("g (float[4] x) => (float[4] y) { y = Neg(x) }", set()),
        ("g (float[4] x) => (int64[1] s) { s = Shape(x) }", {"s"}),
        ("g (float[4] x) => (float[4] r) { r = RandomNormal <shape = [4]> () }", set()),
        ("g (bool c, float[4] x) => (float[4] y) { y = If(c) <then_branch = t () => (float[4] p) { p = Neg(x) },"
         " else_branch = e () => (float[4] q) { q = Identity(x) }> }", set()),
        ("g (float[4] x) => (float[4] y) { k = Constant <value = bool {1}> () y = If(k) <then_branch = t () => (float[4] p)"
         " { p = Neg(x) }, else_branch = e () => (float[4] q) { q = Identity(x) }> }", set()),
    ],
)  # fmt: skip
def test_what_no_input_reaches(graph: str, fixed: set[str]) -> None:
    assert fixed_outputs(parse(graph).graph) == fixed


@pytest.mark.parametrize(
    ("graph", "word"),
    [
        ("g (float[2,4] x) => (float[2,4] y) { a = Relu(x) r = RandomNormalLike(a) y = Add(a, r) }", "RandomNormalLike"),
        ("g (float[2,4] x) => (float[2,4] y) { k = Constant <value = bool {1}> () e = Constant <value = float {0.5}> ()"
         " a = Relu(x) y = Dropout(a, e, k) }", "Dropout in training mode"),
        ("g (float[2,4] x) => (float[2,4] y) { k = Constant <value = bool {1}> () a = Relu(x) y = If(k) <then_branch = t () =>"
         " (float[2,4] p) { p = RandomNormalLike(a) }, else_branch = e () => (float[2,4] q) { q = Identity(a) }> }", "RandomNormalLike"),
    ],
)  # fmt: skip
def test_what_is_drawn_at_random_is_named_and_not_compared(tmp_path: Path, graph: str, word: str) -> None:
    report = check(tmp_path, parse(graph))
    assert not report.verified and f"output y is random ({word})" in report.reason
    assert not report.outputs and "y" not in [d.name for d in report.boundaries] and report.inputs


def test_inputs_that_the_model_itself_refuses_prove_nothing_and_break_nothing(tmp_path: Path) -> None:
    """A shape among the inputs: the model takes one in very many. The declared one is made, but not the summands of one."""
    plain = parse("g (float[2,6] x, int64[2] s) => (float[3,4] y) { y = Reshape(x, s) }")
    assert check(tmp_path, plain, devices=("cpu",)).verified
    model = parse("g (float[2,6] x, int64[2] s, int64[2] t) => (float[3,4] y) { u = Add(s, t) y = Reshape(x, u) }")
    report = check(tmp_path, model, devices=("cpu",))
    assert not report.verified and not report.outputs and not report.inputs
    assert "the model takes none of the generated inputs" in report.reason and "give some that it takes" in report.reason
    fitting = {"x": np.arange(12, dtype=np.float32).reshape(2, 6), "s": np.array([3, 3]), "t": np.array([0, 1])}
    report = check(tmp_path, model, devices=("cpu",), inputs=fitting)
    assert report.verified and report.inputs[:2] == ("given", "large numbers on given")


def test_an_error_on_given_inputs_is_no_misfit(tmp_path: Path) -> None:
    model = parse("g (float[2,6] x, int64[2] s) => (float[3,4] y) { y = Reshape(x, s) }")
    with pytest.raises(UserError):
        check(tmp_path, model, devices=("cpu",), inputs={"x": np.zeros((2, 6), np.float32), "s": np.array([5, 5])})


VALUES = arrays.arrays(np.float32, (3, 4), elements=st.floats(-100, 100, width=32))


@given(VALUES, VALUES)
def test_measures_against_their_definitions(a: np.ndarray, b: np.ndarray) -> None:
    found = difference("y", [(a, b)])
    x, y = a.astype(np.float64), b.astype(np.float64)
    assert found.max_abs == np.abs(x - y).max() and found.mismatched == 0
    if x.std():
        assert found.max_abs_over_std == pytest.approx(np.abs(x - y).max() / x.std())
    if np.abs(x).max() > 1e-3 and np.abs(y).max() > 1e-3:
        assert found.cosine == pytest.approx((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()), abs=1e-9)
    assert same(a, b) == bool((a == b).all())


def test_not_a_number_infinities_and_extremes() -> None:
    nan, inf = np.nan, np.inf
    alike = difference("y", [(np.array([1.0, nan, inf, -inf]), np.array([1.0, nan, inf, -inf]))])
    assert (alike.mismatched, alike.max_abs, alike.cosine) == (0, 0.0, 1.0)
    assert difference("y", [(np.array([1.0, inf]), np.array([1.0, -inf]))]).mismatched == 1
    assert difference("y", [(np.array([1.0, nan]), np.array([1.0, 0.0]))]).mismatched == 1
    huge = difference("y", [(np.full(3, 1e300), np.full(3, 1e300))])
    assert (huge.cosine, huge.max_abs) == (1.0, 0.0)
    assert difference("y", [(np.zeros(3), np.zeros(3))]).cosine == 1.0
    assert difference("y", [(np.zeros(3), np.ones(3))]).cosine == 0.0
    assert difference("y", [(np.zeros((2, 3)), np.zeros(6))]).mismatched == 6
    assert difference("y", [(np.array(["a", "b"], object), np.array(["a", "c"], object))]).mismatched == 2
    assert difference("y", [([np.zeros(2), np.ones(3)], [np.zeros(2), np.zeros(3)])]).max_abs == 1.0


@pytest.mark.parametrize("make", [lambda v: np.array(v, np.float32), lambda v: np.array(v, np.float16)])
def test_one_number_is_measured_against_the_spread_of_all_sets(make: Callable[[list[float]], np.ndarray]) -> None:
    pairs = [(make([1.0]), make([1.5])), (make([3.0]), make([3.0]))]
    assert difference("y", pairs).max_abs_over_std == pytest.approx(0.5)


def convolution(scale: float) -> onnx.ModelProto:
    """onnxruntime's optimisations fold the normalisation into the weights, which changes the last bits."""
    model, rng = parse("g (float[1,8,9,9] x) => (float[1,8,9,9] y) { a = Neg(x) c = Conv <pads = [1,1,1,1]> (a, w)"
                       " y = BatchNormalization(c, s, b, m, v) }"), np.random.default_rng(0)  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array((scale * rng.standard_normal((8, 8, 3, 3))).astype(np.float32), "w"))
    model.graph.initializer.extend(numpy_helper.from_array(rng.random(8).astype(np.float32), name) for name in "sbmv")
    return model


def test_rounding_is_measured_and_bounds_what_is_allowed(tmp_path: Path) -> None:
    """Folding the normalisation into the weights is rounding; a weight that is off by a thousandth is far beyond it."""
    report = check(tmp_path, convolution(1))
    assert report.verified and 0 < report.outputs[0].rounding_over_std < 1e-5
    report = check(tmp_path, convolution(1), convolution(1.001))
    assert not report.verified and "times the model's own rounding" in report.reason


POOLED = (
    "GlobalAveragePool(c)",
    "AveragePool <kernel_shape = [{n}, {n}]> (c)",
    "ReduceMean <axes = [2, 3]> (c)",
)


@pytest.mark.parametrize("pool", POOLED)
@pytest.mark.parametrize("n", [64, 112])
def test_a_mean_over_many_numbers_is_rounded_in_one_chain(tmp_path: Path, pool: str, n: int) -> None:
    """onnxruntime's blocked pool adds the numbers of a channel one after the other: a right bundle is no other than its model."""
    text = f"g (float[1,3,{n},{n}] x) => (float[1,16,1,1] y) {{ a = Conv <pads = [1,1,1,1]> (x, w) c = Relu(a) y = {pool.format(n=n)} }}"
    model = parse(text, opset=13)
    weight = np.random.default_rng(0).normal(size=(16, 3, 3, 3)).astype(np.float32) * np.float32(0.3)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    assert compile_model(model, "x86_cpu", output=tmp_path / "b").verified
