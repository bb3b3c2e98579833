"""What a quantiser took apart is one operator again, in every form that it writes, where nothing but rounding is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised_models import quantised_as
from run_model import emitted, run
from small_models import parse

from autoglmc.compiler.load.load_model import load_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.stages import recover, simplify

LAYER = """g (float[2,6,16] x) => (float[2,6,8] y) <float e = {1e-5}, float two = {2}> {
    m = ReduceMean<axes = [-1]>(x)  c = Sub(x, m)  p = Pow(c, two)  v = ReduceMean<axes = [-1]>(p)  w = Add(v, e)  s = Sqrt(w)
    n = Div(c, s)  k = Mul(n, g0)  a = Add(k, b0)  y = MatMul(a, w0) }"""
ROOT_MEAN_SQUARE = """g (float[2,6,16] x) => (float[2,6,8] y) <float e = {1e-5}, float two = {2}, float one = {1}> {
    p = Pow(x, two)  v = ReduceMean<axes = [-1]>(p)  w = Add(v, e)  s = Sqrt(w)  r = Div(one, s)  n = Mul(x, r)
    k = Mul(n, g0)  y = MatMul(k, w0) }"""
GELU = """g (float[2,6,16] x) => (float[2,6,8] y) <float r = {1.4142135}, float h = {0.5}, float one = {1}> {
    d = Div(x, r)  f = Erf(d)  a = Add(f, one)  m = Mul(x, a)  n = Mul(m, h)  y = MatMul(n, w0) }"""


def model(text: str) -> onnx.ModelProto:
    made, random = parse(text, opset=13), np.random.default_rng(0)
    arrays = {"g0": random.uniform(0.5, 2, 16), "b0": random.standard_normal(16), "w0": random.standard_normal((16, 8)) / 4}
    read = {name for node in made.graph.node for name in node.input}
    made.graph.initializer.extend(onnx.numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items() if name in read)
    return made


@pytest.mark.parametrize("form", ["tensor", "channel", "signed", "a16w8", "operators"])
def test_a_function_of_one_element_is_one_operator_again(form: str, tmp_path: Path) -> None:
    path = quantised_as(form, model(GELU), tmp_path)
    graph = recovered(path)
    kinds = [node.kind for node in graph.nodes]
    assert kinds.count("Gelu") == 1 and "Erf" not in kinds
    fed = {"x": np.random.default_rng(1).standard_normal((2, 6, 16)).astype(np.float32)}
    floats, as_given, now = (run(one, fed)[0] for one in (model(GELU), onnx.load(path), emitted(graph)))
    assert np.square(now - floats).mean() <= np.square(as_given - floats).mean() * 1.1 + 1e-9


@pytest.mark.parametrize("text", [LAYER, ROOT_MEAN_SQUARE])
def test_a_normalisation_keeps_the_ends_of_its_grids(text: str, tmp_path: Path) -> None:
    """Far beyond the calibrated range its variance stays at the end of its grid: LayerNormalization would be another function."""
    path = quantised_as("tensor", model(text), tmp_path)
    fed = {"x": 40 * np.random.default_rng(1).standard_normal((2, 6, 16)).astype(np.float32)}
    as_given, now = (run(one, fed)[0] for one in (onnx.load(path), emitted(recovered(path))))
    np.testing.assert_allclose(now, as_given, atol=0.05 * np.abs(as_given).max())


def recovered(path: Path) -> Graph:
    graph = Graph(load_model(path).proto)
    recover(graph)
    simplify(graph)
    return graph
