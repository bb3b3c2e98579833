"""Every operator case of the ONNX standard whose operators have kernels gives the expected outputs."""

from __future__ import annotations

import warnings

import pytest
from kernel_cases import covered, difference, evaluate
from operator_cases import Case, collect

AT_LEAST = 1402
"""Cases whose operators all have kernels; more is better."""
EXCEPTIONS = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad": "the expected outputs are written with four digits",
    "test_training_dropout_default": "random",
    "test_training_dropout_default_mask": "random",
    "test_training_dropout": "random",
    "test_training_dropout_mask": "random",
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in collect() if covered(case)]


def test_so_many_cases_are_covered(cases: list[Case]) -> None:
    assert len(cases) >= AT_LEAST


def test_the_expected_outputs(cases: list[Case]) -> None:
    wrong = {}
    for case in cases:
        if case.name in EXCEPTIONS:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = evaluate(case)
        differences = [difference(want, got) for want, got in zip(case.outputs, found, strict=True)]
        if any(differences):
            wrong[case.name] = differences
    assert not wrong


def test_every_exception_is_a_case(cases: list[Case]) -> None:
    assert set(EXCEPTIONS) <= {case.name for case in cases}
