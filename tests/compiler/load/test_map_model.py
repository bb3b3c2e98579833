"""A model whose large weights stay in its file is the model that onnx loads: the same graph, the same values, whatever holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.devices.ort_values import run_session
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.hide_weights import SMALL
from autoglmc.compiler.load.map_model import light_model, map_model
from autoglmc.compiler.load.weights import all_tensors, is_external, size_with_data
from autoglmc.compiler.reference.open_untouched import light_copy, open_untouched

TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "INT8", "INT64", "BOOL", "UINT4", "DOUBLE")
LARGE = 2 * SMALL


def weight(name: str, kind: str, large: bool, typed: bool, seed: int) -> onnx.TensorProto:
    """In raw data, or in the field of its type."""
    element = TensorProto.DataType.Value(kind)
    values = np.random.default_rng(seed).integers(0, 2, LARGE if large else 6).reshape(2, -1).astype(np.float32)
    if typed:
        return helper.make_tensor(name, element, values.shape, values.reshape(-1).astype(int if "INT" in kind or kind == "BOOL" else float))
    return numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(element)), name)


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    weights = [
        weight(f"w{k}", draw(st.sampled_from(TYPES)), draw(st.booleans()), draw(st.booleans()), k) for k in range(draw(st.integers(0, 5)))
    ]
    body = helper.make_graph([helper.make_node("Identity", ["b"], ["r"])], "then", [], [helper.make_tensor_value_info("r", 1, None)],
                             [weight("b", "FLOAT", True, False, 9)])  # fmt: skip
    nodes = [helper.make_node("Cast", [tensor.name], [f"y{k}"], to=1) for k, tensor in enumerate(weights)]
    nodes.append(helper.make_node("If", ["c"], ["z"], then_branch=body, else_branch=body))
    results = [helper.make_tensor_value_info(name, 1, None) for name in (*(f"y{k}" for k in range(len(weights))), "z")]
    given = [helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "g" * draw(st.integers(1, 9)), given, results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10, doc_string="d")


def restored(model: onnx.ModelProto, mapped: dict[str, np.ndarray]) -> onnx.ModelProto:
    for tensor in model.graph.initializer:
        if is_external(tensor):
            tensor.raw_data = mapped[tensor.name].tobytes()
            tensor.ClearField("data_location")
            del tensor.external_data[:]
    return model


@settings(max_examples=40)
@given(models(), st.booleans())
def test_it_is_what_onnx_loads(tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto, external: bool) -> None:
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    onnx.save(model, path, save_as_external_data=external, size_threshold=SMALL // 2, location="m.data")
    whole = onnx.load(path)
    light, mapped = map_model(path)
    assert size_with_data(light) >= sum(array.nbytes for array in mapped.values())
    for tensor in whole.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name in mapped:
            assert mapped[tensor.name].dtype == value.dtype and not mapped[tensor.name].flags.owndata
            np.testing.assert_array_equal(mapped[tensor.name], value)
        elif tensor.HasField("raw_data") and "INT4" not in TensorProto.DataType.Name(tensor.data_type):
            assert len(tensor.raw_data) < SMALL, "a large weight is in memory"
    for tensor in all_tensors(whole):
        tensor.ClearField("data_location")  # onnx states the default for what was external
    assert restored(light, dict(mapped)).SerializeToString() == whole.SerializeToString()


@settings(max_examples=25)
@given(models())
def test_onnxruntime_reads_it_from_the_file(tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto) -> None:
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    onnx.save(model, path)
    names = [value.name for value in model.graph.output]
    opened = [open_untouched(*light_copy(one), path.parent) for one in (onnx.load(path), light_model(path))]
    found = [run_session(one.session, names, {"c": np.array(True)}) for one in opened]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=100)
@given(models(), st.floats(0, 1), st.integers(0, 255))
def test_a_damaged_file_is_refused_or_read_as_onnx_reads_it(
    tmp_path_factory: pytest.TempPathFactory, model: onnx.ModelProto, at: float, byte: int
) -> None:
    data = bytearray(model.SerializeToString())
    data[int(at * (len(data) - 1))] = byte
    path = tmp_path_factory.mktemp("m") / "m.onnx"
    path.write_bytes(data)
    try:
        light, mapped = map_model(path)
    except (ValueError, DecodeError, ModelError):
        return
    whole = onnx.load(path, load_external_data=False)
    assert [node.op_type for node in light.graph.node] == [node.op_type for node in whole.graph.node]
    assert [tensor.name for tensor in light.graph.initializer] == [tensor.name for tensor in whole.graph.initializer]
    for tensor in whole.graph.initializer:
        if tensor.name in mapped:
            assert mapped[tensor.name].tobytes() == tensor.raw_data


def external(path: Path, location: str, offset: int = 0, count: int = LARGE) -> None:
    """A model whose one weight lies there."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[count], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(4 * count))):
        weight.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Identity", ["w"], ["y"])]
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", 1, None)], [weight])
    path.write_bytes(helper.make_model(graph).SerializeToString())


def test_data_elsewhere_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    for place in (tmp_path / "w.data", inside / "w.data"):
        np.zeros(LARGE, np.float32).tofile(place)
    (inside / "link.data").symlink_to(tmp_path / "w.data")
    for location, offset in (("../w.data", 0), ("link.data", 0), ("w.data", 8), (str(tmp_path / "w.data"), 0), ("gone.data", 0)):
        external(inside / "m.onnx", location, offset)
        with pytest.raises(ModelError):
            map_model(inside / "m.onnx")
    external(inside / "m.onnx", "w.data")
    assert not map_model(inside / "m.onnx")[1]["w"].any()


def test_data_beyond_two_gibibytes_and_of_no_elements(tmp_path: Path) -> None:
    with (tmp_path / "w.data").open("wb") as file:
        file.truncate(3 << 30)  # a hole
        file.seek((3 << 30) - 4 * LARGE)
        np.full(LARGE, 7, np.float32).tofile(file)
    external(tmp_path / "m.onnx", "w.data", (3 << 30) - 4 * LARGE)
    assert np.all(map_model(tmp_path / "m.onnx")[1]["w"] == 7)
    (tmp_path / "none.data").touch()
    external(tmp_path / "m.onnx", "none.data", 0, 0)
    model, mapped = map_model(tmp_path / "m.onnx")
    assert not mapped and numpy_helper.to_array(model.graph.initializer[0]).shape == (0,)
