"""A tensor whose data stays in a file reads as the same tensor with its data in it, wherever in the file that is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from autoglmc.passes.mapped.mapped_tensor import (
    array_of,
    data_bytes,
    data_of,
    inline_all,
    inlined,
    is_mapped,
    refer,
    stubs_bytes,
    whole_size,
)

TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "INT8", "INT64", "BOOL", "UINT4", "INT4", "DOUBLE", "FLOAT8E4M3FN")


@st.composite
def tensors(draw: st.DrawFn) -> TensorProto:
    dims = draw(st.lists(st.integers(1, 9), max_size=3))
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.DataType.Value(draw(st.sampled_from(TYPES))))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 2, dims).astype(np.float32).astype(dtype)
    tensor = numpy_helper.from_array(values, draw(st.sampled_from(("w", "a:b", "w" * 200))))
    tensor.doc_string = draw(st.sampled_from(("", "said of it")))
    return tensor


def stub(tensor: TensorProto, folder: Path, before: int) -> TensorProto:
    """The same with its data in a file, so many bytes from its begin, and others behind it."""
    place = folder / "name with: colon"
    place.write_bytes(b"\xff" * before + tensor.raw_data + b"\xff" * 5)
    made = TensorProto()
    made.CopyFrom(tensor)
    refer(made, place, before, len(tensor.raw_data))
    return made


@settings(max_examples=80)
@given(tensors(), st.sampled_from((0, 1, 3, 64, 4095, 4096, 8193)))
def test_it_reads_as_the_tensor_itself(tmp_path_factory: pytest.TempPathFactory, tensor: TensorProto, before: int) -> None:
    mapped = stub(tensor, tmp_path_factory.mktemp("m"), before)
    assert is_mapped(mapped) and not is_mapped(tensor) and not mapped.raw_data
    assert bytes(data_of(mapped)) == bytes(data_of(tensor)) == tensor.raw_data
    assert data_bytes(mapped) == data_bytes(tensor) == stubs_bytes([mapped, tensor])
    value, right = array_of(mapped), numpy_helper.to_array(tensor)
    assert value.dtype == right.dtype and value.shape == right.shape and value.tobytes() == right.tobytes() and value.flags.aligned
    assert inlined(mapped).SerializeToString() == tensor.SerializeToString() and inlined(tensor) is tensor
    assert whole_size(mapped) == whole_size(tensor) == tensor.ByteSize()


def test_what_lies_in_the_file_is_not_copied_and_not_written(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.arange(64, dtype=np.float32), "w")
    value = array_of(stub(tensor, tmp_path, 4096))
    assert not value.flags.owndata and not value.flags.writeable


def test_stubs_are_brought_into_a_model(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.arange(6, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [helper.make_tensor_value_info("y", 1, [6])])
    model = helper.make_model(graph)
    model.graph.initializer.append(stub(tensor, tmp_path, 7))
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(model)
    inline_all(model)
    onnx.checker.check_model(model)
    assert model.graph.initializer[0] == tensor


def test_a_file_that_became_shorter_raises(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.arange(4096, dtype=np.float32), "w")
    mapped = stub(tensor, tmp_path, 0)
    (tmp_path / "name with: colon").write_bytes(b"short")
    with pytest.raises(ValueError):
        data_of(mapped)
