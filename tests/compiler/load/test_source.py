"""A model in memory is read as its file would be, and stays as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import NAMES, SHAPES, model_path
from onnx import numpy_helper
from small_models import RELU, parse, save

from autoglmc.compiler.errors import ModelError, UsageError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.read_model import MAX_NESTING, read_model
from autoglmc.compiler.load.source import MemoryModel, beside, source_of
from autoglmc.compiler.load.weights import model_sha256


def memory(model: onnx.ModelProto) -> MemoryModel:
    source = source_of(model)
    assert isinstance(source, MemoryModel)
    return source


@pytest.mark.parametrize("name", NAMES)
def test_the_pieces_are_what_the_model_serialises_to(name: str) -> None:
    model = onnx.load(model_path(name))
    whole = model.SerializeToString()
    pieces = list(memory(model).serialised())
    assert b"".join(pieces) == whole
    largest = max((tensor.ByteSize() for tensor in model.graph.initializer), default=0)
    graph = len(whole) - sum(tensor.ByteSize() for tensor in model.graph.initializer)
    assert max(map(len, pieces)) <= max(largest, graph)
    assert model_sha256(memory(model)) == model_sha256(model_path(name)) == hashlib.sha256(whole).hexdigest()


def test_every_field_of_a_model_is_in_the_pieces() -> None:
    model = parse("g (float[4] x) => (float[4] y) { y = Add(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "w"))
    model.graph.doc_string, model.doc_string, model.producer_name, model.domain, model.model_version = "graph", "model", "me", "my", 3
    model.graph.metadata_props.add(key="a", value="b")
    model.metadata_props.add(key="c", value="d")
    model.graph.value_info.add(name="y")
    model.functions.append(onnx.helper.make_function("my", "f", ["a"], ["b"], [onnx.helper.make_node("Relu", ["a"], ["b"])], []))
    assert b"".join(memory(model).serialised()) == model.SerializeToString()
    assert len(model.ListFields()) >= 8 and len(model.graph.ListFields()) >= 7


def test_pieces_of_more_than_a_length_byte() -> None:
    """Lengths of one to four bytes on the wire."""
    for size in (1, 31, 32, 5000, 600_000):
        model = parse(f"g (float[{size}] x) => (float[{size}] y) {{ y = Add(x, w) }}")
        model.graph.initializer.append(numpy_helper.from_array(np.ones(size, np.float32), "w"))
        assert b"".join(memory(model).serialised()) == model.SerializeToString()


@pytest.mark.parametrize("name", ["bert_tiny", "lightnet", "silero_vad_16k_op15"])
def test_loading_gives_what_the_file_gives_and_changes_nothing(name: str) -> None:
    model = onnx.load(model_path(name))
    before = model.SerializeToString()
    ours, theirs = load_model(source_of(model), SHAPES[name]), load_model(model_path(name), SHAPES[name])
    assert ours.proto == theirs.proto and ours.sha256 == theirs.sha256 and ours.notes == theirs.notes
    assert model.SerializeToString() == before


def test_unsorted_nodes_are_sorted_in_a_copy() -> None:
    model = parse("g (float[4] x) => (float[4] y) { y = Neg(a) a = Relu(x) }")
    loaded = load_model(source_of(model))
    assert [node.op_type for node in loaded.proto.graph.node] == ["Relu", "Neg"]
    assert [node.op_type for node in model.graph.node] == ["Neg", "Relu"]


def test_what_is_read_belongs_to_the_reader() -> None:
    model = parse(RELU)
    read, _ = read_model(source_of(model))
    read.graph.node[0].op_type = "Neg"
    assert model.graph.node[0].op_type == "Relu"


def test_weights_in_other_files_cannot_be_found(tmp_path: Path) -> None:
    """The file beside which they lie is not known, not even if they happen to be in the working directory."""
    model = parse("g (float[4] x) => (float[4] y) { y = Add(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(4, np.float32), "w"))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    bare = onnx.load(tmp_path / "m.onnx", load_external_data=False)
    with pytest.raises(ModelError, match="the data of weight 'w' is in another file") as caught:
        load_model(source_of(bare))
    assert caught.value.where == "<model g>" and "onnx.load" in caught.value.help
    assert load_model(source_of(onnx.load(tmp_path / "m.onnx"))).unbound == ()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (onnx.ModelProto(), "it states no IR version"),
        (onnx.ModelProto(ir_version=8), "it has no graph"),
        (onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name="g")), "its graph has no output"),
    ],
)
def test_what_is_no_model(model: onnx.ModelProto, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(source_of(model))
    assert caught.value.message == f"not an ONNX model: {said}"


def test_deep_control_flow_is_refused() -> None:
    inner = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y0"])], "b0", [], [onnx.ValueInfoProto(name="y0")])
    for k in range(MAX_NESTING + 1):
        node = onnx.helper.make_node("If", ["c"], [f"y{k + 1}"], then_branch=inner, else_branch=inner) if k == 0 else None
        node = node or onnx.helper.make_node("If", ["c"], [f"y{k + 1}"], then_branch=inner)
        inner = onnx.helper.make_graph([node], f"b{k + 1}", [], [onnx.ValueInfoProto(name=f"y{k + 1}")])
    model = onnx.helper.make_model(inner)
    with pytest.raises(ModelError, match="nests deeper than"):
        read_model(source_of(model))


@pytest.mark.parametrize("value", [None, 5, 1.5, b"abc", bytearray(b"abc"), ["m.onnx"], onnx.GraphProto(), onnx.TensorProto(), object()])
def test_what_is_neither_a_path_nor_a_model(value: object) -> None:
    with pytest.raises(UsageError, match=r"a model is a path, an onnx\.ModelProto or an onnx_graphsurgeon\.Graph, not ") as caught:
        source_of(value)  # type: ignore[arg-type]
    assert type(value).__name__ in caught.value.message and caught.value.help


def test_a_model_without_a_graph_name_has_a_name_too() -> None:
    model = parse(RELU)
    assert str(source_of(model)) == "<model g>"
    model.graph.name = ""
    assert str(source_of(model)) == "<model>"


def test_where_results_go(tmp_path: Path) -> None:
    assert beside(tmp_path / "m.onnx", "a16") == tmp_path / "m.a16"
    assert beside(Path("."), "a16").name == ".a16"
    with pytest.raises(UsageError, match="no folder") as caught:
        beside(memory(parse(RELU)), "a16")
    assert "output='model.a16'" in caught.value.help


def test_a_saved_model_and_the_model_are_the_same(tmp_path: Path) -> None:
    model = parse(RELU)
    assert model_sha256(save(model, tmp_path)) == model_sha256(memory(model))
