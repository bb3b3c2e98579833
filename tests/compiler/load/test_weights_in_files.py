"""A model whose weights stay in their files is loaded, hashed and compiled as one whose weights are in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import SHAPES, model_path
from onnx import TensorProto, helper, numpy_helper
from small_decoders import Decoder, decoder

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load import read_model, weights
from autoglmc.compiler.load.hide_weights import SMALL
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.map_model import map_model
from autoglmc.compiler.load.source import MemoryModel, source_of, weights_gone
from autoglmc.compiler.load.weights import model_sha256
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.state.request import StateRequest
from autoglmc.passes.mapped.mapped_tensor import PLACE, DataGone, array_of, inline_all, is_mapped, refer, states_in

LEAST = SMALL
"""Bytes from which on weights stay in their file here: those that the loader would hide, so that they keep their order."""
DECODER = Decoder(heads=16, groups=16, width=16)
REAL = ("bert_tiny", "lightnet", "silero_vad_16k_op15")


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of small models, too, stay in their files."""
    monkeypatch.setattr(read_model, "LIGHT", 0)
    monkeypatch.setattr(read_model, "LARGE", LEAST)
    monkeypatch.setattr(weights, "LARGE", LEAST)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_a_loaded_model_is_the_same(name: str, external: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = model_path(name)
    if external:
        path = tmp_path / "m.onnx"
        onnx.save(onnx.load(model_path(name)), path, save_as_external_data=True, size_threshold=LEAST, location="m.data")
    usual = load_model(path, SHAPES[name])
    inline_all(usual.proto)
    request.getfixturevalue("light")
    found = load_model(path, SHAPES[name])
    assert any(map(is_mapped, found.proto.graph.initializer))
    inline_all(found.proto)
    assert found.proto == usual.proto and (found.sha256, found.notes) == (usual.sha256, usual.notes)


def digests(folder: Path) -> Mapping[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.mark.parametrize("target", ["x86_cpu", "a16"])
@pytest.mark.parametrize("name", REAL[:2])
def test_a_bundle_has_the_same_bytes(name: str, target: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    def compiled(out: str) -> Mapping[str, str]:
        compile_model(model_path(name), target, shapes=SHAPES[name], output=tmp_path / out, verify=False)
        return digests(tmp_path / out)

    usual = compiled("usual")
    request.getfixturevalue("light")
    assert compiled("light") == usual


def test_a_verified_bundle_has_the_same_bytes(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    compile_model(model_path("lightnet"), "x86_cpu", shapes=SHAPES["lightnet"], output=tmp_path / "usual")
    request.getfixturevalue("light")
    compile_model(model_path("lightnet"), "x86_cpu", shapes=SHAPES["lightnet"], output=tmp_path / "light")
    assert digests(tmp_path / "light") == digests(tmp_path / "usual")


@pytest.mark.usefixtures("light")
def test_a_model_in_memory_with_weights_in_files_has_the_hash_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx.load(model_path("bert_tiny")).SerializeToString())
    model, _ = read_model.read_model(path)
    assert any(map(is_mapped, model.graph.initializer))
    assert model_sha256(MemoryModel(model, "m")) == hashlib.sha256(path.read_bytes()).hexdigest() == model_sha256(path)


def identity(tensor: TensorProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["y"])], "g", [], [helper.make_tensor_value_info("y", 1, None)], [tensor]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("mapped", [False, True])
def test_nobody_else_may_say_where_a_weight_lies(mapped: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """It could name any file of the machine."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4 * LEAST))
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[LEAST])
    refer(tensor, secret, 0, 4 * LEAST)
    model = identity(tensor)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    if mapped:
        request.getfixturevalue("light")
    with pytest.raises(ModelError, match=PLACE):
        load_model(path)
    with pytest.raises(ModelError, match=PLACE):
        source_of(model)
    with pytest.raises(ModelError, match=PLACE):
        map_model(path)


@pytest.mark.parametrize("place", ["attribute", "body", "function", "body of a function", "sparse"])
def test_nor_anywhere_inside(place: str, tmp_path: Path) -> None:
    (tmp_path / "beside").write_bytes(bytes(4 * LEAST))
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[LEAST])
    refer(tensor, tmp_path / "beside", 0, 4 * LEAST)
    for key, value in (("location", "beside"), ("offset", "0"), ("length", str(4 * LEAST))):
        tensor.external_data.add(key=key, value=value)
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    body = helper.make_graph([], "b", [], [helper.make_tensor_value_info("c", 1, None)], [tensor])
    branch = helper.make_node("If", ["w"], ["z"], then_branch=body, else_branch=body)
    model = identity(numpy_helper.from_array(np.zeros(4, np.float32), "w"))
    if place == "sparse":
        model.graph.sparse_initializer.add(dims=[LEAST]).values.CopyFrom(tensor)
    elif place in ("attribute", "body"):
        model.graph.node.append(constant if place == "attribute" else branch)
    else:
        node = constant if place == "function" else branch
        model.functions.append(helper.make_function("d", "F", ["w"], [node.output[0]], [node], [helper.make_opsetid("", 17)]))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="sparse" if place == "sparse" else PLACE):
        load_model(tmp_path / "m.onnx")


def test_thousands_of_weights_take_one_descriptor(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(range(256)) * 8)
    stubs = [TensorProto(name=str(k), data_type=TensorProto.UINT8, dims=[2]) for k in range(1000)]
    for k, stub in enumerate(stubs):
        refer(stub, tmp_path / "data", 2 * k, 2)
    before = len(list(Path("/proc/self/fd").iterdir()))
    arrays = [array_of(stub) for stub in stubs]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert all(array.tolist() == [2 * k % 256, (2 * k + 1) % 256] for k, array in enumerate(arrays))


@pytest.mark.parametrize("change", ["shorter", "gone"])
def test_data_that_is_no_longer_there_is_told(change: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(100))
    stub = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[100])
    refer(stub, tmp_path / "data", 0, 100)
    assert array_of(stub).sum() == 0
    if change == "shorter":
        (tmp_path / "data").write_bytes(bytes(99))
    else:
        (tmp_path / "data").unlink()
    with pytest.raises(DataGone, match=r"shorter|No such file") as found:
        array_of(stub)
    told = weights_gone(found.value)
    assert told is not None and "run it again" in told.help and weights_gone(OSError()) is None


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("change", ["short", "twice"])
def test_data_of_another_size_is_refused_in_the_same_words(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = numpy_helper.from_array(np.zeros(LEAST, np.float32), "w")
    if change == "short":
        tensor.dims[0] += 1
    else:
        tensor.float_data.extend([0.0] * LEAST)
    path = tmp_path / "m.onnx"
    path.write_bytes(identity(tensor).SerializeToString())
    with pytest.raises(ModelError) as found:
        load_model(path)
    monkeypatch.undo()
    with pytest.raises(ModelError) as usual:
        load_model(path)
    assert str(found.value) == str(usual.value)


@pytest.mark.parametrize("which", ["m.onnx", "m.data"])
def test_a_file_that_is_changed_meanwhile_is_no_bundle(which: str, tmp_path: Path) -> None:
    onnx.save(onnx.load(model_path("bert_tiny")), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=LEAST, location="m.data")

    def change(message: str) -> None:
        if message == "emit":
            (tmp_path / which).write_bytes((tmp_path / which).read_bytes()[:-1] + b"x")

    arguments: dict[str, Any] = {"shapes": SHAPES["bert_tiny"], "output": tmp_path / "b", "verify": False}
    with pytest.raises(ModelError, match="changed while the model was compiled"):
        compile_model(tmp_path / "m.onnx", "x86_cpu", progress=change, **arguments)
    assert not (tmp_path / "b").exists()


def test_a_decoder_whose_weights_are_changed_meanwhile_is_no_bundle(tmp_path: Path) -> None:
    onnx.save(decoder(DECODER), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=LEAST, location="m.data")

    def change(message: str) -> None:
        if message == "emit":
            (tmp_path / "m.data").write_bytes(bytes((tmp_path / "m.data").stat().st_size))

    state, entries = StateRequest((("past.*", "present.*"),), 16), {"decode": Asked(shapes={}, tokens=1)}
    with pytest.raises(ModelError, match="changed while the model was compiled"):
        compile_entries(tmp_path / "m.onnx", "x86_cpu", entries, state=state, output=tmp_path / "b", verify=False, progress=change)
    assert not (tmp_path / "b").exists()


def test_quantised_weights_that_are_changed_meanwhile_are_no_bundle(tmp_path: Path) -> None:
    onnx.save(decoder(DECODER), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=LEAST, location="m.data")

    def change(message: str) -> None:
        if message == "quantise":
            (tmp_path / "m.data").write_bytes(bytes((tmp_path / "m.data").stat().st_size))

    with pytest.raises(ModelError, match="changed while the model was compiled"):
        shapes = {"seq": 4, "past": 8, "total": 12, "batch": 1}
        asked: dict[str, Any] = {"shapes": shapes, "precision": request_of("int8", None), "verify": False}
        compile_model(tmp_path / "m.onnx", "x86_cpu", output=tmp_path / "b", progress=change, **asked)
    assert not (tmp_path / "b").exists()


def test_a_stub_knows_what_its_file_was_like(tmp_path: Path) -> None:
    (tmp_path / "data:1").write_bytes(bytes(8))
    stub = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[8])
    refer(stub, tmp_path / "data:1", 0, 8)
    found = (tmp_path / "data:1").stat()
    assert states_in([stub, TensorProto(name="v")]) == {tmp_path / "data:1": (found.st_size, found.st_mtime_ns)}
    assert array_of(stub).tolist() == [0] * 8
