"""What a model says about itself, and its inputs with defaults, reach the bundle, its manifest and the Python API."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_models import RELU, parse, save

import autoglmc
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.metadata import LARGEST


def labelled(**entries: str) -> onnx.ModelProto:
    model = parse(RELU)
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    return model


def test_class_labels_are_in_the_bundle(tmp_path: Path) -> None:
    labels = {"names": "{0: 'cat', 1: 'dög'}", "stride": "32", "": "no key"}
    path = save(labelled(**labels), tmp_path)
    bundle = autoglmc.compile(path, "x86_cpu", output=tmp_path / "out", verify=False)
    assert dict(bundle.metadata) == labels
    assert dict(autoglmc.Bundle.load(tmp_path / "out").metadata) == labels
    assert json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["model"]["metadata"] == labels


def test_metadata_of_a_model_in_memory_and_of_an_old_one(tmp_path: Path) -> None:
    model = labelled(names="a b")
    model.opset_import[0].version, model.ir_version = 9, 4
    assert dict(autoglmc.compile(model, "x86_cpu", output=tmp_path / "out", verify=False).metadata) == {"names": "a b"}


@pytest.mark.parametrize(("size", "kept"), [(LARGEST - 5, "big k"), (LARGEST - 4, "big"), (LARGEST - 3, "big"), (LARGEST - 2, "k")])
def test_metadata_is_bounded_and_what_is_left_out_is_named(size: int, kept: str, tmp_path: Path) -> None:
    loaded = load_model(save(labelled(big="x" * size, k="v"), tmp_path))
    assert [*loaded.metadata] == kept.split()
    lost = {"big", "k"} - {*kept.split()}
    assert [note for note in loaded.notes if "is not in the bundle" in note and any(f"'{key}'" in note for key in lost)] or not lost


@pytest.mark.parametrize(("ir", "named"), [(3, False), (4, True), (8, True)])
def test_inputs_with_defaults_are_named(ir: int, named: bool, tmp_path: Path) -> None:
    model = parse("g (float[4] x, float[4] w, float[4] v) => (float[4] y) { a = Add(x, w) y = Mul(a, v) }", ir=ir, opset=9)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.ones(4, np.float32), name) for name in "wv")
    path = save(model, tmp_path)
    loaded = load_model(path)
    assert loaded.defaults == (("w", "v") if named else ())
    assert any("2 graph inputs with a default value, taken as constants: 'w', 'v'" in note for note in loaded.notes) == named
    bundle = autoglmc.compile(path, "x86_cpu", output=tmp_path / "out", verify=False)
    assert bundle.manifest.model.defaults == loaded.defaults
