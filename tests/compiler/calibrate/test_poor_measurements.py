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
        json.dumps(as_json(fitted, (), (), None), allow_nan=False)
    text = target_text(fitted, TARGET, "cpu", "odd", "x86_cpu", tmp_path)
    assert all("faster than the peak" in why for why in contradictions(text, tmp_path / "odd.hw"))


def test_networks_without_an_operator_that_has_a_class_are_no_training() -> None:
    """Left out in turn, the one network with operators leaves nothing to fit to."""
    source = measured(truth_of(3), 1, 0.01, 3).segments[0]
    bare = [replace(source, network=name, case=name, kernels=(replace(source.kernels[0], seconds=0.0),)) for name in ("a", "b")]
    fitted = fit(Measurement(device="cpu", runtime="made up 1.0", environment={}, segments=(source, *bare)), TARGET)
    assert len(fitted.held) == 3
