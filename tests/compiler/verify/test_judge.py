"""What a verdict rests on says the limits it was decided by, and a device that is only planned for says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_target import make_cpu, make_device, make_link, make_target
from small_models import RELU, parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.compare import TensorDifference
from autoglmc.compiler.verify.judge import NARROW, NARROW_COSINE, TOLERANCE, beyond, narrow_limits
from autoglmc.compiler.verify.report import VerifyReport


def differing(max_abs: float, cosine: float = 1.0, rounding: float = 0.0, over: float = 0.0) -> TensorDifference:
    return TensorDifference(
        name="y",
        max_abs=max_abs,
        max_rel=0.0,
        cosine=cosine,
        max_abs_over_std=max_abs,
        mismatched=0,
        elements=4,
        rounding=rounding,
        rounding_over_std=over,
    )


def test_limits_of_a_narrow_device_are_reported_as_numbers() -> None:
    assert (NARROW, NARROW_COSINE) == (10, 0.99)
    start = "cosine of each >= 0.99, each within 0.0001 of a standard deviation"
    assert narrow_limits([differing(1e-6)], TOLERANCE) == start
    near = differing(0.005, rounding=0.002, over=0.01)
    assert narrow_limits([near], TOLERANCE) == f"{start}, or 10 times what fp16 rounding changes (y: 0.005 of 0.02 allowed)"
    assert narrow_limits([near], None) == "cosine of each >= 0.99, within the target's limits"


def test_where_fp16_explains_more_than_the_output_only_the_cosine_decides() -> None:
    wild = differing(0.3, rounding=0.959, over=3.0)
    assert narrow_limits([wild], TOLERANCE).endswith("(y: 0.3 of 9.59 allowed, more than its standard deviation: only the cosine decides)")
    assert beyond([wild], [], TOLERANCE, narrow=True) == []
    (reason,) = beyond([differing(0.3, cosine=0.5, rounding=0.959)], [], TOLERANCE, narrow=True)
    assert reason == "y has cosine 0.5, below the minimum 0.99 (off by 0.3, where rounding to fp16 alone changes 0.959)"
    (reason,) = beyond([differing(0.3, rounding=0.01)], [], TOLERANCE, narrow=True)
    assert reason == "y is off by 0.3, more than 0.1: 10 times what rounding to fp16 alone changes"


def test_a_device_that_is_only_planned_for_is_no_defect(tmp_path: Path) -> None:
    target = make_target([make_device("npu", ["Relu"], dispatch=0.0), make_cpu(peak=1e3)], [make_link("npu", "cpu", handoff=1e-9)])
    result = compile_model(save(parse(RELU), tmp_path), target, output=tmp_path / "b")
    (reason,) = result.reasons
    assert reason == "segment 0 (npu): plan only (`runtime none`); it was judged on the CPU in its place"
    assert not result.verified and isinstance(result.verification, VerifyReport) and result.verification.agrees
    with pytest.raises(UserError, match=r"segment 0 \(npu\) cannot run here: plan only \(`runtime none`\)"):
        Bundle.load(result.folder).session()
