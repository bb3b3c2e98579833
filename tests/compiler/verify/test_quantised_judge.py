"""Outputs of quantised models beside the float model they were made of: as far from it as quantising made them, and no further."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.verify.judge import judge
from autoglmc.compiler.verify.quantised import judge_beside_floats
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
    found = judge_beside_floats("y", [one])
    assert found is not None and not found.fault


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.05, 0.3))
def test_what_is_further_from_the_floats_is_wrong(seed: int, error: float) -> None:
    found = judge_beside_floats("y", [sample(seed, error, error, turned=2 * error)])
    assert found is not None and found.fault


def test_a_model_that_quantising_destroyed_vouches_for_nobody() -> None:
    assert judge_beside_floats("y", [sample(0, 1.0, 1.0)]) is None


def test_a_set_outside_the_grids_is_outvoted_and_must_still_be_near() -> None:
    right, lost = [sample(k, 0.1, 0.1) for k in range(3)], sample(9, 1.0, 1.0)
    far = judge_beside_floats("y", [*right, lost])
    assert far is not None and far.fault, "far from the quantised model, too"
    near = Sample("seed", lost.expected, lost.expected.astype(np.float32), lost.roundings, floats=lost.floats)
    found = judge_beside_floats("y", [*right, near])
    assert found is not None and not found.fault


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
    found = judge_beside_floats("y", [on_grid(seed, 0.0)])
    assert found is not None and not found.fault
    far = judge_beside_floats("y", [on_grid(seed, 4.0)])
    assert far is not None and far.fault
