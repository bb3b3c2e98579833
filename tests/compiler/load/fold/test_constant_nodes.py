"""When the simplifier is worth asking, and that leaving it out changes nothing."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from autoglmc.compiler.load.fold import simplify
from autoglmc.compiler.load.fold.constant_nodes import may_fold

HEAD = '<ir_version: 8, opset_import: ["" : 17]> agraph (float[2,3] x, bool c) => (float[2,3] y) <float[3] w = {1, 2, 3}>'
FOLDABLE = {
    "two constants": "{ v = Add(w, w) y = Mul(x, v) }",
    "a Constant and a weight": "{ k = Constant<value_float = 2.0>() v = Mul(w, k) y = Add(x, v) }",
    "a shape": "{ s = Shape(x) y = Reshape(x, s) }",
    "a body": "{ y = If (c) <then_branch = t () => (float[2,3] a) { v = Add(w, w) a = Mul(x, v) },"
    " else_branch = e () => (float[2,3] b) { b = Neg(x) }> }",
}
PLAIN = {
    "weights only": "{ v = Mul(x, w) y = Relu(v) }",
    "a Constant that an operator on x reads": "{ k = Constant<value_float = 2.0>() y = Mul(x, k) }",
}


@pytest.mark.parametrize("body", FOLDABLE.values(), ids=FOLDABLE.keys())
def test_what_could_be_computed_is_seen(body: str) -> None:
    assert may_fold(parser.parse_model(HEAD + body))


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN.keys())
def test_without_anything_to_compute_the_simplifier_would_change_nothing(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = parser.parse_model(HEAD + body)
    assert not may_fold(model)
    without, _ = simplify.fold_shapes(onnx.ModelProto.FromString(model.SerializeToString()))
    monkeypatch.setattr(simplify, "may_fold", lambda model: True)
    asked, _ = simplify.fold_shapes(model)
    nodes = [[(n.op_type, list(n.input), list(n.output)) for n in m.graph.node if n.op_type != "Constant"] for m in (without, asked)]
    assert nodes[0] == nodes[1]
    types = [{v.name: v.type.SerializeToString(deterministic=True) for v in m.graph.value_info} for m in (without, asked)]
    assert {name: kind for name, kind in types[0].items() if name != "k"} == {n: k for n, k in types[1].items() if n != "k"}
