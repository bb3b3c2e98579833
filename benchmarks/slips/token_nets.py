"""Small models of sequences: attention, rotary positions, tables."""

from __future__ import annotations

import numpy as np
import onnx

from .net import Net


def masked_attention() -> onnx.ModelProto:
    net = Net(3)
    x, mask = net.input("x", "float", 1, 12, 32), net.input("attention_mask", "int64", 1, 12)
    closed = net.op("Mul", net.op("Sub", net.const(1.0), net.op("Cast", mask, to=1)), net.const(-1e9))
    closed = net.op("Unsqueeze", closed, net.ints(1, 2))
    for _ in range(2):
        q, k, v = (net.heads(net.dense(net.norm(x, 32), 32, 32), 12, 2, 16) for _ in range(3))
        scores = net.op("Mul", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), net.const(0.25))
        mixed = net.op("MatMul", net.op("Softmax", net.op("Add", scores, closed), axis=-1), v)
        mixed = net.op("Reshape", net.op("Transpose", mixed, perm=[0, 2, 1, 3]), net.ints(1, 12, 32))
        x = net.op("Add", x, net.dense(mixed, 32, 32))
    net.output(x, "y", "float", 1, 12, 32)
    return net.model()


def _turned(net: Net, x: str, cos: str, sin: str) -> str:
    first, second = net.op("Slice", x, net.ints(0), net.ints(8), net.ints(3)), net.op("Slice", x, net.ints(8), net.ints(16), net.ints(3))
    other = net.op("Concat", net.op("Neg", second), first, axis=-1)
    return str(net.op("Add", net.op("Mul", x, cos), net.op("Mul", other, sin)))


def rotary() -> onnx.ModelProto:
    """Four heads of queries, two of keys and values, a causal mask, RMS norms written out, SwiGLU."""
    net = Net(4)
    ids, positions = net.input("input_ids", "int64", 1, 10), net.input("position_ids", "int64", 1, 10)
    x = net.op("Gather", net.random(64, 32, scale=1.0), ids)
    angle = net.op("Mul", net.op("Unsqueeze", net.op("Cast", positions, to=1), net.ints(2)), net.const(10000.0 ** (-np.arange(8) / 8)))
    angle = net.op("Unsqueeze", net.op("Concat", angle, angle, axis=-1), net.ints(1))
    cos, sin = net.op("Cos", angle), net.op("Sin", angle)
    steps = net.op("Range", net.const(0, np.int64), net.const(10, np.int64), net.const(1, np.int64))
    causal = net.op("LessOrEqual", net.op("Unsqueeze", steps, net.ints(0)), net.op("Unsqueeze", steps, net.ints(1)))
    for _ in range(2):
        y = _rms(net, x)
        q = _turned(net, net.heads(net.op("MatMul", y, net.random(32, 64)), 10, 4, 16), cos, sin)
        k = _repeated(net, _turned(net, net.heads(net.op("MatMul", y, net.random(32, 32)), 10, 2, 16), cos, sin))
        v = _repeated(net, net.heads(net.op("MatMul", y, net.random(32, 32)), 10, 2, 16))
        scores = net.op("Div", net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2])), net.const(4.0))
        mixed = net.op("MatMul", net.op("Softmax", net.op("Where", causal, scores, net.const(-3e38)), axis=-1), v)
        mixed = net.op("Reshape", net.op("Transpose", mixed, perm=[0, 2, 1, 3]), net.ints(1, 10, 64))
        x = net.op("Add", x, net.op("MatMul", mixed, net.random(64, 32)))
        gate = net.op("MatMul", _rms(net, x), net.random(32, 48))
        up = net.op("Mul", net.op("Mul", gate, net.op("Sigmoid", gate)), net.op("MatMul", _rms(net, x), net.random(32, 48)))
        x = net.op("Add", x, net.op("MatMul", up, net.random(48, 32)))
    net.output(net.op("MatMul", _rms(net, x), net.random(32, 64)), "logits", "float", 1, 10, 64)
    return net.model()


def _rms(net: Net, x: str) -> str:
    mean = net.op("ReduceMean", net.op("Pow", x, net.const(2.0)), net.ints(-1), keepdims=1)
    scaled = net.op("Div", x, net.op("Sqrt", net.op("Add", mean, net.const(1e-5))))
    return str(net.op("Mul", scaled, net.const(net.rng.uniform(0.6, 1.4, 32))))


def _repeated(net: Net, x: str) -> str:
    wide = net.op("Expand", net.op("Unsqueeze", x, net.ints(2)), net.ints(1, 2, 2, 10, 16))
    return str(net.op("Reshape", wide, net.ints(1, 4, 10, 16)))


def embedding() -> onnx.ModelProto:
    """Tokens, kinds and learned positions, pooled under a mask of floats."""
    net = Net(12)
    ids, kinds, mask = (
        net.input("input_ids", "int64", 1, 12),
        net.input("token_type_ids", "int64", 1, 12),
        net.input("mask", "float", 1, 12),
    )
    places = net.op("Gather", net.random(16, 24, scale=1.0), net.const(np.arange(12)[None], np.int64))
    x = net.op("Add", net.op("Gather", net.random(50, 24, scale=1.0), ids), net.op("Gather", net.random(2, 24, scale=1.0), kinds))
    x = net.gelu(net.dense(net.norm(net.op("Add", x, places), 24), 24, 24))
    wide = net.op("Unsqueeze", mask, net.ints(2))
    pooled = net.op(
        "Div", net.op("ReduceSum", net.op("Mul", x, wide), net.ints(1), keepdims=0), net.op("ReduceSum", wide, net.ints(1), keepdims=0)
    )
    net.output(pooled, "y", "float", 1, 24)
    return net.model()


def mixer() -> onnx.ModelProto:
    """Square dims that are transposed, wide values, soft sums."""
    net = Net(16)
    x = net.input("x", "float", 1, 16, 16)
    for _ in range(2):
        mixed = net.gelu(net.dense(net.op("Transpose", net.norm(x, 16), perm=[0, 2, 1]), 16, 16))
        x = net.op("Add", x, net.op("Transpose", mixed, perm=[0, 2, 1]))
        x = net.op("Add", x, net.op("Elu", net.dense(net.norm(x, 16), 16, 16), alpha=0.7))
    net.output(net.op("LogSoftmax", net.op("ReduceMean", x, net.ints(1), keepdims=0), axis=-1), "y", "float", 1, 16)
    return net.model()
