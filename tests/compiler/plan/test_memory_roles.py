"""A microcontroller: weights in flash, tensors in SRAM, an NPU of integers. Budgets, times and refusals, each against the right memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.place.candidates import Refusal
from autoglmc.targets.cost import kernel_seconds, limiting_memory
from autoglmc.targets.model import Limit, Memory, Target
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.origin import Origin

KIB = 1024
HERE = Origin("t.hw", 1, 1)


@pytest.fixture
def board() -> Target:
    return load_target("ethos_u55_256")


def convolutions(channels: int, size: int, quantised: bool) -> onnx.ModelProto:
    """Two 3x3 convolutions and a Relu each, in floats or between DequantizeLinear and QuantizeLinear."""
    dice = np.random.default_rng(7)
    constants, nodes, name = [("s", np.float32(0.05)), ("z", np.int8(0))], [], "x"
    if quantised:
        nodes.append(helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]))
        name = "q"
    for k, before in enumerate((3, channels)):
        weight = dice.integers(-40, 40, (channels, before, 3, 3)).astype(np.int8)
        constants.append((f"w{k}", weight if quantised else weight.astype(np.float32) * np.float32(0.01)))
        if quantised:
            nodes.append(helper.make_node("DequantizeLinear", [name, "s", "z"], [f"d{k}"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"w{k}", "ws", "z"], [f"v{k}"]))
            name = f"d{k}"
        nodes.append(helper.make_node("Conv", [name, f"v{k}" if quantised else f"w{k}"], [f"c{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))
        name = f"r{k}"
        if quantised:
            nodes.append(helper.make_node("QuantizeLinear", [name, "s", "z"], [f"q{k}"]))
            name = f"q{k}"
    if quantised:
        constants.append(("ws", np.float32(0.01)))
        nodes.append(helper.make_node("DequantizeLinear", [name, "s", "z"], ["y"]))
    else:
        nodes.append(helper.make_node("Identity", [name], ["y"]))
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, channels, size, size])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def compiled(model: onnx.ModelProto, target: Target, folder: Path) -> CompileResult:
    onnx.save(model, folder / "m.onnx")
    return compile_model(folder / "m.onnx", target, output=folder / "bundle", emulate=True)


def held(result: CompileResult) -> dict[str, float]:
    return {limit.subject: limit.value or 0 for limit in result.manifest.limits if limit.kind == "budget"}


def test_a_float_model_runs_on_the_cpu_and_each_operator_says_why(board: Target, tmp_path: Path) -> None:
    result = compiled(convolutions(8, 16, quantised=False), board, tmp_path)
    assert [segment.device for segment in result.manifest.segments] == ["cpu"]
    assert not isinstance(result.verification, str) and result.verification.verified
    question = result.work.placement.question  # type: ignore[union-attr]
    for node, row in zip(question.nodes, question.answers, strict=True):
        refusal = row[0]
        assert isinstance(refusal, Refusal) and refusal.device == "npu"
        assert str(refusal).startswith(f"`{node.kind}` of fp32: npu's table lists it for int8, uint8, int16 only, ethos_u55.hw:")


def test_a_quantised_model_runs_on_the_npu(board: Target, tmp_path: Path) -> None:
    result = compiled(convolutions(32, 16, quantised=True), board, tmp_path)
    assert [segment.device for segment in result.manifest.segments] == ["cpu", "npu", "cpu"]
    assert not isinstance(result.verification, str) and result.verification.verified
    on_npu = onnx.load(result.folder / result.manifest.segments[1].file)
    assert [node.op_type for node in on_npu.graph.node].count("Conv") == 2
    weights = 32 * 3 * 9 + 32 * 32 * 9
    assert weights <= held(result)["flash"] < weights + 64
    assert 2 * 32 * 16 * 16 <= held(result)["sram"]


def test_sram_too_small_is_refused_by_its_numbers(board: Target, tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as failure:
        compiled(convolutions(64, 64, quantised=False), board, tmp_path)
    assert failure.value.resource == "budget sram"
    assert failure.value.demand > failure.value.limit == 512 * KIB
    assert "and the target allows <= 512 KiB" in str(failure.value)
    assert not (tmp_path / "bundle").exists()


def test_flash_too_small_is_refused_though_the_sram_would_hold_the_weights(board: Target, tmp_path: Path) -> None:
    small = dataclasses.replace(board, memories=tuple(_budget(m, 4 * KIB) if m.name == "flash" else m for m in board.memories))
    with pytest.raises(Infeasible) as failure:
        compiled(convolutions(16, 8, quantised=False), small, tmp_path)
    assert failure.value.resource == "budget flash"
    assert failure.value.demand == (16 * 3 * 9 + 16 * 16 * 9) * 4


@pytest.mark.parametrize(("allowed", "fits"), [(64 * KIB, True), (8 * KIB, False)])
def test_a_limit_on_memory_is_about_what_is_written(allowed: int, fits: bool, board: Target, tmp_path: Path) -> None:
    """24 KiB of tensors; the 10 KiB of weights stay in flash."""
    limit = Limit(kind="memory", subject="peak", comparison="<=", value=allowed, text=f"{allowed} B", origin=HERE)
    limited = dataclasses.replace(board, limits=(limit,))
    model = convolutions(16, 16, quantised=False)
    if fits:
        result = compiled(model, limited, tmp_path)
        (record,) = [record for record in result.manifest.limits if record.kind == "memory"]
        assert record.value == held(result)["sram"]
    else:
        with pytest.raises(Infeasible, match="memory peak: predicted"):
            compiled(model, limited, tmp_path)


def _budget(memory: Memory, size: int) -> Memory:
    return dataclasses.replace(memory, budget=size)


def test_weights_and_tensors_are_read_side_by_side(board: Target) -> None:
    """4 MiB of weights at 0.5 GB/s take longer than the tensors at 4 GB/s; in one memory the two would add up."""
    npu = board.device("npu")
    x, w = TensorView("x", "int8", (1, 1024), False), TensorView("w", "int8", (1024, 4096), True)
    view = OperatorView("m", "", "MatMul", 17, {}, {"A": x, "B": w}, {"Y": TensorView("y", "int8", (1, 4096), False)})
    assert kernel_seconds(board, npu, (view,), "int8") == pytest.approx(1024 * 4096 / 0.5e9)
    memory = limiting_memory(board, npu, view, "int8")
    assert memory is not None and memory.name == "flash"
    one = dataclasses.replace(board, memories=(dataclasses.replace(board.memories[0], holds=("weights", "activations")),))
    assert kernel_seconds(one, npu, (view,), "int8") == pytest.approx((1024 * 4096 + 1024 + 4096) / 4e9)
    memory = limiting_memory(one, npu, view, "int8")
    assert memory is not None and memory.name == "sram"
