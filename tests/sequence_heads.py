"""Networks of a convolution and a sequence: how a map becomes rows, what is done to the rows, and how they become a map again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, HEADS = 24, 2


@dataclass
class Net:
    """A graph while it is written; `value` is what the next operator reads."""

    batch: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    value: str = "x"
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def op(self, kind: str, *inputs: str | np.ndarray | None, outputs: int = 1, **attributes: object) -> str:
        """An operator of these inputs, arrays being weights; the name of its first output."""
        names = ["" if one is None else one if isinstance(one, str) else self.weight(one) for one in inputs]
        made = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, **attributes))
        self.value = made[0]
        return made[0]

    def weight(self, array: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(array, f"w{len(self.weights)}"))
        return self.weights[-1].name

    def random(self, *shape: int) -> np.ndarray:
        return (self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def body(net: Net, height: int, width: int) -> None:
    """From [N, 3, 2H, 2W] to [N, CHANNELS, H, W], with a gate over channels between."""
    x = net.op("Conv", net.value, net.random(CHANNELS, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    gate = net.op("Sigmoid", net.op("Conv", net.op("GlobalAveragePool", x), net.random(CHANNELS, CHANNELS, 1, 1)))
    net.op("Relu", net.op("Mul", x, gate))


def squeezed(net: Net, height: int, width: int) -> None:
    net.op("Transpose", net.op("Squeeze", net.value, whole(2)), perm=[0, 2, 1])


def reshaped(net: Net, height: int, width: int) -> None:
    net.op("Transpose", net.op("Reshape", net.value, whole(net.batch, CHANNELS, -1)), perm=[0, 2, 1])


def turned_first(net: Net, height: int, width: int) -> None:
    net.op("Reshape", net.op("Transpose", net.value, perm=[0, 2, 3, 1]), whole(net.batch, height * width, CHANNELS))


def turned_and_squeezed(net: Net, height: int, width: int) -> None:
    net.op("Squeeze", net.op("Transpose", net.value, perm=[0, 2, 3, 1]), whole(1))


def rows_first(net: Net, height: int, width: int) -> None:
    """[N, C, 1, W] to [W, N, C], as an LSTM wants it, and back to rows of each image."""
    net.op("Transpose", net.op("Squeeze", net.value, whole(2)), perm=[2, 0, 1])


LEAVES: Mapping[str, Callable[[Net, int, int], None]] = {
    "squeezed": squeezed, "reshaped": reshaped, "turned first": turned_first, "turned and squeezed": turned_and_squeezed,
}  # fmt: skip
"""A map [N, C, H, W] to rows [N, H * W, C]; the squeezed ones take a height of 1."""
FLAT = frozenset({"squeezed", "turned and squeezed"})


def layer_norm(net: Net) -> str:
    return net.op("LayerNormalization", net.value, np.ones(CHANNELS, np.float32), np.zeros(CHANNELS, np.float32), axis=-1)


def mlp(net: Net, rows: int) -> None:
    before = net.value
    hidden = net.op("Relu", net.op("MatMul", layer_norm(net), net.random(CHANNELS, 2 * CHANNELS)))
    net.op("Add", net.op("MatMul", hidden, net.random(2 * CHANNELS, CHANNELS)), before)


def attention(net: Net, rows: int) -> None:
    """Queries, keys and values of one product, as SVTR and ViT have it."""
    before, each = net.value, CHANNELS // HEADS
    packed = net.op("MatMul", layer_norm(net), net.random(CHANNELS, 3 * CHANNELS))
    heads = net.op("Transpose", net.op("Reshape", packed, whole(net.batch, rows, 3, HEADS, each)), perm=[2, 0, 3, 1, 4])
    q, k, v = (net.op("Gather", heads, np.array(number, np.int64), axis=0) for number in range(3))
    scores = net.op("Softmax", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    flat = net.op("Reshape", mixed, whole(net.batch, rows, CHANNELS))
    net.op("Add", net.op("MatMul", flat, net.random(CHANNELS, CHANNELS)), before)


HEADS_OF: Mapping[str, Callable[[Net, int], None]] = {"mlp": mlp, "attention": attention}


def unsqueezed(net: Net, height: int, width: int) -> None:
    net.op("Unsqueeze", net.op("Transpose", net.value, perm=[0, 2, 1]), whole(2))


def reshaped_back(net: Net, height: int, width: int) -> None:
    net.op("Reshape", net.op("Transpose", net.value, perm=[0, 2, 1]), whole(net.batch, CHANNELS, height, width))


def turned_last(net: Net, height: int, width: int) -> None:
    net.op("Transpose", net.op("Reshape", net.value, whole(net.batch, height, width, CHANNELS)), perm=[0, 3, 1, 2])


RETURNS: Mapping[str, Callable[[Net, int, int], None]] = {
    "unsqueezed": unsqueezed, "reshaped back": reshaped_back, "turned last": turned_last,
}  # fmt: skip
"""Rows [N, H * W, C] to a map [N, C, H, W]; the unsqueezed one has a height of 1."""


def convolved(net: Net) -> None:
    """A second convolution, and a pool over the map: nothing goes out channels first."""
    net.op("Conv", net.value, net.random(CHANNELS, CHANNELS, 3, 3), pads=[1, 1, 1, 1])
    net.op("Flatten", net.op("GlobalAveragePool", net.value), axis=1)


def finished(net: Net, height: int, width: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [net.batch, 3, 2 * height, 2 * width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    net.op("MatMul", net.value, net.random(CHANNELS, 7))
    net.nodes[-1].output[0] = "y"
    graph = helper.make_graph(net.nodes, "net", [x], [y], net.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
