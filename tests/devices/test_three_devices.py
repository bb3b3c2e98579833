"""Hexagon, a second device (Vulkan or LiteRT) and the CPU in one process on one arena, for real: transformers and convolutional models, cut
over all three."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from breadth import WIDE
from models import SHAPES, model_path

from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import BundleError
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.requests import run_bundle, run_requests
from autoglmc.compiler.verify.reference import read_graph

HEXAGON = ("qnn", ("htp", "soc", "57", "arch", "75"))


@dataclass(frozen=True)
class Trio:
    """A target of three devices, npu, `middle` and cpu, and a model."""

    middle: str
    runtime: tuple[str, tuple[str, ...]]
    file: str
    hardware: str
    """How a run names the middle one."""
    name: str

    @property
    def lacks(self) -> str:
        missing = [lack for lack in (absence(*HEXAGON), absence(*self.runtime)) if lack is not None]
        return "; ".join(f"{lack.reason}: {lack.help}" for lack in missing)


NAMES = ("bert_tiny", "glm_tiny", "ppocr2_cls", "lightnet") if WIDE else ("bert_tiny", "lightnet")
BESIDE_LITERT = ("bert_tiny", "lightnet") if WIDE else ("lightnet",)
TRIOS = [
    *(Trio("gpu", ("iree", ("vulkan",)), "three_devices.hw", "Vulkan", name) for name in NAMES),
    *(Trio("xnn", ("litert", ()), "hexagon_beside_litert.hw", "LiteRT", name) for name in BESIDE_LITERT),
]
CHAINS = ("ppocr2_cls", "lightnet")
"""Those that go npu -> middle -> cpu and no further; of the others Hexagon runs what was left to the CPU, masks included."""


@pytest.fixture(scope="module", params=TRIOS, ids=lambda trio: f"{trio.middle}-{trio.name}")
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trio, CompileResult]:
    trio = request.param
    if lacks := trio.lacks:
        pytest.skip(lacks)
    out = tmp_path_factory.mktemp(trio.name) / "bundle"
    return trio, compile_model(model_path(trio.name), Path(__file__).with_name(trio.file), shapes=SHAPES[trio.name], output=out)


def inputs_of(name: str, folder: Path, seed: int = 3) -> dict[str, np.ndarray]:
    shapes = {value.name: value.shape for value in Bundle.load(folder).manifest.model.inputs if value.shape is not None}
    return {k: v for k, v in generate_inputs(read_graph(model_path(name)), seed, shapes).items() if k in shapes}


def test_every_device_takes_part_and_the_outputs_are_right(compiled: tuple[Trio, CompileResult]) -> None:
    trio, result = compiled
    report = result.verification
    assert not isinstance(report, str)
    assert report.verified, report.reason
    assert not report.emulated and not report.unresponsive
    assert {segment.device for segment in result.manifest.segments} >= {"npu", trio.middle}
    if trio.name in CHAINS:
        assert [segment.device for segment in result.manifest.segments] == ["npu", trio.middle, "cpu"]
    assert all(row.blob for row in result.manifest.segments if row.device != "cpu")
    assert any("Hexagon" in row and "fp16" in row for row in report.narrow)
    assert any("Vulkan" in row for row in report.native) == (trio.middle == "gpu")


def test_the_run_says_what_ran_where_and_what_was_copied(compiled: tuple[Trio, CompileResult]) -> None:
    trio, result = compiled
    told = run_bundle(result.bundle, inputs_of(trio.name, result.folder))
    assert not told.emulated and not told.copied
    on = {step.device: step.hardware for step in told.steps}
    assert "Hexagon" in on["npu"] and trio.hardware in on[trio.middle]
    assert on.get("cpu") == ("CPU" if trio.name in CHAINS else None)
    assert all(step.copied == 0 and step.bound > 0 for step in told.steps)
    assert told.zero_copy == len(result.manifest.handoffs) == sum(handoff.mode == "zero_copy" for handoff in result.manifest.handoffs)


def test_overlapped_requests_give_the_same_bits(compiled: tuple[Trio, CompileResult]) -> None:
    trio, result = compiled
    inputs = inputs_of(trio.name, result.folder)
    told = run_requests(result.bundle, [inputs], requests=3, pipeline=True, step_limit=120)  # refuses results that differ in a bit
    assert told.pipelined is not None and not told.emulated
    assert set(told.pipelined.timeline.lanes) >= {"npu", trio.middle}


def test_a_handoff_overwritten_by_the_host_reaches_its_reader(compiled: tuple[Trio, CompileResult]) -> None:
    """No copy in between: what the host writes into the arena after the producer, the consumer computes with."""
    trio, result = compiled
    crossing = [h.tensor for h in result.manifest.handoffs if {h.producer, h.consumer} == {"npu", trio.middle}]
    assert crossing
    session = Bundle.load(result.folder).session(poison=True)
    inputs = inputs_of(trio.name, result.folder)
    before = session.run(inputs)
    again = session.run(inputs)
    for tensor in crossing[:2]:

        def overwrite(written: str, device: str, value: np.ndarray, tensor: str = tensor) -> None:
            if written == tensor:
                value[...] = value[..., ::-1].copy() if value.dtype == bool else value * -0.5

        changed = session.run(inputs, overwrite)
        for key, value in before.items():
            assert np.array_equal(value, again[key]), "two runs on equal inputs"
            assert not np.array_equal(value, changed[key]), tensor
            assert np.isfinite(changed[key]).all()


def test_a_blob_for_another_chip_is_named_and_can_be_made_anew(compiled: tuple[Trio, CompileResult], tmp_path: Path) -> None:
    trio, result = compiled
    if (trio.name, trio.middle) != ("lightnet", "gpu"):
        pytest.skip("one model is enough")
    import json
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(result.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    npu = next(segment for segment in manifest["segments"] if segment["device"] == "npu")
    npu["runtime"]["versions"]["qnn_sdk"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"segments\[0\]\.runtime\.versions\.qnn_sdk is 1\.0") as failure:
        Bundle.load(folder).session()
    assert "--recompile" in failure.value.help
    inputs = inputs_of(trio.name, result.folder)
    kept, made = Bundle.load(result.folder).session().run(inputs), Bundle.load(folder).session(recompile=True).run(inputs)
    assert all(np.array_equal(kept[key], made[key]) for key in kept)
