"""`verify --against-runtime`: where onnxruntime's optimisations make the untouched model wrong, by output, and by which optimiser."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from runtime_fault_models import feed, layer_norm, relu_clip
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.driver.against_runtime import against_runtime
from autoglmc.compiler.errors import ModelError

QUIET = lambda message: None  # noqa: E731


def faulty() -> onnx.ModelProto:
    return layer_norm(random.Random(3), np.random.default_rng(3), 0)


def test_a_wrong_output_is_listed_with_the_optimiser_at_fault(tmp_path: Path) -> None:
    model = faulty()
    model.graph.node.append(onnx.helper.make_node("Relu", ["x"], ["z"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, [None] * 3))
    report = against_runtime(save(model, tmp_path), None, QUIET)
    assert not report.right and report.optimisation == "all"
    assert [(one.name, one.right) for one in report.outputs] == [("y", False), ("z", True)]
    assert report.optimizers_off == ("LayerNormFusionL1", "SimplifiedLayerNormFusion")
    assert report.fault.startswith(
        "onnxruntime's optimisers LayerNormFusionL1 and SimplifiedLayerNormFusion compute the model wrong (y off by"
    )
    assert "; cost of leaving it out: " in report.fault


def test_a_model_that_the_optimiser_refuses(tmp_path: Path) -> None:
    path = save(relu_clip(random.Random(1), np.random.default_rng(1), "int32"), tmp_path)
    report = against_runtime(path, None, QUIET)
    assert not report.right and not report.outputs and report.optimizers_off == ("FuseReluClip",)
    assert report.fault.startswith("onnxruntime's optimiser FuseReluClip fails on the model (Unexpected data type")


@pytest.mark.parametrize("text", [RELU, DYNAMIC])
def test_rounding_is_no_fault_and_open_dims_get_a_size(text: str, tmp_path: Path) -> None:
    told: list[str] = []
    report = against_runtime(save(parse(text), tmp_path), None, told.append)
    assert report.right and not report.fault and len(told) == 3


def test_given_inputs_come_first(tmp_path: Path) -> None:
    model = faulty()
    told: list[str] = []
    assert not against_runtime(save(model, tmp_path), feed(model), told.append).right
    assert told == ["comparing on input set 1", "which optimiser is at fault"]
    with pytest.raises(ModelError, match="cannot run the model on these inputs"):
        against_runtime(save(model, tmp_path), {"x": np.zeros((1, 2), "f")}, QUIET)


def test_a_model_that_cannot_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="onnxruntime cannot run the model: "):
        against_runtime(save(parse("g (float[2,3] x) => (float[2,2] y) { y = MatMul(x, x) }"), tmp_path), None, QUIET)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, fine = str(save(faulty(), tmp_path, "wrong.onnx")), str(save(parse(RELU), tmp_path, "fine.onnx"))
    assert cli.run(["verify", wrong, "--against-runtime", "-q"]) == 1
    lines = " ".join(capsys.readouterr().out.split())
    assert lines.startswith("runtime onnxruntime's optimisers LayerNormFusionL1 and SimplifiedLayerNormFusion compute the model wrong")
    assert cli.run(["verify", fine, "--against-runtime", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["right"] is True
    assert cli.run(["verify", fine]) == 2
    assert "Missing argument 'BUNDLE'" in capsys.readouterr().err


def test_beside_a_bundle_the_verdict_is_the_bundles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is right without the optimiser, although the runtime is wrong about the model."""
    wrong, bundle = str(save(faulty(), tmp_path, "wrong.onnx")), str(tmp_path / "bundle")
    assert cli.run([wrong, "--target", "x86_cpu", "-o", bundle, "-q"]) == 0
    capsys.readouterr()
    assert cli.run(["verify", wrong, bundle, "--against-runtime", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verified"] is True and found["runtime"]["right"] is False
    assert cli.run(["verify", wrong, bundle, "--against-runtime", "-q"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")] == ["runtime", "verify"]
