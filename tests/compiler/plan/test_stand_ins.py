"""A runtime is asked about a large segment without its weights, and says the same as with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from small_decoders import Decoder, decoder

from autoglmc.compiler.devices.ort import OrtAdapter
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.plan import in_place, stand_ins
from autoglmc.compiler.state.request import StateRequest


def test_caches_of_a_large_decoder_are_extended_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_place, "LARGEST_WEIGHTS", 0)
    monkeypatch.setattr(stand_ins, "LARGE", 1024)
    entries, state = {"decode": Asked(shapes={}, tokens=1)}, StateRequest((("past.*", "present.*"),), 16)
    made = compile_entries(decoder(Decoder(layers=2)), "x86_cpu", entries, state=state, output=tmp_path / "b")
    assert made.verified and [state.copied for state in made.manifest.states] == [0] * 4


def test_what_is_executed_does_not_depend_on_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_ins, "LARGE", 1024)
    model = onnx.load(Path(__file__).parents[2] / "models" / "bert_tiny.onnx")
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.initializer[:]
    place = stand_ins.write_stand_in(bare, model.graph.initializer, tmp_path)
    assert place.stat().st_size < 0.1 * model.ByteSize() and (tmp_path / stand_ins.ZEROS).stat().st_blocks == 0
    executed = [OrtAdapter().executed(given) for given in (place, model.SerializeToString())]
    seen = [[(node.op_type, tuple(node.input), tuple(node.output)) for node in one.graph.node] for one in executed]
    assert seen[0] == seen[1]
    light = onnx.load(place, load_external_data=True)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for tensor in light.graph.initializer:
        array, whole = onnx.numpy_helper.to_array(tensor), weights[tensor.name]
        assert (array.shape, array.dtype) == (whole.shape, whole.dtype)
        assert not np.any(array) if whole.nbytes >= 1024 else np.array_equal(array, whole)
