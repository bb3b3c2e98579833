"""Windows are spelled so that the size that onnx infers is the one that runtimes compute, and the numbers stay the same bit for bit."""

from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from onnx import helper

from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.load.infer_types import infer_once, infer_types

SEEDS = range(60)
BEYOND = (1, 20, 28)
"""A last window that ends before the last element, on an axis beside one that needs more padding than runtimes take."""


def one_node(node: onnx.NodeProto, size: tuple[int, int], opset: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", 1, [1, 2, *size])
    weight = helper.make_tensor("w", 1, [2, 2, 3, 3], np.random.default_rng(0).normal(size=36).astype("f"))
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", 1, ["a", "b", "c", "d"])], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def inferred(model: onnx.ModelProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim)


def run(model: onnx.ModelProto, size: tuple[int, int]) -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(1, 2, *size)).astype("f")
    return open_session(model.SerializeToString(), optimise=False).run(None, {"x": x})[0]


def pool(seed: int) -> tuple[onnx.NodeProto, tuple[int, int]]:
    draw = random.Random(seed)
    kernel = [draw.randint(2, 3), draw.randint(2, 3)]
    pads = [draw.randint(0, min(kernel) - 1) for _ in range(4)]
    given = {"kernel_shape": kernel, "strides": [draw.randint(1, 4), draw.randint(1, 4)], "pads": pads, "ceil_mode": 1}
    operator = draw.choice(["MaxPool", "AveragePool", "LpPool"])
    if operator == "AveragePool" and any(pads):
        given["count_include_pad"] = draw.randint(0, 1)
    if draw.random() < 0.3:
        given["dilations"] = [1, 2]
    return helper.make_node(operator, ["x"], ["y"], **given), (draw.randint(6, 9), draw.randint(6, 9))


@pytest.mark.parametrize("seed", SEEDS)
def test_pools_have_the_size_that_the_runtime_computes(seed: int) -> None:
    node, size = pool(seed)
    model = one_node(node, size, 19)
    before = run(model, size)
    after = infer_types(model)
    if seed in BEYOND:
        assert after.graph.node[0] == node and inferred(after) != before.shape
        return
    assert inferred(after) == before.shape
    np.testing.assert_array_equal(run(after, size), before)


def test_some_of_those_pools_have_another_size_before() -> None:
    models = [(one_node(node, size, 19), size) for node, size in map(pool, SEEDS)]
    assert sum(inferred(infer_once(model)) != run(model, size).shape for model, size in models) > 10


@pytest.mark.parametrize("pad", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("stride", [(2, 2), (2, 3), (3, 3), (1, 2)])
@pytest.mark.parametrize("extra", [(1, 1), (1, 0), (0, 1)])
def test_transposed_convolutions_too(pad: str, stride: tuple[int, int], extra: tuple[int, int]) -> None:
    if any(more >= step for more, step in zip(extra, stride, strict=True)):
        pytest.skip("output_padding must be smaller than the stride")
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], auto_pad=pad, strides=stride, output_padding=extra)
    model = one_node(node, (5, 4), 17)
    assert inferred(infer_once(onnx.ModelProto.FromString(model.SerializeToString()))) != (1, 2, 5 * stride[0], 4 * stride[1])
    before = run(model, (5, 4))
    after = infer_types(model)
    assert inferred(after) == before.shape == (1, 2, 5 * stride[0], 4 * stride[1])
    np.testing.assert_array_equal(run(after, (5, 4)), before)


def test_sizes_behind_a_window_follow() -> None:
    node = helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1)
    again = helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1)
    model = one_node(node, (10, 10), 19)
    model.graph.node.append(again)
    before = run(model, (10, 10))
    assert inferred(infer_types(model)) == before.shape


def test_what_onnx_infers_rightly_is_left_alone() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 1], ceil_mode=1)
    model = infer_types(one_node(node, (7, 7), 19))
    assert model.graph.node[0] == node
    assert infer_types(one_node(node, (6, 6), 22)).graph.node[0] == node
