"""Who may run in which form, and what one form for all leaves in floats."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_target
from small_models import parse

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.unit_forms import uniform, unit_forms
from autoglmc.targets.precision import FormName

ENCODER = """g (int64[1,4] ids) => (float[1,4,8] y) {
    t = Gather(table, ids)  n = LayerNormalization<axis=-1>(t, s, b)  q = MatMul(n, w0)  qb = Add(q, b)  k = MatMul(n, w1)
    kt = Transpose<perm=[0,2,1]>(k)  qk = MatMul(qb, kt)  p = Softmax(qk)  v = MatMul(p, k)  r = Add(v, n)
    y = LayerNormalization<axis=-1>(r, s, b) }"""
SHAPES = {"table": (50, 8), "s": (8,), "b": (8,), "w0": (8, 8), "w1": (8, 8)}


def encoder() -> Graph:
    model = parse(ENCODER)
    arrays = {name: np.random.default_rng(0).standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return Graph(onnx.shape_inference.infer_shapes(model, strict_mode=True))


def chosen(graph: Graph, target: str, form: FormName) -> dict[str, str]:
    return {name: one.name for name, one in uniform(graph, load_target(target), form).items()}


def test_a_residual_between_floats_stays_there() -> None:
    """On a CPU; what lies between products is in integers, embeddings are stored in 8 bits."""
    found = chosen(encoder(), "x86_cpu", "a8w8")
    assert found == {name: "a8w8" for name in ("q", "qb", "k", "kt", "qk", "p", "v")} | {"t": "w8"}


def test_an_accelerator_of_integers_takes_all_that_its_table_lists() -> None:
    graph = encoder()
    found = chosen(graph, "snapdragon_8gen3", "a8w8")
    assert set(found) >= {"n", "q", "qb", "k", "kt", "qk", "p", "v", "r", "y"}
    offered = unit_forms(graph, load_target("snapdragon_8gen3"))
    assert all("a8w8" in {form.name for forms in offered[name].values() for form in forms} for name in found if name != "t")


def test_a_table_that_an_accelerator_leaves_alone_is_stored_in_8_bits() -> None:
    found = chosen(encoder(), "snapdragon_8gen3", "a16w8")
    assert found["t"] in ("w8", "a16w8") and {found[name] for name in ("n", "q", "qk", "r", "y")} == {"a16w8"}


def test_a_residual_between_convolutions_is_in_integers() -> None:
    text = """g (float[1,8,6,6] x) => (float[1,8,6,6] y) {
        a = Conv(x, w)  b = Relu(a)  c = Conv(b, w)  d = Add(c, b)  e = Relu(d)  y = Conv(e, w) }"""
    model = parse(text)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones((8, 8, 1, 1), np.float32), "w"))
    assert set(chosen(Graph(onnx.shape_inference.infer_shapes(model)), "x86_cpu", "a8w8")) == {"a", "b", "c", "d", "e", "y"}


@pytest.mark.parametrize("form", ["a8w8", "a16w8", "fp16"])
def test_a_target_of_floats_computes_in_nothing_else(form: FormName) -> None:
    """What it can have is a table of embeddings in 8 bits: Gather, Cast and Mul are enough for that."""
    target = make_target([make_cpu()], [])
    assert uniform(encoder(), target, form) == {}
    assert [(name, {one.name for one in next(iter(forms.values()))}) for name, forms in unit_forms(encoder(), target).items()] == [
        ("t", {"fp32", "w8"})
    ]
    assert {name: one.name for name, one in uniform(encoder(), target, "w8").items()} == {"t": "w8"}


def test_a_long_chain_before_floats_is_left_in_one_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 2,000 operators is there because of the next one; counted in questions about neighbours, not in seconds."""
    names = [f"t{k}" for k in range(2000)]
    nodes = "  ".join(f"{after} = Add({before}, c)" for before, after in pairwise(names))
    model = parse(f"g (float[1,4] x) => (float[1,4] y) {{ t0 = MatMul(x, w)  {nodes}  y = Exp({names[-1]}) }}")
    weights = {"w": np.ones((4, 4), np.float32), "c": np.ones(4, np.float32)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    graph = Graph(onnx.shape_inference.infer_shapes(model))
    asked = []
    original = Graph.users
    monkeypatch.setattr(Graph, "users", lambda self, name: asked.append(name) or original(self, name))
    assert set(uniform(graph, load_target("x86_cpu"), "a8w8")) == {"t0"}
    assert len(asked) < 30_000
