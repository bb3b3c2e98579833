"""Sound, series and characters: tcn, wav2vec, conv-tasnet, crnn, keyword spotting, whisper's encoder, conformer, LSTM models."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet


def recurrent(net: TokenNet, x: Tensor, kind: str, hidden: int, both: bool = False) -> Tensor:
    """LSTM or GRU on [L, N, W], its directions joined: [L, N, directions * hidden]."""
    length, batch, width = x.shape
    ways, gates = 2 if both else 1, 4 if kind == "LSTM" else 3
    weights = [net.normal((ways, gates * hidden, width), width**-0.5), net.normal((ways, gates * hidden, hidden), hidden**-0.5)]
    zeros = net.constant(np.zeros((ways, batch, hidden), np.float32))
    states = [zeros, zeros] if kind == "LSTM" else [zeros]
    more = {} if kind == "LSTM" else {"linear_before_reset": 1}
    y = net.op(kind, x, *weights, net.normal((ways, 2 * gates * hidden), 0.1), "", *states, shape=(length, ways, batch, hidden),
               hidden_size=hidden, direction="bidirectional" if both else "forward", **more)  # fmt: skip
    if not both:
        return net.squeeze(y, 1)
    return net.reshape(net.transpose(y, 0, 2, 1, 3), [0, 0, ways * hidden])


def tcn(name: str, length: int, into: int, width: int, levels: int, batch: int) -> onnx.ModelProto:
    """Dilated causal 1-D convolutions: padded on both sides, the end cut off by a Slice."""
    net = TokenNet(name, 13)
    x = net.input("series", (batch, into, length))
    for level in range(levels):
        y = x
        for _ in range(2):
            edge = 2 << level
            y = net.conv(y, width, 3, dilation=1 << level, pads=[edge, edge])
            y = net.op("Relu", net.slice(y, 2, 0, -edge))
        x = net.op("Relu", net.op("Add", y, x if x.shape[1] == width else net.conv(x, width)))
    last = net.gather(x, net.constant(np.array(-1)), axis=2)
    return net.model(net.linear(last, 10))


def wav2vec(name: str, samples: int, width: int, layers: int) -> onnx.ModelProto:
    """Seven strided 1-D convolutions on raw sound (the first normalised per channel), a grouped one for positions, an encoder."""
    net = TokenNet(name, 17)
    x = net.unsqueeze(net.input("input_values", (1, samples)), 1)
    for k, (kernel, stride) in enumerate([(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]):
        x = net.conv(x, width // 2, kernel, stride, pads=[0, 0], bias=False)
        if k == 0:
            x = net.op("InstanceNormalization", x, net.uniform(x.shape[1:2], 0.8, 1.2), net.normal(x.shape[1:2], 0.05), shape=x.shape)
        x = net.gelu(x)
    x = net.dense(net.layer_norm(net.transpose(x, 0, 2, 1)), width)
    y = net.conv(net.transpose(x, 0, 2, 1), width, 32, group=16, pads=[16, 16], gain=0.7)
    x = net.op("Add", x, net.transpose(net.gelu(net.slice(y, 2, 0, -1)), 0, 2, 1))
    for _ in range(layers):
        x = net.encoder_layer(net.layer_norm(x), width // 64, 4 * width, before=False)
    return net.model(net.dense(x, 32), names=("logits",))


def whisper_encoder(name: str, frames: int, width: int, layers: int) -> onnx.ModelProto:
    """Two 1-D convolutions on mel bands, stored positions, pre-norm layers whose keys have no bias."""
    net = TokenNet(name, 17)
    x = net.gelu(net.conv(net.input("input_features", (1, 80, frames)), width, 3))
    x = net.transpose(net.gelu(net.conv(x, width, 3, 2)), 0, 2, 1)
    x = net.op("Add", x, net.normal(x.shape[1:], 0.2))
    heads = width // 64
    for _ in range(layers):
        y = net.layer_norm(x)
        q = net.op("Mul", net.dense(y, width), net.number(64**-0.5))
        k, v = net.dense(y, width, bias=False), net.dense(y, width)
        y = net.attend(net.heads(q, heads), net.heads(k, heads, keys=True), net.heads(v, heads), scaled=False)
        x = net.op("Add", x, net.dense(y, width, gain=BRANCH))
        x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * width))
    return net.model(net.layer_norm(x), names=("last_hidden_state",))


def conformer(name: str, frames: int, width: int, layers: int) -> onnx.ModelProto:
    """Half feed-forwards around attention and a gated depthwise 1-D convolution; a strided 2-D front end."""
    net = TokenNet(name, 17, act="silu")
    x = net.cba(net.cba(net.input("mel", (1, 1, frames, 80)), 32, 3, 2, act="relu"), 32, 3, 2, act="relu")
    x = net.reshape(net.transpose(x, 0, 2, 1, 3), [1, x.shape[2], x.shape[1] * x.shape[3]])
    x = net.dense(x, width)
    for _ in range(layers):
        x = net.op("Add", x, net.op("Mul", net.feed_forward(net.layer_norm(x), 4 * width), net.number(0.5)))
        x = net.op("Add", x, net.attention(net.layer_norm(x), 4))
        y = net.conv(net.transpose(net.layer_norm(x), 0, 2, 1), 2 * width)
        left, right = net.split(y, [width, width], 1)
        y = net.batch_norm(net.conv(net.op("Mul", left, net.op("Sigmoid", right)), width, 15, group=width))
        x = net.op("Add", x, net.transpose(net.conv(net.act(y, "silu"), width, gain=BRANCH), 0, 2, 1))
        x = net.op("Add", x, net.op("Mul", net.feed_forward(net.layer_norm(x), 4 * width), net.number(0.5)))
        x = net.layer_norm(x)
    return net.model(net.op("LogSoftmax", net.dense(x, 128), axis=-1), names=("logprobs",))


def tasnet(name: str, samples: int, width: int) -> onnx.ModelProto:
    """Separates two voices: a learned filter bank, dilated depthwise 1-D blocks with PRelu, masks, and the bank back."""
    net = TokenNet(name, 17, act="prelu")
    code = net.op("Relu", net.conv(net.input("mixture", (1, 1, samples)), width, 16, 8, pads=[4, 4], bias=False))
    x = net.conv(code, width // 2, gain=0.7)
    for level in [0, 1, 2, 3, 4, 5] * 2:
        y = net.batch_norm(net.act(net.conv(x, width), "prelu"))
        y = net.batch_norm(net.act(net.conv(y, width, 3, group=width, dilation=1 << level), "prelu"))
        x = net.op("Add", x, net.conv(y, width // 2, gain=BRANCH))
    masks = net.op("Sigmoid", net.conv(net.act(x, "prelu"), 2 * width))
    heard = net.op("Mul", net.reshape(masks, [2, width, -1]), code)
    return net.model(net.conv_transpose(heard, 1, 16, 8, 4), names=("voices",))


def crnn(name: str, width: int, hidden: int) -> onnx.ModelProto:
    """Text in a line: convolutions that flatten a 32 pixel high image to columns, two LSTMs both ways, LogSoftmax."""
    net = TokenNet(name, 17)
    x = net.input("line", (1, 1, 32, width))
    x = net.pool(net.cba(net.pool(net.cba(x, 64, 3), 2, 2), 128, 3), 2, 2)
    for out in (256, 256):
        x = net.cba(net.cba(x, out, 3), out, 3, (2, 1))
    x = net.cba(x, 256, (2, 1), pads=[0] * 4)
    x = net.transpose(net.squeeze(x, 2), 2, 0, 1)
    for _ in range(2):
        x = recurrent(net, x, "LSTM", hidden, both=True)
    return net.model(net.op("LogSoftmax", net.dense(x, 64), axis=2), names=("characters",))


def keyword_gru(name: str, frames: int, hidden: int) -> onnx.ModelProto:
    """Mel frames through a strided convolution and two GRUs; the last state decides."""
    net = TokenNet(name, 14)
    x = net.cba(net.input("mel", (1, 40, frames)), 64, 5, 2)
    x = net.transpose(x, 2, 0, 1)
    for _ in range(2):
        x = recurrent(net, x, "GRU", hidden)
    last = net.gather(x, net.constant(np.array(-1)))
    return net.model(net.op("Softmax", net.linear(last, 12), axis=-1), names=("words",))


def keyword_cnn(name: str, width: int) -> onnx.ModelProto:
    """DS-CNN on 49 x 10 features, as in MLPerf Tiny."""
    net = TokenNet(name, 13, act="relu")
    net.folded = False
    x = net.cba(net.input("features", (1, 1, 49, 10)), width, (10, 4), (2, 2), pads=[4, 1, 5, 1])
    for _ in range(4):
        x = net.cba(net.depthwise(x, 3), width)
    return net.model(net.op("Softmax", net.classify(x, 12), axis=-1))


def lstm_language(name: str, length: int, words: int, hidden: int, layers: int) -> onnx.ModelProto:
    """Embedding, LSTMs, logits for each position."""
    net = TokenNet(name, 14)
    ids = net.input("tokens", (length, 1), TensorProto.INT64)
    x = net.embed(ids, words, hidden)
    for _ in range(layers):
        x = recurrent(net, x, "LSTM", hidden)
    return net.model(net.dense(x, words), names=("logits",))


def encoder_forecast(name: str, length: int, batch: int) -> onnx.ModelProto:
    """A GRU both ways in a batch of series, attention pooling over time, two Gemms."""
    net = TokenNet(name, 17)
    x = net.input("series", (batch, length, 16))
    y = net.transpose(recurrent(net, net.transpose(x, 1, 0, 2), "GRU", 96, both=True), 1, 0, 2)
    weight = net.op("Softmax", net.dense(net.op("Tanh", net.dense(y, 64)), 1), axis=1)
    pooled = net.mean(net.op("Mul", y, weight), [1], keep=False, operator="ReduceSum")
    return net.model(net.linear(net.op("Relu", net.linear(pooled, 128)), 24), names=("forecast",))
