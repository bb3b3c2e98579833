"""Weights rounded for real inputs: on the grid of their blocks, and products nearer than those of the nearest steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.precision.block_rounding import TO_NEAREST, BlockRounding, compensated
from autoglmc.passes.precision.scales import limits
from autoglmc.passes.precision.weights import Weight, in_blocks


def real(weight: Weight, shape: tuple[int, ...]) -> np.ndarray:
    scale = np.repeat(weight.scale, weight.block, axis=weight.axis).take(range(shape[weight.axis or 0]), axis=weight.axis)
    return weight.stored.astype(np.float64) * scale


def related(rng: np.random.Generator, samples: int, channels: int) -> np.ndarray:
    """Inputs whose channels depend on each other, as activations do."""
    return (
        rng.standard_normal((samples, channels // 4)) @ rng.standard_normal((channels // 4, channels))
        + rng.standard_normal((samples, channels)) / 8
    )


@given(st.integers(0, 99), st.sampled_from((16, 40, 64)), st.sampled_from((16, 32)), st.booleans(), st.booleans())
def test_products_are_nearer_than_to_the_nearest_step(seed: int, channels: int, block: int, second_axis: bool, positive: bool) -> None:
    rng, axis = np.random.default_rng(seed), int(second_axis)
    values = rng.standard_normal((channels, 24)).astype(np.float32)
    x, fresh = np.split(related(rng, 1024, channels), 2)
    asked = values.T if axis else values
    least = 1e-6 if positive else None
    plain, made = in_blocks(asked, axis, block, "int4", least), compensated(asked, axis, block, "int4", x.T @ x, least)
    assert (made.stored.shape, made.scale.shape, made.axis, made.block, made.dtype) == (
        plain.stored.shape, plain.scale.shape, axis, block, "int4"
    )  # fmt: skip
    low, high = limits("int4")
    assert made.stored.dtype == plain.stored.dtype and made.stored.min() >= low and made.stored.max() <= high
    assert made.scale.dtype == np.float32 and np.abs(made.scale).min() > 0 and (not positive or made.scale.min() >= np.float32(1e-6))

    def off(weight: Weight) -> float:
        return float(
            np.square(fresh @ (real(weight, asked.shape) - asked).T if axis else fresh @ (real(weight, asked.shape) - asked)).sum()
        )

    assert off(made) < off(plain)


@pytest.mark.parametrize("second", [np.zeros((32, 32)), np.ones((32, 32)), np.diag([1e30] + [0.0] * 31)])
def test_inputs_that_say_little_do_no_harm(second: np.ndarray) -> None:
    values = np.random.default_rng(0).standard_normal((32, 8)).astype(np.float32)
    made = compensated(values, 0, 32, "int4", second)
    assert np.isfinite(real(made, values.shape)).all()
    assert np.abs(real(made, values.shape) - values).max() < np.abs(values).max()


def test_what_is_on_the_grid_stays() -> None:
    rng = np.random.default_rng(0)
    grid = rng.integers(-8, 8, (64, 8)).astype(np.float32)
    grid[::32] = -8
    x = related(rng, 256, 64)
    np.testing.assert_array_equal(real(compensated(grid / 4, 0, 32, "int4", x.T @ x), grid.shape), grid / 4)


def test_a_constant_without_known_inputs_goes_to_the_nearest_step() -> None:
    rng = np.random.default_rng(0)
    values, second = rng.standard_normal((32, 8)).astype(np.float32), np.eye(32)
    plain = in_blocks(values, 0, 32, "int4")
    for rounding, read in ((TO_NEAREST, "x"), (BlockRounding({"x": second}), "y"), (BlockRounding({"x": np.eye(8)}), "x")):
        np.testing.assert_array_equal(rounding.weight(read, "w", values, 0, 32, "int4", None).stored, plain.stored)
    once = BlockRounding({"x": second})
    assert once.weight("x", "w", values, 0, 32, "int4", None) is once.weight("x", "w", values, 0, 32, "int4", None)
