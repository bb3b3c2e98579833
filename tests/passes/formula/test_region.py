"""Where regions end: no formula of one x is cut off, and nothing is walked that cannot be part of one."""

from __future__ import annotations

import pytest
from run_model import infer
from small_models import parse

from autoglmc.passes.formula.region import Reader
from autoglmc.passes.formula.walk import Region
from autoglmc.passes.formula.walk import region as walk
from autoglmc.passes.graph.graph import Graph

HEAD = "g (float[4,4] a, float[4,4] b) => (float[4,4] y) <float[4,4] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}, float one = {1}>"


def region(body: str, others: bool = False) -> Region:
    graph = Graph(infer(parse(f"{HEAD} {{ {body} }}", opset=21, ir=10)))
    return walk(Reader(graph, others), graph.nodes[-1])


@pytest.mark.parametrize(
    "body",
    [
        "m = MatMul(b, w) d = Add(m, w) y = Add(a, d)",
        "e = Exp(b) s = Add(e, one) r = Sqrt(a) y = Div(r, s)",
    ],
)
def test_two_tensors_have_no_common_x(body: str) -> None:
    assert not region(body).reads and not region(body).functions
    assert region(body, others=True).reads


def test_it_ends_at_the_sum_that_a_formula_is_of() -> None:
    """x = a + b·w; what lies behind it belongs to no formula of the root."""
    found = region("t = Tanh(a) m = MatMul(b, w) x = Add(t, m) e = Erf(x) f = Add(e, one) y = Mul(f, x)")
    assert set(found.reads) == {"f", "x", "e"} and found.reads["x"] == 2 and found.functions == {"Erf"}


@pytest.mark.parametrize(
    "body",
    [
        "s = Sigmoid(a) y = Mul(a, s)",
        "i = Identity(a) s = Sigmoid(i) y = Mul(s, i)",
        "i = Identity(a) j = Identity(a) y = Mul(i, j)",
        "y = Mul(a, a)",
        "n = Neg(a) y = Sum(a, n, a)",
        "e = Exp(a) f = Add(e, one) g = Div(a, f) y = Mul(g, w)",
    ],
)
def test_a_tensor_read_twice_is_always_reached(body: str) -> None:
    assert region(body).reads["a"] >= 2
