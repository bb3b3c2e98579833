"""Operators with their quantisation in their name, and those that move integers, become operators between DequantizeLinear and
QuantizeLinear that compute the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from autoglmc.compiler.load.lift.lift_opset import modernise
from autoglmc.compiler.load.lift.quantised_spellings import MICROSOFT, MOVES, SPELLINGS
from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.program import program_of

Array = np.ndarray
FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


@dataclass
class Case:
    """One operator on integers; `weights` are constants by name, `inputs` what varies, `reads` its operands in order."""

    operator: str
    reads: list[str]
    inputs: dict[str, Array]
    weights: dict[str, Array]
    attributes: dict[str, Any] = field(default_factory=dict)

    def model(self) -> onnx.ModelProto:
        domain = "" if self.operator in ("QLinearConv", "QLinearMatMul") or self.operator not in SPELLINGS else MICROSOFT
        node = helper.make_node(self.operator, self.reads, ["y"], name="one", domain=domain, **self.attributes)
        ends = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in self.inputs.items()]
        made = [numpy_helper.from_array(np.asarray(array), name) for name, array in self.weights.items()]
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        kind = onnx.TensorProto.FLOAT if self.operator == "QGemm" and len(self.reads) < 8 else helper.np_dtype_to_tensor_dtype(self.dtype)
        y = helper.make_empty_tensor_value_info("y")
        y.type.tensor_type.elem_type = kind
        return helper.make_model(helper.make_graph([node], "g", ends, [y], made), opset_imports=opsets, ir_version=10)

    @property
    def dtype(self) -> Any:
        return next(array.dtype for array in self.inputs.values() if array.dtype.kind in "iu" and array.dtype.itemsize == 1)


class Made:
    """Random operands, quantised in one dtype."""

    def __init__(self, seed: int, signed: bool) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = np.dtype(np.int8 if signed else np.uint8)
        self.inputs: dict[str, Array] = {}
        self.weights: dict[str, Array] = {}

    def integers(self, *shape: int) -> Array:
        ends = np.iinfo(self.dtype)
        return self.random.integers(ends.min, ends.max + 1, shape).astype(self.dtype)

    def grid(self, name: str, step: float = 0.05) -> list[str]:
        """A scale and a zero point."""
        self.weights[f"{name}_s"] = np.float32(step * self.random.uniform(0.5, 2))
        self.weights[f"{name}_z"] = self.integers(1).reshape(())
        return [f"{name}_s", f"{name}_z"]

    def varying(self, name: str, *shape: int) -> list[str]:
        self.inputs[name] = self.integers(*shape)
        return [name, *self.grid(name)]

    def weight(self, name: str, *shape: int, channels: int = 0) -> list[str]:
        """channels: how many scales there are, 0 for one."""
        self.weights[name] = self.random.integers(-127, 128, shape).astype(np.int8)
        size = (channels,) if channels else ()
        self.weights[f"{name}_s"] = self.random.uniform(0.01, 0.03, size).astype(np.float32)
        self.weights[f"{name}_z"] = np.zeros(size, np.int8)
        return [name, f"{name}_s", f"{name}_z"]

    def bias(self, size: int) -> list[str]:
        self.weights["b"] = self.random.integers(-999, 999, size).astype(np.int32)
        return ["b"]

    def case(self, operator: str, *reads: list[str], **attributes: Any) -> Case:
        return Case(operator, [name for part in reads for name in part], self.inputs, self.weights, attributes)


def conv(m: Made, channels: int, bias: bool) -> Case:
    x, w = m.varying("x", 1, 4, 6, 6), m.weight("w", 8, 4, 3, 3, channels=channels)
    return m.case("QLinearConv", x, w, m.grid("y", 0.5), m.bias(8) if bias else [], pads=[1, 1, 1, 1])


def matmul(m: Made, channels: int) -> Case:
    return m.case("QLinearMatMul", m.varying("x", 2, 3, 5), m.weight("w", 5, 7, channels=channels), m.grid("y", 0.5))


def gemm(m: Made, turned: bool, channels: int, floats: bool = False) -> Case:
    x, w, b = m.varying("x", 3, 5), m.weight("w", *((7, 5) if turned else (5, 7)), channels=channels), m.bias(7)
    return m.case("QGemm", x, w, b, [] if floats else m.grid("y", 0.5), transB=int(turned), transA=0, alpha=1.0)


def where(m: Made) -> Case:
    m.inputs["c"] = m.random.integers(0, 2, (2, 3)).astype(bool)
    return m.case("QLinearWhere", ["c"], m.varying("x", 2, 3), m.varying("v", 1, 3), m.grid("y"))


def pooled(m: Made, operator: str, **attributes: Any) -> Case:
    return m.case(operator, m.varying("x", 1, 4, 6, 6), m.grid("y"), channels_last=0, **attributes)


def concat(m: Made) -> Case:
    return m.case("QLinearConcat", m.grid("y"), m.varying("x", 2, 3), m.varying("v", 2, 4), axis=1)


def softmax(m: Made) -> Case:
    return m.case("QLinearSoftmax", m.varying("x", 2, 9), m.grid("y", 1 / 256), axis=-1, opset=13)


CASES: dict[str, Callable[[Made], Case]] = {
    "conv": lambda m: conv(m, 0, True),
    "conv of channels": lambda m: conv(m, 8, True),
    "conv without bias": lambda m: conv(m, 8, False),
    "matmul": lambda m: matmul(m, 0),
    "matmul of columns": lambda m: matmul(m, 7),
    "gemm": lambda m: gemm(m, False, 0),
    "gemm of columns": lambda m: gemm(m, False, 7),
    "gemm of rows": lambda m: gemm(m, True, 7),
    "gemm in floats": lambda m: gemm(m, True, 0, floats=True),
    "add": lambda m: m.case("QLinearAdd", m.varying("x", 2, 3, 4), m.varying("v", 3, 1), m.grid("y")),
    "mul": lambda m: m.case("QLinearMul", m.varying("x", 2, 3, 4), m.varying("v", 4), m.grid("y")),
    "where": where,
    "sigmoid": lambda m: m.case("QLinearSigmoid", m.varying("x", 2, 9), m.grid("y", 1 / 256)),
    "leaky": lambda m: m.case("QLinearLeakyRelu", m.varying("x", 2, 9), m.grid("y"), alpha=0.3),
    "softmax": softmax,
    "average": lambda m: pooled(m, "QLinearAveragePool", kernel_shape=[2, 2], strides=[2, 2]),
    "global average": lambda m: pooled(m, "QLinearGlobalAveragePool"),
    "mean": lambda m: m.case("QLinearReduceMean", m.varying("x", 2, 3, 4), m.grid("y"), axes=[-1, 1], keepdims=0),
    "concat": concat,
}


def run(model: onnx.ModelProto, fed: dict[str, Array]) -> Array:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, fed)
    return np.asarray(result)


def test_every_spelling_has_a_case() -> None:
    named = {make(Made(0, False)).operator for make in CASES.values()}
    assert named == set(SPELLINGS)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.integers(0, 2**31), st.booleans())
def test_it_computes_the_same(name: str, seed: int, signed: bool) -> None:
    """As what it was in float64, up to one step where a number lies between two."""
    case = CASES[name](Made(seed, signed))
    model = case.model()
    wanted = np.asarray(Evaluator(program_of(model)).run(case.inputs, ()).values["y"])
    lifted, notes = modernise(onnx.ModelProto.FromString(model.SerializeToString()))
    assert case.operator not in {node.op_type for node in lifted.graph.node} and any("written between" in note for note in notes)
    assert {entry.domain for entry in lifted.opset_import} == {""}
    lifted.graph.output[0].type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=d) for d in wanted.shape)
    onnx.checker.check_model(lifted, full_check=True)
    got = run(lifted, case.inputs)
    assert got.shape == wanted.shape and got.dtype == (np.float32 if name == "gemm in floats" else case.dtype)
    if got.dtype == np.float32:
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    else:
        off = np.abs(got.astype(int) - wanted.astype(int))
        assert off.max() <= 1 and (off > 0).mean() <= 0.1


@pytest.mark.parametrize("signed", [False, True])
def test_a_zero_point_that_is_left_out_is_0_of_the_operands_dtype(signed: bool) -> None:
    """onnxruntime's process ends on such a model: held against one that states it."""
    case = CASES["leaky"](Made(0, signed))
    case.weights["y_z"] = np.zeros((), case.dtype)
    stated, left_out = case.model(), case.model()
    left_out.graph.node[0].input[4] = ""
    stated, left_out = (modernise(model)[0] for model in (stated, left_out))
    got = run(left_out, case.inputs)
    assert got.dtype == case.dtype
    np.testing.assert_array_equal(got, run(stated, case.inputs))


MOVED: dict[str, tuple[str, list[Array], dict[str, Any]]] = {
    "MaxPool": ("MaxPool", [], {"kernel_shape": [2, 2]}),
    "Reshape": ("Reshape", [np.array([1, 4, 36], np.int64)], {}),
    "Transpose": ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    "Flatten": ("Flatten", [], {"axis": 1}),
    "Squeeze": ("Squeeze", [np.array([0], np.int64)], {}),
    "Unsqueeze": ("Unsqueeze", [np.array([1], np.int64)], {}),
    "Slice": ("Slice", [np.array([1], np.int64), np.array([3], np.int64), np.array([1], np.int64)], {}),
    "Gather": ("Gather", [np.array([2, -1], np.int64)], {"axis": 1}),
    "Expand": ("Expand", [np.array([3, 4, 6, 6], np.int64)], {}),
    "Tile": ("Tile", [np.array([2, 1, 1, 1], np.int64)], {}),
    "Identity": ("Identity", [], {}),
    "DepthToSpace": ("DepthToSpace", [], {"blocksize": 2}),
    "SpaceToDepth": ("SpaceToDepth", [], {"blocksize": 2}),
    "Concat": ("Concat", [], {"axis": 1}),
    "Split": ("Split", [], {"axis": 1, "num_outputs": 2}),
    "Pad": ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)], {}),
    "Pad reflect": ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)], {"mode": "reflect"}),
    "Pad with": ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), np.uint8(7)], {}),
    "Resize": ("Resize", [np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"}),
}


def moving(name: str, scale: float, zero: int | None) -> onnx.ModelProto:
    """QuantizeLinear, the operator on integers, DequantizeLinear."""
    operator, operands, attributes = MOVED[name]
    weights = {f"w{k}": array for k, array in enumerate(operands)} | {"s": np.float32(scale)}
    grid = ["s"] if zero is None else ["s", "z"]
    weights |= {} if zero is None else {"z": np.uint8(zero)}
    results = ["m", "n"] if operator == "Split" else ["m"]
    nodes = [helper.make_node("QuantizeLinear", ["x", *grid], ["q"]), helper.make_node("QuantizeLinear", ["x", *grid], ["r"])]
    data = ["q", "r"] if operator == "Concat" else ["q"]
    nodes.append(helper.make_node(operator, [*data, *(f"w{k}" for k in range(len(operands)))], results, name="one", **attributes))
    nodes += [helper.make_node("DequantizeLinear", ["m", *grid], ["y"])]
    ends = [helper.make_tensor_value_info("x", FLOAT, [1, 4, 6, 6]), helper.make_tensor_value_info("y", FLOAT, None)]
    made = [numpy_helper.from_array(np.asarray(array), key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], made)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_every_move_has_a_case() -> None:
    assert {operator for operator, _, _ in MOVED.values()} == MOVES


@pytest.mark.parametrize("name", MOVED)
@settings(max_examples=8, deadline=None)
@given(st.floats(2.0**-10, 16, width=32), st.sampled_from([None, 0, 3, 255]), st.integers(0, 99))
def test_integers_are_moved_as_what_they_stand_for(name: str, scale: float, zero: int | None, seed: int) -> None:
    model = moving(name, scale, zero)
    x = {"x": (np.random.default_rng(seed).standard_normal((1, 4, 6, 6)) * 40 * scale).astype(np.float32)}
    wanted = run(model, x)
    lifted, notes = modernise(onnx.ModelProto.FromString(model.SerializeToString()))
    assert any("written between" in note for note in notes)
    made = {name: node.op_type for node in lifted.graph.node for name in node.output}
    one = next(node for node in lifted.graph.node if node.name == "one")
    assert made[one.input[0]] == "DequantizeLinear"
    assert {node.op_type for node in lifted.graph.node if set(one.output) & set(node.input)} == {"QuantizeLinear"}
    np.testing.assert_array_equal(run(lifted, x), wanted)


def test_interpolation_in_integers_is_another_function() -> None:
    """Between two steps it rounds otherwise than the operator on floats: it stays."""
    model = moving("Resize", 0.1, 3)
    next(node for node in model.graph.node if node.name == "one").attribute[0].s = b"linear"
    assert modernise(model)[1] == ()


def test_what_would_mean_something_else_stays() -> None:
    """Softmax over all axes from one on; channels last; a scale whose shape is not known."""
    old = softmax(Made(0, False))
    old.attributes = {"axis": 1, "opset": 12}
    last = pooled(Made(0, False), "QLinearGlobalAveragePool")
    last.attributes["channels_last"] = 1
    free = CASES["add"](Made(0, False)).model()
    free.graph.initializer.remove(next(tensor for tensor in free.graph.initializer if tensor.name == "y_s"))
    free.graph.input.append(helper.make_tensor_value_info("y_s", FLOAT, None))
    for model in (old.model(), last.model(), free):
        before = model.SerializeToString()
        assert modernise(model)[0].SerializeToString() == before
