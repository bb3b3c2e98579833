"""Other spellings of a model: quantised ones on devices with and without integers, and five axes on devices of rank 4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import SHAPES
from quantised_models import convolutions, quantise, quantised_as
from small_models import parse

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.bind_shapes import bind_shapes

LIGHTNET = Path(__file__).resolve().parents[2] / "models" / "lightnet.onnx"
BOTH = pytest.mark.parametrize("per_channel", [False, True])


def compiled(path: Path, target: str, folder: Path, verify: bool = True) -> CompileResult:
    return compile_model(path, load_target(target), output=folder / "out", verify=verify, emulate=True)


def on_npu(result: CompileResult) -> float:
    """Which part of the operators the NPU runs."""
    parts = {True: 0, False: 0}
    for segment in result.work.segments:
        parts[segment.device == "npu"] += len(segment.graph.nodes)
    return parts[True] / sum(parts.values())


def lightnet() -> onnx.ModelProto:
    model = onnx.load(LIGHTNET)
    bind_shapes(model, SHAPES["lightnet"])
    return model


@BOTH
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("target", ["tensor_g2", "a16", "snapdragon_8gen3"])
def test_a_quantised_network_is_right_on_every_target(target: str, signed: bool, per_channel: bool, tmp_path: Path) -> None:
    result = compiled(quantise(convolutions(), tmp_path, per_channel=per_channel, signed=signed), target, tmp_path)
    assert not isinstance(result.verification, str) and result.verification.verified


@BOTH
@pytest.mark.parametrize(("target", "least"), [("tensor_g2", 0.85), ("a16", 1.0), ("snapdragon_8gen3", 0.9)])
def test_a_real_network_runs_on_the_npu(target: str, least: float, per_channel: bool, tmp_path: Path) -> None:
    """All of it but the Erf of its Gelu, which neither NNAPI nor the Hexagon has in integers, and what is faster beside that on the CPU."""
    result = compiled(quantise(lightnet(), tmp_path, per_channel=per_channel), target, tmp_path, verify=False)
    assert on_npu(result) >= least
    stored = {tensor.data_type for segment in result.work.segments for tensor in segment.model.graph.initializer}
    assert (onnx.TensorProto.INT8 in stored) == (target != "a16"), "weights stay integers where a device computes in them"


def test_what_is_not_taken_says_why(tmp_path: Path) -> None:
    result = compiled(quantise(convolutions(), tmp_path, per_channel=True), "snapdragon_8gen3", tmp_path, verify=False)
    found = [decision for decision in result.work.decisions if decision.rule in ("dequantize_weight", "quantize_in_floats")]
    assert found and not any(decision.taken for decision in found)
    assert all("predicted time of the model" in decision.reason for decision in found)


def segments(name: str, target: str, folder: Path, **sizes: int) -> list[str]:
    path = LIGHTNET.parent / f"{name}.onnx"
    result = compile_model(path, load_target(target), output=folder / "out", verify=False, emulate=True, shapes=sizes)
    return [segment.device for segment in result.work.segments]


@pytest.mark.parametrize("target", ["tensor_g2", "a16"])
def test_a_decoder_is_not_cut_at_every_layer(target: str, tmp_path: Path) -> None:
    """Its keys and values are repeated over five axes, its rotation is interleaved over five."""
    found = segments("glm_tiny", target, tmp_path, batch=1, seq=256)
    assert "npu" in found and len(found) <= 3


def test_where_nothing_is_gained_the_model_stays_as_it_is_written(tmp_path: Path) -> None:
    """One token: everything stays on the CPU, whose runtime fuses the exporter's spelling."""
    path = LIGHTNET.parent / "glm_tiny.onnx"
    result = compile_model(
        path, load_target("tensor_g2"), output=tmp_path / "out", verify=False, emulate=True, shapes={"batch": 1, "seq": 2}
    )
    assert [segment.device for segment in result.work.segments] == ["cpu"]
    assert not any(decision.taken for decision in result.work.decisions if decision.rule == "lower_rank")


def products() -> onnx.ModelProto:
    """Four products of 512 with a Relu between."""
    text = """g (float[64,512] x) => (float[64,512] y) {
        a = MatMul(x, w0) b = Relu(a) c = MatMul(b, w1) d = Relu(c) e = MatMul(d, w2) f = Relu(e) y = MatMul(f, w3) }"""
    made, random = parse(text, opset=18), np.random.default_rng(0)
    arrays = {f"w{k}": (random.standard_normal((512, 512)) / 16).astype(np.float32) for k in range(4)}
    made.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return made


@pytest.mark.parametrize(("target", "kept"), [("snapdragon_8gen3", False), ("x86_cpu", True)])
def test_what_is_quantised_on_the_run_stays_floats_where_that_is_faster(target: str, kept: bool, tmp_path: Path) -> None:
    """An NPU without DynamicQuantizeLinear, with weights in integers; a CPU alone computes the model as it is."""
    result = compiled(quantised_as("dynamic", products(), tmp_path), target, tmp_path)
    kinds = {node.kind for segment in result.work.segments for node in segment.graph.nodes}
    assert ("DynamicQuantizeLinear" in kinds) == kept and (kept or on_npu(result) == 1.0)
    stored = {tensor.data_type for segment in result.work.segments for tensor in segment.model.graph.initializer}
    assert onnx.TensorProto.INT8 in stored
    assert not isinstance(result.verification, str) and result.verification.verified


def test_operators_named_by_their_quantisation_reach_the_npu_whole(tmp_path: Path) -> None:
    result = compiled(quantised_as("operators", lightnet(), tmp_path), "snapdragon_8gen3", tmp_path, verify=False)
    assert on_npu(result) >= 0.9 and len(result.work.segments) <= 3
