"""Random networks with everything that channels can pass through, and what a network computes without some of its channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.prune.groups import Group, groups_of
from autoglmc.passes.prune.spread import Spread
from autoglmc.passes.prune.turns import spread_of
from autoglmc.passes.prune.unshare import unshare


class Net:
    """Under construction: images of N C H W, or tokens of N T C."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def weight(self, *shape: int) -> str:
        scale = 1 / np.sqrt(max(1, np.prod(shape[1:])))
        return self._constant((self.random.standard_normal(shape) * scale + 0.05).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        return self.ops(kind, *inputs, outputs=outputs, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> list[str]:
        names = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{kind}_{len(self.nodes)}", **attributes))
        return names

    def pick(self, *choices: int) -> int:
        return int(self.random.choice(choices))

    def model(self, result: str, shape: tuple[int, ...]) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)

    def _constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name


SIZE = 6
"""Height and width of images, and positions of tokens."""
State = tuple[str, int]
"""A tensor and its channels."""


def conv(net: Net, x: State) -> State:
    out = net.pick(4, 6, 8)
    kernel = net.pick(1, 3)
    y = net.op("Conv", x[0], net.weight(out, x[1], kernel, kernel), net.weight(out), pads=[kernel // 2] * 4)
    return y, out


def grouped(net: Net, x: State) -> State:
    groups = 2 if x[1] % 2 == 0 else 1
    return net.op("Conv", x[0], net.weight(8, x[1] // groups, 1, 1), net.weight(8), group=groups), 8


def depthwise(net: Net, x: State) -> State:
    times = net.pick(1, 2)
    return net.op("Conv", x[0], net.weight(x[1] * times, 1, 3, 3), pads=[1, 1, 1, 1], group=x[1]), x[1] * times


def transposed(net: Net, x: State) -> State:
    return net.op("ConvTranspose", x[0], net.weight(x[1], 4, 1, 1), net.weight(4)), 4


def activation(net: Net, x: State) -> State:
    return net.op(["Relu", "Sigmoid", "HardSwish", "Tanh"][net.pick(0, 1, 2, 3)], x[0]), x[1]


def normalised(net: Net, x: State) -> State:
    variance = net._constant(net.random.uniform(0.5, 1.5, x[1]).astype(np.float32))
    return net.op("BatchNormalization", x[0], net.weight(x[1]), net.weight(x[1]), net.weight(x[1]), variance), x[1]


def residual(net: Net, x: State) -> State:
    y = net.op("Conv", net.op("Relu", conv(net, x)[0]), net.weight(x[1], _last(net), 1, 1), net.weight(x[1]))
    return net.op("Add", x[0], y), x[1]


def _last(net: Net) -> int:
    """Channels that the last Conv made."""
    node = [one for one in net.nodes if one.op_type == "Conv"][-1]
    return next(int(t.dims[0]) for t in net.constants if t.name == node.input[1])


def joined(net: Net, x: State) -> State:
    a, b = conv(net, x), conv(net, x)
    return net.op("Concat", a[0], x[0], b[0], axis=1), a[1] + x[1] + b[1]


def gated(net: Net, x: State) -> State:
    mean = net.op("GlobalAveragePool", x[0])
    small = net.op("Relu", net.op("Conv", mean, net.weight(4, x[1], 1, 1), net.weight(4)))
    return net.op("Mul", x[0], net.op("Sigmoid", net.op("Conv", small, net.weight(x[1], 4, 1, 1), net.weight(x[1])))), x[1]


def halves(net: Net, x: State) -> State:
    wide, _ = net.op("Conv", x[0], net.weight(8, x[1], 1, 1), net.weight(8)), 8
    a, b = net.ops("Split", wide, outputs=2, axis=1, num_outputs=2)
    return net.op("Mul", a, net.op("Sigmoid", b)), 4


def sliced(net: Net, x: State) -> State:
    low = net.pick(0, 1)
    return net.op("Slice", x[0], net.ints(low), net.ints(x[1] - 1), net.ints(1)), x[1] - 1 - low


def shuffled(net: Net, x: State) -> State:
    if x[1] % 2:
        return x
    y = net.op("Reshape", x[0], net.ints(0, 2, x[1] // 2, SIZE, SIZE))
    return net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3, 4]), net.ints(0, -1, SIZE, SIZE)), x[1]


def gathered(net: Net, x: State) -> State:
    order = net.random.permutation(x[1]).tolist()
    return net.op("Gather", x[0], net.ints(*order), axis=1), x[1]


def padded(net: Net, x: State) -> State:
    y = net.op("Pad", x[0], net.ints(0, 0, 1, 1, 0, 0, 1, 1))
    return net.op("MaxPool", y, kernel_shape=[3, 3]), x[1]


def resized(net: Net, x: State) -> State:
    y = net.op("Resize", x[0], "", "", net.ints(1, x[1], 2 * SIZE, 2 * SIZE))
    return net.op("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2]), x[1]


IMAGES: tuple[Callable[[Net, State], State], ...] = (
    conv, grouped, depthwise, transposed, activation, normalised, residual, joined, gated, halves, sliced, shuffled, gathered, padded,
    resized,
)  # fmt: skip


def linear(net: Net, x: State) -> State:
    out = net.pick(4, 6, 8)
    return net.op("Add", net.op("MatMul", x[0], net.weight(x[1], out)), net.weight(out)), out


def perceptron(net: Net, x: State) -> State:
    inner = net.op("Relu", net.op("Add", net.op("MatMul", x[0], net.weight(x[1], 12)), net.weight(12)))
    y = net.op("MatMul", inner, net.weight(12, x[1]))
    return net.op("LayerNormalization", net.op("Add", x[0], y), net.weight(x[1])), x[1]


def heads(net: Net, x: State) -> State:
    """Attention as exporters write it; keys and values of fewer heads, at times."""
    number, few, width = 4, net.pick(2, 4), 3
    q, k, v = (net.op("MatMul", x[0], net.weight(x[1], many * width)) for many in (number, few, few))
    q, k, v = (_apart(net, one, many, width) for one, many in ((q, number), (k, few), (v, few)))
    if few < number:
        k, v = (_repeated(net, one, few, number // few, width) for one in (k, v))
    scores = net.op("Softmax", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    y = net.op("MatMul", net.op("Reshape", mixed, net.ints(0, 0, number * width)), net.weight(number * width, x[1]))
    return net.op("Add", x[0], y), x[1]


def _apart(net: Net, x: str, number: int, width: int) -> str:
    return net.op("Transpose", net.op("Reshape", x, net.ints(0, 0, number, width)), perm=[0, 2, 1, 3])


def _repeated(net: Net, x: str, few: int, times: int, width: int) -> str:
    y = net.op("Expand", net.op("Unsqueeze", x, net.ints(2)), net.ints(1, few, times, SIZE, width))
    return net.op("Reshape", y, net.ints(1, few * times, SIZE, width))


def attended(net: Net, x: State) -> State:
    """Attention as one operator: heads on an axis of their own, or in blocks; keys and values of fewer heads and a mask, at times."""
    number, few, width = 4, net.pick(2, 4), 3
    q, k, v = (net.op("MatMul", x[0], net.weight(x[1], many * width)) for many in (number, few, few))
    mask = [net.weight(1, number, SIZE, SIZE)] if net.pick(0, 1) else []
    if net.pick(0, 1):
        mixed = net.op("Attention", q, k, v, *mask, q_num_heads=number, kv_num_heads=few)
    else:
        q, k, v = (_apart(net, one, many, width) for one, many in ((q, number), (k, few), (v, few)))
        mixed = net.op("Transpose", net.op("Attention", q, k, v, *mask), perm=[0, 2, 1, 3])
        mixed = net.op("Reshape", mixed, net.ints(0, 0, number * width))
    return net.op("Add", x[0], net.op("MatMul", mixed, net.weight(number * width, x[1]))), x[1]


def rows(net: Net, x: State) -> State:
    """Rows of a matrix, as exporters of classifiers write them."""
    flat = net.op("Reshape", x[0], net.ints(-1, x[1]))
    y = net.op("Gemm", flat, net.weight(8, x[1]), net.weight(8), transB=1)
    return net.op("Reshape", net.op("Relu", y), net.ints(1, SIZE, 8)), 8


TOKENS: tuple[Callable[[Net, State], State], ...] = (linear, perceptron, heads, rows, activation, attended)


def image_net(seed: int, parts: list[int]) -> onnx.ModelProto:
    net = Net(seed)
    x = conv(net, ("x", 3))
    for part in parts:
        x = IMAGES[part % len(IMAGES)](net, x)
    if net.pick(0, 1):
        flat, size = net.op("Flatten", net.op("GlobalAveragePool", x[0])), x[1]
    else:
        flat, size = net.op("Flatten", x[0]), x[1] * SIZE * SIZE
    return net.model(net.op("Gemm", flat, net.weight(size, 5), net.weight(5)), (1, 3, SIZE, SIZE))


def token_net(seed: int, parts: list[int]) -> onnx.ModelProto:
    net = Net(seed)
    x = linear(net, ("x", 4))
    for part in parts:
        x = TOKENS[part % len(TOKENS)](net, x)
    return net.model(net.op("MatMul", x[0], net.weight(x[1], 5)), (1, SIZE, 4))


def silence(graph: Graph, spread: Spread, gone: set[int]) -> None:
    """The graph where whoever sums over the channels that go has weights of zero there: all shapes stay, and so does what is computed with
    the others. Removing them computes the same."""
    for site in spread.sums:
        axes = spread.axes[site.constant]
        cells = None if axes is None else axes[site.axis]
        assert cells is not None
        value = np.array(graph.value(site.constant))
        np.moveaxis(value, site.axis, 0)[np.isin(spread.cells.roots(cells), sorted(gone))] = 0
        graph.tensors.forget_constant(site.constant)
        graph.tensors.add_constant(site.constant, value)


def run(model: onnx.ModelProto) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.intra_op_num_threads = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return np.asarray(session.run(None, {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)})[0])


def groups(model: onnx.ModelProto) -> tuple[Graph, Spread, tuple[Group, ...]]:
    graph = Graph(model)
    unshare(graph)
    spread = spread_of(graph)
    return graph, spread, groups_of(spread)
