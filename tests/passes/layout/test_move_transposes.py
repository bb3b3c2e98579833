"""Transposes are moved to where they cancel: over random graphs the values stay, and there are never more of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import TO_NCHW, TO_NHWC, nhwc_resnet
from models import NAMES
from onnx import TensorProto, helper, numpy_helper
from quantised_models import quantise
from run_model import feeds, infer, run

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.layout.move_transposes import move_transposes
from autoglmc.passes.stages import simplify
from autoglmc.targets.stock import stock_names

EXAMPLES = settings.default.max_examples if os.environ.get("AUTOGLMC_RANDOM") else 60
ORDERS = (TO_NCHW, TO_NHWC, (0, 2, 1, 3), (3, 1, 0, 2), (0, 1, 3, 2))


def transposes(graph: Graph) -> int:
    return sum(node.kind == "Transpose" for node in graph.nodes)


class Net:
    """A random graph under construction; every tensor has a float and a shape."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {"x": (2, 3, 4, 6), "z": (2, 3, 4, 6)}

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def constant(self, value: object, dtype: type = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def op(self, kind: str, inputs: list[str], *shapes: tuple[int, ...], **attributes: object) -> str:
        names = [f"t{len(self.nodes)}_{k}" for k in range(len(shapes))]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"n{len(self.nodes)}", **attributes))
        self.shapes.update(zip(names, shapes, strict=True))
        return names[0]

    def transpose(self, x: str) -> str:
        shape = self.shapes[x]
        order = self.pick(*ORDERS) if len(shape) == 4 else tuple(self.draw(st.permutations(range(len(shape)))))
        return self.op("Transpose", [x], tuple(shape[axis] for axis in order), perm=order)

    def between(self, x: str, step: Callable[[str], str]) -> str:
        """One operator in an order of its own."""
        y = step(self.transpose(x))
        order = next(tuple(node.attribute[0].ints) for node in self.nodes if node.op_type == "Transpose" and node.input[0] == x)
        if -1 in self.shapes[y] or len(self.shapes[y]) != len(order):
            return y
        back = tuple(order.index(axis) for axis in range(len(order)))
        return self.op("Transpose", [y], tuple(self.shapes[y][axis] for axis in back), perm=back)

    def axis(self, x: str) -> int:
        count = len(self.shapes[x])
        return int(self.pick(*range(-count, count)))

    def broadcast(self, x: str) -> str:
        """With another tensor of its shape, or with a constant that has some of its axes."""
        shape, kind = self.shapes[x], self.pick("Add", "Sub", "Mul", "Max", "PRelu", "Where", "Quantised")
        same = [name for name, other in self.shapes.items() if other == shape]
        if kind == "Where":
            return self.op("Where", [self.constant(np.arange(shape[-1]) % 2, np.bool_), x, self.pick(*same)], shape)
        least = self.pick(*range(len(shape) + 1))
        part = tuple(extent if self.pick(True, False) else 1 for extent in shape[least:])
        if kind == "Quantised":
            steps = self.constant(np.arange(int(np.prod(part))).reshape(part), np.int8)
            stored = self.op("DequantizeLinear", [steps, self.constant(0.25), self.constant(1, np.int8)], (-1,))
            return self.op("Add", [x, stored], shape)
        other = self.pick(*same) if self.pick(True, False) else self.constant(np.linspace(-1.0, 2.0, int(np.prod(part))).reshape(part))
        return self.op(kind, [x, other] if kind == "PRelu" else self.draw(st.permutations([x, other])), shape)

    def joined(self, x: str) -> str:
        shape, axis = self.shapes[x], self.axis(x)
        grown = list(shape)
        grown[axis] *= 2
        same = [name for name, other in self.shapes.items() if other == shape]
        return self.op("Concat", [x, self.pick(*same)], tuple(grown), axis=axis)

    def split(self, x: str) -> str:
        axis = self.axis(x)
        if self.shapes[x][axis] < 2:
            return x
        sizes = [1, self.shapes[x][axis] - 1]
        shapes = [tuple(size if k == axis % len(self.shapes[x]) else e for k, e in enumerate(self.shapes[x])) for size in sizes]
        return self.op("Split", [x, self.constant(sizes, np.int64)], *shapes, axis=axis)

    def padded(self, x: str) -> str:
        widths = [self.pick(0, 0, 1) for _ in range(2 * len(self.shapes[x]))]
        shape = tuple(e + a + b for e, a, b in zip(self.shapes[x], widths, widths[len(self.shapes[x]) :], strict=False))
        return self.op("Pad", [x, self.constant(widths, np.int64)], shape)

    def sliced(self, x: str) -> str:
        axis, shape = self.axis(x), list(self.shapes[x])
        shape[axis] = -(-shape[axis] // 2)
        return self.op("Slice", [x, *(self.constant([value], np.int64) for value in (0, 1 << 20, axis, 2))], tuple(shape))

    def reduced(self, x: str) -> str:
        axes = sorted({self.axis(x) % len(self.shapes[x]) for _ in range(2)})
        kept = self.pick(0, 1)
        shape = tuple(1 if k in axes else e for k, e in enumerate(self.shapes[x]) if kept or k not in axes)
        return self.op(self.pick("ReduceMean", "ReduceMax", "ReduceSum"), [x, self.constant(axes, np.int64)], shape, keepdims=kept)

    def alone(self, x: str) -> str:
        kind = self.pick("Relu", "Abs", "Softmax", "Tile", "Unsqueeze", "LayerNormalization", "Grid")
        shape = self.shapes[x]
        if kind == "Softmax":
            return self.op(kind, [x], shape, axis=self.axis(x))
        if kind == "Tile":
            times = [self.pick(1, 1, 2) for _ in shape]
            return self.op(kind, [x, self.constant(times, np.int64)], tuple(e * t for e, t in zip(shape, times, strict=True)))
        if kind == "LayerNormalization":
            return self.op(kind, [x, self.constant(np.linspace(0.5, 1.5, shape[-1]))], shape)
        if kind == "Unsqueeze":
            axis = self.axis(x) % len(shape)
            wide = self.op(kind, [x, self.constant([axis], np.int64)], (*shape[:axis], 1, *shape[axis:]))
            return self.op("Squeeze", [self.op("Neg", [wide], self.shapes[wide]), self.constant([axis], np.int64)], shape)
        if kind == "Grid":
            axis = self.axis(x)
            grid = [self.constant(np.linspace(0.1, 0.2, shape[axis])), self.constant(np.zeros(shape[axis]), np.int8)]
            q = self.op("QuantizeLinear", [x, *grid], (-1,), axis=axis)
            return self.op("DequantizeLinear", [q, *grid], shape, axis=axis)
        return self.op(kind, [x], shape)

    def model(self, ends: list[str]) -> onnx.ModelProto:
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in ends]
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shapes[name]) for name in ("x", "z")]
        graph = helper.make_graph(self.nodes, "random", inputs, outputs, self.constants)
        return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


@st.composite
def nets(draw: st.DrawFn) -> onnx.ModelProto:
    """A dozen operators, a third of them Transposes, on any tensors so far; what nothing reads is an output, some else too."""
    net = Net(draw)
    steps: list[Callable[[str], str]] = [net.transpose] * 5
    steps += [net.broadcast, net.broadcast, net.joined, net.split, net.padded, net.sliced, net.reduced, net.alone, net.alone]
    for _ in range(draw(st.integers(3, 12))):
        usable = [name for name, shape in net.shapes.items() if -1 not in shape and len(shape) >= 2 and np.prod(shape) < 5000]
        x, step = draw(st.sampled_from(usable[-4:])), draw(st.sampled_from(steps))
        if draw(st.booleans()):
            net.between(x, step)
        else:
            step(x)
    read = {name for node in net.nodes for name in node.input}
    written = [name for node in net.nodes for name in node.output if -1 not in net.shapes[name]]
    return net.model([name for name in written if name not in read or draw(st.integers(0, 9)) == 0])


@settings(max_examples=EXAMPLES, deadline=None)
@given(nets())
def test_any_graph_computes_the_same_with_no_more_transposes(model: onnx.ModelProto) -> None:
    """Bit for bit where nothing is added up in another order."""
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    before, fed = transposes(graph), feeds(model, 1)
    taken = move_transposes(graph)
    after = graph.to_model()
    onnx.checker.check_model(after, full_check=True)
    assert transposes(graph) < before if taken else transposes(graph) == before
    exact = all(decision.contract == "exact" for decision in taken)
    for old, new in zip(run(model, fed), run(after, fed), strict=True):
        if exact:
            np.testing.assert_array_equal(old, new)
        else:
            np.testing.assert_allclose(old, new, rtol=1e-4, atol=1e-4)
    assert not move_transposes(graph), "a second run finds nothing"


def test_the_random_graphs_are_worth_trying() -> None:
    """Most have something to move, among them graphs with every kind of operator."""
    moved: set[str] = set()

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(nets())
    def look(model: onnx.ModelProto) -> None:
        kinds = {node.name: node.op_type for node in model.graph.node}
        moved.update(kinds.get(decision.site, "") for decision in move_transposes(Graph(model)))

    look()
    assert moved >= {"Add", "Where", "Concat", "Pad", "Slice", "Softmax", "Tile", "Split", "QuantizeLinear"}
    assert any(kind.startswith("Reduce") for kind in moved)


@pytest.mark.parametrize("target", stock_names())
def test_a_network_with_channels_last_keeps_one_transpose(target: str, tmp_path: pytest.TempPathFactory) -> None:
    """The one at its input, whatever the devices."""
    model = nhwc_resnet(1, blocks=(1, 2), width=8, size=32, classes=10)
    if "ethos" in target:
        pytest.skip("a microcontroller takes quantised models only")
    result = compile_model(model, load_target(target), output=f"{tmp_path}/out", verify=False, emulate=True)
    kinds = [node.op_type for segment in result.work.segments for node in segment.model.graph.node]
    assert kinds.count("Transpose") <= 2 and kinds.count("Conv") == sum(node.op_type == "Conv" for node in model.graph.node)


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_quantised_network_with_channels_last_too(per_channel: bool, tmp_path: Any) -> None:
    """QuantizeLinear and DequantizeLinear stand between every two operators."""
    model = nhwc_resnet(2, blocks=(1, 1), width=8, size=32, classes=10)
    graph = Graph(infer(onnx.load(quantise(model, tmp_path, per_channel=per_channel, optimised=False))))
    before = transposes(graph)
    simplify(graph)
    assert before > 20 and transposes(graph) <= 2


@pytest.mark.parametrize("name", NAMES)
def test_public_models_have_no_more_than_before(name: str) -> None:
    from models import model_path

    model = infer(onnx.load(model_path(name)))
    moved, kept = Graph(onnx.ModelProto.FromString(model.SerializeToString())), Graph(model)
    simplify(moved)
    simplify(kept, frozenset({"move_transposes"}))
    assert transposes(moved) <= transposes(kept)


@pytest.mark.parametrize("perm", [(0, 0, 1), (0, 3, 1), (0, 1), (0, 1, 2, 3), (-1, 0, 1)])
def test_a_perm_that_is_no_permutation_is_left_alone(perm: tuple[int, ...]) -> None:
    text = "g (float[2,3,4] x) => (float[a,b,c] y) { t = Transpose (x) y = Relu (t) }"
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("perm", perm))
    assert not [decision for decision in move_transposes(Graph(model)) if decision.taken]
