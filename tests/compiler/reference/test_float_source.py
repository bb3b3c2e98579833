"""Quantised models with their steps left out, or taken otherwise: in every spelling of a quantised model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quantised_models import FORMS, convolutions, quantised_as
from small_models import parse

from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.float_source import quantises, restepped, unstepped
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.verify.compare import cosine_of


def values(model: onnx.ModelProto, fed: dict[str, np.ndarray], *ways: object) -> list[np.ndarray]:
    evaluator = Evaluator(program_of(model))
    evaluator.run(fed)
    return [np.asarray(evaluator.run(fed, (), way).values[model.graph.output[0].name]) for way in ways]  # type: ignore[arg-type]


def plain(model: onnx.ModelProto, fed: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, fed)[0])


@pytest.mark.parametrize("form", FORMS)
def test_without_steps_it_is_the_model_that_it_was_made_of(form: str, tmp_path: Path) -> None:
    """Up to its weights; much nearer to that than the quantised model is, which dropped its Relus where the grids end with them."""
    model = onnx.load(quantised_as(form, convolutions(), tmp_path))
    fed = {"x": np.random.default_rng(3).standard_normal((1, 3, 24, 24)).astype(np.float32) * 0.7}
    floats, (without,) = plain(convolutions(), fed).reshape(-1), values(model, fed, unstepped)
    steps = plain(model, fed).reshape(-1)
    off, rounded = (1 - cosine_of(floats.astype(np.float64), way.reshape(-1).astype(np.float64)) for way in (without, steps))
    assert quantises(model.graph.node)
    assert off < 2e-3, "weights of 8 bits"
    assert off < rounded or rounded < 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_other_steps_change_a_little_and_are_drawn_alike(form: str, tmp_path: Path) -> None:
    model = onnx.load(quantised_as(form, convolutions(), tmp_path))
    fed = {"x": np.random.default_rng(3).standard_normal((1, 3, 24, 24)).astype(np.float32) * 0.7}
    one, again, other, exact = values(model, fed, restepped(0), restepped(0), restepped(1), unstepped)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0 and cosine_of(one.reshape(-1), exact.reshape(-1)) > 0.98


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(0, 2**31))
def test_a_draw_is_a_step_next_to_the_number(seed: int, drawn: int) -> None:
    numbers = np.random.default_rng(drawn).uniform(-130, 130, 500)
    steps = restepped(seed).steps(numbers)
    assert np.array_equal(steps, np.rint(steps)) and np.abs(steps - numbers).max() <= 1.0
    assert np.array_equal(restepped(seed).steps(np.full(9, numbers[0])), np.full(9, steps[0])), "equal numbers alike"
    assert abs(np.mean(steps - numbers)) < 0.12 and (steps != np.rint(numbers)).mean() > 0.2


def test_numbers_keep_within_the_ends_of_their_grids() -> None:
    """As where a quantiser left out a Relu: its grid begins at 0."""
    text = """g (float[4] x) => (float[4] y) <float s = {0.1}, uint8 z = {0}> {
        q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) r = QuantizeLinear(d, s, z) y = DequantizeLinear(r, s, z) }"""
    (found,) = values(parse(text), {"x": np.array([-3, 0.123, 25.46, 99], np.float32)}, unstepped)
    np.testing.assert_allclose(found, [0, 0.123, 25.46, 25.5], atol=1e-6)


def test_one_quantisation_is_an_operation_of_the_model() -> None:
    text = "g (float[4] x) => (float[4] y) <float s = {0.1}, uint8 z = {0}> { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }"
    assert not quantises(parse(text).graph.node)
