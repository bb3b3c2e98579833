"""Between which whole numbers a tensor lies: graphs of integers at random, on random inputs and on those at the ends of their dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from autoglmc.compiler.devices.whole_ranges import INT32, WholeNumbers

KINDS = {"int64": onnx.TensorProto.INT64, "int32": onnx.TensorProto.INT32, "int8": onnx.TensorProto.INT8}
TWO = ("Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Concat", "Where")


class Sketch:
    """A graph of integers of one dtype and shape [2, 3]: an input, positions found among it, and what is drawn."""

    def __init__(self, data: st.DataObject) -> None:
        self._data, self.nodes, self.constants = data, [], {}
        self.kind = data.draw(st.sampled_from(sorted(KINDS)))
        self._node("ArgMax", ["s"], "first", axis=1, keepdims=1)
        self._node("TopK", ["s", self._constant(np.array([3]))], "values places", axis=1)
        self._node("Cast", ["places"], "found", to=KINDS[self.kind])
        self._node("Cast", ["first"], "best", to=KINDS[self.kind])
        self.made = ["x", "found", "best"]
        for k in range(data.draw(st.integers(1, 5))):
            self._operator(f"t{k}")

    def _node(self, operator: str, inputs: list[str], outputs: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, outputs.split(), **attributes))

    def _constant(self, value: np.ndarray[Any, Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def _operator(self, name: str) -> None:
        draw = self._data.draw
        kind, a, b = (
            draw(st.sampled_from((*TWO, "ReduceMax", "Reshape"))),
            draw(st.sampled_from(self.made)),
            draw(st.sampled_from(self.made)),
        )
        if kind in ("Div", "Mod"):
            b = self._constant(np.array(draw(st.integers(-9, 9).filter(bool) if kind == "Div" else st.integers(1, 9)), self.kind))
        if kind == "Mod":
            self._node(kind, [a, b], name, fmod=draw(st.integers(0, 1)))
        elif kind == "Concat":
            ends = [self._constant(np.array([2, 3]))]
            self._node("Expand", [a, *ends], f"{name}_a")
            self._node("Expand", [b, *ends], f"{name}_b")
            self._node(kind, [f"{name}_a", f"{name}_b"], f"{name}_both", axis=0)
            self._node("ReduceMax", [f"{name}_both", self._constant(np.array([0]))], name, keepdims=1)
        elif kind == "Where":
            self._node(kind, ["flag", a, b], name)
        elif kind == "ReduceMax":
            self._node(kind, [a, self._constant(np.array([1]))], name, keepdims=1)
        elif kind == "Reshape":
            self._node("Identity", [a], name)
        else:
            self._node(kind, [a, b], name)
        self.made.append(name)

    def model(self) -> onnx.ModelProto:
        inputs = [("s", onnx.TensorProto.FLOAT, [2, 3]), ("x", KINDS[self.kind], [2, 3]), ("flag", onnx.TensorProto.BOOL, [2, 3])]
        outputs = [name for node in self.nodes for name in node.output]
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info(*each) for each in inputs],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def ranges(model: onnx.ModelProto) -> WholeNumbers:
    made = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    values = {value.name: value.type.tensor_type for value in (*made.input, *made.value_info, *made.output)}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.initializer}
    return WholeNumbers(
        {name: node for node in made.node for name in node.output},
        constants.get,
        lambda name: tuple(dim.dim_value for dim in values[name].shape.dim),
        lambda name: str(constants[name].dtype) if name in constants else helper.tensor_dtype_to_np_dtype(values[name].elem_type).name,
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data(), st.integers(0, 2**16))
def test_no_number_lies_outside(data: st.DataObject, seed: int) -> None:
    sketch, random = Sketch(data), np.random.default_rng(seed)
    model, limits = sketch.model(), np.iinfo(sketch.kind)
    numbers, names = ranges(model), sketch.made[1:]
    ends = random.choice([limits.min, limits.max, 0, -1, 7], (2, 3)).astype(sketch.kind)
    for x in (random.integers(-9, 9, (2, 3)).astype(sketch.kind), ends):
        feeds = {"s": random.standard_normal((2, 3)).astype(np.float32), "x": x, "flag": random.random((2, 3)) < 0.5}
        with np.errstate(all="ignore"):
            found = dict(zip([v.name for v in model.graph.output], ReferenceEvaluator(model).run(None, feeds), strict=True))
        for name in names:
            low, high = numbers.range_of(name)
            assert low <= found[name].min() and found[name].max() <= high, name


def test_a_quotient_may_lie_outside_where_both_numbers_do_not() -> None:
    """-2³¹ / -1; and between divisors of either sign are -1 and 1."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["":18]> g (int32[2] x, bool[2] f) => (int64[2] t) <int64 n = {-1}, int64 m = {-2}, int64 p = {9}>'
        " { a = Cast<to=7>(x) q = Div(a, n) r = Div(a, m) w = Where(f, m, p) s = Div(a, w) t = Div(p, a) }"
    )
    numbers = ranges(model)
    assert numbers.fits("a") and not numbers.fits("q") and numbers.range_of("q") == (-(2**31) + 1, 2**31)
    assert (
        numbers.range_of("r") == (-(2**30) + 1, 2**30) and numbers.range_of("s") == (-(2**31), 2**31) and numbers.range_of("t") == (-9, 9)
    )


def test_positions_fit_and_inputs_of_64_bits_do_not() -> None:
    text = "i = ArgMax<axis=-1>(x) j = Add(i, n) k = Mul(j, j) m = Mod(y, n) q = Div(m, n)"
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["":18]> g (float[2,5] x, int64[2] y) => (int64[2] q) <int64 n = {{4}}> {{ {text} }}'
    )
    numbers = ranges(model)
    assert numbers.range_of("i") == (0, 4) and numbers.range_of("j") == (4, 8) and numbers.range_of("k") == (16, 64)
    assert numbers.range_of("m") == (0, 3) and numbers.range_of("q") == (0, 0)
    assert numbers.fits("k") and not numbers.fits("y") and numbers.fits("y", (-(2**63), 2**63 - 1)) and INT32 == (-(2**31), 2**31 - 1)
    with pytest.raises(ValueError, match="x is float32"):
        numbers.range_of("x")
