"""LayerNormalization of rows: scale and bias may be written in any shape, and only one value per column is one of the rows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import named
from autoglmc.passes.rule.apply import apply

SUM = """g (float[2,3,8] x, float[2,3,8] r, float[{g}] g, float[{b}] b) => (float[2,3,8] y) {{
    a = Add(x, r) y = LayerNormalization <epsilon = 0.25> (a, g, b) }}"""
SPLIT = """g (float[6,8] x, float[{g}] g, float[{b}] b) => (float[2,3,8] y) <int64[3] s = {{2,3,8}}> {{
    a = Reshape(x, s) y = LayerNormalization <epsilon = 0.25> (a, g, b) }}"""


def normalised(fed: dict[str, np.ndarray]) -> np.ndarray:
    """From the operator's text."""
    a = (fed["x"] + fed.get("r", 0)).reshape(2, 3, 8).astype(np.float64)
    d = a - a.mean(axis=-1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 0.25) * fed["g"] + fed["b"]


@pytest.mark.parametrize(("rule", "text"), [("flatten_layernorm", SUM), ("flatten_rows", SPLIT)])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize(
    ("scale", "bias", "fires"),
    [
        ("8", "8", True), ("1,1,8", "1,1,8", True), ("1,8", "8", True), ("1", "1,1,8", True), ("1,1,1", "8", True),
        ("3,1", "8", False), ("8", "3,8", False), ("3,8", "3,1", False), ("2,1,1", "1,1,8", False),
    ],
)  # fmt: skip
def test_scale_and_bias_of_any_shape(rule: str, text: str, constant: bool, scale: str, bias: str, fires: bool) -> None:
    model = infer(parse(text.format(g=scale, b=bias), opset=18, ir=10))
    fed = feeds(model, 1)
    if constant:
        model.graph.initializer.extend(onnx.numpy_helper.from_array(fed[name], name) for name in "gb")
        del model.graph.input[-2:]
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    (decision,) = (d for d in apply(graph, [named(rule)]))
    assert decision.taken == fires
    assert fires or "is not one value per column" in decision.reason
    given = {value.name: fed[value.name] for value in model.graph.input}
    np.testing.assert_allclose(run(emitted(graph), given)[0], normalised(fed), rtol=1e-4, atol=1e-5)
