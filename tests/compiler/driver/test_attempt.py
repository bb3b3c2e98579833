"""A bundle is measured before it takes its place; whatever ends an attempt before that leaves the old bundle, and nothing beside it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from make_target import HERE, make_cpu, make_target
from small_models import RELU, parse, save
from stub_adapter import MODEL, target_with, use_stub

from autoglmc.compiler.bundle.manifest_json import read_manifest
from autoglmc.compiler.driver import attempt
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.judge_bundle import Judged, judge_bundle
from autoglmc.compiler.driver.search_budget import SearchBudget
from autoglmc.compiler.driver.verdict import Rejected
from autoglmc.compiler.errors import SearchEnded, VerifyError
from autoglmc.targets.model import OperatorRule


def watch(monkeypatch: pytest.MonkeyPatch, judge: Any) -> None:
    monkeypatch.setattr(attempt, "judge_bundle", judge)


def test_what_was_measured_is_written_before_the_bundle_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, seen = tmp_path / "b", []

    def looking(folder: Path, *arguments: Any, **options: Any) -> Judged:
        seen.append((out.exists(), read_manifest(folder).errors.measured))
        return judge_bundle(folder, *arguments, **options)

    watch(monkeypatch, looking)
    compile_model(save(parse(RELU), tmp_path), make_target([make_cpu()], []), output=out)
    assert seen == [(False, ())]
    assert read_manifest(out).errors.measured
    (only,) = read_manifest(out).search
    assert (only.number, only.change, only.verdict, only.reason) == (1, "", "accepted", "")


@pytest.mark.parametrize("end", ["interrupted", "rejected"])
def test_an_attempt_that_is_not_accepted_leaves_the_old_bundle(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, model = tmp_path / "b", save(parse(RELU), tmp_path)
    target = make_target([make_cpu()], [])
    compile_model(model, target, output=out)
    before = (out / "manifest.json").read_bytes()

    def judged(folder: Path, *arguments: Any, **options: Any) -> Judged:
        if end == "interrupted":
            raise KeyboardInterrupt
        return Judged(judge_bundle(folder, *arguments, **options).report, Rejected(VerifyError("it is off")))

    watch(monkeypatch, judged)
    with pytest.raises(KeyboardInterrupt if end == "interrupted" else VerifyError):
        compile_model(model, target, output=out)
    assert (out / "manifest.json").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == sorted({"b", model.name})


SPENT = [
    (SearchBudget(attempts=1), "1 attempt"),
    (SearchBudget(probes=1), "1 probe of runtimes"),
    (SearchBudget(seconds=1e-9), "search time"),
]


@pytest.mark.parametrize(("budget", "spent"), SPENT)
def test_a_spent_budget_ends_with_the_device_at_fault_left_out(
    budget: SearchBudget, spent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt beyond the budget: it is right, and says why the device is empty."""
    use_stub(monkeypatch, tmp_path)
    result = compile_model(save(parse(MODEL), tmp_path), target_with("wrong", "Cos"), output=tmp_path / "out", search=budget)
    assert result.verified and {segment.device for segment in result.manifest.segments} == {"cpu"}
    assert [record.verdict for record in result.manifest.search][-1] == "accepted" and len(result.manifest.search) == 2
    assert any(note.startswith("npu is left out, since no plan with it was right: ") for note in result.notes)


@pytest.mark.parametrize(("budget", "spent"), SPENT)
def test_a_spent_budget_says_what_the_last_attempt_came_to(
    budget: SearchBudget, spent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the device at fault cannot be left out: nothing else runs Tanh."""
    use_stub(monkeypatch, tmp_path)
    target = target_with("wrong", "Cos")
    lacks = OperatorRule(domain="", operator="Tanh", where=None, origin=HERE)
    devices = tuple(replace(device, denies=(lacks,)) if device.name == "cpu" else device for device in target.devices)
    with pytest.raises(SearchEnded) as caught:
        compile_model(save(parse(MODEL), tmp_path), replace(target, devices=devices), output=tmp_path / "out", search=budget)
    assert caught.value.message.startswith("no plan was accepted within") and spent in caught.value.message
    assert "; the last attempt was " in caught.value.message
    assert {"1 attempt": "--search-attempts", "search time": "--search-time"}.get(spent, "probes") in caught.value.help
    assert not (tmp_path / "out").exists()


def test_a_budget_that_suffices_keeps_the_rest_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_stub(monkeypatch, tmp_path)
    model = save(parse(MODEL), tmp_path)
    result = compile_model(model, target_with("wrong", "Cos"), output=tmp_path / "out", search=SearchBudget(attempts=2))
    assert [record.verdict for record in result.manifest.search] == ["computed wrong", "accepted"]
    assert {segment.device for segment in result.manifest.segments} == {"npu", "cpu"}
