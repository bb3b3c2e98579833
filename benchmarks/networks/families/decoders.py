"""Decoders of text: gpt2, llama and qwen without a cache, one step of llama with one, phi's parallel layers, an LSTM."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from ..tensor import Tensor
from ..token_net import BRANCH, TokenNet

LONGEST = 256
"""Positions that tables hold."""


def gpt2(name: str, layers: int, width: int, length: int, words: int) -> onnx.ModelProto:
    """One projection (Gemm on rows) split in three, a stored triangle cut to the length, Where; tied logits. Open sequence."""
    net = TokenNet(name, 13, "parts", act="gelu_tanh")
    ids = net.ids("input_ids", length)
    table = net.normal((words, width), 0.3)
    x = net.op("Add", net.gather(table, ids), _cut(net, net.normal((1, LONGEST, width), 0.1), net.length_of(ids), 1, length))
    triangle = net.constant(np.tril(np.ones((1, 1, LONGEST, LONGEST), bool)))
    for _ in range(layers):
        x = net.op("Add", _gpt2_attention(net, net.layer_norm(x), width // 64, triangle), x)
        y = net.act(_rows(net, net.layer_norm(x), 4 * width), "gelu_tanh")
        x = net.op("Add", x, _rows(net, y, width, BRANCH))
    y = net.matmul(net.layer_norm(x), net.transpose(table, 1, 0))
    return net.model(y, names=("logits",), dims={"logits": ("batch", "sequence", words)})


def _cut(net: TokenNet, stored: Tensor, length: Tensor, axis: int, size: int) -> Tensor:
    shape = [size if k == axis else extent for k, extent in enumerate(stored.shape)]
    return net.op("Slice", stored, net.constant([0]), length, net.constant([axis]), shape=shape)


def _rows(net: TokenNet, x: Tensor, out: int, gain: float = 1.0) -> Tensor:
    """Conv1D of transformers: Reshape to rows, Gemm, Reshape back by the shape that was asked for."""
    width = x.shape[-1]
    y = net.reshape(x, [-1, width])
    weight = net.normal((width, out), gain * width**-0.5)
    y = net.op("Gemm", y, weight, net.normal((out,), 0.05), shape=(y.shape[0], out))
    sizes = net.op("Concat", net.length_of(x, 0), net.length_of(x, 1), net.constant([out]), shape=(3,), axis=0)
    return net.op("Reshape", y, sizes, shape=(*x.shape[:2], out))


def _gpt2_attention(net: TokenNet, x: Tensor, heads: int, triangle: Tensor) -> Tensor:
    width, length = x.shape[-1], x.shape[1]
    q, k, v = net.split(_rows(net, x, 3 * width), [width] * 3, 2)
    scores = net.op("Div", net.matmul(net.heads(q, heads), net.heads(k, heads, keys=True)), net.number((width // heads) ** 0.5))
    extent = net.length_of(x)
    seen = _cut(net, _cut(net, triangle, extent, 2, length), extent, 3, length)
    scores = net.op("Where", seen, scores, net.number(-3.4e38))
    return _rows(net, net.joined(net.matmul(net.op("Softmax", scores, axis=-1), net.heads(v, heads))), width, BRANCH)


def rotary_tables(net: TokenNet, positions: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """cos and sin [N, 1, L, depth] for positions [N, L], computed as transformers does."""
    frequency = net.constant((10000.0 ** -(np.arange(0, depth, 2) / depth)).astype(np.float32).reshape(1, depth // 2, 1))
    at = net.unsqueeze(net.op("Cast", positions, shape=positions.shape, to=TensorProto.FLOAT), 1)
    angle = net.transpose(net.matmul(frequency, at), 0, 2, 1)
    angle = net.concat(angle, angle, axis=2)
    return net.unsqueeze(net.op("Cos", angle), 1), net.unsqueeze(net.op("Sin", angle), 1)


def rotated(net: TokenNet, x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    half = x.shape[-1] // 2
    low, high = net.slice(x, 3, 0, half), net.slice(x, 3, half, 2**63 - 1)
    turned = net.concat(net.op("Neg", high), low, axis=3)
    return net.op("Add", net.op("Mul", x, tables[0]), net.op("Mul", turned, tables[1]))


def _repeated(net: TokenNet, x: Tensor, times: int) -> Tensor:
    """[N, kv, L, D] to [N, kv * times, L, D]."""
    if times == 1:
        return x
    n, heads, length, depth = x.shape
    wide = net.op("Expand", net.unsqueeze(x, 2), net.constant([1, 1, times, 1, 1]), shape=(n, heads, times, length, depth))
    return net.reshape(wide, [0, heads * times, -1, depth])


def causal_mask(net: TokenNet, ids: Tensor) -> Tensor:
    """[L, L]: a large negative number above the diagonal, by ConstantOfShape and Trilu."""
    length = net.length_of(ids)
    value = onnx.numpy_helper.from_array(np.array([-3.4e38], np.float32))
    sizes = net.op("Concat", length, length, shape=(2,), axis=0)
    full = net.op("ConstantOfShape", sizes, shape=(ids.shape[1],) * 2, value=value)
    return net.op("Trilu", full, net.constant(np.array(1)), shape=full.shape, upper=1)


def llama(name: str, layers: int, width: int, heads: int, groups: int, inner: int, length: int, words: int, bias: bool = False,
          tied: bool = False) -> onnx.ModelProto:  # fmt: skip
    """RMSNorm, rotary positions, grouped-query attention, SwiGLU. bias: on q, k and v; tied: logits from the embedding (qwen)."""
    net = TokenNet(name, 17)
    ids, positions = net.ids("input_ids", length), net.ids("position_ids", length)
    table = net.normal((words, width), 0.5 if not tied else width**-0.5)
    x, mask = net.gather(table, ids), causal_mask(net, ids)
    tables = rotary_tables(net, positions, width // heads)
    for _ in range(layers):
        y = net.rms_norm(x)
        q, k, v = net.dense(y, width, bias), *(net.dense(y, width // groups, bias) for _ in range(2))
        q, k, v = net.heads(q, heads), net.heads(k, heads // groups), net.heads(v, heads // groups)
        q, k = rotated(net, q, tables), rotated(net, k, tables)
        k, v = _repeated(net, k, groups), _repeated(net, v, groups)
        y = net.attend(q, net.transpose(k, 0, 1, 3, 2), v, mask)
        x = net.op("Add", x, net.dense(y, width, False, BRANCH))
        x = net.op("Add", x, _swiglu(net, net.rms_norm(x), inner))
    x = net.rms_norm(x)
    y = net.matmul(x, net.transpose(table, 1, 0)) if tied else net.dense(x, words, False)
    return net.model(y, names=("logits",), dims={"logits": ("batch", "sequence", words)})


def _swiglu(net: TokenNet, x: Tensor, inner: int) -> Tensor:
    gate, up = net.dense(x, inner, False), net.dense(x, inner, False)
    return net.dense(net.op("Mul", net.act(gate, "silu"), up), x.shape[-1], False, BRANCH)


def llama_step(name: str, layers: int, width: int, heads: int, groups: int, inner: int, past: int, words: int) -> onnx.ModelProto:
    """One token with a cache: past keys and values in, longer ones out. At fixed sizes."""
    net = TokenNet(name, 17)
    ids, positions = (net.input(text, (1, 1), TensorProto.INT64) for text in ("input_ids", "position_ids"))
    tables, few, depth = rotary_tables(net, positions, width // heads), heads // groups, width // heads
    x, present, names = net.embed(ids, words, width), [], ["logits"]
    for layer in range(layers):
        held = [net.input(f"past_key_values.{layer}.{part}", (1, few, past, depth)) for part in ("key", "value")]
        y = net.rms_norm(x)
        q, k, v = net.heads(net.dense(y, width, False), heads), *(net.heads(net.dense(y, few * depth, False), few) for _ in range(2))
        k, v = net.concat(held[0], rotated(net, k, tables), axis=2), net.concat(held[1], v, axis=2)
        present += [k, v]
        names += [f"present.{layer}.{part}" for part in ("key", "value")]
        y = net.attend(rotated(net, q, tables), net.transpose(_repeated(net, k, groups), 0, 1, 3, 2), _repeated(net, v, groups))
        x = net.op("Add", x, net.dense(y, width, False, BRANCH))
        x = net.op("Add", x, _swiglu(net, net.rms_norm(x), inner))
    return net.model(net.dense(net.rms_norm(x), words, False), *present, names=names)


def phi(name: str, layers: int, width: int, heads: int, length: int, words: int) -> onnx.ModelProto:
    """Attention and feed-forward beside each other on one LayerNormalization; rotary positions on half of each head."""
    net = TokenNet(name, 17, act="gelu_tanh")
    ids, positions = net.ids("input_ids", length), net.ids("position_ids", length)
    x, mask, depth = net.embed(ids, words, width), causal_mask(net, ids), width // heads
    tables = rotary_tables(net, positions, depth // 2)
    for _ in range(layers):
        y = net.layer_norm(x)
        q, k, v = (net.heads(net.dense(y, width), heads) for _ in range(3))
        q, k = (_partly(net, part, tables) for part in (q, k))
        attended = net.dense(net.attend(q, net.transpose(k, 0, 1, 3, 2), v, mask), width, gain=BRANCH)
        x = net.op("Add", net.op("Add", attended, net.feed_forward(y, 4 * width)), x)
    return net.model(net.dense(net.layer_norm(x), words), names=("logits",), dims={"logits": ("batch", "sequence", words)})


def _partly(net: TokenNet, x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    half = x.shape[-1] // 2
    return net.concat(rotated(net, net.slice(x, 3, 0, half), tables), net.slice(x, 3, half, 2**63 - 1), axis=3)
