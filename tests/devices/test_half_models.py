"""fp16 exports on the Hexagon emulator: as much on the NPU as the fp32 twin, and verified. benchmarks/half_models.py times both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from half_exports import HALF_NAMES, half_model, half_shapes, twin
from small_models import parse, save

from autoglmc.compiler.devices.find_adapter import absence, adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.probe.culprits import find_culprits
from autoglmc.compiler.probe.fault import fault
from autoglmc.compiler.probe.try_models import try_models
from autoglmc.grammar import load_target
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_path

WORDS = ("htp", "soc", "57", "arch", "75")
LACK = absence("qnn", WORDS)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")


def npu_first() -> Target:
    """The stock target with a slow CPU: small networks go to the NPU, too."""
    target = load_target(stock_path("snapdragon_8gen3"))
    slow = tuple(replace(device, launch=1e-3) if device.name == "cpu" else device for device in target.devices if device.name != "gpu")
    links = tuple(link for link in target.links if "gpu" not in (link.source, link.destination))
    return replace(target, devices=slow, links=links)


def on_npu(result: CompileResult) -> int:
    return next(int(device["operators"]) for device in result.as_json()["devices"] if device["name"] == "npu")


@pytest.mark.parametrize("name", HALF_NAMES)
def test_an_fp16_model_goes_to_the_npu_like_its_twin(name: str, tmp_path: Path) -> None:
    shapes, target = half_shapes(name), npu_first()
    half = compile_model(save(half_model(name), tmp_path), target, shapes=shapes, output=tmp_path / "half")
    assert half.verified, half.reasons
    single = compile_model(save(twin(name), tmp_path, "twin.onnx"), target, shapes=shapes, output=tmp_path / "twin", verify=False)
    assert on_npu(half) >= on_npu(single) > 0
    assert [record.verdict for record in half.manifest.search] == ["accepted"], "nothing was called wrong on the way"


def test_what_fp16_explains_is_nobodys_fault() -> None:
    """A score near 0, the difference of two that are nearly equal: a cosine of 0.6 on the NPU, and fp16 gives no better."""

    text = (
        "g (float[1,64] x) => (float[1,64] y) <float c = {1.001}> { a = Mul(x, c) b = Mul(x, x) d = Add(a, b) e = Add(x, b) y = Sub(d, e) }"
    )
    model = parse(text)
    adapter = adapter_for("qnn", WORDS)
    assert adapter is not None
    x = {"x": np.random.default_rng(0).uniform(1, 2, (1, 64)).astype(np.float32)}
    assert find_culprits(model, x, adapter, WORDS, lambda line: None, compiled=True) == ()


def test_a_kernel_that_is_wrong_is_still_named() -> None:
    """Pad by the edge: HTP fills with something else."""
    text = """g (float[1,8,8,8] x) => (float[1,8,10,10] y) <int64[8] p = {0,0,1,1,0,0,1,1}> { y = Pad<mode="edge">(x, p) }"""
    model, x = parse(text), {"x": np.random.default_rng(0).standard_normal((1, 8, 8, 8)).astype(np.float32)}
    adapter = adapter_for("qnn", WORDS)
    assert adapter is not None
    (tried,) = try_models(adapter, WORDS, [(model, x)])
    assert tried.accepted and fault(model, x, tried).startswith("it is computed wrong")
    (found,) = find_culprits(model, x, adapter, WORDS, lambda line: None, compiled=True)
    assert found.operator == "Pad" and found.confirmed
