"""What a pool costs: the elements of its windows that lie in its input, whatever reaches into the padding."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from run_model import infer, run

from autoglmc.passes.graph.graph import Graph
from autoglmc.targets.cost import operator_flops


def pool(kind: str, shape: tuple[int, ...], **attributes: object) -> onnx.ModelProto:
    node = helper.make_node(kind, ["x"], ["y"], **attributes)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (("x", shape), ("y", None)))
    return infer(helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def flops(model: onnx.ModelProto) -> float:
    graph = Graph(model)
    return operator_flops(graph.view(graph.nodes[0]))


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, object]]:
    rank = draw(st.integers(1, 2))
    extents, dilations = [draw(st.integers(4, 9)) for _ in range(rank)], [draw(st.integers(1, 2)) for _ in range(rank)]
    kernel = [draw(st.integers(1, 4)) for _ in range(rank)]
    auto = draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    attributes = {"kernel_shape": kernel, "strides": [draw(st.integers(1, 3)) for _ in range(rank)], "auto_pad": auto}
    if auto == "NOTSET":
        attributes |= {"pads": [draw(st.integers(0, k - 1)) for k in kernel * 2], "dilations": dilations}
    return (2, 3, *extents), attributes


@given(pools())
def test_elements_counted_are_those_that_onnxruntime_adds(case: tuple[tuple[int, ...], dict[str, object]]) -> None:
    """LpPool of ones with p 1 is the number of elements in each window."""
    shape, attributes = case
    model = pool("LpPool", shape, p=1, **attributes)
    (counted,) = run(model, {"x": np.ones(shape, np.float32)})
    assert flops(model) == counted.sum()


@pytest.mark.parametrize("kind", ["AveragePool", "MaxPool", "LpPool"])
def test_a_kernel_far_larger_than_its_input_costs_its_input(kind: str) -> None:
    model = pool(kind, (1, 8, 7, 7), kernel_shape=[1280, 1280], strides=[1280, 1280], auto_pad="SAME_UPPER")
    assert flops(model) == 8 * 7 * 7
