from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_models import parse

from autoglmc.compiler import cli
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.weights import check_weights, hash_model, load_external, model_sha256

ADD = "g (float[64] x) => (float[64] y) { y = Add(x, w) }"
WEIGHTS = np.arange(64, dtype=np.float32)


def inline() -> onnx.ModelProto:
    model = parse(ADD)
    model.graph.initializer.append(numpy_helper.from_array(WEIGHTS, "w"))
    return model


def external(folder: Path, size: int = 256, **entries: str) -> tuple[onnx.ModelProto, Path]:
    """A model whose one weight lies in w.bin, and the path that it would be saved at."""
    (folder / "w.bin").write_bytes((WEIGHTS.tobytes() * 2)[:size])
    model = inline()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return model, path


def refuse(model: onnx.ModelProto, path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        check_weights(model, path)
    assert "'w'" in caught.value.message
    return caught.value


def test_inline_weights_pass(tmp_path: Path) -> None:
    assert check_weights(inline(), tmp_path / "m.onnx") == ()


@pytest.mark.parametrize("size", [0, 255, 257])
def test_raw_data_of_the_wrong_size(tmp_path: Path, size: int) -> None:
    model = inline()
    model.graph.initializer[0].raw_data = bytes(size)
    assert f"has {size} bytes, its shape [64] needs 256" in refuse(model, tmp_path / "m.onnx").message


def test_a_weight_without_data(tmp_path: Path) -> None:
    model = inline()
    model.graph.initializer[0].ClearField("raw_data")
    assert "no data" in refuse(model, tmp_path / "m.onnx").message


@pytest.mark.parametrize("dims", [[-4], [2**40, 2**40]])
def test_impossible_shapes(tmp_path: Path, dims: list[int]) -> None:
    model = inline()
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    assert "impossible shape" in refuse(model, tmp_path / "m.onnx").message


def test_packed_types_are_counted_in_bits(tmp_path: Path) -> None:
    model = inline()
    tensor = model.graph.initializer[0]
    tensor.data_type, tensor.raw_data = onnx.TensorProto.INT4, bytes(32)
    assert check_weights(model, tmp_path / "m.onnx") == ()


def test_external_weights_are_loaded_and_hashed(tmp_path: Path) -> None:
    model, path = external(tmp_path)
    found = check_weights(model, path)
    assert [place.location for place in found] == ["w.bin"]
    assert hash_model([path.read_bytes()], found) == hashlib.sha256(path.read_bytes() + WEIGHTS.tobytes()).hexdigest()
    load_external(model, path)
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[0]), WEIGHTS)


def test_load_model_takes_external_weights(tmp_path: Path) -> None:
    _, path = external(tmp_path, offset="0", length="256")
    loaded = load_model(path)
    assert np.array_equal(numpy_helper.to_array(loaded.proto.graph.initializer[0]), WEIGHTS)
    (tmp_path / "w.bin").write_bytes(bytes(256))
    assert load_model(path).sha256 != loaded.sha256
    assert model_sha256(path) == load_model(path).sha256


@pytest.mark.parametrize("location", ["/etc/passwd", "../w.bin", "sub/../../w.bin", "..\\w.bin", "C:\\w.bin", "\\\\host\\w.bin", "a\0b"])
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    model, path = external(tmp_path, location=location)
    assert "outside the model's folder" in refuse(model, path).message


def test_a_link_that_leaves_the_folder_is_refused_one_that_stays_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    model, path = external(folder, location="link.bin")
    (tmp_path / "outside.bin").write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    assert "is a link to" in refuse(model, path).message
    (folder / "link.bin").unlink()
    (folder / "link.bin").symlink_to(folder / "w.bin")
    assert len(check_weights(model, path)) == 1


def spoil(folder: Path, kind: str) -> None:
    """Puts something at folder/data.bin that is no data file."""
    place = folder / "data.bin"
    if kind == "link to itself":
        place.symlink_to("data.bin")
    elif kind == "links in a circle":
        (folder / "other.bin").symlink_to("data.bin")
        place.symlink_to("other.bin")
    elif kind == "dangling link":
        place.symlink_to("nothing.bin")
    elif kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(place))
    elif kind == "below a file":
        place.write_bytes(b"")


KINDS = {
    "link to itself": "leads to itself",
    "links in a circle": "leads to itself",
    "dangling link": "missing",
    "folder": "not a regular file",
    "fifo": "not a regular file",
    "socket": "not a regular file",
    "below a file": "cannot be read",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_data_file_is_refused_by_name(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, path = external(tmp_path, location="data.bin/w" if kind == "below a file" else "data.bin")
    spoil(tmp_path, kind)
    assert KINDS[kind] in refuse(model, path).message
    assert cli.run([str(path), "--target", "x86_cpu", "-o", str(tmp_path / "out")]) == 1


@pytest.mark.parametrize("name", ["n" * 300, "x/" * 3000 + "w.bin"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in refuse(*external(tmp_path, location=name)).message


def test_missing_and_short_files(tmp_path: Path) -> None:
    model, path = external(tmp_path, location="gone.bin")
    assert "'gone.bin'" in refuse(model, path).message and "missing" in refuse(model, path).message
    model, path = external(tmp_path, size=200)
    assert "which has only 200" in refuse(model, path).message
    model, path = external(tmp_path, offset="4")
    assert "bytes 4 to 260" in refuse(model, path).message
    model, path = external(tmp_path, size=300)  # no length: all the rest of the file, which every reader but onnxruntime takes
    assert "300 bytes in 'w.bin', its shape needs 256" in refuse(model, path).message


@pytest.mark.parametrize(("key", "value"), [("offset", "-4"), ("offset", "4x"), ("length", "10"), ("length", ""), ("offset", "9" * 30)])
def test_wrong_offsets_and_lengths(tmp_path: Path, key: str, value: str) -> None:
    refuse(*external(tmp_path, **{key: value}))


def test_a_weight_of_more_than_one_message_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """protobuf copies no message of 2 GiB: DecodeError, after all of it had been read twice."""
    model, path = external(tmp_path)
    tensor = model.graph.initializer[0]
    tensor.dims[:] = [3 * 2**28]
    os.truncate(tmp_path / "w.bin", 3 * 2**30)  # sparse
    problem = refuse(model, path)
    assert "weight 'w' has 3,221,225,472 bytes" in problem.message and "split" in problem.help
