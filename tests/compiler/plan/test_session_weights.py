"""What sessions hold of weights: counted for each entry that packs them, once where they are read in one place, and measured."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from process_memory import private_bytes
from small_agents import LINKS, Agent
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.driver.entries import publish_entries
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.driver.resident_weights import with_resident
from autoglmc.compiler.emit.map_weights import NotKept, map_weights
from autoglmc.compiler.errors import Infeasible, UsageError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.plan_model import PlannedModel, Unplanned, plan_model
from autoglmc.compiler.plan.resident_limit import unmapped
from autoglmc.compiler.plan.session_weights import session_weights
from autoglmc.compiler.precision.request import PrecisionRequest
from autoglmc.compiler.report.entries import memory_line
from autoglmc.compiler.state.request import StateRequest
from autoglmc.targets.model import Target

LARGE = replace(Spec(), heads=16, width=32, vocabulary=4096)
"""14 MB of weights in matrices, beside which a process's other memory hardly moves."""
MODELS = Path(__file__).parents[2] / "models"
STEPS = {"prefill": 16, "middle": 4, "decode": 1}
TOLERANCE, SESSION = 0.1, 4 << 20
"""Of what the plan says, and what onnxruntime takes for a session beside its weights."""


def within(budget: int) -> Target:
    target = load_target("x86_cpu")
    return replace(target, memories=tuple(replace(memory, budget=budget) for memory in target.memories))


def compiled(folder: Path, names: tuple[str, ...], spec: Spec = LARGE, target: Any = "x86_cpu", **options: Any) -> EntriesResult:
    entries = {name: Asked(shapes={}, tokens=STEPS[name]) for name in names}
    state = StateRequest((("past.*", "present.*"),), 32)
    return compile_entries(decoder(spec), target, entries, state=state, output=folder / "bundle", verify=False, **options)


def linked(folder: Path, **options: Any) -> EntriesResult:
    entries = {name: Asked(shapes={}, tokens=STEPS[name]) for name in ("prefill", "decode")}
    state = StateRequest((("past.*", "present.*"),), 32)
    target = options.pop("target", "x86_cpu")
    return compile_models(
        Agent().models(), target, links=LINKS, entries=entries, state=state, output=folder / "bundle", verify=False, **options
    )


def memory(made: EntriesResult) -> dict[str, Any]:
    (found,) = made.as_json()["memory"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("names", [("decode",), ("prefill", "decode"), tuple(STEPS)], ids=len)
def test_every_entry_has_weights_of_its_own(tmp_path: Path, names: tuple[str, ...]) -> None:
    made = compiled(tmp_path, names)
    said = memory(made)
    own, begin = sum(said["own"].values()), private_bytes()
    session = made.bundle.session()
    held = private_bytes() - begin
    session.close()
    assert (1 - TOLERANCE) * own < held < (1 + TOLERANCE) * own + said["arena"] + len(names) * SESSION
    table = 4 * LARGE.vocabulary * LARGE.hidden
    assert table <= said["shared"] < table + (1 << 16) and len(said["own"]) == len(names)
    assert said["running"] == own + said["shared"] + said["arena"] + said["working"]
    assert memory_line(said).count(" weights of ") == (len(names) if len(names) > 1 else 0)


def test_weights_that_are_widened_when_they_are_loaded_count_as_wide(tmp_path: Path) -> None:
    names = ("prefill", "decode")
    floats, narrow = (
        memory(compiled(tmp_path / name, names, precision=precision))
        for name, precision in (("fp32", None), ("int8", PrecisionRequest(precision="int8")))
    )
    assert sum(narrow["own"].values()) > 0.99 * sum(floats["own"].values())
    assert narrow["shared"] < floats["shared"] and narrow["working"] < 1.1 * floats["working"] + (1 << 16)


def test_a_budget_for_one_entry_is_none_for_two(tmp_path: Path) -> None:
    """The number that the refusal states is enough, and one byte less is not."""
    needed = memory(compiled(tmp_path / "free", ("prefill", "decode"), Spec()))["running"]
    compiled(tmp_path / "one", ("decode",), Spec(), within(needed - 1))
    with pytest.raises(Infeasible) as refused:
        compiled(tmp_path / "two", ("prefill", "decode"), Spec(), within(needed - 1))
    assert f"this plan takes {needed:,} B" in refused.value.help and "--resident" in refused.value.help
    assert "all entries of the bundle together" in refused.value.message
    compiled(tmp_path / "enough", ("prefill", "decode"), Spec(), within(needed))


def test_the_least_of_models_is_what_they_take_in_turn(tmp_path: Path) -> None:
    whole = memory(linked(tmp_path / "free"))["running"]
    made = linked(tmp_path / "turns", target=within(whole - 1))
    assert made.manifest.phases is not None
    least = max(one.running["dram"] for one in made.manifest.phases.each)
    with pytest.raises(Infeasible) as refused:
        linked(tmp_path / "less", target=within(least - 1))
    assert f"this plan takes {least:,} B" in refused.value.help and "one after the other" in refused.value.message
    made = linked(tmp_path / "least", target=within(least))
    assert len(list(made.bundle.session().generate([1, 2, 3], max_tokens=3))) == 3


def test_what_one_entry_needs_is_not_said_to_be_enough_for_all(tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as refused:
        compiled(tmp_path, ("prefill", "decode"), Spec(), within(5000))
    assert "budget" in refused.value.help and "enough for the entry 'prefill' alone" in refused.value.help


def test_the_least_that_is_resident_is_enough(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        linked(tmp_path / "refused", resident=1)
    least = int(refused.value.help.split()[1])
    made = linked(tmp_path / "least", resident=least)
    assert made.manifest.resident is not None and made.manifest.resident.least == least
    assert len(list(made.bundle.session().generate([1, 2, 3], max_tokens=3))) == 3
    with pytest.raises(UsageError):
        linked(tmp_path / "less", resident=least - 1)


def test_models_take_turns_where_all_at_once_hold_more_than_may_be_resident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mapped(folder: Path, manifest: Manifest, *more: Any) -> Manifest:
        if manifest.phases is None:
            raise NotKept("all at once hold more")
        return map_weights(folder, manifest, *more)

    monkeypatch.setattr(publish_entries, "map_weights", mapped)
    made = linked(tmp_path, resident=1 << 20)
    assert made.manifest.phases is not None and [one.model for one in made.manifest.phases.each] == ["vision", "decoder"]
    assert len(list(made.bundle.session().generate([1, 2, 3], max_tokens=3))) == 3


def test_weights_that_cannot_stay_in_the_file_are_refused_by_the_plan() -> None:
    """An NPU has its own: a plan that gives it more than may be resident is as one that breaks a limit, and another one is looked for."""
    target, loaded = load_target("snapdragon_8gen3"), load_model(MODELS / "bert_tiny.onnx", {"batch": 1, "seq": 64})
    found = plan_model(loaded, target, 1.0, lambda _: nullcontext())
    assert isinstance(found, PlannedModel)
    needed = session_weights([one for one in found.compiled.segments if one.device == "npu"], target).own
    assert needed and unmapped(found.compiled, with_resident(target, needed)) is None
    refused = plan_model(loaded, with_resident(target, needed - 1), 1.0, lambda _: nullcontext())
    assert isinstance(refused, Unplanned) and refused.others
    assert f"--resident {needed}" in str(refused.problem) and "sessions of npu hold" in refused.problem.message
