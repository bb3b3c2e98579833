"""A sample of the ONNX standard's operator cases for every stock target (all of them: `make conformance`), and cases met on the way."""

from __future__ import annotations

import pytest
from breadth import examples
from conformance import RUNTIME, TARGETS, Answer, answer, failures
from operator_cases import Case, collect

STRIDE = examples(usual=41, wide=19)
"""Of the sample: primes, so that no family of cases is met always at the same place."""
MET = (
    "affine_grid_2d_expanded",  # Range of one element, valid by ignorance
    "bitcast_float32_to_int32",  # newer than the range of every target
    "castlike_FLOAT_to_FLOAT8E4M3FN",
    "castlike_INT4_to_INT8",  # packed, passed by name
    "causal_conv_with_state_silu_expanded",  # SiLU in opset 27: onnxruntime has no Swish there
    "identity_sequence",
    "if",
    "loop16_seq_none",  # an optional sequence
    "resize_downsample_scales_linear_align_corners",  # onnxruntime gets it wrong
    "scan_sum",  # opset 8: the converter changes the graph's inputs
    "sequence_map_identity_1_sequence_expanded",  # an empty sequence is no tensor
    "shape",  # the output is a constant
    "training_dropout",  # drawn at random
)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return collect()


def answers(cases: list[Case], targets: tuple[str, ...]) -> list[Answer]:
    return [answer(case, target) for case in cases for target in (RUNTIME, *targets)]


def test_all_cases_are_there(cases: list[Case]) -> None:
    assert len(cases) > 1500
    assert {f"test_{name}" for name in MET} <= {case.name for case in cases}


@pytest.mark.parametrize("part", range(4))
def test_a_sample_is_right_on_every_target(cases: list[Case], part: int) -> None:
    found = answers(cases[::STRIDE][part::4], TARGETS)
    assert not failures(found)
    right = sum(a.verdict == "right" for a in found if a.target != RUNTIME)
    assert right >= 0.8 * len(found) * len(TARGETS) / (1 + len(TARGETS))


@pytest.mark.parametrize("name", MET)
def test_cases_met_on_the_way(cases: list[Case], name: str) -> None:
    found = answers([case for case in cases if case.name == f"test_{name}"], ("a16", "x86_cpu"))
    assert len(found) == 3
    assert not failures(found)


@pytest.mark.parametrize("name", ["bitcast_float32_to_int32", "castlike_INT4_to_INT8", "reshape_one_dim", "training_dropout", "top_k"])
def test_verification_refuses_none(cases: list[Case], name: str) -> None:
    """Inputs that the compiler makes up do not fit most single operators; outputs may be drawn at random."""
    case = next(case for case in cases if case.name == f"test_{name}")
    assert not failures([answer(case, RUNTIME), answer(case, "x86_cpu", verify=True)])


def test_failures_are_found(cases: list[Case]) -> None:
    """The judge itself: a wrong answer, a crash and a refusal each count, and being as wrong as the runtime does not."""
    name = cases[0].name
    right = Answer(name, RUNTIME, "right")
    wrong = Answer(name, RUNTIME, "wrong")
    for verdict in ("wrong", "refused", "crashed"):
        assert failures([right, Answer(name, "a16", verdict)])
    assert failures([wrong, Answer(name, "a16", "wrong")])
    assert not failures([wrong, Answer(name, "a16", "wrong", like_runtime=True), Answer(name, "x86_cpu", "refused")])
