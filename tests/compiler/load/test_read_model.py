from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import model_path
from onnx import ModelProto
from small_models import RELU, parse, save

from autoglmc.compiler.errors import ModelError, UsageError
from autoglmc.compiler.load.read_model import read_model


def refuse(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_model(path)
    return caught.value


def test_a_model_is_read(tmp_path: Path) -> None:
    model = parse(RELU)
    assert read_model(save(model, tmp_path))[0] == model


def test_missing_file_and_folder_are_usage_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "no.onnx", tmp_path):
        with pytest.raises(UsageError) as caught:
            read_model(path)
        assert str(path) in str(caught.value) and caught.value.exit_code == 2


def test_empty_file(tmp_path: Path) -> None:
    assert refuse(save(b"", tmp_path)).message == "the file is empty"


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"PK\x03\x04" + bytes(60), "torch.onnx.export"),
        (gzip.compress(b"model", mtime=0), "unpack"),
        (b"\x1c\0\0\0TFL3" + bytes(60), "tf2onnx"),
        (b"#!/bin/sh\nexit 0\n", "export the model to ONNX"),
    ],
)
def test_lookalikes_are_named(tmp_path: Path, data: bytes, advice: str) -> None:
    error = refuse(save(data, tmp_path))
    assert error.message == "not an ONNX file" and advice in error.help


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_called_truncated(tmp_path: Path, part: float) -> None:
    data = model_path("lightnet").read_bytes()
    error = refuse(save(data[: int(len(data) * part)], tmp_path))
    assert "truncated" in error.message


@given(st.binary(min_size=1, max_size=400))
def test_random_bytes_are_never_a_model_nor_a_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    with pytest.raises(ModelError):
        read_model(save(data, folder))


@given(st.data())
def test_a_flipped_byte_never_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = bytearray(parse(RELU).SerializeToString())
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    path = save(bytes(good), tmp_path_factory.mktemp("flip"))
    try:
        read_model(path)
    except ModelError as error:
        assert str(path) in str(error)


def test_protobuf_without_a_graph_or_outputs_is_no_model(tmp_path: Path) -> None:
    assert "no graph" in refuse(save(ModelProto(ir_version=8), tmp_path)).message
    model = parse(RELU)
    del model.graph.output[:]
    assert "no output" in refuse(save(model, tmp_path)).message
    model = parse(RELU)
    model.ClearField("ir_version")
    assert "IR version" in refuse(save(model, tmp_path)).message


def test_a_graph_without_operators_is_nothing_to_compile(tmp_path: Path) -> None:
    model = parse(RELU)
    del model.graph.node[:]
    assert "no operators" in refuse(save(model, tmp_path)).message


def message(field: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field, written by hand: the library refuses to build what its parser refuses to read."""
    size, length = len(payload), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + payload


@pytest.mark.parametrize(("depth", "says"), [(40, "nests deeper than 32 bodies"), (2000, "nests deeper than 32 bodies")])
def test_deep_nesting_is_named(tmp_path: Path, depth: int, says: str) -> None:
    graph = message(2, b"leaf")
    for _ in range(depth):
        graph = message(1, message(4, b"If") + message(5, message(1, b"then_branch") + message(6, graph)))
    assert says in refuse(save(b"\x08\x08" + message(7, graph), tmp_path)).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = save(parse(RELU), tmp_path)
    path.chmod(0)
    assert "cannot read" in refuse(path).message


def test_a_file_beyond_two_gigabytes_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)
    assert "external data" in refuse(path).help
