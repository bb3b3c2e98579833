"""Sound, text, lists and graphs, of the set that no class was settled with (../unseen.py): demucs, fastspeech, bart, autoint …"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet
from .signals import recurrent


def waveform_u(name: str, samples: int, width: int) -> onnx.ModelProto:
    """Demucs for voices: strided 1-D convolutions and gated ones down, an LSTM, ConvTranspose 1-D up, sums across."""
    net = TokenNet(name, 17, act="relu")
    x, kept = net.input("noisy", (1, 1, samples)), []
    for level in range(4):
        x = net.op("Relu", net.conv(x, width << level, 8, 4, pads=[2, 2]))
        x = _gated(net, x)
        kept.append(x)
    y = net.transpose(x, 2, 0, 1)
    x = net.transpose(net.dense(recurrent(net, y, "LSTM", x.shape[1]), x.shape[1]), 1, 2, 0)
    for level in reversed(range(4)):
        x = _gated(net, net.op("Add", x, kept.pop()))
        x = net.conv_transpose(x, width << level - 1 if level else 1, 8, 4, 2)
        x = net.op("Relu", x) if level else x
    return net.model(x, names=("clean",))


def _gated(net: TokenNet, x: Tensor) -> Tensor:
    value, gate = net.split(net.conv(x, 2 * x.shape[1]), [x.shape[1]] * 2, 1)
    return net.op("Mul", value, net.op("Sigmoid", gate))


def sound_events(name: str, frames: int, batch: int) -> onnx.ModelProto:
    """PANNs: pairs of 3x3 over a spectrogram of 64 bands, means by 2x2, then mean and maximum over time."""
    net = TokenNet(name, 14, act="relu")
    x = net.input("spectrogram", (batch, 1, frames, 64))
    for width in (32, 64, 128, 256):
        x = net.pool(net.cba(net.cba(x, width, 3), width, 3), 2, 2, "AveragePool")
    x = net.mean(x, [3], keep=False)
    top = net.op("ReduceMax", x, shape=x.shape[:2], axes=[2], keepdims=0)
    x = net.op("Relu", net.linear(net.op("Add", top, net.mean(x, [2], keep=False)), 512))
    return net.model(net.op("Sigmoid", net.linear(x, 527)), names=("events",))


def speech(name: str, length: int, width: int) -> onnx.ModelProto:
    """FastSpeech 2, its decoder: attention, then 1-D convolutions of nine and one for a feed-forward; bands, and what corrects them."""
    net = TokenNet(name, 17, act="relu")
    x = net.op("Add", net.input("phones", (1, length, width)), net.normal((length, width), 0.2))
    for _ in range(4):
        x = net.layer_norm(net.op("Add", x, net.attention(x, 2)))
        y = net.conv(net.op("Relu", net.conv(net.transpose(x, 0, 2, 1), 4 * width, 9)), width, gain=BRANCH)
        x = net.layer_norm(net.op("Add", x, net.transpose(y, 0, 2, 1)))
    bands = net.dense(x, 80)
    y = net.transpose(bands, 0, 2, 1)
    for out in (192, 192, 192, 80):
        y = net.conv(y, out, 5)
        y = net.op("Tanh", y) if out != 80 else y
    return net.model(net.op("Add", bands, net.transpose(y, 0, 2, 1)), names=("mel",))


def noise_gains(name: str, frames: int) -> onnx.ModelProto:
    """RNNoise, frames at a time: three GRUs of 24, 48 and 96 that read each other, gains of 22 bands."""
    net = TokenNet(name, 17)
    x = net.input("features", (frames, 1, 42))
    first = net.op("Tanh", net.dense(x, 24))
    voice = recurrent(net, first, "GRU", 24)
    noise = recurrent(net, net.concat(first, voice, x, axis=2), "GRU", 48)
    gains = recurrent(net, net.concat(voice, noise, x, axis=2), "GRU", 96)
    return net.model(net.op("Sigmoid", net.dense(gains, 22)), net.op("Sigmoid", net.dense(voice, 1)), names=("gains", "voice"))


def roberta(name: str, batch: int, length: int, width: int, layers: int) -> onnx.ModelProto:
    """A classifier of texts: positions from a table, norms behind the sums, the first token through a dense layer and tanh."""
    net = TokenNet(name, 14, norm="parts")
    ids = net.input("input_ids", (batch, length), TensorProto.INT64)
    mask = net.input("attention_mask", (batch, length), TensorProto.INT64)
    x = net.layer_norm(net.op("Add", net.embed(ids, 9000, width), net.normal((length, width), 0.3)))
    unseen = net.padding_mask(mask)
    for _ in range(layers):
        x = net.encoder_layer(x, width // 64, 4 * width, unseen, before=False)
    first = net.gather(x, net.constant(np.array(0)), axis=1)
    return net.model(net.linear(net.op("Tanh", net.linear(first, width)), 3), names=("logits",))


def summariser(name: str, source: int, length: int, width: int) -> onnx.ModelProto:
    """BART, encoder and decoder in one graph, sharing a table of words."""
    net = TokenNet(name, 17)
    ids, written = (net.input(what, (1, size), TensorProto.INT64) for what, size in (("article", source), ("written", length)))
    table = net.normal((5000, width), width**-0.5)
    memory = net.layer_norm(net.op("Add", net.gather(table, ids), net.normal((source, width), 0.3)))
    for _ in range(3):
        memory = net.encoder_layer(memory, 6, 4 * width, before=False)
    x = net.layer_norm(net.op("Add", net.gather(table, written), net.normal((length, width), 0.3)))
    later = net.constant(np.triu(np.full((length, length), -1e9, np.float32), 1)[None, None])
    for _ in range(3):
        x = net.layer_norm(net.op("Add", x, net.attention(x, 6, later)))
        x = net.layer_norm(net.op("Add", x, net.attention(x, 6, memory=memory)))
        x = net.layer_norm(net.op("Add", x, net.feed_forward(x, 4 * width)))
    return net.model(net.matmul(x, net.transpose(table, 1, 0)), names=("logits",))


def fourier(name: str, length: int, width: int, layers: int) -> onnx.ModelProto:
    """FNet: products with the matrices of a Fourier transform, over width and over length, in place of attention."""
    net = TokenNet(name, 17)
    x = net.embed(net.input("ids", (1, length), TensorProto.INT64), 6000, width)
    over = [_fourier(net, size) for size in (length, width)]
    for _ in range(layers):
        real, imaginary = (net.matmul(x, part) for part in over[1])
        mixed = net.op("Sub", net.matmul(over[0][0], real), net.matmul(over[0][1], imaginary))
        x = net.layer_norm(net.op("Add", x, mixed))
        x = net.layer_norm(net.op("Add", x, net.feed_forward(x, 4 * width)))
    return net.model(net.dense(net.mean(x, [1]), 2), names=("logits",))


def _fourier(net: TokenNet, size: int) -> list[Tensor]:
    angle = 2 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
    return [net.constant((part(angle) * size**-0.5).astype(np.float32)) for part in (np.cos, np.sin)]


def linear_attention(name: str, length: int, width: int, layers: int) -> onnx.ModelProto:
    """Performer's: elu + 1 of queries and keys, so that keys meet values first."""
    net = TokenNet(name, 17)
    x, heads = net.dense(net.input("patches", (1, length, 48)), width), width // 32
    for _ in range(layers):
        y = net.layer_norm(x)
        q, k, v = (net.heads(net.dense(y, width), heads) for _ in range(3))
        q, k = (net.op("Add", net.act(one, "elu"), net.number(1.0)) for one in (q, k))
        met = net.matmul(net.transpose(k, 0, 1, 3, 2), v)
        norm = net.op("Reciprocal", net.matmul(q, net.unsqueeze(net.mean(k, [2], keep=False, operator="ReduceSum"), 3)))
        y = net.joined(net.op("Mul", net.matmul(q, met), norm))
        x = net.op("Add", x, net.dense(y, width, gain=BRANCH))
        x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 2 * width))
    return net.model(net.dense(net.layer_norm(x), 10), names=("labels",))


def slopes_decoder(name: str, length: int, width: int, layers: int, words: int) -> onnx.ModelProto:
    """BLOOM: one product for queries, keys and values, a slope for each head in place of positions, tanh GELU."""
    net, heads = TokenNet(name, 17, act="gelu_tanh"), width // 64
    x = net.layer_norm(net.embed(net.input("ids", (1, length), TensorProto.INT64), words, width))
    far = -np.abs(np.arange(length)[None] - np.arange(length)[:, None]).astype(np.float32)
    slopes = 2.0 ** -np.arange(1, heads + 1, dtype=np.float32)[:, None, None] * far + np.triu(np.full((length, length), -1e9), 1)
    bias = net.constant(slopes.astype(np.float32)[None])
    for _ in range(layers):
        q, k, v = net.split(net.dense(net.layer_norm(x), 3 * width), [width] * 3, 2)
        y = net.attend(net.heads(q, heads), net.heads(k, heads, keys=True), net.heads(v, heads), bias)
        x = net.op("Add", x, net.dense(y, width, gain=BRANCH))
        x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * width))
    return net.model(net.dense(net.layer_norm(x), words, bias=False), names=("logits",))


def fields(name: str, batch: int, count: int, width: int) -> onnx.ModelProto:
    """AutoInt: attention among the fields of an advert, and Gemms beside it."""
    net = TokenNet(name, 17, act="relu")
    x = embedded = net.embed(net.input("fields", (batch, count), TensorProto.INT64), 9000, width)
    for _ in range(3):
        x = net.op("Relu", net.op("Add", net.attention(x, 2), net.dense(x, width, bias=False)))
    y = net.reshape(embedded, [batch, count * width])
    for out in (400, 400):
        y = net.op("Relu", net.linear(y, out, 1.4))
    both = net.concat(net.reshape(x, [batch, count * width]), y, axis=1)
    return net.model(net.op("Sigmoid", net.linear(both, 1)), names=("click",))


def graph_attention(name: str, nodes: int, width: int) -> onnx.ModelProto:
    """GAT on a dense graph: a score for each pair, LeakyRelu, what is no edge masked, softmax, the mean of all neighbours."""
    net, heads = TokenNet(name, 17), 4
    x, edges = net.input("nodes", (nodes, 64)), net.input("edges", (nodes, nodes))
    unseen = net.op("Mul", net.op("Sub", net.number(1.0), edges), net.number(-1e9))
    for _ in range(2):
        h = net.transpose(net.reshape(net.dense(x, heads * width), [nodes, heads, width]), 1, 0, 2)
        left, right = (net.matmul(h, net.normal((heads, width, 1), width**-0.5)) for _ in range(2))
        scores = net.act(net.op("Add", left, net.transpose(right, 0, 2, 1)), "leaky")
        weights = net.op("Softmax", net.op("Add", scores, unseen), axis=-1)
        y = net.transpose(net.matmul(weights, h), 1, 0, 2)
        x = net.act(net.reshape(y, [nodes, heads * width]), "elu")
    return net.model(net.dense(x, 7), names=("labels",))


def gated_forecast(name: str, batch: int, length: int, width: int) -> onnx.ModelProto:
    """A temporal fusion transformer's middle: gated residual networks, an LSTM, one attention over time."""
    net = TokenNet(name, 17)
    x = _gated_residual(net, net.dense(net.input("series", (batch, length, 20)), width))
    y = net.transpose(recurrent(net, net.transpose(x, 1, 0, 2), "LSTM", width), 1, 0, 2)
    x = net.layer_norm(net.op("Add", x, _gate(net, y)))
    x = _gated_residual(net, x)
    x = net.layer_norm(net.op("Add", x, _gate(net, net.attention(x, 4, gain=1.0))))
    return net.model(net.dense(_gated_residual(net, x), 3), names=("quantiles",))


def _gate(net: TokenNet, x: Tensor) -> Tensor:
    value, gate = net.split(net.dense(x, 2 * x.shape[2]), [x.shape[2]] * 2, 2)
    return net.op("Mul", value, net.op("Sigmoid", gate))


def _gated_residual(net: TokenNet, x: Tensor) -> Tensor:
    y = net.dense(net.act(net.dense(x, x.shape[2]), "elu"), x.shape[2])
    return net.layer_norm(net.op("Add", x, _gate(net, y)))
