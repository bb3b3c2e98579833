"""What the spellings for onnxruntime leave alone: other dtypes, too few elements, axes that are fast as they are."""

from __future__ import annotations

import numpy as np
import pytest
from run_model import emitted, feeds, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import SLOW_IN_ORT, TUNE
from autoglmc.passes.rule.apply import apply

STAYS = (
    "g (float[1,8,4,4] x) => (float[1,8,4,4] y) { y = Softmax<axis=1>(x) }",
    "g (float[1,8,64,64] x) => (float[1,8,64,64] y) { y = Softmax<axis=3>(x) }",
    "g (float[1,9,16,64] x) => (float[1,9,16,64] y) { y = Softmax<axis=2>(x) }",
    "g (float[N,8,64,64] x) => (float[N,8,64,64] y) { y = Softmax<axis=1>(x) }",
    "g (float[4096,2] x) => (float[4096,2] y) { y = Softmax(x) }",
    "g (float[1,255,1] x) => (float[1,255,1] y) <float c = {3}> { y = Mul(x, c) }",
    "g (float[1,4096] x) => (float[1,4096] y) <float c = {3}> { y = Mul(x, c) }",
    "g (float[1,4096,1] x) => (float[1,4096,1] y) <float[1,1,1] c = {3}> { y = Mul(x, c) }",
    "g (float16[1,4096,1] x, float16[1] c) => (float16[1,4096,1] y) { y = PRelu(x, c) }",
    "g (float[100,2] x) => (float[100,2] y) <float[2] c = {3,4}> { y = Mul(x, c) }",
    "g (float[4096,2] x, float[2] c) => (float[4096,2] y) { y = Mul(x, c) }",
    "g (float[2,4096] x) => (float[2,4096] y) <float[2,1] c = {3,4}> { y = Mul(x, c) }",
    "g (float[1021,2] x) => (float[1021,2] y) <float[2] c = {3,4}> { y = Mul(x, c) }",
    "g (float[4096,2] x) => (float[4096,2] y) <float[2,2] w = {1,2,3,4}, float[2] c = {3,4}> { a = MatMul(x, w) y = Add(a, c) }",
    "g (float16[1,4,32,32] x) => (float16[1,4,32,32] y) { y = LRN<size=3>(x) }",
    "g (float[1,4,4,4] x) => (float[1,4,4,4] y) { y = LRN<size=3>(x) }",
    "g (float[1,4,32,32] x) => (float[1,4,32,32] y) { y = LRN<size=3, bias=0.0>(x) }",
    "g (float16[4096] x) => (float16[4096] y) { y = Mish(x) }",
    "g (float[511] x) => (float[511] y) { y = Softplus(x) }",
    "g (float[4095] x) => (float[4095] y) { y = Elu(x) }",
    "g (float[4096] x) => (float[4096] y) <float s = {0.25}> { y = PRelu(x, s) }",
    "g (float[4096] x) => (float[4096] y) <float e = {0.3}> { y = Pow(x, e) }",
)


@pytest.mark.parametrize("text", STAYS)
def test_it_is_left_alone(text: str) -> None:
    graph = Graph(infer(parse(text, opset=18, ir=10)))
    assert not [decision for decision in apply(graph, SLOW_IN_ORT) if decision.taken]


CHAINS = (
    ("g (float[1,32,64,3] x) => (float[1,32,64,3] y) <float[3] c = {3,4,5}> { a = Sub(x, c) y = Div(a, c) }", 4),
    ("g (float[1,8,64,64] x) => (float[1,8,64,64] y) { a = Softplus(x) t = Tanh(a) y = Mul(x, t) }", 13),
    ("g (float[1,4096,1] x) => (float[1,4096,1] y) <float c = {3}> { a = Sub(x, c) y = Div(a, c) }", 2),
)


@pytest.mark.parametrize(("text", "most"), CHAINS)
def test_a_chain_has_no_reshapes_inside(text: str, most: int) -> None:
    model = infer(parse(text, opset=18, ir=10))
    graph = Graph(model)
    apply(graph, TUNE["ort"])
    graph.sweep()
    assert len(graph.nodes) <= most
    fed = feeds(model, 3)
    np.testing.assert_allclose(run(emitted(graph), fed)[0], run(model, fed)[0], rtol=1e-5, atol=1e-5)
