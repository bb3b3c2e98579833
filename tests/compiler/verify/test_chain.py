"""The models of a bundle, run as links join them, are held against their own files run so: faults that each model alone does not show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import structs
from onnx import TensorProto, helper, numpy_helper
from small_agents import LINKS, ROWS, SPEC, Agent

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import UserError, VerifyError
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.run.decoder import linked_models
from autoglmc.compiler.run.decoder.entry_run import EntryRun
from autoglmc.compiler.run.decoder.linked_models import LinkedModels
from autoglmc.compiler.run.verify_entries import verify_links
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.verify.chain.pieces import chains
from autoglmc.compiler.verify.report import VerifyReport

STEPS = {"prefill": Asked(shapes={}, tokens=12), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 40)
SMALL = replace(SPEC, layers=1)
AGENT = Agent(spec=SMALL)
MODELS = AGENT.models()
ALL = [*MODELS.values()]


def joined(folder: Path, **options: Any) -> EntriesResult:
    given: dict[str, Any] = {"links": LINKS, "entries": STEPS, "state": STATE, **options}
    return compile_models(MODELS, "x86_cpu", output=folder / "bundle", **given)


def together(models: Mapping[str, onnx.ModelProto], folder: Path, manifest: Manifest) -> VerifyReport:
    sources = {name: MemoryModel(model, name) for name, model in models.items()}
    return verify_links(sources, folder, manifest, emulate=True, tell=lambda message: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EntriesResult:
    return joined(tmp_path_factory.mktemp("agent"))


def test_a_right_bundle_is_verified_together_and_the_manifest_says_so(made: EntriesResult) -> None:
    assert made.verified and not isinstance(made.together, str) and made.together.verified
    record = made.bundle.manifest.together
    assert record is not None and record.verified and len(record.inputs) == 3
    assert record.inputs[0] == "12 rows (vision at 3) + 7 rows (vision at 0) + 1 row + 1 row, seed 0"
    assert [d.name for d in made.together.outputs] == ["logits", "present.0.k", "present.0.v"]
    assert made.as_json()["together"]["verified"] and json.dumps(made.as_json())


def test_all_files_are_compared_together_and_one_by_itself(made: EntriesResult) -> None:
    whole = made.bundle.verify(ALL)
    assert whole.verified and "together: 3 outputs on 3 input sets" in whole.reason
    assert {"decoder: logits", "vision: features", "embed-prefill: inputs_embeds", "together: logits"} <= {d.name for d in whole.outputs}
    assert "together" not in made.bundle.verify(MODELS["decoder"]).reason
    with pytest.raises(UserError, match="some of the bundle's models are missing: decoder"):
        made.bundle.verify([MODELS["vision"], MODELS["embed"]])
    with pytest.raises(UserError, match="the model 'vision' is given twice"):
        made.bundle.verify([MODELS["vision"], MODELS["vision"]])


Fault = Callable[[pytest.MonkeyPatch], None]


def one_off(patch: pytest.MonkeyPatch) -> None:
    right = LinkedModels._placed
    patch.setattr(LinkedModels, "_placed", lambda self, record, at: right(self, record, at + 1 if record.model == "vision" else at))


def left_in_place(patch: pytest.MonkeyPatch) -> None:
    """The encoder runs once, and what it wrote then stays."""
    right, ran = EntryRun.run_any, set[int]()

    def run(self: EntryRun, inputs: Any, length: int = 0) -> dict[str, Any]:
        if self.record.model != "vision":
            return right(self, inputs, length)
        if id(self) in ran:
            return {}
        ran.add(id(self))
        return right(self, inputs, length)

    patch.setattr(EntryRun, "run_any", run)


def transposed(patch: pytest.MonkeyPatch) -> None:
    after_vision(patch, lambda rows: rows.T.reshape(rows.shape).copy())


def last_row_first(patch: pytest.MonkeyPatch) -> None:
    after_vision(patch, lambda rows: np.roll(rows, 1, axis=0))


def rows_of_a_token_swapped(patch: pytest.MonkeyPatch) -> None:
    """The table's rows are those of the piece before."""
    right, last = LinkedModels.write, dict[str, Any]()

    def write(self: LinkedModels, record: Any, inputs: Any, at: int | None) -> dict[str, Any]:
        if record.tokens == 1:
            inputs, last["ids"] = {"input_ids": last.get("ids", inputs["input_ids"])}, inputs["input_ids"]
        return right(self, record, inputs, at)

    patch.setattr(LinkedModels, "write", write)


def after_vision(patch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    right = LinkedModels.write

    def write(self: LinkedModels, record: Any, inputs: Any, at: int | None) -> dict[str, Any]:
        outputs = right(self, record, inputs, at)
        if record.model == "vision":
            view = self.rows["inputs_embeds"].at(at or 0, ROWS)[0]
            view[...] = change(view.copy())
        return outputs

    patch.setattr(LinkedModels, "write", write)


FAULTS = [one_off, left_in_place, transposed, last_row_first, rows_of_a_token_swapped]


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(made: EntriesResult, plant: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found = made.bundle.verify(ALL)
    assert not found.verified and found.differences
    assert {d.name for d in found.outputs if d.fault} <= {"together: logits", "together: present.0.k", "together: present.0.v"}
    assert all(made.bundle.verify(model).verified for model in ALL[:2]), "a model by itself does not show it"


def test_a_wrong_address_is_found(made: EntriesResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bound elsewhere is refused when a bundle is loaded; without that, the numbers show it."""
    monkeypatch.setattr(LinkedModels, "addresses", lambda self: {})
    manifest = made.bundle.manifest
    index = next(k for k, entry in enumerate(manifest.entries) if entry.model == "vision")
    plan = manifest.entries[index].plan
    assert plan is not None
    slots = tuple(structs.replace(slot, offset=slot.offset + 256) if slot.tensor == "features" else slot for slot in plan.arena.slots)
    entries = list(manifest.entries)
    entries[index] = structs.replace(entries[index], plan=structs.replace(plan, arena=structs.replace(plan.arena, slots=slots)))
    wrong = structs.replace(manifest, entries=tuple(entries))
    found = together(MODELS, made.folder, wrong)
    assert not found.verified and found.differences


def test_rows_that_are_copied_wrongly_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a link is copied, the copy is part of the chain."""
    agent = Agent(spec=replace(SMALL, heads=1, groups=1))
    models = agent.models()
    bundle = compile_models(models, "x86_cpu", links=LINKS, entries=STEPS, state=STATE, output=tmp_path / "bundle", verify=False).bundle
    assert bundle.manifest.links[0].copied and bundle.manifest.together is None
    assert together(models, bundle.folder, bundle.manifest).verified
    right = linked_models.rows_of
    monkeypatch.setattr(linked_models, "rows_of", lambda *given: right(*given)[:, ::-1])
    assert not together(models, bundle.folder, bundle.manifest).verified


def test_a_fault_at_compile_time_leaves_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_off(monkeypatch)
    with pytest.raises(VerifyError, match="the models together differ from their files run one after the other: logits"):
        joined(tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_what_was_not_asked_for_is_said(tmp_path: Path) -> None:
    result = joined(tmp_path, verify=False)
    assert not result.verified and result.manifest.together is None
    assert "not asked for" in result.as_json()["together"]["skipped"]


def test_models_without_states_are_compared_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = numpy_helper.from_array(np.random.default_rng(3).standard_normal((32, 4)).astype(np.float32), "weight")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [ROWS, 32])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [ROWS, 4])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "head", [x], [y], [weight])
    models = {"vision": MODELS["vision"], "head": helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)}
    result = compile_models(models, "x86_cpu", links=["vision.features=head.x"], output=tmp_path / "bundle")
    assert result.verified and result.manifest.together is not None and result.manifest.together.inputs[0] == "6 rows, seed 0"
    left_in_place(monkeypatch)
    assert not result.bundle.verify([*models.values()]).verified


def test_parts_alone_fill_what_a_step_reads(tmp_path: Path) -> None:
    """Without a model that writes all rows, parts are placed side by side from the first row on."""
    models = {name: model for name, model in MODELS.items() if name != "embed"}
    made = compile_models(models, "x86_cpu", links=LINKS[:1], entries=STEPS, state=STATE, output=tmp_path / "bundle")
    assert made.verified
    assert [chain.label for chain in chains(made.manifest)][:1] == ["6 rows (vision at 0) + 6 rows (vision at 0), seed 0"]


def test_the_command_line_takes_all_files(made: EntriesResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(tmp_path / f"{name}.onnx") for name in MODELS]
    for path, model in zip(paths, ALL, strict=True):
        onnx.save_model(model, path)
    words = [word for link in LINKS for word in ("--link", link)]
    rest = ["--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "prefill=12", "--bucket", "decode", "--max-length", "40"]
    place = str(tmp_path / "made")
    assert cli.run(["compile", *paths, *words, *rest, "-o", place]) == 0
    assert "models    together" in capsys.readouterr().out
    assert cli.run(["verify", *paths, place, "--json"]) == 0
    assert "together: 3 outputs" in json.loads(capsys.readouterr().out)["reason"]
    assert cli.run(["verify", *paths[:2], place]) == 2
    assert cli.run(["verify", *paths, place, "--against-runtime"]) == 2
