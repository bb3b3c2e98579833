"""`autoglmc.rewrite`: a gs.Graph of the recovered and simplified model, or of the one that a target's devices will run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from models import SHAPES, model_path
from run_model import run
from small_models import parse, save

import autoglmc
from autoglmc.compiler.errors import ModelError, UsageError
from autoglmc.compiler.exchange.from_gs import model_of
from autoglmc.compiler.exchange.to_gs import surgeon_graph

GELU = """g (float[batch,8] x) => (float[batch,8] y) <float root = {1.4142135}, float one = {1}, float half = {0.5}>
  { d = Div(x, root) e = Erf(d) f = Add(e, one) h = Mul(x, f) g0 = Mul(h, half) i = Identity(g0) y = Tanh(i) }"""
X = np.linspace(-3, 3, 16, dtype=np.float32).reshape(2, 8)


def gelu() -> onnx.ModelProto:
    model = parse(GELU, opset=20, ir=10)
    model.metadata_props.add(key="of", value="the model")
    return model


def operators(graph: gs.Graph) -> list[str]:
    return [node.op for node in graph.nodes]


@pytest.mark.parametrize("form", ["path", "proto", "graph"])
def test_recovered_and_simplified(form: str, tmp_path: Path) -> None:
    model = gelu()
    given = {"path": save(model, tmp_path), "proto": model, "graph": surgeon_graph(gelu())}[form]
    graph = autoglmc.rewrite(given)
    assert isinstance(graph, gs.Graph) and operators(graph) == ["Gelu", "Tanh"]
    assert [tensor.name for tensor in (*graph.inputs, *graph.outputs)] == ["x", "y"] and graph.inputs[0].shape == ["batch", 8]
    after = model_of(graph)
    assert after.metadata_props[0].value == "the model"
    np.testing.assert_allclose(run(model, {"x": X})[0], run(after, {"x": X})[0], atol=1e-5)
    assert model == gelu(), "what was given stays as it was"


def test_where_it_stops_and_what_is_disabled() -> None:
    assert operators(autoglmc.rewrite(gelu(), after="recover")) == ["Gelu", "Identity", "Tanh"]
    assert operators(autoglmc.rewrite(gelu(), disable=["recover_gelu"])) == ["Div", "Erf", "Add", "Mul", "Mul", "Tanh"]


def machine() -> object:
    npu = make_device("npu", ["Tanh", "Mul", "Add", "Relu"], adapter="ort", dispatch=1e-9, launch=1e-12, rewrites=[("Gelu", "tanh", 0.1)])
    return make_target([npu, make_cpu(peak=1e3, dispatch=1e-3)], [make_link("npu", "cpu", handoff=1e-9)])


def test_realised_for_a_target() -> None:
    graph = autoglmc.rewrite(gelu(), machine(), shapes={"batch": 2})
    assert "Gelu" not in operators(graph) and "Tanh" in operators(graph) and graph.inputs[0].shape == [2, 8]
    np.testing.assert_allclose(run(gelu(), {"x": X})[0], run(model_of(graph), {"x": X})[0], atol=0.05)
    assert operators(autoglmc.rewrite(gelu(), machine(), shapes={"batch": 2}, after="simplify")) == ["Gelu", "Tanh"]
    assert autoglmc.rewrite(gelu(), "a16", shapes={"batch": 2}).nodes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "a16"}, UsageError, "dynamic dims without a size: batch"),
        ({"after": "simplfy"}, UsageError, "there is no pass 'simplfy'"),
        ({"after": "place-operators"}, UsageError, "the graph after 'place-operators' needs a target"),
        ({"disable": ["no_rule"]}, UsageError, "there is no rule 'no_rule'"),
        ({"target": "no_target"}, UsageError, "there is no target 'no_target'"),
    ],
)
def test_errors(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        autoglmc.rewrite(gelu(), **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_sequence_is_refused_by_name() -> None:
    made = parse(
        """g (float[4] x, float[4] z, int64 k) => (float[4] y)
        { s = SequenceConstruct(x, z) y = SequenceAt(s, k) }"""
    )
    with pytest.raises(ModelError, match="'s' has type sequence"):
        autoglmc.rewrite(made)


@pytest.mark.parametrize("name", ["bert_tiny", "lightnet"])
def test_real_models(name: str) -> None:
    graph = autoglmc.rewrite(model_path(name), shapes=SHAPES[name])
    realised = autoglmc.rewrite(model_path(name), "a16", shapes=SHAPES[name])
    assert len(graph.nodes) < len(onnx.load(model_path(name)).graph.node) and realised.nodes
    onnx.checker.check_model(model_of(realised), full_check=True)
