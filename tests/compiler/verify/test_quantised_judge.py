"""Outputs of quantised models beside the float model they were made of: as far from it as quantising made them, and no further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from quantised_models import FORMS, convolutions, quantised_as

from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.float_source import restepped, unstepped
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.reference.rounding import exact
from autoglmc.compiler.verify.judge import judge
from autoglmc.compiler.verify.quantised import judge_in_steps
from autoglmc.compiler.verify.terms import NARROW, Sample


def sample(seed: int, error: float, got_error: float, turned: float = 0.0) -> Sample:
    """`error`: of quantising, as a share of the spread; `got_error`: of the device beside the floats, independent; `turned`: mixed into."""
    random = np.random.default_rng(seed)
    floats = random.standard_normal((4, 250))
    expected = floats + error * random.standard_normal(floats.shape)
    got = floats + got_error * random.standard_normal(floats.shape) + turned * random.standard_normal(floats.shape)
    return Sample("seed", expected, got.astype(np.float32), (expected + 1e-4 * random.standard_normal(floats.shape),), floats=floats)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 0.35))
def test_two_ways_to_quantise_are_both_right(seed: int, error: float) -> None:
    """Each is as far from the floats as the other, and further from the other than any rounding."""
    one = sample(seed, error, error)
    assert judge("y", [one], NARROW).fault, "beside the other way it is wrong"
    found = judge_in_steps("y", [one])
    assert found is not None and not found.fault


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 0.3))
def test_what_is_further_from_the_floats_is_wrong(seed: int, error: float) -> None:
    found = judge_in_steps("y", [sample(seed, error, error, turned=2 * error)])
    assert found is not None and found.fault


def test_a_model_that_quantising_destroyed_vouches_for_nobody() -> None:
    assert judge_in_steps("y", [sample(0, 1.0, 1.0)]) is None


def on_small_numbers(seed: int, size: float, off: float = 0.0) -> Sample:
    """A set on which the model's numbers are of this size, and what steps do is as large as ever, 0.1; `off`: of the device besides."""
    random = np.random.default_rng(seed)
    floats = size * random.standard_normal((4, 250))
    ways = [floats + 0.1 * random.standard_normal(floats.shape) for _ in range(5)]
    got = ways[4] + off * random.standard_normal(floats.shape)
    return Sample("seed", ways[0], got.astype(np.float32), (ways[0],), floats=floats, steps=tuple(ways[1:4]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.1, 0.3))
def test_a_set_that_steps_leave_little_of_is_judged_by_them_and_loosens_nothing(seed: int, size: float) -> None:
    """A detector's numbers on an image that is nearly black: other steps turn them by a sixth, and a device as well."""
    small, usual = on_small_numbers(seed, size), [on_small_numbers(seed + 1000 + k, 2.0) for k in range(6)]
    right = judge_in_steps("y", [*usual, small])
    assert right is not None and not right.fault
    for wrong in ([*usual, on_small_numbers(seed, size, off=0.35)], [*usual[:5], on_small_numbers(seed, 2.0, off=0.35), small]):
        found = judge_in_steps("y", wrong)
        assert found is not None and found.fault


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.02, 0.35))
def test_an_output_that_has_nothing_to_do_with_the_model_is_refused_on_every_set(seed: int, error: float) -> None:
    """Also where the others are right, and where little is left of the model."""
    random = np.random.default_rng(seed)
    usual = [on_small_numbers(seed + k, 2.0) for k in range(6)]
    one = on_small_numbers(seed + 9, 0.1 / error)
    unrelated = replace(one, got=(np.std(one.expected) * random.standard_normal(np.shape(one.expected))).astype(np.float32))
    found = judge_in_steps("y", [*usual, unrelated])
    assert found is not None and found.fault


def test_where_nothing_is_left_of_the_model_nobody_is_judged() -> None:
    """Only by sets that tell; and too few of these are none."""
    lost = [on_small_numbers(k, 0.02, off=0.1) for k in range(3)]
    found = judge_in_steps("y", [*(on_small_numbers(9 + k, 2.0) for k in range(3)), *lost])
    assert found is not None and not found.fault
    assert judge_in_steps("y", [on_small_numbers(9, 2.0), *lost]) is None


def on_grid(seed: int, off: float) -> Sample:
    """A softmax-like output that is nearly always 0, left on a grid of 1/256; `off`: steps that a few of its elements are off besides."""
    random = np.random.default_rng(seed)
    floats = np.exp(6 * random.standard_normal((8, 400)))
    floats /= floats.sum(axis=1, keepdims=True)
    noise = [0.1 / 256 * random.standard_normal(floats.shape) for _ in range(2)]
    expected, got = (np.round((floats + one) * 256) / 256 for one in noise)
    got.reshape(-1)[:: max(1, got.size // 5)] += off / 256
    return Sample("seed", expected, got.astype(np.float32), (expected,), floats=floats)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999))
def test_a_step_of_a_coarse_grid_is_no_fault(seed: int) -> None:
    found = judge_in_steps("y", [on_grid(seed, 0.0)])
    assert found is not None and not found.fault
    far = judge_in_steps("y", [on_grid(seed, 4.0)])
    assert far is not None and far.fault


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.02, 0.3))
def test_as_far_off_as_other_steps_are_is_right_and_further_is_wrong(seed: int, error: float) -> None:
    """Also where nothing is known of the floats."""
    random = np.random.default_rng(seed)
    expected = random.standard_normal((4, 250))
    others = [expected + error * random.standard_normal(expected.shape) for _ in range(4)]
    for times, right in ((1.0, True), (2.5, False)):
        got = (expected + times * (others[3] - expected)).astype(np.float32)
        found = judge_in_steps("y", [Sample("seed", expected, got, (expected,), steps=tuple(others[:3]))])
        assert found is not None and (not found.fault) == right


def without_biases(model: onnx.ModelProto) -> None:
    """As a device forgets them."""
    for tensor in model.graph.initializer:
        if tensor.dims and (tensor.data_type == onnx.TensorProto.INT32 or tensor.name in ("b0", "b1", "b2", "b3")):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(tensor)), tensor.name))


def with_swapped_channels(model: onnx.ModelProto) -> None:
    """Two filters of the first convolution."""
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4 and t.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8))
    array = numpy_helper.to_array(weight).copy()
    array[[0, 1]] = array[[1, 0]]
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))


def with_a_wrong_scale(model: onnx.ModelProto) -> None:
    """Of one weight, by a fifth."""
    scale = next(t for t in model.graph.initializer if t.name.startswith("w2") and t.name.endswith("scale"))
    scale.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(scale) * 1.2).astype(np.float32), scale.name))


def run(model: onnx.ModelProto, x: np.ndarray, optimised: bool) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "plant", [None, without_biases, with_swapped_channels, with_a_wrong_scale], ids=lambda plant: getattr(plant, "__name__", "right")
)
def test_a_planted_fault_is_found_in_every_form(form: str, plant: Callable[[onnx.ModelProto], None] | None, tmp_path: Path) -> None:
    """Of a small network on six input sets; onnxruntime's optimised kernels, which take other steps, are right."""
    model = onnx.load(quantised_as(form, convolutions(), tmp_path))
    wrong = onnx.ModelProto.FromString(model.SerializeToString())
    if plant is not None:
        plant(wrong)
    evaluator, samples = Evaluator(program_of(model)), []
    for seed in range(6):
        x = np.random.default_rng(seed).standard_normal((1, 3, 24, 24)).astype(np.float32)
        expected, floats, *steps = (
            evaluator.run({"x": x}, (), way).values["y"] for way in (exact, unstepped, *(restepped(k) for k in range(3)))
        )
        got = run(wrong, x, optimised=plant is None)
        samples.append(Sample(f"seed {seed}", expected, got, (run(model, x, optimised=False),), floats=floats, steps=tuple(steps)))
    found = judge_in_steps("y", samples)
    assert found is not None and bool(found.fault) == (plant is not None)
