"""The float model behind a quantised one: without its rounding, but with what its grids cut off."""

from __future__ import annotations

import numpy as np
import pytest
from run_model import infer
from small_models import parse

from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.float_source import quantises, unstepped
from autoglmc.compiler.reference.program import program_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.quantise import quantise
from autoglmc.targets.precision import FORMS, FormName

NET = "g (float[4,32] x) => (float[4,8] y) { a = MatMul(x, w) b = ACTIVATION c = MatMul(b, v) d = Relu(c) y = MatMul(d, u) }"


@pytest.mark.parametrize("form", ["a8w8", "a16w8"])
@pytest.mark.parametrize("activation", ["Relu(a)", "Clip(a, low, high)", "Sigmoid(a)"])
@pytest.mark.parametrize("seed", range(3))
def test_what_a_grid_cuts_off_stays(seed: int, activation: str, form: FormName) -> None:
    """Relu and Clip in front of a grid of their range are left out of the quantised model: its float source has them all the same."""
    random = np.random.default_rng(seed)
    text = NET.replace("ACTIVATION", activation).replace("=> (float[4,8] y)", "=> (float[4,8] y) <float low = {-0.5}, float high = {0.75}>")
    model = parse(text, opset=21, ir=10)
    for name, shape in {"w": (32, 32), "v": (32, 32), "u": (32, 8)}.items():
        model.graph.initializer.append(_constant(name, random.standard_normal(shape) / 6))
    samples = [{"x": random.standard_normal((4, 32)).astype(np.float32)} for _ in range(6)]
    graph = Graph(infer(model))
    forms = {node.writes[0]: FORMS[form] for node in graph.nodes}
    exact = Evaluator(program_of(plain_model(graph)))
    quantise(graph, forms, ranges_of(graph, lambda: samples))
    assert not any(node.operator in ("Relu", "Clip") for node in graph.nodes), "their grids cut off the same"
    written = plain_model(graph)
    assert quantises(written.graph.node)
    whole = Evaluator(program_of(written))
    for sample in samples:
        expected, rounded = (one.run(sample, ()).values["y"] for one in (exact, whole))
        found = whole.run(sample, (), unstepped).values["y"]
        scale = np.abs(expected).max()
        assert np.abs(found - expected).max() < 0.02 * scale, "weights are rounded, nothing else"
        assert form == "a16w8" or np.abs(rounded - found).max() > 1e-4 * scale


def _constant(name: str, value: np.ndarray) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(value.astype(np.float32), name)
