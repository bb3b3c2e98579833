"""What a Python caller can give wrong is a UserError that says what is wrong, before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import model_path

import autoglmc


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(model_path("lightnet"), tmp_path / "lightnet.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": b"abc"}, "a model is a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph, not bytes"),
        ({"model": "none.onnx"}, "no such file: none.onnx"),
        ({"model": "."}, "not a file: ."),
        ({"target": "nope"}, "there is no target 'nope'"),
        ({"shapes": [("batch", 1)]}, "shapes is a mapping from names to sizes, not list"),
        ({"shapes": {"batch": "1"}}, "shapes['batch'] is '1'"),
        ({"shapes": {"batch": 0}}, "shapes['batch'] is 0"),
        ({"shapes": {"batch": 1.5}}, "shapes['batch'] is 1.5"),
        ({"shapes": {"batch": ()}}, "shapes['batch'] is ()"),
        ({"shapes": {1: 1}}, "shapes[1] is 1"),
        ({"shapes": {"pixel_values": (1, 3, -1, 96)}}, "shapes['pixel_values'] is (1, 3, -1, 96)"),
        ({"shapes": {"b": 1}}, "no dim or input of that name"),
        ({"shapes": {}}, "dynamic dims without a size: batch"),
        ({"output": "lightnet.onnx"}, "there is a file where the bundle should go"),
        ({"disable": "nope"}, "there is no rule 'nope'"),
        ({"inputs": [1]}, "inputs is a mapping from input names to arrays, or (label, mapping) pairs, not list"),
        ({"inputs": {"x": np.zeros(3)}}, "the model has no input 'x'"),
        ({"effort": 0}, "effort is a positive number, not 0"),
        ({"effort": "much"}, "effort is a positive number, not 'much'"),
    ],
)
def test_compile(folder: Path, arguments: dict[str, Any], said: str) -> None:
    given = {"model": "lightnet.onnx", "target": "a16", "shapes": {"batch": 1}} | arguments
    with pytest.raises(autoglmc.UserError) as caught:
        autoglmc.compile(**given)
    assert said in caught.value.message
    assert [path.name for path in folder.iterdir()] == ["lightnet.onnx"]


def test_sizes_of_numpy_and_in_lists_are_sizes(folder: Path) -> None:
    bundle = autoglmc.compile("lightnet.onnx", "x86_cpu", shapes={"batch": np.int64(1)}, verify=False, output=folder / "a")
    again = autoglmc.compile("lightnet.onnx", "x86_cpu", shapes={"pixel_values": [1, 3, 96, 96]}, verify=False, output="b")
    assert bundle.manifest == again.manifest and bundle.manifest.model.inputs[0].shape == (1, 3, 96, 96)


def test_one_rule_by_name(folder: Path) -> None:
    result = autoglmc.compile("lightnet.onnx", "x86_cpu", shapes={"batch": 1}, verify=False, disable="recover_gelu")
    assert "Gelu" not in {facts.get("operator") for _, facts in result.graph().nodes(data=True)}


def test_bundles(folder: Path) -> None:
    bundle = autoglmc.compile("lightnet.onnx", "a16", shapes={"batch": 1})
    with pytest.raises(autoglmc.BundleError, match=r"manifest\.json is missing"):
        autoglmc.Bundle.load(".")
    with pytest.raises(autoglmc.BundleError, match=r"manifest\.json is missing"):
        autoglmc.verify("lightnet.onnx", "nowhere")
    with pytest.raises(TypeError, match="int"):
        autoglmc.verify("lightnet.onnx", 3)  # type: ignore[arg-type]
    with pytest.raises(autoglmc.UsageError, match="inputs is a mapping"):
        autoglmc.verify("lightnet.onnx", bundle, emulate=True, inputs=[1])  # type: ignore[arg-type]
    with pytest.raises(autoglmc.UsageError, match="has no level 'x'") as caught:
        bundle.graph("x")  # type: ignore[arg-type]
    assert caught.value.help == "known: operators, segments"
    (bundle.folder / bundle.manifest.segments[0].file).write_bytes(b"\x08")
    with pytest.raises(autoglmc.BundleError, match="cannot read a segment's model"):
        bundle.graph()


def test_why(folder: Path) -> None:
    with pytest.raises(autoglmc.UsageError, match="no node and no operator"):
        autoglmc.why("lightnet.onnx", "a16", "nothere", shapes={"batch": 1})
    with pytest.raises(autoglmc.UsageError, match="no device 'tpu'"):
        autoglmc.why("lightnet.onnx", "a16", device="tpu")
    with pytest.raises(autoglmc.HwError, match="HW0006"):
        autoglmc.why("lightnet.onnx", Path("lightnet.onnx"))
