"""Factors behind a product with a constant matrix: folded where they are one value per column, and give the product no more axes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import named
from autoglmc.passes.rule.apply import apply

TEXT = (
    "g (float[3,3] x, float[3,3] w, float[{bias}] b, float[{factor}] s) => (float[N] y) {{ p = MatMul(x, w) a = Add(p, b) y = Mul(a, s) }}"
)


@pytest.mark.parametrize(
    ("bias", "factor", "fires"),
    [
        ("3", "3", True),
        ("1,3", "1", True),
        ("1", "1,1", True),
        ("3,1", "3", False),
        ("3", "3,1", False),
        ("3", "1,1,3", False),
        ("1,1,3", "3", False),
    ],
)
def test_operands_of_any_shape(bias: str, factor: str, fires: bool) -> None:
    text = TEXT.format(bias=bias, factor=factor).replace(
        "float[N] y", "float[3,3] y" if "1,1,3" not in (bias, factor) else "float[1,3,3] y"
    )
    model = infer(parse(text, opset=18, ir=10))
    fed = feeds(model, 1)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(fed[name], name) for name in "wbs")
    del model.graph.input[1:]
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    assert any(d.taken for d in apply(graph, [named("fold_product")])) == fires
    wanted = (fed["x"] @ fed["w"] + fed["b"]) * fed["s"]
    got = run(emitted(graph), {"x": fed["x"]})[0]
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
