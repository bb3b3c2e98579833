"""What an operator costs: none is costed zero while it does something, and an extent that is not known is never taken for zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import operator_cases
import pytest
from onnx import helper, numpy_helper

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.infer_types import infer_types
from autoglmc.passes.graph.graph import Graph
from autoglmc.targets.cost import FREE, kernel_seconds, operator_bytes, operator_flops, runs_once, weights_read
from autoglmc.targets.operator_view import AttributeValue, OperatorView, TensorView
from autoglmc.targets.operators import operator_names, versions_of
from autoglmc.targets.work.extents import HANDLES, bounded, is_bounded, open_tensors

MICROSOFT = (
    "Attention BiasGelu BiasSoftmax DecoderMaskedMultiHeadAttention DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization "
    "FastGelu FusedConv FusedGemm FusedMatMul GatherBlockQuantized Gelu GemmFloat8 GroupNorm GroupQueryAttention Inverse MatMulBnb4 "
    "MatMulIntegerToFloat MatMulNBits MoE MultiHeadAttention NhwcFusedConv NhwcMaxPool PackedAttention QAttention QGemm QLinearAdd "
    "QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid "
    "QLinearSoftmax QLinearWhere QMoE QuickGelu RotaryEmbedding SkipGroupNorm SkipLayerNormalization SkipSimplifiedLayerNormalization "
    "SparseAttention TransposeMatMul"
).split()
SHAPES: Mapping[str, Sequence[int]] = {"Gemm": (4, 6), "LSTM": (2, 4, 6), "GRU": (2, 4, 6), "RNN": (2, 4, 6)}
NAMES = (*operator_names(), *(f"com.microsoft::{name}" for name in MICROSOFT))
CPU = load_target("x86_cpu")


def view_of(name: str, scale: int = 1) -> OperatorView:
    """An operator whose operands all have one static shape."""
    domain, _, operator = name.rpartition("::")
    shape = tuple(size * scale for size in SHAPES.get(operator, (2, 4, 6, 8)))
    version = (versions_of(name) or [None])[-1]
    if version is None:
        inputs, outputs = [f"operand.{k}" for k in range(4)], ["operand.0"]
    else:
        inputs, outputs = [slot.name for slot in version.inputs], [slot.name for slot in version.outputs]
    return operator_view(operator, domain, {label: shape for label in inputs}, {label: shape for label in outputs})


def operator_view(
    operator: str,
    domain: str,
    inputs: Mapping[str, Sequence[int | None]],
    outputs: Mapping[str, Sequence[int | None]],
    **attributes: AttributeValue,
) -> OperatorView:
    def tensors(shapes: Mapping[str, Sequence[int | None]], kind: str) -> dict[str, TensorView]:
        return {label: TensorView(f"{kind}{k}", "fp32", tuple(shape), False) for k, (label, shape) in enumerate(shapes.items())}

    return OperatorView("n", domain, operator, 21, attributes, tensors(inputs, "x"), tensors(outputs, "y"))


def seconds(view: OperatorView) -> float:
    return kernel_seconds(CPU, CPU.devices[0], (view,), "fp32")


def costs_nothing(view: OperatorView) -> bool:
    return not view.domain and (view.operator in FREE or view.operator in HANDLES)


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_costs_something_or_is_free(name: str) -> None:
    view = view_of(name)
    assert (seconds(view) == 0) == costs_nothing(view)
    assert operator_flops(view_of(name, 2)) >= operator_flops(view) >= 0
    if operator_flops(view):
        assert operator_flops(view_of(name, 2)) > operator_flops(view)
    assert not open_tensors(view)


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_of_unknown_extents_is_named(name: str) -> None:
    view = view_of(name)
    for side in ("inputs", "outputs"):
        for label, tensor in getattr(view, side).items():
            for shape in (None, (None, 4, 6, 8)):
                opened = replace(view, **{side: {**getattr(view, side), label: replace(tensor, shape=shape)}})
                assert bool(open_tensors(opened)) != (costs_nothing(view) or is_bounded(opened))


def microsoft(operator: str, *shapes: Sequence[int], out: Sequence[int], **attributes: AttributeValue) -> OperatorView:
    inputs = {f"operand.{k}": shape for k, shape in enumerate(shapes)}
    return operator_view(operator, "com.microsoft", inputs, {"operand.0": out}, **attributes)


def einsum(equation: str, *shapes: Sequence[int], out: Sequence[int]) -> OperatorView:
    return operator_view("Einsum", "", {f"Inputs.{k}": shape for k, shape in enumerate(shapes)}, {"Output": out}, equation=equation)


FORMULAS: Mapping[str, tuple[OperatorView, float]] = {
    "Attention": (
        operator_view("Attention", "", {"Q": (1, 4, 5, 8), "K": (1, 4, 7, 8), "V": (1, 4, 7, 8)}, {"Y": (1, 4, 5, 8)}),
        4 * 4 * 5 * 8 * 7,
    ),
    "packed Attention": (microsoft("Attention", (2, 5, 16), (16, 48), out=(2, 5, 16)), 2 * 2 * 5 * 16 * 48 + 4 * 2 * 5 * 5 * 16),
    "MultiHeadAttention": (microsoft("MultiHeadAttention", (2, 5, 16), (2, 7, 16), (2, 7, 16), out=(2, 5, 16)), 4 * 2 * 5 * 16 * 7),
    "GroupQueryAttention with a cache": (
        microsoft("GroupQueryAttention", (1, 1, 16), (1, 1, 8), (1, 1, 8), (1, 2, 32, 4), out=(1, 1, 16)),
        4 * 16 * 32,
    ),
    "MatMulNBits": (microsoft("MatMulNBits", (1, 7, 32), out=(1, 7, 64), K=32, N=64), 2 * 7 * 32 * 64),
    "FusedConv": (microsoft("FusedConv", (1, 3, 8, 8), (5, 3, 3, 3), out=(1, 5, 6, 6)), 2 * 5 * 36 * 27),
    "FusedMatMul turned": (microsoft("FusedMatMul", (8, 5), (8, 6), out=(5, 6), transA=1), 2 * 5 * 6 * 8),
    "Conv of one axis": (operator_view("Conv", "", {"X": (1, 3, 8), "W": (5, 3, 3)}, {"Y": (1, 5, 6)}), 2 * 5 * 6 * 9),
    "Conv of three axes": (
        operator_view("Conv", "", {"X": (1, 3, 4, 4, 4), "W": (5, 3, 2, 2, 2)}, {"Y": (1, 5, 3, 3, 3)}),
        2 * 5 * 27 * 24,
    ),
    "Einsum": (einsum("bij, bjk -> bik", (2, 3, 5), (2, 5, 7), out=(2, 3, 7)), 2 * 2 * 3 * 5 * 7),
    "Einsum with dots": (einsum("...ij,jk->...ik", (4, 2, 3, 5), (5, 7), out=(4, 2, 3, 7)), 2 * 4 * 2 * 3 * 5 * 7),
    "GRU": (operator_view("GRU", "", {"X": (9, 2, 6), "W": (1, 15, 6), "R": (1, 15, 5)}, {"Y": (9, 1, 2, 5)}), 2 * 18 * 15 * 11),
    "ReduceSum": (operator_view("ReduceSum", "", {"data": (4, 100)}, {"reduced": (4, 1)}), 400),
    "CumSum": (operator_view("CumSum", "", {"x": (4, 100), "axis": ()}, {"y": (4, 100)}), 400),
    "TopK": (operator_view("TopK", "", {"X": (4, 256), "K": (1,)}, {"Values": (4, 2), "Indices": (4, 2)}, axis=-1), 4 * 256 * 8),
    "DFT": (operator_view("DFT", "", {"input": (3, 64, 1)}, {"output": (3, 64, 2)}, axis=1), 3 * 5 * 64 * 6),
    "Resize cubic": (operator_view("Resize", "", {"X": (1, 1, 4, 4)}, {"Y": (1, 1, 8, 8)}, mode="cubic"), 40 * 64),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_what_computes_much_is_counted_by_its_formula(name: str) -> None:
    view, expected = FORMULAS[name]
    assert operator_flops(view) == pytest.approx(expected)


def test_results_of_unknown_length_are_costed_by_an_upper_bound() -> None:
    view = operator_view("NonZero", "", {"X": (4, 5)}, {"Y": (2, None)})
    assert is_bounded(view) and not open_tensors(view) and bounded(view).outputs["Y"].shape == (2, 20)
    assert operator_bytes(view, "fp32") == 4 * (20 + 40)
    boxes = operator_view("NonMaxSuppression", "", {"boxes": (1, 6, 4), "scores": (1, 3, 6)}, {"selected_indices": (None, 3)})
    assert is_bounded(boxes) and bounded(boxes).outputs["selected_indices"].shape == (18, 3)


def loop(limit: int | None) -> onnx.ModelProto:
    """Rounds of one matrix product [3, 8] x [8, 8]; the number is the input's without a limit."""
    nodes = [helper.make_node("MatMul", ["s", "w"], ["t"]), helper.make_node("Identity", ["go"], ["on"])]
    kinds = [("i", 7, []), ("go", 9, []), ("s", 1, [3, 8]), ("on", 9, []), ("t", 1, [3, 8])]
    inputs = [helper.make_tensor_value_info(*kind) for kind in kinds]
    body = helper.make_graph(nodes, "body", inputs[:3], inputs[3:])
    weights = [numpy_helper.from_array(np.ones((8, 8), np.float32), "w"), numpy_helper.from_array(np.asarray(True), "c")]
    given = [helper.make_tensor_value_info("x", 1, [3, 8])]
    if limit is None:
        given.append(helper.make_tensor_value_info("n", 7, []))
    else:
        weights.append(numpy_helper.from_array(np.asarray(limit), "n"))
    node = helper.make_node("Loop", ["n", "c", "x"], ["y"], body=body)
    graph = helper.make_graph([node], "g", given, [helper.make_tensor_value_info("y", 1, [3, 8])], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_a_loop_costs_its_body_as_often_as_it_runs() -> None:
    view = graph_views(loop(5))[0]
    assert operator_flops(view) == 5 * 2 * 3 * 8 * 8 and not open_tensors(view)
    for endless in (loop(None), loop(2**63 - 1)):
        assert open_tensors(graph_views(endless)[0])


def graph_views(model: onnx.ModelProto) -> list[OperatorView]:
    graph = Graph(infer_types(model))
    return [graph.view(node) for node in graph.nodes]


def test_every_case_of_the_standard_is_costed_or_named() -> None:
    """With the shapes that operators really have."""
    wrong: dict[str, Any] = {}
    for case in operator_cases.collect():
        for view in graph_views(onnx.ModelProto.FromString(case.model.SerializeToString())):
            found = seconds(view)
            empty = all(t.elements == 0 for t in view.outputs.values())
            idle = costs_nothing(view) or runs_once(view) or open_tensors(view) or empty or view.bodies
            if not math.isfinite(found) or (found == 0 and not idle):
                wrong[case.name] = (view.operator, found)
    assert not wrong


def test_weights_that_a_run_reads_count_once_and_tables_by_what_is_taken() -> None:
    table, weight = TensorView("table", "fp32", (30000, 64), True), TensorView("w", "fp32", (64, 64), True)
    rows, out = TensorView("rows", "fp32", (1, 8, 64), False), TensorView("out", "fp32", (1, 8, 64), False)
    gather = OperatorView("g", "", "Gather", 13, {}, {"data": table, "indices": TensorView("i", "int64", (1, 8), False)}, {"output": rows})
    product = OperatorView("p", "", "MatMul", 13, {}, {"A": rows, "B": weight}, {"Y": out})
    folded = OperatorView("f", "", "Cast", 13, {}, {"input": table}, {"output": replace(table, name="cast")})
    assert weights_read([gather]) == 8 * 64 * 4
    assert weights_read([product, replace(product, name="again")]) == 64 * 64 * 4
    assert weights_read([gather, folded, product]) == 8 * 64 * 4 + 64 * 64 * 4
