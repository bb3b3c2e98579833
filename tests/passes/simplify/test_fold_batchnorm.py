"""Folding of per-channel maps into Conv, ConvTranspose and Gemm, and the cases in which it must not happen."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from run_model import emitted, feeds, infer, run

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.simplify.fold_batchnorm import FOLD_BATCHNORM, FOLD_CHANNELWISE

RULES = (FOLD_BATCHNORM, FOLD_CHANNELWISE)


def model(
    linear: onnx.NodeProto,
    after: list[onnx.NodeProto],
    arrays: dict[str, np.ndarray],
    shape: tuple[int, ...],
    outputs: tuple[str, ...] = ("y",),
) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph([linear, *after], "g", ends, results, tensors)
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def parameters(seed: np.random.Generator, channels: int) -> dict[str, np.ndarray]:
    return {
        "s": seed.uniform(0.5, 2, channels),
        "t": seed.standard_normal(channels),
        "m": seed.standard_normal(channels),
        "v": seed.uniform(0.1, 3, channels),
    }


NORMALIZATION = helper.make_node("BatchNormalization", ["h", "s", "t", "m", "v"], ["y"], epsilon=1e-3)


@st.composite
def linears(draw: st.DrawFn) -> tuple[onnx.NodeProto, dict[str, np.ndarray], tuple[int, ...], int]:
    """A Conv, ConvTranspose or Gemm from x to h with its constants, input shape and number of channels."""
    seed = np.random.default_rng(draw(st.integers(0, 99)))
    group, each, bias = draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 3)), draw(st.booleans())
    kind = draw(st.sampled_from(["Conv", "ConvTranspose", "Gemm"]))
    names = ["x", "w", "b"] if bias else ["x", "w"]
    if kind == "Gemm":
        turned, channels = draw(st.booleans()), group * each
        beta = draw(st.sampled_from([1.0, 0.5]))
        node = helper.make_node(kind, names, ["h"], transB=int(turned), alpha=draw(st.sampled_from([1.0, 2.0])), beta=beta)
        arrays = {"w": seed.standard_normal((channels, 4) if turned else (4, channels))}
        arrays |= {"b": seed.standard_normal(draw(st.sampled_from([(channels,), (1, channels), (1,)])))} if bias else {}
        return node, arrays, (3, 4), channels
    dims = draw(st.integers(1, 2))
    channels, inner = group * each, 2
    weights = (channels, inner) if kind == "Conv" else (group * inner, each)
    node = helper.make_node(kind, names, ["h"], group=group, strides=[draw(st.integers(1, 2))] * dims)
    arrays = {"w": seed.standard_normal((*weights, *[2] * dims))} | ({"b": seed.standard_normal(channels)} if bias else {})
    return node, arrays, (2, group * inner, *[5] * dims), channels


@settings(max_examples=80)
@given(linears(), st.integers(0, 99))
def test_normalisation_after_any_linear_operator_is_folded(
    linear: tuple[onnx.NodeProto, dict[str, np.ndarray], tuple[int, ...], int], seed: int
) -> None:
    node, arrays, shape, channels = linear
    before = model(node, [NORMALIZATION], {**arrays, **parameters(np.random.default_rng(seed), channels)}, shape)
    check(before, node.op_type, seed)


@settings(max_examples=60)
@given(linears(), st.integers(0, 99), st.sampled_from(["Add", "Sub", "Mul", "Div"]), st.booleans(), st.booleans())
def test_arithmetic_with_one_constant_per_channel_is_folded(
    linear: tuple[onnx.NodeProto, dict[str, np.ndarray], tuple[int, ...], int], seed: int, operator: str, swap: bool, number: bool
) -> None:
    node, arrays, shape, channels = linear
    operands = ["c", "h"] if swap and operator in ("Add", "Mul") else ["h", "c"]
    constant = np.random.default_rng(seed).uniform(0.5, 2, 1 if number else channels)
    constant = constant if number else constant.reshape(-1, *[1] * (len(shape) - 2))
    before = model(node, [helper.make_node(operator, operands, ["y"])], {**arrays, "c": constant}, shape)
    check(before, node.op_type, seed)


def check(before: onnx.ModelProto, operator: str, seed: int) -> None:
    graph = Graph(onnx.ModelProto.FromString(before.SerializeToString()))
    apply(graph, RULES)
    assert [node.operator for node in graph.nodes] == [operator]
    fed = feeds(before, seed)
    (old,), (new,) = run(before, fed), run(emitted(graph), fed)
    assert np.abs(old - new).max() <= 1e-4 * max(1.0, np.abs(old).max())
    assert not np.array_equal(new, run(emitted(graph), feeds(before, seed + 1))[0])


CONV = helper.make_node("Conv", ["x", "w"], ["h"])
WEIGHTS = {"w": np.ones((3, 2, 1, 1))}


def decline(after: list[onnx.NodeProto], extra: dict[str, np.ndarray], outputs: tuple[str, ...] = ("y",)) -> tuple[list[str], list[str]]:
    graph = Graph(model(CONV, after, {**WEIGHTS, **extra}, (1, 2, 4, 3), outputs))
    decisions = apply(graph, RULES)
    return [decision.reason for decision in decisions if not decision.taken], [node.operator for node in graph.nodes]


def test_a_convolution_used_elsewhere_is_not_folded() -> None:
    reasons, kinds = decline([NORMALIZATION], parameters(np.random.default_rng(0), 3), ("y", "h"))
    assert kinds == ["Conv", "BatchNormalization"]
    assert reasons == ["h is used elsewhere too"]


def test_a_constant_along_another_axis_is_not_folded() -> None:
    reasons, kinds = decline([helper.make_node("Mul", ["h", "c"], ["y"])], {"c": np.array([1.0, 2.0, 3.0])})
    assert kinds == ["Conv", "Mul"]
    assert reasons == ["the constant is not one value per channel"]


def test_division_by_zero_is_not_folded() -> None:
    assert decline([helper.make_node("Div", ["h", "c"], ["y"])], {"c": np.array([0.0])})[1] == ["Conv", "Div"]


def test_a_constant_divided_by_the_convolution_is_not_folded() -> None:
    assert decline([helper.make_node("Div", ["c", "h"], ["y"])], {"c": np.array([2.0])})[1] == ["Conv", "Div"]


def test_training_mode_is_not_folded() -> None:
    training = helper.make_node("BatchNormalization", ["h", "s", "t", "m", "v"], ["y", "a", "b"], training_mode=1)
    reasons, kinds = decline([training], parameters(np.random.default_rng(0), 3))
    assert kinds == ["Conv", "BatchNormalization"]
    assert "training mode" in reasons[0]


@pytest.mark.parametrize("operator", ["MatMul", "Relu"])
def test_other_producers_are_left_alone(operator: str) -> None:
    linear = helper.make_node(operator, ["x", "w"] if operator == "MatMul" else ["x"], ["h"])
    arrays = {"w": np.ones((3, 3)), **parameters(np.random.default_rng(0), 2)}
    graph = Graph(model(linear, [NORMALIZATION], arrays, (1, 2, 4, 3)))
    assert not apply(graph, RULES)
