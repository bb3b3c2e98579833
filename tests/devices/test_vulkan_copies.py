"""A Vulkan driver that imports no memory of the host (an NVIDIA H200's did not): copies give the same bits, and a note says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import SHAPES, model_path

from autoglmc.compiler.devices import iree_segments
from autoglmc.compiler.devices.adapter import Port
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.reference import read_graph

LACK = absence("iree", ("vulkan",))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK.reason}: {LACK.help}" if LACK is not None else "")
REFUSED = "could not import host allocation: UNAVAILABLE; Vulkan host allocation import requires VK_EXT_external_memory_host"


def refuses(device: object, port: Port) -> object:
    raise RuntimeError(REFUSED)


@pytest.mark.parametrize("name", ["lightnet", "ppocr2_cls"])
def test_copied_tensors_give_the_same_bits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Path(__file__).with_name("three_devices.hw")
    result = compile_model(model_path(name), target, shapes=SHAPES[name], output=tmp_path / "b", verify=False, emulate=True)
    shapes = {value.name: value.shape for value in result.manifest.model.inputs if value.shape is not None}
    feeds = [{k: v for k, v in generate_inputs(read_graph(model_path(name)), s, shapes).items() if k in shapes} for s in (1, 2, 1)]
    bundle = Bundle.load(result.folder)
    shared = bundle.session(emulate=True)
    assert any("Vulkan" in one for one in shared.devices)
    wanted = [shared.run(one) for one in feeds]
    monkeypatch.setattr(iree_segments, "_imported", refuses)
    copying = bundle.session(emulate=True)
    found = [copying.run(one) for one in feeds]
    for mine, theirs in zip(found, wanted, strict=True):
        assert all(np.array_equal(mine[key], theirs[key]) for key in theirs)
    gpu = {f"{one.index} (gpu)" for one in bundle.manifest.segments if one.device == "gpu"}
    assert gpu and gpu <= set(copying.copied) and not gpu & set(shared.copied)
    assert sum("VK_EXT_external_memory_host" in note for note in copying.notes) == len(gpu)


def test_another_failure_to_import_is_not_taken_for_a_missing_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(device: object, port: Port) -> object:
        raise RuntimeError("out of device memory")

    target = Path(__file__).with_name("three_devices.hw")
    result = compile_model(model_path("lightnet"), target, shapes=SHAPES["lightnet"], output=tmp_path / "b", verify=False, emulate=True)
    monkeypatch.setattr(iree_segments, "_imported", fails)
    with pytest.raises(Exception, match="out of device memory"):
        Bundle.load(result.folder).session(emulate=True)
