"""What cannot be costed is listed with its cause, makes limits of time unproven, and stands on the screens of compile and why."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from shape_models import CORPUS, FLOAT, Sizes, Writer, random_model

from autoglmc.compiler.cli import run
from autoglmc.compiler.commands.line.failures import NOT_VERIFIED
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.infer_types import infer_types
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.uncosted import uncosted, upper_bounds
from autoglmc.targets.cost import operator_flops


def picked() -> onnx.ModelProto:
    """Rows of x that are not zero, times a weight."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", 8])
    rows = w.op("Squeeze", w.op("NonZero", w.op("ReduceSum", w.op("Abs", x), w.value([1]), keepdims=0)), w.value([0]))
    return w.model(w.op("Relu", w.op("MatMul", w.op("Gather", x, rows), w.weight(8, 5))))


def graph_of(model: onnx.ModelProto, sizes: Sizes) -> Graph:
    return Graph(load_model(MemoryModel(model, "m"), sizes).proto)


def plan(model: onnx.ModelProto, sizes: Sizes, target: str = "x86_cpu") -> PlannedModel:
    planned = plan_model(load_model(MemoryModel(model, "m"), sizes), load_target(target), 0.1, lambda name: pytest.MonkeyPatch.context())
    assert isinstance(planned, PlannedModel)
    return planned


def test_what_reads_a_result_of_unknown_length_is_listed() -> None:
    graph = graph_of(picked(), {"batch": 6})
    missing = uncosted(graph, [(graph, graph.nodes)])
    assert [one.operator for one in missing] == ["Gather", "MatMul", "Relu"]
    assert all("NonZero" in one.because and not one.shape for one in missing)
    assert [one.operator for one in upper_bounds([(graph, graph.nodes)])] == ["NonZero"]


def test_an_input_without_a_size_is_named_with_what_would_give_it_one() -> None:
    graph = Graph(infer_types(picked()))
    missing = uncosted(graph, [(graph, graph.nodes)])
    assert missing[0].shape == "--shape batch=N" and "'batch' of input 'x'" in missing[0].because


@pytest.mark.parametrize("name", CORPUS)
def test_all_that_exporters_write_is_costed(name: str) -> None:
    planned = plan(*CORPUS[name]())
    assert not planned.uncosted
    assert planned.predicted.latency > 0


@pytest.mark.parametrize("seed", range(20))
def test_random_shape_arithmetic_is_costed(seed: int) -> None:
    assert not plan(*random_model(seed)).uncosted


def test_a_loop_of_known_length_is_costed_by_its_rounds() -> None:
    graph = graph_of(*CORPUS["loop_of_length"]())
    [loop] = [graph.view(node) for node in graph.nodes if node.kind == "Loop"]
    assert loop.trips == 5 and operator_flops(loop) > 5 * 2 * 2 * 8 * 8


def test_compile_and_why_say_what_is_not_costed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(picked(), tmp_path / "m.onnx")
    (tmp_path / "t.hw").write_text('hw 1;\ninclude "x86_cpu.hw";\ntarget t extends x86_cpu { limits { latency <= 1 s; } }\n', "utf-8")
    common = [str(tmp_path / "m.onnx"), "--target", str(tmp_path / "t.hw"), "--shape", "batch=6"]
    assert run(["compile", *common, "--no-verify", "-o", str(tmp_path / "b")]) == NOT_VERIFIED
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 operators cannot be costed, so the latency is a lower bound" in shown and "as if no element is zero" in shown
    assert "UNPROVEN" in shown
    assert run(["why", *common]) == 0
    assert "3 operators cannot be costed" in " ".join(capsys.readouterr().out.split())


def test_programs_read_what_is_not_costed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same records in the manifest, in the JSON of compile and in that of why."""
    onnx.save(picked(), tmp_path / "m.onnx")
    common = [str(tmp_path / "m.onnx"), "--target", "x86_cpu", "--shape", "batch=6", "--json"]
    assert run(["compile", *common, "--no-verify", "-o", str(tmp_path / "b")]) == NOT_VERIFIED
    compiled = json.loads(capsys.readouterr().out)["uncosted"]
    assert run(["why", *common]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["uncosted"] == compiled
    assert [one.operator for one in Bundle.load(tmp_path / "b").manifest.uncosted] == ["Gather", "MatMul", "Relu"]
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["uncosted"] == compiled
    assert all("NonZero" in one["because"] and one["tensor"] for one in compiled)
