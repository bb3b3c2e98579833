"""Eighteen small models, each of a family that slips are made in; and inputs of their domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .image_nets import convolutional, detector, mobile, quantised_cnn, quantised_gemm, resizing, several
from .net import Net
from .subject import Feeds, Subject, image, normal, padded, tokens
from .token_nets import embedding, masked_attention, mixer, rotary


def mlp(real: Any = np.float32) -> onnx.ModelProto:
    net, kind = Net(1, real), "half" if real is np.float16 else "float"
    x = net.input("x", kind, 4, 32)
    for _ in range(2):
        x = net.gelu(net.dense(x, 32, 32))
    net.output(net.op("Softmax", net.dense(x, 32, 10), axis=-1), "y", kind, 4, 10)
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


def small_models(folder: Path, seed: int = 0) -> list[Subject]:
    """Written into the folder. With a seed other than 0 they are other models: the numbers of each weight are in another order."""
    found = []
    for name, (build, feeds) in SMALL.items():
        path, model = folder / f"{name}.onnx", build()
        rng = np.random.default_rng(seed)
        for tensor in model.graph.initializer if seed else ():
            array = numpy_helper.to_array(tensor)
            if array.size > 4 and array.dtype != np.int64:
                tensor.CopyFrom(numpy_helper.from_array(rng.permutation(array.reshape(-1)).reshape(array.shape), tensor.name))
        onnx.save(model, path)
        found.append(Subject(name, path, feeds))
    return found
