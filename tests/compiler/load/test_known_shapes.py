"""Every tensor of a loaded model whose inputs are bound has the shape that onnxruntime gives it, whatever onnxsim makes of the model."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import helper
from shape_models import CORPUS, FLOAT, Sizes, Writer, random_model

from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.load.bind_shapes import bind_shapes
from autoglmc.compiler.load.fold import simplify
from autoglmc.compiler.load.infer_shapes import infer_shapes
from autoglmc.compiler.load.known.infer_node import NodeInference
from autoglmc.compiler.load.known.propagate import propagate
from autoglmc.compiler.load.known.types import sizes_of
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.load.structure import all_graphs

SEEDS = range(60)


@pytest.fixture(params=["onnxsim", "refused"])
def folding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With onnxsim, and as if it had made the graph larger: then nothing that it did counts."""
    if request.param == "refused":
        monkeypatch.setattr(simplify, "_run_onnxsim", lambda model: (None, "onnxsim turned 10 nodes into 20"))
    return str(request.param)


@pytest.mark.parametrize("name", CORPUS)
def test_what_exporters_write_has_shapes(name: str, folding: str) -> None:
    check(*CORPUS[name]())


@pytest.mark.parametrize("seed", SEEDS)
def test_random_shape_arithmetic_has_shapes(seed: int, folding: str) -> None:
    check(*random_model(seed))


def check(model: onnx.ModelProto, sizes: Sizes) -> None:
    proto = load_model(MemoryModel(model, "m"), sizes).proto
    shapes = shapes_of(proto)
    open_ones = {name: shape for name, shape in shapes.items() if shape is None or None in shape}
    assert not open_ones
    found = run_all(proto)
    assert {name: shapes[name] for name in found} == {name: list(array.shape) for name, array in found.items()}


def shapes_of(proto: onnx.ModelProto) -> dict[str, list[int | None] | None]:
    """Of everything that nodes write, bodies included."""
    shapes: dict[str, list[int | None] | None] = {}
    for graph in all_graphs(proto.graph):
        types = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.output)}
        for name in (name for node in graph.node for name in node.output if name):
            kind = types.get(name)
            dims = kind.shape.dim if kind is not None and kind.HasField("shape") else None
            shapes[name] = None if dims is None else [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    return shapes


def run_all(proto: onnx.ModelProto) -> dict[str, np.ndarray]:
    """What onnxruntime makes of every tensor of the main graph, without optimisations."""
    whole = onnx.ModelProto.FromString(proto.SerializeToString())
    del whole.graph.output[:]
    names = [name for node in whole.graph.node for name in node.output if name]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(whole.SerializeToString(), optimise=False, threads=1)
    fed = {}
    for value in whole.graph.input:
        dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        fed[value.name] = np.ones(dims, helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
    return dict(zip(names, session.run(names, fed), strict=True))


@pytest.mark.parametrize("layers", [20, 80])
def test_every_node_is_inferred_at_most_once(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each layer's shape is read from the one before, so that no whole inference would see more than one layer."""
    w = Writer()
    x = w.input("x", FLOAT, ["batch", "seq"])
    for _ in range(layers):
        swapped = (w.op("Max", w.dim(x, axis), w.value([1])) for axis in (1, 0))
        x = w.op("Reshape", x, w.sizes(*swapped))
    model = w.model(x)
    calls = Counter[str]()
    infer = NodeInference._infer
    monkeypatch.setattr(NodeInference, "_infer", lambda *of: (calls.update([of[1].name]), infer(*of))[1])
    bind_shapes(model, {"batch": 3, "seq": 4})
    found = propagate(infer_shapes(model))
    assert found.values and max(calls.values()) == 1
    assert sizes_of(found.types[x]) == [3, 4]
