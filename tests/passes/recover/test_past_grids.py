"""GELU that was quantised operator by operator is one operator again, with the grids around it; and nothing else is taken for it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from run_model import emitted, infer, run

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.stages import recover

FORMS = {
    "none": [("Div", "x r", "a"), ("Erf", "a", "b"), ("Add", "b one", "c"), ("Mul", "x c", "d"), ("Mul", "d half", "e")],
    "halved first": [("Mul", "x half", "h"), ("Div", "x r", "a"), ("Erf", "a", "b"), ("Add", "b one", "c"), ("Mul", "h c", "e")],
    "tanh": [("Mul", "x x", "a"), ("Mul", "a x", "b"), ("Mul", "b k", "c"), ("Add", "x c", "d"), ("Mul", "d q", "f"), ("Tanh", "f", "g"),
             ("Add", "g one", "h"), ("Mul", "x h", "i"), ("Mul", "i half", "e")],
}  # fmt: skip
NUMBERS = {"r": np.sqrt(2), "one": 1.0, "half": 0.5, "k": 0.044715, "q": np.sqrt(2 / np.pi)}
RANGE = 32.0


def quantised(form: list[tuple[str, str, str]], **numbers: float) -> onnx.ModelProto:
    """Every tensor and constant of the formula goes through a grid of its own; each reader dequantises for itself."""
    arrays: dict[str, np.ndarray] = {"s": np.float32(2 * RANGE / 65535), "z": np.uint16(32768)}
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["x_q"])]
    for k, (kind, reads, out) in enumerate(form):
        operands = []
        for place, name in enumerate(reads.split()):
            value = {**NUMBERS, **numbers}.get(name)
            if value is not None:
                arrays |= {f"{name}_c": np.uint8(255), f"{name}_s": np.float32(value / 255), f"{name}_z": np.uint8(0)}
            three = [f"{name}_c", f"{name}_s", f"{name}_z"] if value is not None else [f"{name}_q", "s", "z"]
            operands.append(f"{name}_{k}_{place}")
            nodes.append(helper.make_node("DequantizeLinear", three, [operands[-1]]))
        nodes += [helper.make_node(kind, operands, [out]), helper.make_node("QuantizeLinear", [out, "s", "z"], [f"{out}_q"])]
    nodes.append(helper.make_node("DequantizeLinear", ["e_q", "s", "z"], ["y"]))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 16]) for name in "xy"]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "gelu", values[:1], values[1:], weights)
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


@pytest.mark.parametrize("name", FORMS)
def test_gelu_is_found_past_its_grids(name: str) -> None:
    graph = Graph(quantised(FORMS[name]))
    before = run(emitted(graph), {"x": (x := np.linspace(-3, 3, 48, dtype=np.float32).reshape(3, 16))})[0]
    recover(graph)
    kinds = Counter(node.kind for node in graph.nodes)
    assert kinds == {"QuantizeLinear": 2, "DequantizeLinear": 2, "Gelu": 1}
    (gelu,) = (node for node in graph.nodes if node.kind == "Gelu")
    assert graph.producer(gelu.inputs[0]).kind == "DequantizeLinear", "it is still computed on what was quantised"  # type: ignore[union-attr]
    after = run(emitted(graph), {"x": x})[0]
    assert float(np.abs(after - before).max()) < 8 * 2 * RANGE / 65535


@pytest.mark.parametrize(("name", "number"), [("half", 0.4), ("one", 0.9), ("r", 1.5)])
def test_other_numbers_are_no_gelu(name: str, number: float) -> None:
    graph = Graph(quantised(FORMS["none"], **{name: number}))
    recover(graph)
    assert all(node.kind != "Gelu" for node in graph.nodes)
