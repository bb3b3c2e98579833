"""Random small graphs in integers: valid, with shared scales, no further from the float graph than their scales say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.pipeline.whole_model import graph_model
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.eligible import kept_forms
from autoglmc.passes.precision.operators import moves, operands_of
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.sharing import steps_of_tensors
from autoglmc.passes.precision.stored_weights import constants_beside
from autoglmc.targets.precision import FORMS, Form, FormName

SHAPE = (1, 4, 6, 6)
KINDS = ("Conv", "Add", "Relu", "Clip", "MaxPool", "Concat", "Transpose", "Reshape", "Slice", "AddConstant")


@dataclass
class Net:
    """A convolutional net of random operators; every value has SHAPE."""

    seed: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    values: list[str] = field(default_factory=lambda: ["x"])

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def constant(self, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(value, f"c{len(self.weights)}"))
        return self.weights[-1].name

    def normal(self, *shape: int) -> str:
        return self.constant((self.random.standard_normal(shape) * self.random.uniform(0.01, 2.0)).astype(np.float32))

    def node(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def step(self, kind: str, other: int) -> None:
        x, y = self.values[-1], self.values[other % len(self.values)]
        match kind:
            case "Conv":
                made = self.node("Conv", x, self.normal(4, 4, 3, 3), self.normal(4), pads=[1, 1, 1, 1])
            case "Add":
                made = self.node("Add", x, y)
            case "AddConstant":
                made = self.node("Add", x, self.normal(1, 4, 1, 1))
            case "Relu":
                made = self.node("Relu", x)
            case "Clip":
                made = self.node("Clip", x, self.constant(np.float32(0.0)), self.constant(np.float32(1.5)))
            case "MaxPool":
                made = self.node("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            case "Concat":
                joined = self.node("Concat", x, y, axis=1)
                made = self.node("Conv", joined, self.normal(4, 8, 1, 1))
            case "Transpose":
                made = self.node("Transpose", x, perm=[0, 1, 3, 2])
            case "Reshape":
                flat = self.node("Reshape", x, self.constant(np.array([4, 36], np.int64)))
                made = self.node("Reshape", flat, self.constant(np.array(SHAPE, np.int64)))
            case _:
                half = self.node("Slice", x, *(self.constant(np.array([k], np.int64)) for k in (0, 2, 1)))
                made = self.node("Concat", half, half, axis=1)
        self.values.append(made)

    def model(self) -> onnx.ModelProto:
        last = self.node("Identity", self.values[-1])
        inputs, outputs = (helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in ("x", last))
        graph = helper.make_graph(self.nodes, "g", [inputs], [outputs], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 20)), min_size=1, max_size=8)


def net(seed: int, steps: list[tuple[str, int]]) -> onnx.ModelProto:
    made = Net(seed)
    for kind, other in steps:
        made.step(kind, other)
    return made.model()


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0])


def all_in(graph: Graph, name: FormName) -> dict[str, Form]:
    return {node.writes[0]: FORMS[name] for node in graph.nodes}


def bound(graph: Graph, forms: dict[str, Form], ranges: dict) -> float:
    """How far the last tensor may be off: half a step wherever something is rounded, carried on through the operators."""
    steps = steps_of_tensors(graph, forms, ranges)
    off: dict[str, float] = {}

    def error(name: str, dtype: str) -> float:
        """Of an operand as it is dequantised."""
        known = off.get(name, 0.0)
        return known if name in off and name not in graph.inputs else known + steps[name, dtype].scale / 2

    for node in graph.nodes:
        form = forms[node.writes[0]]
        operands = operands_of(graph, node)
        read = [error(node.inputs[k], form.activations) for k in (*operands.moved, *operands.others)]
        made = node.writes[0]
        if moves(graph, node):
            off[made] = max(read)
            continue
        total = sum(read)
        if operands.weights:
            weights = constants_beside(graph, node, form, steps[node.inputs[0], form.activations].scale)
            weight = weights[1]
            scale = np.broadcast_to(weight.scale.astype(np.float64).reshape(-1, 1), (len(weight.stored), weight.stored[0].size))
            largest = max(abs(ranges[node.inputs[0]].low), abs(ranges[node.inputs[0]].high))
            rows = np.abs(weight.stored.astype(np.float64)).reshape(len(weight.stored), -1) * scale
            total = float((rows.sum(1) * read[0] + (scale / 2).sum(1) * largest).max())
            total += max((float(w.scale.max()) / 2 for k, w in weights.items() if k == operands.bias), default=0.0)
        off[made] = total + steps[made, form.activations].scale / 2
    return off[graph.nodes[-1].writes[0]]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), STEPS, st.sampled_from(["a8w8", "a16w8"]))
def test_error_is_bounded_by_the_scales(seed: int, steps: list[tuple[str, int]], name: FormName) -> None:
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    model = net(seed, steps)
    exact = run(model, x)
    graph = Graph(model)
    ranges = ranges_of(graph, lambda: [{"x": x}])
    forms = kept_forms(graph, all_in(graph, name), ranges)
    assert len(forms) == len(graph.nodes)
    allowed = bound(graph, forms, ranges)
    written = plain_model(quantise(graph, forms, ranges))
    onnx.checker.check_model(written, full_check=True)
    floats = 1e-5 * (1.0 + float(np.abs(exact).max()))  # fp32 itself
    assert float(np.abs(run(written, x) - exact).max()) <= allowed * 1.001 + floats


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), STEPS, st.lists(st.sampled_from(["fp32", "fp16", "a8w8", "a16w8", "w8"]), min_size=1, max_size=8))
def test_any_mixture_of_forms_is_a_valid_model(seed: int, steps: list[tuple[str, int]], names: list[FormName]) -> None:
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    model = net(seed, steps)
    exact, graph = run(model, x), Graph(model)
    ranges = ranges_of(graph, lambda: [{"x": x}])
    forms = {node.writes[0]: FORMS[names[k % len(names)]] for k, node in enumerate(graph.nodes)}
    written = plain_model(quantise(graph, forms, ranges))
    onnx.checker.check_model(written, full_check=True)
    got = run(written, x)
    assert got.shape == exact.shape
    assert np.abs(got - exact).max() <= 0.5 * (1.0 + np.abs(exact).max())
    again = Graph(net(seed, steps))
    assert plain_model(quantise(again, forms, ranges)).SerializeToString(deterministic=True) == written.SerializeToString(
        deterministic=True
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), STEPS)
def test_what_moves_values_keeps_their_scale(seed: int, steps: list[tuple[str, int]]) -> None:
    """Every operator that moves values has one scale and zero point on all sides, so it moves integers."""
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    graph = Graph(net(seed, steps))
    ranges = ranges_of(graph, lambda: [{"x": x}])
    quantise(graph, all_in(graph, "a8w8"), ranges)
    for node in graph.nodes:
        if moves(graph, node):
            grids = {
                tuple(q.inputs[1:3]) for name in node.inputs if (q := graph.producer(name)) is not None and q.kind == "DequantizeLinear"
            }
            grids |= {tuple(user.inputs[1:3]) for name in node.writes for user in graph.users(name) if user.kind == "QuantizeLinear"}
            assert len(grids) == 1


def test_a_relu_is_absorbed_and_a_bias_has_the_scale_of_the_products() -> None:
    graph = Graph(net(3, [("Conv", 0), ("Relu", 0), ("Conv", 0)]))
    ranges = ranges_of(graph, lambda: [{"x": np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)}])
    quantise(graph, all_in(graph, "a8w8"), ranges)
    assert "Relu" not in Counter(node.operator for node in graph.nodes)
    for conv in (node for node in graph.nodes if node.operator == "Conv"):
        x, w, b = (graph.producer(name) for name in conv.inputs)
        assert x is not None and w is not None and b is not None
        product = graph.value(x.inputs[1]) * graph.value(w.inputs[1])
        assert graph.tensor(b.inputs[0]).dtype == "int32"
        np.testing.assert_allclose(graph.value(b.inputs[1]), product, rtol=1e-6)


def test_a_bias_far_larger_than_products_fits() -> None:
    """Weights of nearly 0 would need a scale beside which the bias overflows int32."""
    made = Net(0)
    made.values.append(
        made.node("Conv", "x", made.constant(np.full((4, 4, 1, 1), 1e-12, np.float32)), made.constant(np.full(4, 50.0, np.float32)))
    )
    model = made.model()
    x = np.ones(SHAPE, np.float32)
    exact, graph = run(model, x), Graph(model)
    ranges = ranges_of(graph, lambda: [{"x": x}])
    got = run(plain_model(quantise(graph, all_in(graph, "a8w8"), ranges)), x)
    assert np.abs(got - exact).max() <= 0.2


def test_without_ranges_everything_stays_in_floats() -> None:
    graph = Graph(net(0, [("Conv", 0), ("Relu", 0)]))
    before = graph_model(graph).SerializeToString(deterministic=True)
    quantise(graph, all_in(graph, "a8w8"), {})
    assert graph_model(graph).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("name", ["fp32"])
def test_fp32_changes_nothing(name: FormName) -> None:
    graph = Graph(net(0, [("Conv", 0), ("Add", 0)]))
    before = graph_model(graph).SerializeToString(deterministic=True)
    quantise(graph, all_in(graph, name), {})
    assert graph_model(graph).SerializeToString(deterministic=True) == before


def test_a_net_in_8_bits(golden: Golden) -> None:
    graph = Graph(net(5, [("Conv", 0), ("Relu", 0), ("Concat", 1), ("Add", 1)]))
    ranges = ranges_of(graph, lambda: [{"x": np.linspace(-1, 1, 144, dtype=np.float32).reshape(SHAPE)}])
    quantise(graph, all_in(graph, "a8w8"), ranges)
    lines = [f"{', '.join(node.writes)} = {node.operator}({', '.join(node.inputs)})" for node in graph.nodes]
    golden(Path(__file__).with_name("conv_net_a8w8.txt"), "\n".join(lines) + "\n")
