"""A matrix that was in 4 bits keeps its levels; any other matrix has none."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from grids import Kind, on_grids
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autoglmc.passes.precision.own_grid import NEAR, change_of, own_grid
from autoglmc.passes.precision.weights import Weight, in_blocks, restored

KINDS: tuple[Kind, ...] = ("symmetric", "zero points", "offsets")
EXACT = 2.0**-21
"""Of the largest of a block: two roundings to fp32, and what they are multiplied by."""


def found_in(values: np.ndarray, axis: int = 0, block: int = 32, dtype: str = "int4") -> Weight:
    found = own_grid(values, axis, block, dtype)
    assert found is not None
    return found


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from([16, 32, 64]), st.integers(1, 4), st.integers(1, 9),
    st.integers(2, 16), st.booleans(), st.sampled_from(["int4", "uint4"]),
)  # fmt: skip
def test_levels_are_found_again(
    seed: int, kind: Kind, block: int, runs: int, columns: int, levels: int, turned: bool, dtype: str
) -> None:
    values = on_grids(np.random.default_rng(seed), runs * block, columns, block, kind, levels)
    values = np.ascontiguousarray(values.T) if turned else values
    found = found_in(values, int(turned), min(block, 32), dtype)
    assert change_of(found, values) <= EXACT
    assert np.abs(restored(found) - values).max() <= EXACT * np.abs(values).max()
    least = -8 if dtype == "int4" else 0
    assert found.stored.min() >= least and found.stored.max() <= least + 15
    if kind != "offsets":
        assert found.offset is None, "0 is a level"
    if kind == "symmetric" and dtype == "int4":
        assert found.zero is None


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from([np.float16, ml_dtypes.bfloat16]))
def test_the_last_block_may_be_shorter(seed: int, kind: Kind, dtype: type) -> None:
    draw = np.random.default_rng(seed)
    rows = 64 - int(draw.integers(1, 32))
    values = on_grids(draw, 64, 5, 32, kind)[:rows].astype(dtype).astype(np.float32)
    found, step = found_in(values), 2.0**-11 if dtype is np.float16 else 2.0**-8
    assert found.stored.shape == values.shape and found.scale.shape == (2, 5)
    assert change_of(found, values) <= min(NEAR * 1.01, 2 * step)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from([16, 32, 64]), st.sampled_from([16, 32, 64, 128, 256]),
    st.sampled_from(["int8", "uint8"]),
)  # fmt: skip
def test_levels_of_8_bits_are_found(seed: int, kind: Kind, block: int, levels: int, dtype: str) -> None:
    """Of 256 levels where quantisers use both ends, of fewer whichever are used."""
    draw = np.random.default_rng(seed)
    if levels == 256:
        stored = draw.integers(0, 256, (2, block, 7))
        stored[:, 0], stored[:, 1] = 1 if kind == "symmetric" else 0, 255
    else:
        stored = draw.integers(0, levels, (2, block, 7))
    scale = (np.abs(draw.standard_normal((2, 1, 7))) * 0.1 + 0.2).astype(np.float16).astype(np.float32)
    others = {"zero points": draw.integers(0, levels, scale.shape), "offsets": draw.uniform(0, levels, scale.shape)}
    zero = others.get(kind, levels // 2)
    values = ((stored - zero) * scale).astype(np.float32).reshape(2 * block, 7)
    found = own_grid(values, 0, block, dtype)
    assert found is not None and change_of(found, values) <= EXACT
    if kind != "offsets":
        assert found.offset is None and np.array_equal(restored(found), values), "every product is a number of fp32"


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from([np.float16, ml_dtypes.bfloat16]))
def test_what_was_rounded_since_is_found(seed: int, kind: Kind, dtype: type) -> None:
    """Weights that were dequantised in another format: no further off than its rounding twice, and far nearer than anew."""
    values = on_grids(np.random.default_rng(seed), 64, 5, 32, kind).astype(dtype).astype(np.float32)
    step = 2.0**-11 if dtype is np.float16 else 2.0**-8
    assert change_of(found_in(values), values) <= min(NEAR * 1.01, 2 * step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_no_block_of_a_large_one_is_missed(kind: Kind, dtype: type) -> None:
    """One block of a thousand that is taken for another grid would leave the whole matrix without."""
    for seed in range(3):
        values = on_grids(np.random.default_rng(seed), 512, 128, 32, kind).astype(dtype).astype(np.float32)
        assert change_of(found_in(values), values) <= NEAR


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
def test_other_matrices_have_none(seed: int, runs: int, columns: int) -> None:
    values = np.random.default_rng(seed).standard_normal((runs * 32, columns)).astype(np.float32)
    assert own_grid(values, 0, 32, "int4") is None and own_grid(values, 0, 32, "int8") is None


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_one_element_between_two_levels_is_seen(seed: int, kind: Kind) -> None:
    draw = np.random.default_rng(seed)
    values = on_grids(draw, 4096, 3, 32, kind)
    row, column = draw.integers(4096), draw.integers(3)
    block = values[row // 32 * 32 : row // 32 * 32 + 32, column]
    step = np.diff(np.unique(block)).min()
    assume(np.ptp(block) > 12 * step)  # or it may be a level of a grid twice as fine
    values[row, column] += step / 2
    assert own_grid(values, 0, 32, "int4") is None


def test_small_differences_of_large_numbers_are_kept() -> None:
    """That all elements are near to one number does not make them that number."""
    values = 1 + 1e-4 * np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    assert own_grid(values, 0, 32, "int4") is None


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
@pytest.mark.parametrize("value", [0.0, 1.5, -2.25, 1e-30])
def test_blocks_of_one_value(value: float, dtype: str) -> None:
    values = np.full((64, 3), value, np.float32)
    found = found_in(values, dtype=dtype)
    assert found.zero is None and found.offset is None
    np.testing.assert_array_equal(restored(found), values)


def test_a_few_flat_blocks_among_others() -> None:
    values = on_grids(np.random.default_rng(0), 128, 4, 32, "offsets")
    values[32:64], values[96:, 1] = 0.0, -3.0
    assert change_of(found_in(values), values) <= EXACT


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whole", [False, True])
def test_numbers_that_are_not_finite_have_none(value: float, whole: bool) -> None:
    values = on_grids(np.random.default_rng(0), 64, 3, 32, "symmetric")
    if whole:
        values[:] = value
    else:
        values[40, 1] = value
    assert own_grid(values, 0, 32, "int4") is None


@pytest.mark.parametrize("shape", [(0, 3), (64, 0), (2, 32, 3)])
def test_what_is_no_matrix_has_none(shape: tuple[int, ...]) -> None:
    assert own_grid(np.zeros(shape, np.float32), 0, 32, "int4") is None


def test_rounding_anew_would_lose_them() -> None:
    """The reason for all of it: a scale by the largest of a block misses the levels."""
    values = on_grids(np.random.default_rng(0), 256, 16, 32, "offsets")
    assert change_of(in_blocks(values, 0, 32, "int4"), values) > 0.02 > 1000 * change_of(found_in(values), values)
