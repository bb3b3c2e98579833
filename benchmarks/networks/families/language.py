"""Encoders of text: bert, distilbert, albert, t5's encoder; a transformer for time series."""

from __future__ import annotations

import numpy as np
import onnx

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet

OPEN = {"last_hidden_state": ("batch", "sequence")}


def bert(
    name: str, layers: int, width: int, heads: int, length: int, words: int = 8000, opset: int = 13, batch: int = 1
) -> onnx.ModelProto:
    """Ids, token types and mask; normalisation in primitives below opset 17; the pooler at the end. Open batch and sequence."""
    net = TokenNet(name, opset, "operator" if opset >= 17 else "parts", epsilon=1e-12)
    ids, mask, kinds = (net.ids(text, length, batch) for text in ("input_ids", "attention_mask", "token_type_ids"))
    x = net.op("Add", net.embed(ids, words, width), net.embed(kinds, 2, width))
    x = net.layer_norm(net.op("Add", x, _positions(net, ids, width)))
    seen = net.padding_mask(mask)
    for _ in range(layers):
        x = net.encoder_layer(x, heads, 4 * width, seen, before=False)
    first = net.gather(x, net.constant(np.array(0)), axis=1)
    pooled = net.op("Tanh", net.linear(first, width))
    return net.model(x, pooled, names=("last_hidden_state", "pooler_output"),
                     dims={"last_hidden_state": ("batch", "sequence", width), "pooler_output": ("batch", width)})  # fmt: skip


def _positions(net: TokenNet, ids: Tensor, width: int) -> Tensor:
    """A stored row of positions, cut to the length of the ids."""
    stored, length = net.constant(np.arange(512).reshape(1, 512)), net.length_of(ids)
    cut = net.op("Slice", stored, net.constant([0]), length, net.constant([1]), shape=(1, ids.shape[1]))
    return net.embed(cut, 512, width, 0.1)


def distilbert(name: str, layers: int, width: int, length: int) -> onnx.ModelProto:
    """Without token types; the mask is an Equal, expanded, and a Where. A head for classes."""
    net = TokenNet(name, 14, "parts", epsilon=1e-12)
    ids, mask = net.ids("input_ids", length), net.ids("attention_mask", length)
    x = net.layer_norm(net.op("Add", net.embed(ids, 4000, width), _positions(net, ids, width)))
    hidden = net.op("Equal", mask, net.constant(np.array(0)))
    hidden = net.unsqueeze(net.unsqueeze(hidden, 1), 2)
    for _ in range(layers):
        x = _distil_layer(net, x, width // 64, hidden)
    first = net.gather(x, net.constant(np.array(0)), axis=1)
    return net.model(net.linear(net.op("Relu", net.linear(first, width)), 2), names=("logits",), dims={"logits": ("batch", 2)})


def _distil_layer(net: TokenNet, x: Tensor, heads: int, hidden: Tensor) -> Tensor:
    width = x.shape[-1]
    q, k, v = (net.dense(x, width) for _ in range(3))
    q = net.op("Div", net.heads(q, heads), net.number((width // heads) ** 0.5))
    scores = net.matmul(q, net.heads(k, heads, keys=True))
    length = net.unsqueeze(net.gather(net.op("Shape", scores, shape=(4,)), net.constant(np.array(2))), 0)
    size = net.op("Concat", net.constant([1, 1]), length, net.constant([1]), shape=(4,), axis=0)
    wide = net.op("Expand", hidden, size, shape=(hidden.shape[0], 1, x.shape[1], x.shape[1]))
    scores = net.op("Where", wide, net.number(-3.4e38), scores)
    y = net.dense(net.joined(net.matmul(net.op("Softmax", scores, axis=-1), net.heads(v, heads))), width)
    x = net.layer_norm(net.op("Add", y, x))
    return net.layer_norm(net.op("Add", net.feed_forward(x, 4 * width), x))


def albert(name: str, layers: int, width: int, length: int) -> onnx.ModelProto:
    """Embeddings of width 128, then one layer's weights used again and again, as initializers with many readers."""
    net = TokenNet(name, 14, "operator", act="gelu_tanh", epsilon=1e-12)
    net.norm = "parts"
    ids, mask = net.ids("input_ids", length), net.ids("attention_mask", length)
    x = net.layer_norm(net.op("Add", net.embed(ids, 8000, 128), _positions(net, ids, 128)))
    x, seen = net.dense(x, width), net.padding_mask(mask)
    kept: list[Tensor] = []
    plain = net.normal, net.uniform
    for number in range(layers):
        used = iter(kept)
        if number == 0:
            net.normal, net.uniform = (lambda *a, f=f: kept.append(f(*a)) or kept[-1] for f in plain)  # type: ignore[method-assign]
        else:
            net.normal = net.uniform = lambda *a: next(used)  # type: ignore[method-assign, misc]  # noqa: B023
        x = net.encoder_layer(x, 8, 4 * width, seen, before=False)
    net.normal, net.uniform = plain  # type: ignore[method-assign]
    return net.model(x, names=("last_hidden_state",), dims={"last_hidden_state": ("batch", "sequence", width)})


def t5_encoder(name: str, layers: int, width: int, heads: int, length: int) -> onnx.ModelProto:
    """RMSNorm, unscaled scores plus a learned bias by relative position, Relu; no biases. At a fixed length."""
    net = TokenNet(name, 17)
    ids = net.input("input_ids", (1, length), onnx.TensorProto.INT64)
    x = net.embed(ids, 6000, width)
    distance = np.clip(np.arange(length)[None] - np.arange(length)[:, None], -15, 16) + 15
    bias = net.gather(net.normal((32, heads), 0.5), net.constant(distance))
    bias = net.unsqueeze(net.transpose(bias, 2, 0, 1), 0)
    for _ in range(layers):
        y = net.rms_norm(x)
        q, k, v = (net.dense(y, width, bias=False, gain=0.5) for _ in range(3))
        y = net.attend(net.heads(q, heads), net.heads(k, heads, keys=True), net.heads(v, heads), bias, scaled=False)
        x = net.op("Add", x, net.dense(y, width, bias=False, gain=BRANCH))
        y = net.op("Relu", net.dense(net.rms_norm(x), 4 * width, bias=False))
        x = net.op("Add", x, net.dense(y, width, bias=False, gain=BRANCH))
    return net.model(net.rms_norm(x), names=("encoder_outputs",))


def series_transformer(name: str, length: int, channels: int, patch: int, width: int, batch: int) -> onnx.ModelProto:
    """PatchTST: each channel is a sequence of its own, normalised by its mean and deviation, cut into patches."""
    net = TokenNet(name, 17)
    x = net.input("series", (batch, length, channels))
    mean = net.mean(x, [1])
    d = net.op("Sub", x, mean)
    deviation = net.op("Sqrt", net.op("Add", net.mean(net.op("Mul", d, d), [1]), net.number(1e-5)))
    y = net.transpose(net.op("Div", d, deviation), 0, 2, 1)
    y = net.dense(net.reshape(y, [batch * channels, length // patch, patch]), width)
    y = net.op("Add", y, net.normal((1, length // patch, width), 0.1))
    for _ in range(3):
        y = net.encoder_layer(y, 4, 2 * width, before=False)
    y = net.dense(net.reshape(y, [batch, channels, length // patch * width]), 96)
    return net.model(net.op("Add", net.op("Mul", net.transpose(y, 0, 2, 1), deviation), mean), names=("forecast",))
