"""The ten models on the seven stock targets: compiled, run on the CPU stand-in, equal to the untouched model, with the NPU taking part; or,
for a microcontroller, refused by the numbers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from breadth import covering, long
from models import NAMES, SHAPES, model_path

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.candidates import Implementation, Refusal
from autoglmc.targets.cost import operator_flops
from autoglmc.targets.support import Yes, supports

TARGETS = ("a16", "tensor_g2", "snapdragon_8gen2", "snapdragon_8gen3", "workstation", "x86_cpu")
WITH_NPU = ("a16", "snapdragon_8gen2", "snapdragon_8gen3", "workstation")
SMALLER: Mapping[str, Mapping[str, tuple[int, ...]]] = {"ppocr4_det": {"x": (1, 3, 256, 256)}}
"""What is run: its numbers are so near to 0 that its rounding is measured two hundred times."""
MICROCONTROLLER = {
    # what each is refused for on ethos_u55_256, which has 512 KiB of SRAM and 6 MiB of flash to give; () runs, on the cpu, being of floats
    "bert_tiny": (),
    "glm_tiny": ("flash",),
    "lightnet": ("sram",),
    "magika_v3_3": ("sram",),
    "onnx_seeded_resnet50": ("sram", "flash"),
    "onnx_seeded_shufflenet": ("sram",),
    "ppocr2_cls": (),
    "ppocr4_det": ("sram",),
    "ppocr4_rec": ("sram", "flash"),
    "silero_vad_16k_op15": (),
}


def compiled(
    name: str, target: str, folder: Path, shapes: Mapping[str, int | tuple[int, ...]] | None = None, verify: bool = True
) -> CompileResult:
    return compile_model(model_path(name), target, shapes=shapes or SHAPES[name], output=folder / "bundle", verify=verify, emulate=True)


LONGEST = [("ppocr4_det", "tensor_g2"), ("ppocr4_rec", "snapdragon_8gen2")]
"""Minutes, for rounding that is measured often; other tests compile these models."""


@pytest.mark.parametrize(("name", "target"), long(covering(NAMES, TARGETS), LONGEST))
def test_it_compiles_and_computes_what_the_model_does(name: str, target: str, tmp_path: Path) -> None:
    result = compiled(name, target, tmp_path, SMALLER.get(name))
    report = result.verification
    assert not isinstance(report, str)
    assert report.verified, report.reason
    assert not report.unresponsive
    for segment in result.manifest.segments:
        onnx.checker.check_model(str(result.folder / segment.file))
    placement = result.work.placement
    assert placement is not None and placement.all_host is not None
    assert placement.solution.price.total <= placement.all_host.total
    assert placement.greedy is None or placement.solution.price.total <= placement.greedy.total
    if target in WITH_NPU and placement.all_host.total > 3 * result.work.target.device("npu").dispatch:
        assert any(segment.device == "npu" for segment in result.manifest.segments)


@pytest.mark.parametrize(("name", "target"), covering(NAMES, TARGETS))
def test_every_segment_holds_only_what_its_device_runs(name: str, target: str, tmp_path: Path) -> None:
    result = compiled(name, target, tmp_path, verify=False)
    machine = result.work.target
    for segment in result.manifest.segments:
        graph = Graph(onnx.shape_inference.infer_shapes(onnx.load(result.folder / segment.file)))
        for node in graph.nodes:
            answer = supports(machine.device(segment.device), graph.view(node), machine.precision)
            assert isinstance(answer, Yes), f"{node.kind} on {segment.device}: {answer}"


@pytest.mark.parametrize("name", NAMES)
def test_a_microcontroller_runs_what_fits(name: str, tmp_path: Path) -> None:
    broken = MICROCONTROLLER[name]
    if broken:
        with pytest.raises(Infeasible) as failure:
            compiled(name, "ethos_u55_256", tmp_path)
        message = str(failure.value)
        assert tuple(memory for memory in ("sram", "flash") if f"budget {memory}: predicted" in message) == broken
        assert "the target allows <= 512 KiB" in message or "the target allows <= 6 MiB" in message
        assert not (tmp_path / "bundle").exists()
        return
    result = compiled(name, "ethos_u55_256", tmp_path)
    assert not isinstance(result.verification, str) and result.verification.verified
    assert {segment.device for segment in result.manifest.segments} == {"cpu"}
    question = result.work.placement.question  # type: ignore[union-attr]
    assert all(isinstance(row[0], Refusal) and row[0].reasons for row in question.answers)


def operators_on(result: CompileResult, device: str) -> list[str]:
    files = [result.folder / segment.file for segment in result.manifest.segments if segment.device == device]
    return [node.op_type for file in files for node in onnx.load(file, load_external_data=False).graph.node]


def test_bert_on_tensor_g2_has_neither_gelu_nor_layernorm_on_the_npu(tmp_path: Path) -> None:
    # 128 tokens: with 32 the whole model is faster on the CPU than one dispatch
    result = compiled("bert_tiny", "tensor_g2", tmp_path, {"batch": 1, "seq": 128})
    assert result.work.recovered["LayerNormalization"] == 7
    assert result.work.recovered["Gelu"] == 3
    on_npu = operators_on(result, "npu")
    assert "MatMul" in on_npu and "Tanh" in on_npu and "Relu" in on_npu
    assert not {"Gelu", "LayerNormalization", "Erf"} & set(on_npu)
    assert placeable(result, "npu") >= 0.9
    (bound,) = {record.bound for record in result.manifest.errors.bounds}
    assert bound == pytest.approx(2.71e-4, rel=0.02)
    assert result.manifest.errors.measured[0].max_abs > 0


def test_bert_on_a16_keeps_gelu_and_layernorm_as_they_are(tmp_path: Path) -> None:
    on_npu = operators_on(compiled("bert_tiny", "a16", tmp_path), "npu")
    assert on_npu.count("Gelu") == 3
    assert on_npu.count("LayerNormalization") >= 5
    assert "Erf" not in on_npu and "Sqrt" not in on_npu


def placeable(result: CompileResult, device: str) -> float:
    """The share of the model's arithmetic that the device could run."""
    question = result.work.placement.question  # type: ignore[union-attr]
    column = [d.name for d in question.target.devices].index(device)
    untouched = Graph(_loaded(result))
    total = able = 0.0
    for node, row in zip(untouched.nodes, question.answers, strict=True):
        flops = operator_flops(untouched.view(node))
        total += flops
        able += flops if isinstance(row[column], Implementation) else 0.0
    return able / total


def _loaded(result: CompileResult) -> onnx.ModelProto:
    """The graph the placement was asked about: loaded, recovered and simplified again (realising has changed the first one)."""
    from autoglmc.compiler.load.load_model import load_model
    from autoglmc.compiler.pipeline.bodies import recover, simplify
    from autoglmc.compiler.plan.plan_model import start

    work = start(load_model(model_path("bert_tiny"), {"batch": 1, "seq": 128}), result.work.target)
    recover(work)
    simplify(work)
    return work.graph.to_model()


def test_the_bundle_agrees_with_onnxruntime_on_the_original_file(tmp_path: Path) -> None:
    """Not through verify: our bundle against a plain session, both fed the same arrays."""
    result = compiled("ppocr2_cls", "a16", tmp_path, verify=False)
    path = model_path("ppocr2_cls")
    session = onnxruntime.InferenceSession(str(path))
    bundle = Bundle.load(result.folder)
    outputs = []
    for seed in (1, 2):
        inputs = generate_inputs(onnx.load(path), seed, {"x": (1, 3, 48, 192)})
        expected = session.run(None, inputs)[0]
        (got,) = bundle.run(inputs, emulate=True).values()
        assert np.abs(got - expected).max() <= 1e-4 * expected.std()
        outputs.append(expected)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def digest(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["bert_tiny", "lightnet"])
def test_two_fresh_processes_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    shapes = [word for key, size in SHAPES[name].items() for word in ("--shape", f"{key}={size}")]
    digests = []
    for seed in ("1", "2"):
        folder = tmp_path / f"{name}{seed}"
        words = [str(model_path(name)), "--target", "tensor_g2", *shapes, "-o", str(folder), "--emulate"]
        code = f"from autoglmc.compiler.cli import run; raise SystemExit(run({words!r}))"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env={"PYTHONHASHSEED": seed, "PATH": ""})
        digests.append(digest(folder))
    assert digests[0] == digests[1]
    assert "manifest.json" in digests[0]


def test_a_manifest_names_no_path_of_this_machine(tmp_path: Path) -> None:
    result = compiled("lightnet", "a16", tmp_path)
    text = (result.folder / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert str(Path(load_target.__code__.co_filename).parent.parent) not in text
