"""Every operator case of the ONNX standard whose operators have kernels gives the expected outputs."""

from __future__ import annotations

import warnings

import pytest
from kernel_cases import covered, difference, evaluate
from operator_cases import Case, collect

AT_LEAST = 1773
"""Cases whose operators all have kernels; more is better."""
RANDOM = {"test_training_dropout_default", "test_training_dropout_default_mask", "test_training_dropout", "test_training_dropout_mask"}
FOUR_DIGITS = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_gridsample_bicubic",
    "test_roialign_aligned_false",
    "test_roialign_aligned_true",
}
"""Cases whose expected outputs are written with four digits."""
EXCEPTIONS = {"test_dynamicquantizelinear_expanded": "its Div is exact here and its Round then meets -127.5, in fp32 -127.49999"}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in collect() if covered(case)]


def test_so_many_cases_are_covered(cases: list[Case]) -> None:
    assert len(cases) >= AT_LEAST


def test_the_expected_outputs(cases: list[Case]) -> None:
    wrong = {}
    for case in cases:
        if case.name in RANDOM | set(EXCEPTIONS):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluate(case)
        digits = 4 if case.name in FOUR_DIGITS else None
        differences = [difference(want, got, digits) for want, got in zip(case.outputs, found, strict=True)]
        if any(differences):
            wrong[case.name] = differences
    assert not wrong


def test_every_exception_is_a_case_that_differs(cases: list[Case]) -> None:
    by_name = {case.name: case for case in cases}
    assert RANDOM | FOUR_DIGITS <= set(by_name)
    for name in EXCEPTIONS:
        pairs = zip(by_name[name].outputs, evaluate(by_name[name]), strict=True)
        assert any(difference(want, got) for want, got in pairs)
