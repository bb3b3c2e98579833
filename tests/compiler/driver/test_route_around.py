"""A runtime that refuses an operator or computes it wrong: the model is placed without it, and the line to add to the target is told."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import parse, save
from stub_adapter import MODEL, target_with, use_stub

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.grammar import load_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.targets.support import No, Yes, supports

HW = """hw 1;
target t {
  name "t"; onnx opset 13..21;
  memory dram { size 1 GiB; bandwidth 10 GB/s; page 4 KiB; shared npu, cpu; }
  device npu : x { runtime none; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; supports fp32 { Sin, Exp, Tanh, Cos, Sigmoid; } %s }
  device cpu : y { runtime ort; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; supports all; }
  link npu <-> cpu { zero_copy; handoff 1 us; }
}
"""


@pytest.mark.parametrize(("fault", "operator"), [("refuse", "Tanh"), ("wrong", "Cos")])
def test_the_model_is_placed_without_the_culprit(fault: str, operator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    model = parse(MODEL)
    result = compile_model(save(model, tmp_path), target_with(fault, operator), output=tmp_path / "bundle")
    (note,) = [note for note in result.notes if "is kept off npu" in note]
    assert note.startswith(f"{operator} is kept off npu: it is {'refused' if fault == 'refuse' else 'computed wrong'}")
    bundle = Bundle.load(result.folder)
    by_device = {segment.device for segment in bundle.manifest.segments}
    assert by_device == {"npu", "cpu"}
    x = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    expected = 1 / (1 + np.exp(-np.cos(np.tanh(np.exp(np.sin(x))))))
    np.testing.assert_allclose(bundle.run({"x": x})["y"], expected, rtol=1e-4)
    _denies_exactly(note, operator, tmp_path)


def _denies_exactly(note: str, operator: str, folder: Path) -> None:
    """The line of the note is .hw, and keeps that operator of these shapes off, and nothing else."""
    line = re.search(r"deny \{.*\}", note)
    assert line is not None
    (folder / "t.hw").write_text(HW % line.group(), encoding="utf-8")
    target = load_target(folder / "t.hw")
    graph = Graph(onnx.shape_inference.infer_shapes(parse(MODEL)))
    said = {node.operator: supports(target.devices[0], graph.view(node), target.precision) for node in graph.nodes}
    assert {name for name, answer in said.items() if isinstance(answer, No)} == {operator}
    other = Graph(parse(f"g (float[3,5] x) => (float[3,5] y) {{ y = {operator}(x) }}"))
    assert isinstance(supports(target.devices[0], other.view(other.nodes[0]), target.precision), Yes)
