"""Operators are placed by Vela's cycles: where a target's rates mislead, another plan is taken, and never one that Vela finds slower."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantised_models
from small_models import parse

from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.run_passes import run_passes
from autoglmc.compiler.plan.compilers import rounds
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model, start
from autoglmc.compiler.precision.quantise_model import _notes_on
from autoglmc.compiler.precision.request import request_of
from autoglmc.targets.stock import stock_path

LACK = absence("ethos_u", ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram"))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
MIXED = """g (float[1,64,64] x) => (float[1,64,64] y) {
    a = MatMul(x, w0)  t = Transpose<perm=[0,2,1]>(a)  s = MatMul(a, t)  p = Softmax(s)  m = MatMul(p, a)  y = MatMul(m, w1) }"""
"""Two products of activations, which the U55 computes at one multiply-add a cycle, between two by weights."""
PEAK = "peak      int8 256 GOPS"


def mixed(folder: Path) -> Path:
    model, random = parse(MIXED), np.random.default_rng(0)
    for name in ("w0", "w1"):
        weight = (random.standard_normal((64, 64)) * 0.2).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    return quantised_models.quantised_as("signed", model, folder)


def with_peak(folder: Path, peak: str) -> Path:
    text = stock_path("ethos_u55_256").read_text()
    assert PEAK in text
    (folder / "board.hw").write_text(text.replace(PEAK, f"peak      int8 {peak}"))
    return folder / "board.hw"


def planned(model: Path, target: Path, by_rates: bool = False) -> PlannedModel:
    """`by_rates`: as if the placement that rates choose were given."""
    loaded, chosen = load_model(model, {}), load_target(target)
    plan = None
    if by_rates:
        work = start(load_model(model, {}), chosen)
        run_passes(work, lambda name: nullcontext(), until="place-operators")
        plan = work.placement
    found = plan_model(loaded, chosen, 1.0, lambda name: nullcontext(), plan=plan)
    assert isinstance(found, PlannedModel)
    return found


def on_npu(found: PlannedModel) -> Mapping[str, int]:
    nodes = [node.kind for segment in found.compiled.segments if segment.device == "npu" for node in segment.part.nodes]
    return {kind: nodes.count(kind) for kind in nodes}


def test_rates_that_are_far_too_high_do_not_decide(tmp_path: Path) -> None:
    model, target = mixed(tmp_path), with_peak(tmp_path, "100 TOPS")
    by_rates, ours = planned(model, target, by_rates=True), planned(model, target)
    assert on_npu(by_rates)["MatMul"] == 4
    assert on_npu(ours)["MatMul"] < 4
    assert ours.predicted.latency < by_rates.predicted.latency
    assert any("placed by what the compiler of ethos_u says of" in note for note in ours.notes)


def test_rates_that_are_far_too_low_keep_nothing_off(tmp_path: Path) -> None:
    model, target = mixed(tmp_path), with_peak(tmp_path, "1 MOPS")
    by_rates, ours = planned(model, target, by_rates=True), planned(model, target)
    assert "MatMul" not in on_npu(by_rates) and on_npu(ours)["MatMul"]
    assert ours.predicted.latency < by_rates.predicted.latency


@pytest.mark.parametrize("objective", ["overlap", "throughput"])
def test_other_objectives_are_served_by_velas_cycles_too(objective: str, tmp_path: Path) -> None:
    """What is taken is no worse than the plan by rates or the one with all on the NPU, in terms of the objective and by Vela's word."""
    work = start(load_model(mixed(tmp_path), {}), load_target(with_peak(tmp_path, "100 TOPS")))
    work.objective = objective
    run_passes(work, lambda name: nullcontext(), until=rounds.ASKED)
    assert work.question is not None
    by_rates, found = rounds._tried(work, work.question), rounds.settle(work, work.question)
    assert found is not None and "placed by what the compiler of ethos_u says of" in found.note
    taken = rounds._tried(work, found.placement.question, found.placement)
    others = [by_rates, *(rounds._tried(work, work.question, plan) for plan in rounds._filled(by_rates.placement, [0]))]
    assert all(taken.value <= other.value * (1 + 1e-9) for other in others) and not taken.excess
    assert taken.value < by_rates.value, "rates that are wrong by far choose a plan that Vela finds slower"


def test_forms_that_rates_choose_are_said_to_be() -> None:
    request, target = request_of("auto", "samples.npz"), load_target("ethos_u55_256")
    assert request is not None
    (note,) = _notes_on(request, target)
    assert note == "precisions are chosen by the target's rates, and only then the devices by what the compiler of ethos_u says"
    assert _notes_on(request, load_target("x86_cpu")) == () and _notes_on(replace(request, precision="int8"), target) == ()
