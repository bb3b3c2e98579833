"""Tables, recommendations, graphs, arrays of latents: dlrm, wide and deep, tabular, graph convolutions, perceiver."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from ..tensor import Tensor
from ..token_net import TokenNet


def _gemms(net: TokenNet, x: Tensor, widths: Sequence[int], act: str = "relu") -> Tensor:
    for width in widths:
        x = net.act(net.linear(x, width, 1.4), act)
    return x


def dlrm(name: str, batch: int, tables: int, rows: int, depth: int) -> onnx.ModelProto:
    """Embeddings of categories, an MLP on dense features, all pairs multiplied, an MLP on top."""
    net = TokenNet(name, 17)
    dense, kinds = net.input("dense", (batch, 13)), net.input("categories", (batch, tables), TensorProto.INT64)
    x = _gemms(net, dense, (512, 256, depth))
    parts = [net.unsqueeze(x, 1)]
    for k in range(tables):
        column = net.gather(kinds, net.constant(np.array(k)), axis=1)
        parts.append(net.unsqueeze(net.embed(column, rows, depth), 1))
    y = net.concat(*parts, axis=1)
    pairs = net.reshape(net.matmul(y, net.transpose(y, 0, 2, 1)), [batch, (tables + 1) ** 2])
    y = net.concat(x, net.op("Mul", pairs, net.number(0.2)), axis=1)
    return net.model(net.op("Sigmoid", net.linear(_gemms(net, y, (512, 256)), 1)), names=("click",))


def wide_deep(name: str, batch: int) -> onnx.ModelProto:
    """A linear part on crossed features beside an MLP on embeddings."""
    net = TokenNet(name, 13)
    wide, kinds = net.input("wide", (batch, 1000)), net.input("categories", (batch, 8), TensorProto.INT64)
    x = net.embed(kinds, 2000, 32)
    x = _gemms(net, net.op("Flatten", x, shape=(batch, 256), axis=1), (1024, 512, 256))
    y = net.op("Add", net.linear(x, 1), net.linear(wide, 1))
    return net.model(net.op("Sigmoid", y), names=("probability",))


def tabular(name: str, batch: int, features: int, width: int, layers: int) -> onnx.ModelProto:
    """A residual MLP on normalised columns."""
    net = TokenNet(name, 17)
    x = net.op("Relu", net.linear(net.batch_norm(net.input("features", (batch, features))), width))
    for _ in range(layers):
        y = net.linear(net.op("Relu", net.linear(net.batch_norm(x), 2 * width, 1.4)), width, 0.5)
        x = net.op("Add", x, y)
    return net.model(net.linear(net.op("Relu", x), 3), names=("scores",))


def tab_transformer(name: str, batch: int, columns: int, width: int) -> onnx.ModelProto:
    """Each column a token: FT-Transformer with gated feed-forwards, in a batch of rows."""
    net = TokenNet(name, 17)
    x = net.unsqueeze(net.input("features", (batch, columns)), 2)
    x = net.op("Add", net.op("Mul", x, net.normal((columns, width), 0.5)), net.normal((columns, width), 0.3))
    for _ in range(3):
        x = net.op("Add", x, net.attention(net.layer_norm(x), 8))
        left, right = net.split(net.dense(net.layer_norm(x), 2 * width), [width, width], 2)
        x = net.op("Add", x, net.dense(net.op("Mul", left, net.op("Relu", right)), width))
    return net.model(net.linear(net.mean(net.layer_norm(x), [1], keep=False), 2), names=("logits",))


def graph_convolutions(name: str, nodes: int, features: int, width: int) -> onnx.ModelProto:
    """Adjacency times features times weights, three times; then attention between the nodes, masked by the adjacency."""
    net = TokenNet(name, 17)
    x, adjacency = net.input("features", (nodes, features)), net.input("adjacency", (nodes, nodes))
    degree = net.op("Add", net.mean(net.op("Abs", adjacency), [1], operator="ReduceSum"), net.number(1.0))
    spread = net.op("Div", adjacency, degree)
    for _ in range(3):
        x = net.op("Relu", net.op("Add", net.matmul(spread, net.dense(x, width, bias=False, gain=1.4)), net.dense(x, width)))
    left, right = net.dense(x, 1), net.transpose(net.dense(x, 1), 1, 0)
    scores = net.act(net.op("Add", left, right), "leaky")
    seen = net.op("Greater", adjacency, net.number(0.0))
    scores = net.op("Where", seen, scores, net.number(-1e9))
    x = net.matmul(net.op("Softmax", scores, axis=-1), net.dense(x, width))
    return net.model(net.op("LogSoftmax", net.dense(x, 8), axis=-1), names=("classes",))


def perceiver(name: str, points: int, channels: int, latents: int, width: int) -> onnx.ModelProto:
    """A long input read by few latents through cross attention, then a stack of layers on the latents."""
    net = TokenNet(name, 17)
    data = net.layer_norm(net.dense(net.input("inputs", (1, points, channels)), width))
    x = net.normal((1, latents, width), 0.5)
    for _ in range(2):
        x = net.op("Add", x, net.attention(net.layer_norm(x), 8, memory=data))
        for _ in range(3):
            x = net.encoder_layer(x, 8, 2 * width)
    return net.model(net.linear(net.mean(x, [1], keep=False), 100), names=("logits",))


def point_net(name: str, points: int) -> onnx.ModelProto:
    """Shared 1x1 convolutions on a cloud of points, the maximum over them, an MLP."""
    net = TokenNet(name, 17, act="relu")
    net.folded = False
    x = net.input("points", (1, 3, points))
    for width in (64, 64, 128, 512):
        x = net.cba(x, width)
    x = net.op("ReduceMax", x, shape=x.shape[:2], axes=[2], keepdims=0)
    return net.model(net.linear(_gemms(net, x, (256, 128)), 40))


def nerf(name: str, rays: int, width: int) -> onnx.ModelProto:
    """Positions as sines and cosines, eight dense layers with the input joined again half way; a large batch of short rows."""
    net = TokenNet(name, 17)
    x = net.input("positions", (rays, 3))
    waves = net.reshape(net.op("Mul", net.unsqueeze(x, 2), net.number(*(float(2**k) for k in range(6)))), [rays, 18])
    code = net.concat(x, net.op("Sin", waves), net.op("Cos", waves), axis=1)
    y = _gemms(net, code, (width,) * 4)
    y = _gemms(net, net.concat(y, code, axis=1), (width,) * 3)
    return net.model(net.op("Sigmoid", net.linear(y, 4)), names=("colour",))
