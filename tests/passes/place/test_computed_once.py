"""What depends on no input is computed when a runtime loads the model: no run is charged for it. A dequantised weight stays quantised."""

from __future__ import annotations

import numpy as np
import onnx
from shape_models import FLOAT, Writer

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.candidates import Candidates, Implementation


def charged(model: onnx.ModelProto) -> dict[str, tuple[bool, int]]:
    """By operator, whether a run takes time for it, and its launches."""
    graph, target = Graph(onnx.shape_inference.infer_shapes(model)), load_target("x86_cpu")
    candidates, found = Candidates(graph, target, (), {}), {}
    for node in graph.nodes:
        answer = candidates.ask(node, target.devices[0])
        assert isinstance(answer, Implementation)
        found[node.kind] = (answer.seconds > 0, answer.launches)
    return found


def weights(operator: str) -> onnx.ModelProto:
    """x times a weight in int8, whose floats several operators make, of which some have two readers."""
    w = Writer()
    x, stored = w.input("x", FLOAT, [2, 64]), w.value(np.ones((64, 64)), np.int8)
    scale = w.value(0.1, np.float32)
    if operator == "DequantizeLinear":
        floats = w.op("DequantizeLinear", stored, scale)
    else:
        floats = w.op("Mul", w.op("Cast", stored, to=FLOAT), scale)
    turned = w.op("Transpose", w.op("Tanh", floats), perm=[1, 0])
    return w.model(w.op("Gemm", w.op("MatMul", x, turned), floats))


def test_a_cone_of_constants_takes_no_time_in_a_run() -> None:
    assert charged(weights("Mul")) == {
        **dict.fromkeys(("Cast", "Mul", "Tanh", "Transpose"), (False, 0)),
        **dict.fromkeys(("MatMul", "Gemm"), (True, 1)),
    }


def test_a_dequantised_weight_is_charged_with_all_that_is_made_of_it() -> None:
    assert all(found == (True, 1) for found in charged(weights("DequantizeLinear")).values())
