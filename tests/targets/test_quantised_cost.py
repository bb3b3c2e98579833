"""In integers a quantised network is predicted no slower than in floats, on every target with a higher peak for bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised_models import quantise
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.targets.cost import peak_rate
from autoglmc.targets.stock import stock_names

CHAIN = """g (float[1,32,56,56] x) => (float[1,32,56,56] y) {
    a = Conv<pads=[1,1,1,1]>(x, w0, b0)  b = Relu(a)  c = Conv<pads=[1,1,1,1]>(b, w1, b1)  d = LeakyRelu<alpha=0.1>(c)
    e = Conv<pads=[1,1,1,1]>(d, w2, b2)  y = Add(b, e) }"""
WITH_BYTES = [
    name
    for name in stock_names()
    for npu in load_target(name).devices[:1]
    if {"int8", "fp16"} <= {peak.dtype for peak in npu.peaks} and peak_rate(npu, "int8") > peak_rate(npu, "fp16")
]


def chain() -> onnx.ModelProto:
    model, generator = parse(CHAIN), np.random.default_rng(0)
    for k in range(3):
        arrays = {f"w{k}": generator.standard_normal((32, 32, 3, 3)) / 17, f"b{k}": generator.standard_normal(32)}
        model.graph.initializer.extend(onnx.numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items())
    return model


def seconds(path: Path, target: str, folder: Path) -> float:
    """Predicted time of the operators, without dispatches and handoffs; the NPU has some of them."""
    result = compile_model(path, load_target(target), output=folder, verify=False, emulate=True)
    placement = result.work.placement
    assert placement is not None and any(segment.device == "npu" for segment in result.work.segments)
    return placement.solution.price.compute


def test_some_targets_are_faster_in_bytes() -> None:
    assert {"tensor_g2", "snapdragon_8gen3"} <= set(WITH_BYTES)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("target", WITH_BYTES)
def test_a_chain_of_convolutions_is_no_slower_in_bytes(target: str, signed: bool, tmp_path: Path) -> None:
    """NNAPI takes signed activations as floats only, between steps of quantisation that it runs one by one."""
    if signed and target.startswith("tensor_g2"):
        pytest.skip("its table has unsigned bytes only")
    floats = seconds(save(chain(), tmp_path, "floats.onnx"), target, tmp_path / "floats")
    integers = seconds(quantise(chain(), tmp_path, per_channel=True, signed=signed), target, tmp_path / "integers")
    assert integers <= floats


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_peak_of_bytes_counts_with_and_without_a_sign(dtype: str) -> None:
    npu = load_target("snapdragon_8gen3").devices[0]
    assert peak_rate(npu, dtype) == max(peak.rate for peak in npu.peaks)
    other = replace(npu, peaks=tuple(replace(peak, dtype="uint8") if peak.dtype == "int8" else peak for peak in npu.peaks))
    assert peak_rate(other, dtype) == peak_rate(npu, dtype)
