"""Eighteen small models, each of a family that slips are made in; and inputs of their domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from .net import Net
from .subject import Feeds, Subject, image, normal, padded, tokens


def mlp(real: Any = np.float32) -> onnx.ModelProto:
    net, kind = Net(1, real), "half" if real is np.float16 else "float"
    x = net.input("x", kind, 4, 32)
    for _ in range(2):
        x = net.gelu(net.dense(x, 32, 32))
    net.output(net.op("Softmax", net.dense(x, 32, 10), axis=-1), "y", kind, 4, 10)
    return net.model()


def detector() -> onnx.ModelProto:
    """Boxes in pixels and class scores in one output [1, 36, 9]."""
    net = Net(2)
    x = net.op("LeakyRelu", net.conv(net.input("x", "float", 1, 3, 24, 24), 3, 8, strides=[2, 2]), alpha=0.1)
    x = net.op("LeakyRelu", net.conv(x, 8, 8, strides=[2, 2]), alpha=0.1)
    boxes = net.op("Mul", net.op("Sigmoid", net.conv(x, 8, 4, 1)), net.const(640.0))
    scores = net.op("Sigmoid", net.conv(x, 8, 5, 1))
    rows = net.op("Reshape", net.op("Concat", boxes, scores, axis=1), net.ints(1, 9, 36))
    net.output(net.op("Transpose", rows, perm=[0, 2, 1]), "y", "float", 1, 36, 9)
    return net.model()


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


def mobile() -> onnx.ModelProto:
    """Relu6 on images of 0 to 255, depthwise, dilated, squeeze and excite."""
    net = Net(5)
    x = net.op("Div", net.op("Sub", net.input("image", "float", 1, 3, 32, 32), net.const(np.full((1, 3, 1, 1), 120.0))), net.const(60.0))
    six = lambda x: net.op("Clip", net.op("Mul", x, net.const(3.0)), net.const(0.0), net.const(6.0))  # noqa: E731
    x = six(net.batchnorm(net.conv(x, 3, 8, strides=[2, 2]), 8))
    y = six(net.batchnorm(net.conv(six(net.batchnorm(net.conv(x, 8, 16, 1), 16)), 16, 16, group=16), 16))
    gate = net.op(
        "HardSigmoid", net.conv(net.op("Relu", net.conv(net.op("GlobalAveragePool", y), 16, 4, 1)), 4, 16, 1), alpha=1 / 6, beta=0.5
    )
    x = net.op("Add", x, net.batchnorm(net.conv(net.op("Mul", y, gate), 16, 8, 1), 8))
    x = net.op("HardSwish", net.conv(x, 8, 8, pads=[2, 2, 2, 2], dilations=[2, 2]))
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.output(net.op("Gemm", x, net.random(8, 10), net.random(10, scale=0.2)), "y", "float", 1, 10)
    return net.model()


def convolutional(real: Any = np.float32) -> onnx.ModelProto:
    net, kind = Net(6, real), "half" if real is np.float16 else "float"
    x = net.op(
        "MaxPool",
        net.op("Relu", net.batchnorm(net.conv(net.input("x", kind, 1, 3, 24, 24), 3, 8), 8)),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    )
    y = net.batchnorm(net.conv(net.op("Relu", net.batchnorm(net.conv(x, 8, 8), 8)), 8, 8), 8)
    gate = net.op("Sigmoid", net.conv(net.op("Relu", net.conv(net.op("GlobalAveragePool", y), 8, 4, 1)), 4, 8, 1))
    x = net.op("Relu", net.op("Add", x, net.op("Mul", y, gate)))
    x = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    net.output(net.op("Gemm", net.op("Flatten", x), net.random(288, 10), net.random(10, scale=0.2)), "y", kind, 1, 10)
    return net.model()


def _through_int8(net: Net, x: str, scale: float, zero: int = 0) -> str:
    places = net.const(scale), net.const(zero, np.int8)
    return str(net.op("DequantizeLinear", net.op("QuantizeLinear", x, *places), *places))


def _int8_weights(net: Net, *shape: int) -> str:
    codes = net.rng.integers(-127, 128, shape)
    scale = net.const(1 / 73 / np.sqrt(np.prod(shape[1:]) if len(shape) > 2 else shape[0]))
    return str(net.op("DequantizeLinear", net.const(codes, np.int8), scale, net.const(0, np.int8)))


def quantised_cnn() -> onnx.ModelProto:
    net = Net(7)
    x = _through_int8(net, net.input("x", "float", 1, 3, 16, 16), 1 / 127, -128 + 128)
    for a, b in ((3, 8), (8, 8)):
        x = net.op("Relu", net.op("Conv", x, _int8_weights(net, b, a, 3, 3), net.random(b, scale=0.2), pads=[1, 1, 1, 1]))
        x = _through_int8(net, x, 0.02, -128)
    net.output(net.op("Flatten", net.op("GlobalAveragePool", x)), "y", "float", 1, 8)
    return net.model()


def quantised_gemm() -> onnx.ModelProto:
    net = Net(8)
    x = _through_int8(net, net.input("x", "float", 4, 32), 0.03)
    x = net.op("Relu", net.op("Gemm", x, _int8_weights(net, 32, 32), net.random(32, scale=0.3)))
    x = net.op("Gemm", _through_int8(net, x, 0.025, -128), _int8_weights(net, 32, 10), net.random(10, scale=0.3))
    net.output(_through_int8(net, x, 0.03), "y", "float", 4, 10)
    return net.model()


def recurrent() -> onnx.ModelProto:
    net = Net(9)
    x = net.input("x", "float", 12, 1, 16)
    y = net.op(
        "LSTM",
        x,
        net.random(1, 64, 16, scale=0.4),
        net.random(1, 64, 16, scale=0.4),
        net.random(1, 128, scale=0.3),
        outputs=3,
        hidden_size=16,
    )[0]
    y = net.op("Squeeze", y, net.ints(1))
    gru = net.op("GRU", y, net.random(1, 24, 16, scale=0.4), net.random(1, 24, 8, scale=0.4), outputs=2, hidden_size=8)
    net.output(net.op("Squeeze", gru[1], net.ints(0)), "y", "float", 1, 8)
    return net.model()


def branching() -> onnx.ModelProto:
    """A flag that chooses one of two heads."""
    net = Net(10)
    x, flag = net.op("Tanh", net.dense(net.input("x", "float", 2, 16), 16, 16)), net.input("use_first", "bool")
    weights = [net.random(16, 4), net.random(16, 4)]
    bodies = []
    for name, weight in zip(("first", "second"), weights, strict=True):
        result = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, [2, 4])
        bodies.append(helper.make_graph([helper.make_node("MatMul", [x, weight], [f"{name}_y"])], name, [], [result]))
    net.output(net.op("If", flag, then_branch=bodies[0], else_branch=bodies[1]), "y", "float", 2, 4)
    return net.model()


def resizing() -> onnx.ModelProto:
    """Down, up by linear and by nearest, and the skip between."""
    net = Net(11)
    x = net.input("x", "float", 1, 3, 16, 16)
    top = net.op("Relu", net.conv(x, 3, 6))
    low = net.op("LeakyRelu", net.conv(top, 6, 8, strides=[2, 2]), alpha=0.2)
    deep = net.op("Relu", net.conv(net.op("Pad", low, net.ints(0, 0, 1, 1, 0, 0, 1, 1)), 8, 8, 3, pads=[0, 0, 0, 0], strides=[2, 2]))
    scales = net.const([1, 1, 2, 2])
    up = net.op("Resize", deep, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    up = net.op("Resize", net.op("Add", up, low), "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    up = net.op("Relu", net.conv(net.op("Concat", up, top, axis=1), 14, 6))
    up = net.op("ConvTranspose", up, net.random(6, 2, 2, 2), strides=[2, 2])
    net.output(net.op("Sigmoid", up), "y", "float", 1, 2, 32, 32)
    return net.model()


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


def filled() -> onnx.ModelProto:
    """Logits of which the forbidden are -1e9."""
    net = Net(13)
    x, allowed = net.input("x", "float", 2, 24), net.input("allowed", "bool", 2, 40)
    logits = net.dense(net.op("Relu", net.dense(x, 24, 32)), 32, 40)
    net.output(net.op("Where", allowed, logits, net.const(-1e9)), "logits", "float", 2, 40)
    return net.model()


def chosen() -> onnx.ModelProto:
    """A class number and its score."""
    net = Net(14)
    x = net.dense(net.op("Relu", net.dense(net.input("x", "float", 8, 16), 16, 32)), 32, 12)
    net.output(net.op("ArgMax", x, axis=-1, keepdims=0), "label", "int64", 8)
    net.output(net.op("ReduceMax", x, net.ints(-1), keepdims=0), "score", "float", 8)
    return net.model()


def several() -> onnx.ModelProto:
    """Outputs of very different sizes: a mean, a spread, an image."""
    net = Net(15)
    x = net.input("x", "float", 1, 3, 12, 12)
    y = net.op("Tanh", net.conv(x, 3, 6))
    left, right = net.op("Split", y, outputs=2, axis=1, num_outputs=2)
    net.output(net.op("ReduceMean", left, net.ints(2, 3), keepdims=0), "mean", "float", 1, 3)
    net.output(net.op("Mul", net.op("Exp", right), net.const(1000.0)), "spread", "float", 1, 3, 12, 12)
    net.output(net.op("Clip", net.op("Mul", x, net.const(600.0)), net.const(-255.0), net.const(255.0)), "image", "float", 1, 3, 12, 12)
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


def _pixels(name: str, *shape: int, top: float = 1.0, dtype: Any = np.float32) -> Feeds:
    return lambda rng: {name: image(rng, shape, top).astype(dtype)}


def _plain(*shape: int, dtype: Any = np.float32) -> Feeds:
    return lambda rng: {"x": normal(rng, *shape).astype(dtype)}


def _words(rng: np.random.Generator) -> dict[str, Any]:
    kinds = (np.arange(12)[None] > rng.integers(3, 9)).astype(np.int64)
    return {"input_ids": tokens(rng, (1, 12), 50), "token_type_ids": kinds, "mask": padded(rng, (1, 12), np.float32)}


def _turns(rng: np.random.Generator) -> dict[str, Any]:
    return {"input_ids": tokens(rng, (1, 10), 64), "position_ids": np.arange(10)[None] + int(rng.integers(0, 40))}


SMALL: Mapping[str, tuple[Callable[[], onnx.ModelProto], Feeds]] = {
    "mlp": (mlp, _plain(4, 32)),
    "mlp_fp16": (lambda: mlp(np.float16), _plain(4, 32, dtype=np.float16)),
    "detector": (detector, _pixels("x", 1, 3, 24, 24)),
    "masked_attention": (masked_attention, lambda rng: {"x": normal(rng, 1, 12, 32), "attention_mask": padded(rng, (1, 12))}),
    "rotary": (rotary, _turns),
    "mobile": (mobile, _pixels("image", 1, 3, 32, 32, top=255.0)),
    "cnn": (convolutional, _pixels("x", 1, 3, 24, 24)),
    "cnn_fp16": (lambda: convolutional(np.float16), _pixels("x", 1, 3, 24, 24, dtype=np.float16)),
    "quantised_cnn": (quantised_cnn, _pixels("x", 1, 3, 16, 16)),
    "quantised_gemm": (quantised_gemm, _plain(4, 32)),
    "recurrent": (recurrent, _plain(12, 1, 16)),
    "branching": (branching, lambda rng: {"x": normal(rng, 2, 16), "use_first": np.array(rng.random() < 0.5)}),
    "resizing": (resizing, _pixels("x", 1, 3, 16, 16)),
    "embedding": (embedding, _words),
    "filled": (filled, lambda rng: {"x": normal(rng, 2, 24), "allowed": rng.random((2, 40)) < 0.8}),
    "chosen": (chosen, _plain(8, 16)),
    "several": (several, _pixels("x", 1, 3, 12, 12)),
    "mixer": (mixer, _plain(1, 16, 16)),
}


def small_models(folder: Path) -> list[Subject]:
    """Written into the folder."""
    found = []
    for name, (build, feeds) in SMALL.items():
        path = folder / f"{name}.onnx"
        onnx.save(build(), path)
        found.append(Subject(name, path, feeds))
    return found
