"""The judge lets rounding pass and nothing else: place by place, whatever was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from small_models import RELU, parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.judge import judge
from autoglmc.compiler.verify.terms import APPROXIMATE, EXACT, NARROW, Sample, Terms

NOISE = 1e-6
SHAPE = (4, 64)


def right(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def noise(seed: int, values: np.ndarray, size: float = NOISE) -> np.ndarray:
    return values * (1 + size * np.random.default_rng(seed).uniform(-1, 1, values.shape))


def sample(expected: np.ndarray, got: np.ndarray, size: float = NOISE, label: str = "seed 0") -> Sample:
    """`got` as fp32; the untouched model is rounded by `size`."""
    return Sample(label, expected, got.astype(np.float32), tuple(noise(k, expected, size) for k in range(2001, 2025)))


def fault(expected: np.ndarray, got: np.ndarray, size: float = NOISE, terms: Terms = EXACT) -> str:
    return judge("y", [sample(expected, got, size), sample(expected, got, size, "seed 1")], terms).fault


def test_rounding_passes() -> None:
    found = judge("y", [sample(right(k), noise(k + 7, right(k)), label=f"seed {k}") for k in range(3)])
    assert found.fault == "" and 0 < found.rounding < 10 * NOISE and found.worst is not None


def test_one_element_beyond_rounding_is_named_with_its_place() -> None:
    expected = right()
    got = expected.copy()
    got[2, 5] += 1e-4
    said = fault(expected, got)
    assert said.startswith("y is off by 0.0001 at [2,5] on seed 0 (expected ") and "allowed: " in said
    assert "1.5 times the model's own rounding there" in said


@pytest.mark.parametrize("axis", [0, 1])
def test_a_small_channel_does_not_hide_behind_a_large_one(axis: int) -> None:
    """Class scores beside box coordinates: rounding of the large ones explains nothing about the small ones."""
    expected = right(0, SHAPE if axis == 0 else SHAPE[::-1])
    scale = np.where(np.arange(4) == 1, 1.0, 1000.0)
    expected *= scale[:, None] if axis == 0 else scale[None, :]
    got = expected.copy()
    where = (1, slice(None)) if axis == 0 else (slice(None), 1)
    got[where] *= 0.9999
    assert fault(expected, noise(3, expected)) == ""
    said = fault(expected, got)
    assert ("at [1," in said if axis == 0 else ",1] on" in said) and "allowed" in said


def test_a_fill_hides_nothing() -> None:
    """Logits behind a mask of -1e9: the fill is judged by its own size, the rest by theirs."""
    expected = right()
    expected[:, 32:] = -1e9
    assert fault(expected, noise(3, expected, 1e-7)) == ""
    got = expected.copy()
    got[0, 0] += 7.5
    assert "cosine 0.8" in fault(expected, got)
    got = expected.copy()
    got[0, 0] += 0.01
    assert "at [0,0]" in fault(expected, got)
    got = expected.copy()
    got[0, 40] = -1e8
    assert "at [0,40]" in fault(expected, got)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("terms", [EXACT, NARROW, Terms(loose=APPROXIMATE), Terms(free=True)])
def test_one_number_that_is_not_finite_always_fails(value: float, terms: Terms) -> None:
    expected = right()
    got = expected.copy()
    got[3, 1] = value
    said = fault(expected, got, terms=terms)
    assert said.startswith("y: 1 of 256 elements do not match") and "first at [3,1] on seed 0" in said
    assert "1 of 256" in fault(got, expected, terms=terms)
    assert fault(got, got, terms=terms) == ""


def test_an_overflow_of_the_declared_dtype_is_what_the_model_says() -> None:
    assert fault(np.array([1e39, -1e39, 1.0]), np.array([np.inf, -np.inf, 1.0])) == ""
    assert "do not match" in fault(np.array([1e39, -1e39, 1.0]), np.array([np.inf, np.inf, 1.0]))


def test_no_measured_rounding_excuses_another_direction() -> None:
    """The ruler may be wrong as well: a faulty optimiser, a device that destroys the model."""
    expected, other = right(), right(9)
    samples = [Sample("seed 0", expected, other.astype(np.float32), (other,), other)]
    assert "cosine" in judge("y", samples).fault and "cosine" in judge("y", samples, NARROW).fault


def test_no_measured_rounding_excuses_many_elements_far_off() -> None:
    expected = right()
    got = expected.copy()
    got[0, :16] += 0.3
    samples = [Sample("seed 0", expected, got.astype(np.float32), (got,))]
    assert "6.2% of y are off by more than 0.25 standard deviations" in judge("y", samples).fault


def test_the_optimiser_is_believed_four_times_the_rest_and_no_more() -> None:
    expected = right()
    near, far = noise(3, expected, 4 * NOISE), noise(3, expected, 100 * NOISE)
    ways = (noise(1, expected), noise(2, expected))
    assert judge("y", [Sample("seed 0", expected, near.astype(np.float32), ways)]).fault
    assert judge("y", [Sample("seed 0", expected, near.astype(np.float32), ways, near)]).fault == ""
    assert judge("y", [Sample("seed 0", expected, far.astype(np.float32), ways, far)]).fault


def test_what_is_off_as_a_whole_is_found_below_the_largest_rounding() -> None:
    expected = right(0, (64, 64))
    shifted = noise(3, expected) + NOISE
    said = fault(expected, shifted)
    assert "on average (root mean square)" in said and "1.2 times the model's own rounding" in said


def test_one_ulp_of_fp16_is_rounding_where_the_model_is_fp16() -> None:
    expected = right()
    own = expected.astype(np.float16)
    got = np.nextafter(own, np.float16(np.inf))
    assert judge("y", [Sample("seed 0", expected, got, (own.astype(float),))]).fault == ""


@given(st.integers(0, 1000), st.sampled_from([np.float32, np.float16]), st.sampled_from([(1,), (2, 1), (1, 3, 1), SHAPE]))
def test_a_neighbour_of_the_nearest_number_is_rounding_whatever_was_measured(seed: int, dtype: type, shape: tuple[int, ...]) -> None:
    """Of a few numbers all that were measured may have been rounded to the nearest."""
    random = np.random.default_rng(seed)
    expected = random.uniform(0.1, 100) * random.uniform(0.5, 2, shape)
    nearest = expected.astype(dtype)
    got = nearest.copy()
    got.flat[seed % got.size] = np.nextafter(got.flat[seed % got.size], dtype(random.choice([-np.inf, np.inf])))
    assert judge("y", [Sample("seed 0", expected, got, (nearest.astype(np.float64),) * 3)], EXACT).fault == ""
    got.flat[seed % got.size] += 8 * np.spacing(np.abs(got).max())
    assert judge("y", [Sample("seed 0", expected, got, (nearest.astype(np.float64),) * 3)], EXACT).fault


def test_whole_numbers_are_equal_unless_rounding_decides() -> None:
    expected = np.arange(100)
    got = expected.copy()
    got[7] = 8
    (one,) = [judge("y", [Sample("seed 0", expected, got, (expected,))])]
    assert "1 of 100 elements do not match" in one.fault and "at [7]" in one.fault
    assert judge("y", [Sample("seed 0", expected, got, (got,))]).fault == ""
    many = np.where(np.arange(100) < 30, expected + 1, expected)
    assert judge("y", [Sample("seed 0", expected, many, (got,))]).fault
    far = expected.copy()
    far[7] = 90
    assert judge("y", [Sample("seed 0", expected, far, (got,))]).fault


def test_words_and_sequences() -> None:
    words = np.array(["a", "b"], object)
    assert judge("y", [Sample("seed 0", words, np.array(["a", "b"], object))]).fault == ""
    assert "do not match" in judge("y", [Sample("seed 0", words, np.array(["a", "c"], object))]).fault
    items = [right(), right(1)]
    ours = [item.astype(np.float32) for item in items]
    assert judge("y", [Sample("seed 0", items, ours, (items,))]).fault == ""
    assert "has 1 tensors, not 2" in judge("y", [Sample("seed 0", items, ours[:1], (items,))]).fault
    assert judge("y", [Sample("seed 0", items, ours[::-1], (items,))]).fault


def test_another_shape_is_a_fault() -> None:
    assert "has the shape [64, 4], not [4, 64]" in fault(right(), right(0, (64, 4)))


@given(st.integers(0, 1000), st.sampled_from([1e-7, 1e-6, 1e-4, 1e-3]), st.integers(0, 3), st.floats(20, 1e3))
def test_a_change_of_any_element_beyond_its_rounding_is_found(seed: int, size: float, row: int, times: float) -> None:
    """In rows of scales from 1 to 1e6, each with rounding of its own."""
    expected = right(seed) * 10.0 ** (2 * np.arange(4))[:, None]
    samples = [sample(expected, noise(seed + 3, expected, size), size)]
    assert judge("y", samples).fault == ""
    got = expected.copy()
    column = seed % SHAPE[1]
    got[row, column] += times * size * np.abs(expected[row]).max()
    said = fault(expected, got, size)
    assert f"at [{row},{column}]" in said or "cosine" in said or "standard deviations" in said


def test_a_device_that_is_only_planned_for_is_no_defect(tmp_path: Path) -> None:
    target = make_target([make_device("npu", ["Relu"], dispatch=0.0), make_cpu(peak=1e3)], [make_link("npu", "cpu", handoff=1e-9)])
    result = compile_model(save(parse(RELU), tmp_path), target, output=tmp_path / "b")
    assert not result.verified and result.reasons == ("segment 0 (npu): plan only (`runtime none`); it was judged on the CPU in its place",)
    with pytest.raises(UserError, match=r"segment 0 \(npu\) cannot run here: plan only \(`runtime none`\)"):
        Bundle.load(result.folder).session()
