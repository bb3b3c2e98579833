"""Requests overlapped over Hexagon, Vulkan and the CPU: the same bits, weights once."""

from __future__ import annotations

from pathlib import Path

import pytest
from models import SHAPES, model_path

from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.requests import run_requests
from autoglmc.compiler.verify.reference import read_graph

LACKS = [lack for lack in (absence("qnn", ("htp", "soc", "57", "arch", "75")), absence("iree", ("vulkan",))) if lack is not None]
pytestmark = pytest.mark.skipif(bool(LACKS), reason="; ".join(f"{lack.reason}: {lack.help}" for lack in LACKS))
TARGET = Path(__file__).with_name("three_devices.hw")


def test_three_devices_at_once(tmp_path: Path) -> None:
    name = "ppocr2_cls"
    result = compile_model(model_path(name), TARGET, shapes=SHAPES[name], output=tmp_path / "b", verify=False)
    shapes = {value.name: value.shape for value in result.manifest.model.inputs if value.shape is not None}
    inputs = [{k: v for k, v in generate_inputs(read_graph(model_path(name)), seed, shapes).items() if k in shapes} for seed in (1, 2)]
    ran = run_requests(result.bundle, inputs, requests=4, pipeline=True, step_limit=120)  # refuses results that differ in a bit
    overlapped = ran.pipelined
    assert overlapped is not None and not ran.emulated
    assert overlapped.timeline.lanes == ("npu", "gpu", "cpu") and overlapped.generations == 3 and overlapped.loaded_again == ()
    npu = [span for span in overlapped.timeline.spans if span.lane == "npu"]
    rest = [span for span in overlapped.timeline.spans if span.lane != "npu"]
    together = [(a.request, b.request) for a in npu for b in rest if a.begin < b.end and b.begin < a.end]
    assert together and all(a > b for a, b in together), "the Hexagon works on a later request while the others finish an earlier one"
