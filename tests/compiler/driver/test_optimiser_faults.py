"""Where onnxruntime's own optimiser makes a segment wrong, or fails on it, the segment runs without it, and the bundle says so."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from runtime_fault_models import FAMILIES, feed, layer_norm, quantised_product, random_model, relu_clip, right
from small_models import RELU, parse, save

from autoglmc.compiler.bundle.manifest import MANIFEST
from autoglmc.compiler.devices.ort_settings import OrtSettings
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.constraints import Constraints, SettingsOfSegment
from autoglmc.compiler.driver.optimiser_faults import Refused, find_optimiser_faults, with_settings
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.driver.route_around import around
from autoglmc.compiler.driver.search_budget import Meter, SearchBudget
from autoglmc.compiler.driver.state import State
from autoglmc.compiler.driver.verdict import Faulty, Misoptimised
from autoglmc.compiler.errors import BundleError, SearchEnded, VerifyError
from autoglmc.compiler.probe.culprits import Culprit
from autoglmc.compiler.probe.suspect import cost
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.passes.rule.rewrite import Decision
from autoglmc.targets.model import OperatorRule
from autoglmc.targets.origin import Origin

FAULTS = Path("/work/shared/faults")


def compiled(model: onnx.ModelProto, folder: Path, target: str = "x86_cpu", **options: Any) -> CompileResult:
    return compile_model(save(model, folder), target, emulate=True, output=folder / "bundle", **options)


def settings_of(result: CompileResult) -> list[OrtSettings]:
    return [OrtSettings(one.runtime.optimisation, one.runtime.optimizers_off) for one in result.manifest.segments]


def notes_of(result: CompileResult) -> list[str]:
    return [note for note in result.notes if note.startswith("onnxruntime's optimi")]


def off_by(result: CompileResult, model: onnx.ModelProto) -> float:
    """Largest difference from the model without optimisations, on inputs that verification does not use."""
    worst = 0.0
    for seed in (5, 6):
        values = feed(model, seed)
        got = result.bundle.run(values, emulate=True)["y"]
        expected = right(model, values)["y"]
        assert got.shape == expected.shape and got.dtype == expected.dtype
        worst = max(worst, float(np.abs(got.astype(float) - expected.astype(float)).max()))
    return worst


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_models_compute_what_the_kernels_compute(family: str, seed: int, tmp_path: Path) -> None:
    """A step of the quantisation apart at most, where a kernel rounds elsewhere."""
    model = random_model(family, seed)
    result = compiled(model, tmp_path)
    assert isinstance(result.verification, VerifyReport)
    assert off_by(result, model) <= {"quantised_product": 0.0701, "quantised_convolution": 0.0701}.get(family, 1e-4)


def test_the_culprit_is_named_on_the_screen_and_in_the_manifest(tmp_path: Path) -> None:
    model = layer_norm(random.Random(3), np.random.default_rng(3), 0)
    result = compiled(model, tmp_path)
    (settings,), (note,) = settings_of(result), notes_of(result)
    assert settings == OrtSettings(optimizers_off=("LayerNormFusionL1", "SimplifiedLayerNormFusion"))
    begin = "onnxruntime's optimisers LayerNormFusionL1 and SimplifiedLayerNormFusion compute segment 0 (cpu) wrong (y off by "
    assert note.startswith(begin) and "): they are disabled for this segment; cost: " in note and "medians of" in note
    assert note in [decision.reason for decision in result.manifest.decisions if decision.rule == "runtime_optimiser"]
    assert [(one.verdict, one.reason) for one in result.manifest.search] == [("wrong by a runtime's optimiser", note), ("accepted", "")]
    assert result.verification.verified  # type: ignore[union-attr]


@pytest.mark.parametrize("target", ["a16", "snapdragon_8gen2", "x86_cpu"])
@pytest.mark.parametrize("dtype", ["int32", "int8", "float64"])
def test_what_the_optimiser_refuses_runs_on_the_stand_in_too(dtype: str, target: str, tmp_path: Path) -> None:
    model = relu_clip(random.Random(1), np.random.default_rng(1), dtype)
    result = compiled(model, tmp_path, target)
    assert off_by(result, model) == 0
    (note,) = notes_of(result)
    assert "FuseReluClip fails on segment 0" in note and "(Unexpected data type for Clip 'min' input of " in note
    assert note.endswith("it is disabled for this segment; cost: unknown, since it does not run otherwise")


def test_a_model_without_a_fault_pays_nothing(tmp_path: Path) -> None:
    result = compiled(parse(RELU), tmp_path)
    assert settings_of(result) == [OrtSettings()] and not notes_of(result) and len(result.manifest.search) == 1


@pytest.mark.skipif(not FAULTS.is_dir(), reason="the models of the issue are not here")
@pytest.mark.parametrize("target", ["x86_cpu", "a16"])
@pytest.mark.parametrize("name", ["qdq_gemm_pa_x10_1", "pool_MaxPool_19_2_0", "reluclip_i32"])
def test_the_models_of_the_issue(name: str, target: str, tmp_path: Path) -> None:
    model = onnx.load(FAULTS / f"{name}.onnx")
    result = compiled(model, tmp_path, target)
    assert result.verification.verified  # type: ignore[union-attr]
    assert off_by(result, model) <= 1e-6


def test_without_probes_the_search_ends_with_what_it_knows(tmp_path: Path) -> None:
    model = relu_clip(random.Random(1), np.random.default_rng(1), "int32")
    with pytest.raises(VerifyError, match="the bundle does not run"):
        compiled(model, tmp_path, search=SearchBudget(probes=0))
    with pytest.raises(SearchEnded, match="1 attempt"):
        compiled(model, tmp_path, search=SearchBudget(attempts=1))


def hostile(folder: Path, **runtime: object) -> str:
    path = folder / "bundle" / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["segments"][0]["runtime"] |= runtime
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder / "bundle")
    return caught.value.message


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ({"optimizers_off": ["NoSuchFusion"]}, "segments[0].runtime.optimizers_off: 'NoSuchFusion' is no optimiser of onnxruntime"),
        ({"optimizers_off": ["FuseReluClip", "FuseReluClip"]}, "segments[0].runtime.optimizers_off names an optimiser twice"),
        ({"optimizers_off": ["../x"]}, "optimizers_off"),
        ({"optimizers_off": ["FuseReluClip"] * 101}, "optimizers_off"),
        ({"optimisation": "most"}, "optimisation"),
    ],
)
def test_a_manifest_can_name_known_optimisers_only(runtime: dict[str, object], said: str, tmp_path: Path) -> None:
    compiled(parse(RELU), tmp_path)
    assert said in hostile(tmp_path, **runtime)


def found(key: str) -> SettingsOfSegment:
    decision = Decision(rule="runtime_optimiser", site="s", tensor="", taken=False, reason=f"of {key}", bound=0.0, contract="exact")
    return SettingsOfSegment(key=key, settings=OrtSettings("basic"), decision=decision)


def test_settings_survive_another_placement() -> None:
    problem = VerifyError("wrong")
    state = with_settings(State(constraints=Constraints(disabled=frozenset({"a"}))), Misoptimised((found("k"),), problem))
    assert state.constraints.settings == (found("k"),) and state.constraints.disabled == {"a"} and state.change == "of k"
    state = with_settings(state, Misoptimised((found("k"), found("l")), problem))
    assert state.constraints.settings == (found("k"), found("l"))
    deny = OperatorRule(domain="", operator="Relu", where=None, origin=Origin("t.hw", 1, 1))
    culprit = Culprit(operator="Relu", node="r", reason="refused", deny=deny)
    faulty = Faulty(kind="computed wrong", device="npu", culprits=(culprit,), operators={"Relu": 1}, writers={}, problem=problem)
    after = around(state, faulty)
    assert after.constraints.denials and after.constraints.settings == state.constraints.settings
    assert after.narrower is not None and after.narrower.constraints.settings == state.constraints.settings


def test_a_segment_keeps_its_key_at_another_place(tmp_path: Path) -> None:
    from autoglmc.compiler.driver.constraints import key_of

    text = "g (float[4,8] x) => (float[4,8] y) <float[8,8] w> { a = MatMul(x, w) y = Relu(a) }"
    models = [parse(text) for _ in range(3)]
    rng = np.random.default_rng(0)
    for model, values in zip(models, (rng.normal(size=64), None, rng.normal(size=64)), strict=True):
        weight = np.zeros(64) if values is None else values
        model.graph.initializer.add().CopyFrom(onnx.numpy_helper.from_array(weight.reshape(8, 8).astype("f"), "w"))
    keys = [key_of(compiled(model, tmp_path, verify=False).work.segments[0]) for model in (*models, models[0])]
    assert keys[0] == keys[3] and len(set(keys)) == 3


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([1.0, 1.1, 1.2] * 3, [2.0, 2.2, 2.4] * 3, "2.00x of its time (1.10 s before, 2.20 s now, medians of 9 runs in turn)"),
        ([1.0, 2.0, 3.0] * 3, [1.5, 2.5, 3.5] * 3, "none beyond the spread of the measurement (2.00 s before, 2.50 s now, medians of"),
        ([2.0] * 7, [1.0] * 7, "none beyond the spread of the measurement"),
    ],
)
def test_the_cost_is_said_with_its_spread(before: Sequence[float], after: Sequence[float], said: str) -> None:
    assert cost(before, after).startswith(said)


def test_a_bias_of_another_scale(tmp_path: Path) -> None:
    """Where the fault is beyond what a step of the quantisation explains it is found, whichever product reads the bias."""
    for number in range(6):
        model = quantised_product(random.Random(number), np.random.default_rng(number), 10.0)
        (tmp_path / str(number)).mkdir()
        assert off_by(compiled(model, tmp_path / str(number)), model) <= 0.0701


def test_a_guess_is_taken_back_where_it_did_not_help(tmp_path: Path) -> None:
    """It is tried once: the segment keeps its key, with all optimisers."""
    guess = replace(found("k"), wrong=False)
    result = compiled(parse(RELU), tmp_path, verify=False)
    refused = Refused(planned=None, folder=tmp_path, manifest=result.manifest, problem=VerifyError("off"), left_out={0: guess})  # type: ignore[arg-type]
    verdict = find_optimiser_faults(refused, (), Meter(SearchBudget()), lambda message: None)
    assert verdict is not None
    (back,) = verdict.settings
    assert back.key == "k" and back.wrong and back.settings == OrtSettings()
    assert verdict.reason == "without its optimiser s is refused as well: all of them are used again"
    again = replace(refused, left_out={0: back})
    assert find_optimiser_faults(again, (), Meter(SearchBudget()), lambda message: None) is None


def test_a_step_of_the_quantisation_is_left_out_as_a_guess(tmp_path: Path) -> None:
    """Right either way, but a judge that knows no steps refuses it; the words do not say that it is wrong."""
    model = random_model("quantised_product", 4)
    result = compiled(model, tmp_path)
    assert off_by(result, model) <= 0.0701
    assert all(" further off than is allowed (" in note or " wrong (" in note for note in notes_of(result))
