"""Memory and power as a calibration fits them: the plan's numbers, the limits, and what the placement must not refuse."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from calibrated_targets import ORIGIN, calibration
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.plan_model import PlannedModel, Unplanned, plan_model
from autoglmc.targets.calibration import Calibration, MemoryModel, PowerModel
from autoglmc.targets.model import Limit, Peak, Target

MIB = 1 << 20


def model() -> onnx.ModelProto:
    """2 MiB of weights; Tanh is what an NPU of the tests cannot do, so that there are two devices where there is one."""
    made = parse("g (float[1,4096] x) => (float[1,128] y) { s = Sin(x) t = MatMul(s, w) u = Tanh(t) y = Cos(u) }")
    made.graph.initializer.append(numpy_helper.from_array(np.ones((4096, 128), np.float32), "w"))
    return made


def planned(target: Target) -> PlannedModel | Unplanned:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(save(model(), Path(folder)))
    return plan_model(loaded, target, 1.0, lambda _: nullcontext())


def plan(target: Target) -> PlannedModel:
    found = planned(target)
    assert isinstance(found, PlannedModel), found
    return found


def host(measured: Calibration | None, *limits: Limit) -> Target:
    return make_target([replace(make_cpu(), calibration=measured)], [], limits=limits, budget=64 * MIB)


def peak(most: int) -> Limit:
    return Limit(kind="memory", subject="peak", comparison="<=", value=float(most), text=f"{most} B", origin=ORIGIN)


def memory(base: float, weights: float, working: float) -> Calibration:
    return calibration(memory=MemoryModel(base=base, weights=weights, working=working, origin=ORIGIN))


@settings(max_examples=20)
@given(st.floats(-1 * MIB, 20 * MIB), st.floats(0.1, 3.0), st.floats(0.5, 5.0))
def test_memory_is_base_and_two_factors(base: float, weights: float, working: float) -> None:
    plain, found = plan(host(None)).predicted.held["dram"], plan(host(memory(base, weights, working))).predicted.held["dram"]
    expected = max(0.0, base + weights * plain.weights + working * (plain.arena + plain.working))
    assert found.total == pytest.approx(expected, abs=4)
    assert found.runtime == pytest.approx(base, abs=1)


@settings(max_examples=20)
@given(st.floats(-1 * MIB, 20 * MIB), st.floats(0.1, 3.0), st.floats(0.5, 5.0))
def test_a_limit_is_held_against_the_measured_peak(base: float, weights: float, working: float) -> None:
    """The placement knows a bound that must refuse nothing that fits."""
    measured = memory(base, weights, working)
    most = plan(host(measured)).predicted.memory
    if not most:
        return
    assert plan(host(measured, peak(most))).predicted.memory == most
    assert isinstance(planned(host(measured, peak(most - 1))), Unplanned)


def powered(full: float, exponent: float, *limits: Limit) -> Target:
    npu = make_device("npu", ["Sin", "MatMul", "Cos"], peak=1e10, dispatch=1e-4)
    law = calibration(power=PowerModel(full=full, exponent=exponent, origin=ORIGIN))
    cpu = replace(make_cpu(), peaks=(Peak(dtype="fp32", rate=1e8),), active_power=None, idle_power=None)
    return make_target([replace(npu, calibration=law, active_power=None, idle_power=None), cpu], [make_link("npu", "cpu")], limits=limits)


@settings(max_examples=20)
@given(st.floats(0.5, 30.0), st.floats(0.2, 3.0))
def test_a_device_draws_a_power_of_its_load(full: float, exponent: float) -> None:
    found = plan(powered(full, exponent))
    busy = sum(segment.seconds for segment in found.compiled.segments if segment.device == "npu")
    assert 0 < busy < found.predicted.latency
    draw = next(one for one in found.predicted.draws if one.device == "npu")
    load = busy / found.predicted.latency
    assert draw.idle == 0.0
    assert draw.active / found.predicted.latency == pytest.approx(full * load**exponent)
