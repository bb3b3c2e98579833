"""Operators as LiteRT's: ONNX's own cases, and windows, sizes and axes at random, against onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from operator_cases import collect, same
from run_tflite import apart, feeds_of, on_constants, run_onnx, run_tflite
from window_models import CHANNELS, FEW, PADDING, PAIR, RULES, SIZES, convolution, pool, resize, transposed_convolution

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.devices.tflite.emit import CONVERTERS, refusals, write_tflite

WHOLE = (np.float32, np.int32, np.int64, np.bool_)
CLOSE = 2e-5
LEAST_RIGHT = 420
"""Of ONNX's cases: fewer would say that something is refused that was not."""


def frozen(model: onnx.ModelProto, inputs: tuple[Any, ...]) -> onnx.ModelProto:
    """All inputs but the first are constants: axes, sizes and weights, which is what they are in networks."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value, array in list(zip(model.graph.input, inputs, strict=True))[1:]:
        made.graph.initializer.append(numpy_helper.from_array(array, value.name))
    del made.graph.input[1:]
    return onnx.shape_inference.infer_shapes(made, data_prop=True)


def test_the_standards_cases_are_right_or_refused() -> None:
    right, wrong = 0, []
    for case in collect():
        kinds = {node.op_type for node in case.model.graph.node if node.domain == ""}
        arrays = [value for value in (*case.inputs, *case.outputs) if isinstance(value, np.ndarray)]
        plain = len(arrays) == len(case.inputs) + len(case.outputs) and all(a.dtype.type in WHOLE for a in arrays)
        if not plain or not kinds <= set(CONVERTERS) or case.name.endswith("_expanded"):
            continue
        for model in (onnx.shape_inference.infer_shapes(case.model), frozen(case.model, case.inputs))[: 1 + (len(case.inputs) > 1)]:
            if refusals(model):
                continue
            names = [value.name for value in model.graph.output]
            feeds = dict(zip([v.name for v in model.graph.input], case.inputs, strict=False))
            difference = same(case.outputs, run_tflite(write_tflite(model), feeds, names), case)
            right += not difference
            wrong += [f"{case.name}: {difference}"] if difference else []
    assert not wrong
    assert right >= LEAST_RIGHT


def hold(model: onnx.ModelProto) -> None:
    """The same numbers with borders as ONNX has them, and channels last."""
    feeds = feeds_of(model)
    assume(all(dim.dim_value > 0 for dim in model.graph.output[0].type.tensor_type.shape.dim))
    try:
        (want,) = run_onnx(model, feeds, ["y"])
    except Exception:
        assume(False)
    assume(want.shape == tuple(dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim))  # ceil_mode: ONNX infers more
    assert not refusals(model)
    data = write_tflite(model)
    assert not on_constants(data)
    (got,) = run_tflite(data, feeds, ["y"])
    assert apart(want, got) < CLOSE
    if want.ndim == 4 and all(value.ndim == 4 for value in feeds.values()):
        turned = {name: value.transpose(0, 2, 3, 1) for name, value in feeds.items()}
        (last,) = run_tflite(write_tflite(model, channels_last=[*feeds, "y"]), turned, ["y"])
        assert apart(want, last.transpose(0, 3, 1, 2)) < CLOSE


@FEW
@given(SIZES, PAIR, PAIR, PAIR, PADDING, CHANNELS, st.integers(1, 2))
def test_convolutions(size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, channels: Any, batch: int) -> None:
    hold(convolution(size, kernel, strides, dilations, padding, channels, batch))


@FEW
@given(SIZES, PAIR, PAIR, st.lists(st.integers(0, 1), min_size=4, max_size=4), st.sampled_from([1, 2, 4]), PAIR)
def test_transposed_convolutions(size: Any, kernel: Any, strides: Any, pads: Any, group: int, extra: Any) -> None:
    hold(transposed_convolution(size, kernel, strides, pads, group, extra))


@FEW
@given(st.sampled_from(["MaxPool", "AveragePool"]), SIZES, PAIR, PAIR, PADDING, st.booleans(), st.booleans())
def test_pools(kind: str, size: Any, kernel: Any, strides: Any, padding: Any, ceil: bool, counted: bool) -> None:
    hold(pool(kind, size, kernel, strides, padding, ceil, counted))


ROUNDINGS = ("floor", "round_prefer_floor")


@FEW
@given(SIZES, SIZES, st.sampled_from(RULES), st.sampled_from(["nearest", "linear", "cubic"]), st.sampled_from(ROUNDINGS))
def test_resizes(size: Any, target: Any, rule: str, mode: str, rounding: str) -> None:
    hold(resize(size, target, rule, mode, rounding))


@FEW
@given(st.sampled_from([(1, 4, 5, 6), (2, 3, 4, 5), (2, 6, 1, 1), (3, 4, 5), (6, 5)]), st.data())
def test_operators_along_an_axis_behind_a_convolution(shape: tuple[int, ...], data: st.DataObject) -> None:
    """On tensors that lie channels last, so that axes have to be turned."""
    rank = len(shape)
    axis = data.draw(st.integers(-rank, rank - 1))
    kind = data.draw(st.sampled_from(["Softmax", "LogSoftmax", "ReduceMean", "ReduceMax", "ArgMax", "LayerNormalization", "Flatten"]))
    nodes, constants = [], {}
    if rank == 4:
        constants["w"] = np.random.default_rng(1).standard_normal((shape[1], shape[1], 1, 1)).astype(np.float32)
        nodes.append(helper.make_node("Conv", ["x", "w"], ["c"]))
    start = "c" if rank == 4 else "x"
    keep = data.draw(st.integers(0, 1))
    if kind.startswith("Reduce"):
        constants["axes"] = np.array([axis], np.int64)
        nodes.append(helper.make_node(kind, [start, "axes"], ["y"], keepdims=keep))
    elif kind == "ArgMax":
        nodes += [helper.make_node(kind, [start], ["i"], axis=axis, keepdims=keep), helper.make_node("Cast", ["i"], ["y"], to=1)]
    elif kind == "LayerNormalization":
        constants["s"] = np.random.default_rng(2).standard_normal(shape[axis % rank :]).astype(np.float32)
        nodes.append(helper.make_node(kind, [start, "s"], ["y"], axis=axis))
    else:
        nodes.append(helper.make_node(kind, [start], ["y"], axis=axis))
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size) for name, size in (("x", shape), ("y", None))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    hold(onnx.shape_inference.infer_shapes(model, strict_mode=True))
