"""However little or odd a measurement is, the fit ends in a calibration or says that nothing was measured; never in numpy's own words."""

from __future__ import annotations

import json
import random
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_measurements import measured, truth_of

from autoglmc.compiler.calibrate.as_json import as_json
from autoglmc.compiler.calibrate.fit import NothingMeasured, fit
from autoglmc.compiler.calibrate.records import MeasuredKernel, MeasuredSegment, Measurement
from autoglmc.compiler.calibrate.write_target import contradictions, target_text
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.report.calibrated import print_calibrated
from autoglmc.targets.operator_view import OperatorView, TensorView

TARGET = load_target("x86_cpu")


def odd(seed: int) -> Measurement:
    """One to four short networks, whose times are now and then missing, zero, below the clock's tick or far too long."""
    source = random.Random(seed)
    length, profiled, tiny = source.choice((3, 6, 12)), source.random() < 0.9, source.random() < 0.3
    plain = measured(truth_of(seed), source.randint(1, 4), 0.01, seed, length=length, profiled=profiled, tiny=tiny)

    def kernel(one: MeasuredKernel) -> MeasuredKernel:
        return replace(one, seconds=source.choice((one.seconds,) * 4 + (None, 0.0, 1e-9, 1.0, 2e-6)))

    def segment(one: MeasuredSegment) -> MeasuredSegment:
        latency = source.choice((one.latency,) * 5 + (None, 0.0, 1e-7, 100.0))
        return replace(one, kernels=tuple(map(kernel, one.kernels)), latency=latency, single=source.random() < 0.2)

    return replace(plain, segments=tuple(map(segment, plain.segments)))


@pytest.mark.parametrize("seed", range(12, 36))
def test_an_odd_measurement_is_fitted_or_refused(seed: int, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fitted = fit(odd(seed), TARGET)
        except NothingMeasured:
            return
        facts = as_json(fitted, (), (), None) | {"remarks": []}
        json.dumps(facts, allow_nan=False)
        print_calibrated(facts, verbose=True)
    text = target_text(fitted, TARGET, "cpu", "odd", "x86_cpu", tmp_path)
    assert all("faster than the peak" in why for why in contradictions(text, tmp_path / "odd.hw"))


def test_networks_without_an_operator_that_has_a_class_are_no_training() -> None:
    """Left out in turn, the one network with operators leaves nothing to fit to."""
    source = measured(truth_of(3), 1, 0.01, 3).segments[0]
    bare = [replace(source, network=name, case=name, kernels=(replace(source.kernels[0], seconds=0.0),)) for name in ("a", "b")]
    fitted = fit(Measurement(device="cpu", runtime="made up 1.0", environment={}, segments=(source, *bare)), TARGET)
    assert len(fitted.held) == 3


def test_an_operator_that_is_predicted_to_take_nothing_is_a_cliff_that_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A Reshape moves no bytes, but where a runtime copies for it."""
    plain = measured(truth_of(3), 3, 0.01, 3)
    tensors = {"data": TensorView("x", "fp32", (1, 1000, 1000), False)}
    free = OperatorView("copied", "", "Reshape", 21, {}, tensors, {"reshaped": TensorView("y", "fp32", (1, 1000000), False)})
    copied = MeasuredKernel(name="copied", views=(free,), compute_dtype="fp32", seconds=500e-6)
    segments = tuple(replace(one, kernels=(*one.kernels, copied)) for one in plain.segments)
    facts = as_json(fit(replace(plain, segments=segments), TARGET), (), (), None) | {"remarks": []}
    assert [(one["operator"], one["times"]) for one in facts["cliffs"]] == [("Reshape", None)]
    print_calibrated(facts)
    assert "Reshape on 1x1000x1000 takes 500 us, and is predicted to take nothing" in " ".join(capsys.readouterr().out.split())
