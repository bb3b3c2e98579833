"""Sound, text, lists and points, of the first unseen set (../fresh.py): deep speech 2, hifi-gan, mobilebert, rwkv …"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet
from .signals import recurrent


def deep_speech(name: str, frames: int, hidden: int, layers: int) -> onnx.ModelProto:
    """Deep Speech 2: two wide 2-D convolutions clipped at 20, GRUs both ways whose directions are summed, letters."""
    net = TokenNet(name, 17)
    x = net.input("spectrogram", (1, 1, 161, frames))
    for kernel, stride, pads in (((41, 11), (2, 2), [20, 5] * 2), ((21, 11), (2, 1), [10, 5] * 2)):
        x = net.batch_norm(net.conv(x, 32, kernel, stride, pads=pads, bias=False))
        x = net.op("Clip", x, net.number(0.0), net.number(20.0), shape=x.shape)
    x = net.transpose(net.reshape(x, [1, x.shape[1] * x.shape[2], x.shape[3]]), 2, 0, 1)
    for _ in range(layers):
        y = recurrent(net, x, "GRU", hidden, both=True)
        y = net.reshape(y, [0, 1, 2, hidden])
        x = net.mean(y, [2], keep=False, operator="ReduceSum")
    return net.model(net.op("Softmax", net.dense(x, 29), axis=-1), names=("letters",))


def quartznet(name: str, frames: int, width: int) -> onnx.ModelProto:
    """Depthwise 1-D convolutions of 33 to 75 frames and 1x1 ones, five times, then the sum."""
    net = TokenNet(name, 13, act="relu")
    x = net.cba(net.conv(net.input("mel", (1, 64, frames)), 64, 33, 2, group=64, bias=False, gain=0.7), width)
    for kernel, wide in ((33, width), (39, width), (51, 2 * width), (63, 2 * width), (75, 2 * width)):
        y = x
        for k in range(5):
            y = net.conv(y, y.shape[1], kernel, group=y.shape[1], bias=False, gain=0.7)
            y = net.cba(y, wide, act="relu" if k < 4 else "", gain=1.4 if k < 4 else BRANCH)
        x = net.op("Relu", net.op("Add", y, net.cba(x, wide, act="", gain=0.7)))
    return net.model(net.op("LogSoftmax", net.transpose(net.conv(x, 29), 0, 2, 1), axis=-1), names=("logprobs",))


def wavenet(name: str, samples: int, width: int) -> onnx.ModelProto:
    """Dilated causal 1-D convolutions of two taps, tanh times sigmoid, skips summed to the end."""
    net = TokenNet(name, 17)
    x = net.conv(net.input("audio", (1, 1, samples)), width)
    skips: Tensor | None = None
    for level in [*range(9)] * 2:
        padded = net.op("Pad", x, net.constant([0, 0, 1 << level, 0, 0, 0]), shape=(1, width, x.shape[2] + (1 << level)))
        left, right = net.split(net.conv(padded, 2 * width, 2, dilation=1 << level, pads=[0, 0]), [width] * 2, 1)
        y = net.op("Mul", net.op("Tanh", left), net.op("Sigmoid", right))
        skip = net.conv(y, 2 * width, gain=0.3)
        skips = skip if skips is None else net.op("Add", skips, skip)
        x = net.op("Add", x, net.conv(y, width, gain=BRANCH))
    assert skips is not None
    return net.model(net.conv(net.op("Relu", net.conv(net.op("Relu", skips), 256)), 256), names=("logits",))


def vocoder(name: str, frames: int, width: int) -> onnx.ModelProto:
    """HiFi-GAN: ConvTranspose 1-D up by 8, 8, 2, 2; after each, residual stacks of kernels 3, 7 and 11, dilated, averaged."""
    net = TokenNet(name, 14)
    x = net.conv(net.input("mel", (1, 80, frames)), width, 7)
    for k, (kernel, stride) in enumerate([(16, 8), (16, 8), (4, 2), (4, 2)]):
        x = net.conv_transpose(net.act(x, "leaky"), width >> k + 1, kernel, stride, (kernel - stride) // 2)
        stacks: Tensor | None = None
        for size in (3, 7, 11):
            y = x
            for dilation in (1, 3, 5):
                z = net.conv(net.act(y, "leaky"), y.shape[1], size, dilation=dilation)
                y = net.op("Add", net.conv(net.act(z, "leaky"), y.shape[1], size, gain=BRANCH), y)
            stacks = y if stacks is None else net.op("Add", stacks, y)
        assert stacks is not None
        x = net.op("Div", stacks, net.number(3.0))
    return net.model(net.op("Tanh", net.conv(net.act(x, "leaky"), 1, 7)), names=("audio",))


def speaker(name: str, frames: int, width: int) -> onnx.ModelProto:
    """ECAPA-TDNN: dilated 1-D convolutions in eight parts, squeeze-and-excite over time, attentive mean and deviation."""
    net = TokenNet(name, 17, act="relu")
    x = net.batch_norm(net.op("Relu", net.conv(net.input("features", (1, 80, frames)), width, 5)))
    found = []
    for dilation in (2, 3, 4):
        parts = net.split(net.batch_norm(net.op("Relu", net.conv(x, width))), [width // 8] * 8, 1)
        made = [parts[0]]
        for part in parts[1:]:
            y = part if len(made) == 1 else net.op("Add", part, made[-1])
            made.append(net.batch_norm(net.op("Relu", net.conv(y, width // 8, 3, dilation=dilation))))
        y = net.batch_norm(net.op("Relu", net.conv(net.concat(*made, axis=1), width)))
        gate = net.op("Sigmoid", net.conv(net.op("Relu", net.conv(net.mean(y, [2]), 128)), width))
        x = net.op("Add", net.op("Mul", y, gate), x)
        found.append(x)
    x = net.op("Relu", net.conv(net.concat(*found, axis=1), 3 * width))
    weight = net.op("Softmax", net.conv(net.op("Tanh", net.conv(x, 128)), 3 * width), axis=2)
    mean = net.mean(net.op("Mul", x, weight), [2], operator="ReduceSum")
    d = net.op("Sub", x, mean)
    variance = net.mean(net.op("Mul", net.op("Mul", d, d), weight), [2], operator="ReduceSum")
    y = net.concat(mean, net.op("Sqrt", net.op("Add", variance, net.number(1e-5))), axis=1)
    return net.model(net.squeeze(net.conv(net.batch_norm(y), 192, gain=0.7), 2), names=("embedding",))


def mobilebert(name: str, layers: int, length: int) -> onnx.ModelProto:
    """Bottlenecks of 128 around attention with wide values, four feed-forwards a layer, a scale and shift instead of norms."""
    net = TokenNet(name, 17, act="relu")
    ids, mask = net.ids("input_ids", length), net.ids("attention_mask", length)
    table = net.embed(ids, 6000, 128)
    x = net.dense(net.concat(table, table, table, axis=2), 512)
    seen = net.padding_mask(mask)
    for _ in range(layers):
        low, shared = _scaled(net, net.dense(x, 128)), _scaled(net, net.dense(x, 128))
        q, k, v = net.dense(shared, 128), net.dense(shared, 128), net.dense(x, 128)
        y = net.attend(net.heads(q, 4), net.heads(k, 4, keys=True), net.heads(v, 4), seen)
        y = _scaled(net, net.op("Add", net.dense(y, 128, gain=BRANCH), low))
        for _ in range(4):
            y = _scaled(net, net.op("Add", net.feed_forward(y, 512), y))
        x = _scaled(net, net.op("Add", net.dense(y, 512, gain=BRANCH), x))
    return net.model(x, names=("last_hidden_state",), dims={"last_hidden_state": ("batch", "sequence", 512)})


def _scaled(net: TokenNet, x: Tensor) -> Tensor:
    width = x.shape[-1:]
    return net.op("Add", net.op("Mul", x, net.uniform(width, 0.7, 0.9)), net.normal(width, 0.05))


def translator(name: str, length: int, source: int, width: int, layers: int, words: int) -> onnx.ModelProto:
    """A Marian decoder on a whole sentence: causal attention, attention to what the encoder wrote, tied logits with a bias."""
    net, heads = TokenNet(name, 17, act="silu"), 8
    ids, memory = net.input("decoder_input_ids", (1, length), TensorProto.INT64), net.input("encoder", (1, source, width))
    table = net.normal((words, width), width**-0.5)
    x = net.op("Mul", net.gather(table, ids), net.number(width**0.5))
    x = net.op("Add", x, net.normal((length, width), 0.3))
    unseen = net.constant(np.triu(np.full((length, length), -1e9, np.float32), 1)[None, None])
    for _ in range(layers):
        x = net.layer_norm(net.op("Add", net.attention(x, heads, unseen), x))
        x = net.layer_norm(net.op("Add", net.attention(x, heads, memory=memory), x))
        x = net.layer_norm(net.op("Add", net.feed_forward(x, 4 * width), x))
    y = net.matmul(x, net.transpose(table, 1, 0))
    return net.model(net.op("Add", y, net.normal((1, words), 0.1)), names=("logits",))


def rwkv_step(name: str, layers: int, width: int, words: int) -> onnx.ModelProto:
    """One token of RWKV-4: matrices times one row, a running weighted mean kept in states; no attention at all."""
    net = TokenNet(name, 17)
    token, state = net.input("token", (1,), TensorProto.INT64), net.input("state", (layers, 5, width))
    x, kept = net.layer_norm(net.embed(token, words, width)), []
    for layer in range(layers):
        mine = net.gather(state, net.constant(np.array(layer)))
        last, past, num, den, top = (net.gather(mine, net.constant(np.array([k]))) for k in range(5))
        y = net.layer_norm(x)
        k, v, r = (net.dense(_between(net, y, last), width, bias=False) for _ in range(3))
        first = net.op("Add", k, net.normal((width,), 0.3))
        most = net.op("Max", top, first)
        old, new = (net.op("Exp", net.op("Sub", value, most)) for value in (top, first))
        above = net.op("Add", net.op("Mul", old, num), net.op("Mul", new, v))
        below = net.op("Add", net.op("Add", net.op("Mul", old, net.op("Abs", den)), new), net.number(1e-6))
        heard = net.op("Mul", net.op("Sigmoid", r), net.op("Div", above, below))
        x = net.op("Add", x, net.dense(heard, width, bias=False, gain=BRANCH))
        z = net.layer_norm(x)
        inner = net.op("Relu", net.dense(_between(net, z, past), 4 * width, bias=False))
        gate = net.op("Sigmoid", net.dense(_between(net, z, past), width, bias=False))
        x = net.op("Add", x, net.op("Mul", gate, net.dense(net.op("Mul", inner, inner), width, bias=False, gain=0.3)))
        kept.append(net.unsqueeze(net.concat(y, z, above, below, most, axis=0), 0))
    logits = net.dense(net.layer_norm(x), words, bias=False)
    return net.model(logits, net.concat(*kept, axis=0), names=("logits", "next_state"))


def _between(net: TokenNet, x: Tensor, before: Tensor) -> Tensor:
    share = net.uniform((x.shape[-1],), 0.2, 0.8)
    rest = net.op("Sub", net.number(1.0), share)
    return net.op("Add", net.op("Mul", x, share), net.op("Mul", before, rest))


def text_cnn(name: str, batch: int, length: int, width: int) -> onnx.ModelProto:
    """Kim's: 1-D convolutions of 3, 4 and 5 words, each one's maximum over the text."""
    net = TokenNet(name, 13)
    x = net.transpose(net.embed(net.input("words", (batch, length), TensorProto.INT64), 8000, width), 0, 2, 1)
    found = []
    for kernel in (3, 4, 5):
        y = net.op("Relu", net.conv(x, 100, kernel, pads=[0, 0]))
        found.append(net.op("ReduceMax", y, shape=y.shape[:2], axes=[2], keepdims=0))
    return net.model(net.op("Softmax", net.linear(net.concat(*found, axis=1), 6), axis=1))


def tagger(name: str, batch: int, length: int, hidden: int) -> onnx.ModelProto:
    """Words and their letters' 1-D convolution, two LSTMs both ways, scores of tags."""
    net = TokenNet(name, 14)
    words = net.input("words", (batch, length), TensorProto.INT64)
    letters = net.input("letters", (batch, length, 12), TensorProto.INT64)
    y = net.reshape(net.embed(letters, 100, 32), [batch * length, 12, 32])
    y = net.conv(net.transpose(y, 0, 2, 1), 48, 3)
    y = net.reshape(net.op("ReduceMax", y, shape=y.shape[:2], axes=[2], keepdims=0), [batch, length, 48])
    x = net.transpose(net.concat(net.embed(words, 5000, 100), y, axis=2), 1, 0, 2)
    for _ in range(2):
        x = recurrent(net, x, "LSTM", hidden, both=True)
    return net.model(net.transpose(net.dense(x, 17), 1, 0, 2), names=("emissions",))


def neural_filtering(name: str, batch: int) -> onnx.ModelProto:
    """NeuMF: two pairs of embeddings, one multiplied, one through Gemms, joined at the end."""
    net = TokenNet(name, 17)
    user, item = (net.input(name, (batch,), TensorProto.INT64) for name in ("user", "item"))
    product = net.op("Mul", net.embed(user, 6000, 64), net.embed(item, 4000, 64))
    x = net.concat(net.embed(user, 6000, 128), net.embed(item, 4000, 128), axis=1)
    for width in (256, 128, 64):
        x = net.op("Relu", net.linear(x, width, 1.4))
    return net.model(net.op("Sigmoid", net.linear(net.concat(product, x, axis=1), 1)), names=("liked",))


def sequential_recommender(name: str, batch: int, length: int, width: int) -> onnx.ModelProto:
    """SASRec: causal attention of one head over what was bought, scores of all items for the last."""
    net = TokenNet(name, 17, act="relu", epsilon=1e-8)
    ids, table = net.input("bought", (batch, length), TensorProto.INT64), net.normal((5000, width), 0.3)
    x = net.op("Add", net.gather(table, ids), net.normal((length, width), 0.2))
    real = net.op("Cast", net.op("Greater", ids, net.constant(np.array(0))), shape=ids.shape, to=TensorProto.FLOAT)
    real = net.unsqueeze(real, 2)
    unseen = net.constant(np.triu(np.full((length, length), -1e9, np.float32), 1)[None, None])
    for _ in range(2):
        x = net.op("Add", x, net.attention(net.layer_norm(x), 1, unseen))
        x = net.op("Mul", net.op("Add", x, net.feed_forward(net.layer_norm(x), width)), real)
    last = net.gather(net.layer_norm(x), net.constant(np.array(-1)), axis=1)
    return net.model(net.matmul(last, net.transpose(table, 1, 0)), names=("scores",))


def basis_forecast(name: str, batch: int, length: int, width: int, stacks: int) -> onnx.ModelProto:
    """N-BEATS: stacks of four dense layers, what each explains is taken off the series."""
    net = TokenNet(name, 17)
    x = net.input("series", (batch, length))
    forecast: Tensor | None = None
    for _ in range(stacks):
        y = x
        for _ in range(4):
            y = net.op("Relu", net.linear(y, width, 1.4))
        x = net.op("Sub", x, net.linear(net.linear(y, 8), length, BRANCH))
        mine = net.linear(net.linear(y, 8), 24, BRANCH)
        forecast = mine if forecast is None else net.op("Add", forecast, mine)
    assert forecast is not None
    return net.model(forecast, names=("forecast",))


def point_graph(name: str, points: int, widths: Sequence[int], near: int = 16) -> onnx.ModelProto:
    """DGCNN: for each point its nearest (TopK of distances, Gather), a 1x1 Conv on the edges, their maximum."""
    net, found = TokenNet(name, 17, act="leaky"), []
    x = net.input("cloud", (1, 3, points))
    for width in widths:
        rows = net.squeeze(net.transpose(x, 0, 2, 1), 0)
        square = net.mean(net.op("Mul", rows, rows), [1], operator="ReduceSum")
        product = net.op("Mul", net.matmul(rows, net.transpose(rows, 1, 0)), net.number(2.0))
        distance = net.op("Sub", net.op("Sub", product, square), net.transpose(square, 1, 0))
        _, indices = net.many("TopK", [distance, net.constant([near])], [(points, near)] * 2, axis=-1)
        others = net.gather(rows, indices)
        own = net.op("Expand", net.unsqueeze(rows, 1), net.constant(list(others.shape)), shape=others.shape)
        edges = net.concat(net.op("Sub", others, own), own, axis=2)
        y = net.cba(net.transpose(net.unsqueeze(edges, 0), 0, 3, 1, 2), width)
        x = net.op("ReduceMax", y, shape=y.shape[:3], axes=[3], keepdims=0)
        found.append(x)
    x = net.cba(net.concat(*found, axis=1), 512)
    x = net.op("ReduceMax", x, shape=x.shape[:2], axes=[2], keepdims=0)
    return net.model(net.linear(net.act(net.linear(x, 256, 1.4), "leaky"), 40))
