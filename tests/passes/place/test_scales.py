"""How the operands of a quantised unit are scaled, as the conditions of a table are asked about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from quantised_models import convolutions, quantise

from autoglmc.grammar import load_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.quantised import quantised_units, view_of
from autoglmc.passes.place.scales import scales_of
from autoglmc.targets.operator_view import OperatorView
from autoglmc.targets.quantised.scales import Scales
from autoglmc.targets.stock import stock_path
from autoglmc.targets.support import No, supports


def gemm(scale: np.ndarray, zero: np.ndarray | None, **attributes: int) -> Graph:
    """DQ, DQ -> Gemm -> Q of int8 [4, 6] x [6, 8], the weight quantised as said."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["w", "ws", *(["wz"] if zero is not None else [])], ["b"], name="weight", **attributes),
        helper.make_node("Gemm", ["a", "b"], ["c"], name="gemm"),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    arrays = {"s": np.float32(0.5), "z": np.int8(3), "w": np.ones((6, 8), np.int8), "ws": scale}
    arrays |= {"wz": zero} if zero is not None else {}
    ends = [helper.make_tensor_value_info(name, TensorProto.INT8, shape) for name, shape in (("x", [4, 6]), ("y", [4, 8]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return Graph(onnx.shape_inference.infer_shapes(model))


def asked(graph: Graph) -> OperatorView:
    (unit,) = quantised_units(graph, graph.nodes)
    return view_of(graph, next(node for node in unit.members if node.operator == "Gemm"), unit)


CHANNELS = np.linspace(0.25, 2.0, 8, dtype=np.float32)


@pytest.mark.parametrize(
    ("scale", "zero", "attributes", "expected"),
    [
        (np.float32(0.5), None, {}, Scales(None, 0, (0,), (0.5, 0.5))),
        (np.asarray([0.5], np.float32), np.asarray([3], np.int8), {}, Scales(None, 0, (3,), (0.5, 0.5))),
        (CHANNELS, np.asarray([0, 1] * 4, np.int8), {"axis": -1}, Scales(1, 0, (0, 1), (0.25, 2.0))),
        (np.asarray([0.5] * 6, np.float32), np.zeros(6, np.int8), {"axis": 0}, Scales(0, 0, (0,), (0.5, 0.5))),
        (np.ones((2, 8), np.float32), None, {"axis": 0, "block_size": 3}, Scales(0, 3, (0,), (1.0, 1.0))),
    ],
)
def test_of_a_dequantisation(scale: np.ndarray, zero: np.ndarray | None, attributes: dict[str, int], expected: Scales) -> None:
    graph = gemm(scale, zero, **attributes)
    assert scales_of(graph, next(node for node in graph.nodes if node.name == "weight")) == expected
    view = asked(graph)
    assert view.inputs["B"].scales == expected
    assert view.inputs["A"].scales == view.outputs["Y"].scales == Scales(None, 0, (3,), (0.5, 0.5))


@pytest.mark.parametrize(
    ("scale", "attributes", "reason"),
    [
        (CHANNELS, {"axis": 1}, ""),
        (np.asarray([0.5] * 6, np.float32), {"axis": 0}, "per_tensor(B) = no, channel_axis(B) = 0"),
    ],
)
def test_hexagon_gets_no_weights_scaled_along_the_inner_axis(scale: np.ndarray, attributes: dict[str, int], reason: str) -> None:
    """It takes them, and computes wrong."""
    npu, precision = load_target(stock_path("snapdragon_8gen3")).device("npu"), load_target(stock_path("snapdragon_8gen3")).precision
    answer = supports(npu, asked(gemm(scale, None, **attributes)), precision)
    assert (isinstance(answer, No) and reason in str(answer)) if reason else not isinstance(answer, No), answer


@pytest.mark.parametrize("per_channel", [False, True])
def test_what_the_usual_tool_writes_is_taken(per_channel: bool, tmp_path: Path) -> None:
    graph = Graph(onnx.shape_inference.infer_shapes(onnx.load(quantise(convolutions(), tmp_path, per_channel=per_channel))))
    npu, precision = load_target(stock_path("snapdragon_8gen3")).device("npu"), load_target(stock_path("snapdragon_8gen3")).precision
    found = 0
    for unit in quantised_units(graph, graph.nodes):
        for node in unit.members if unit.whole else ():
            if node.operator not in ("QuantizeLinear", "DequantizeLinear"):
                view = view_of(graph, node, unit)
                assert not isinstance(supports(npu, view, precision), No), view
                found += node.operator in ("Conv", "Gemm")
                if node.operator == "Conv":
                    scales = view.inputs["W"].scales
                    assert scales is not None and scales.axis == (0 if per_channel else None)
    assert found >= 3
