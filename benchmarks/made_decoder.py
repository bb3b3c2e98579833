"""A decoder of any size with random weights in a file of their own, written weight by weight.

    python benchmarks/made_decoder.py FOLDER [--layers 24] [--hidden 2048] [--inner 5632] [--vocabulary 32000] [--heads 16] [--groups 16]

One step of a decoder in the manner of Llama (RMSNorm, grouped heads, SwiGLU, the past as inputs of fixed length), so that nothing has to be
bound. FOLDER gets model.onnx and model.data. It never holds more than one weight.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PAST = 31
"""Tokens in the caches before the step."""


@dataclass(frozen=True, kw_only=True)
class Size:
    layers: int = 24
    hidden: int = 2048
    inner: int = 5632
    vocabulary: int = 32000
    heads: int = 16
    groups: int = 16

    @property
    def width(self) -> int:
        return self.hidden // self.heads


class Writer:
    """Nodes one after the other; weights go to the data file at once."""

    def __init__(self, data: IO[bytes]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._data, self._draw = data, np.random.default_rng(7)

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: object) -> str:
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{operator}_{len(self.nodes)}", **attributes))
        return output

    def constant(self, values: object, dtype: type = np.float32) -> str:
        self.initializers.append(numpy_helper.from_array(np.array(values, dtype), f"constant_{len(self.initializers)}"))
        return self.initializers[-1].name

    def weight(self, *shape: int) -> str:
        values = self._draw.standard_normal(shape, np.float32)
        values *= np.float32(shape[0] ** -0.5)
        self._data.seek(-self._data.tell() % 4096, 1)
        tensor = TensorProto(name=f"weight_{len(self.initializers)}", data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "model.data"), ("offset", self._data.tell()), ("length", values.nbytes)):
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(values.data)
        self.initializers.append(tensor)
        return tensor.name


def write_decoder(folder: Path, size: Size) -> Path:
    """The path of the model."""
    with (folder / "model.data").open("wb") as data:
        w = Writer(data)
        x = w("Gather", w.weight(size.vocabulary, size.hidden), "input_ids")
        for layer in range(size.layers):
            x = w("Add", x, _attention(w, size, _normal(w, size, x), layer))
            x = w("Add", x, _forward(w, size, _normal(w, size, x)))
        w("MatMul", _normal(w, size, x), w.weight(size.hidden, size.vocabulary), name="logits")
    path = folder / "model.onnx"
    path.write_bytes(_model(w, size).SerializeToString())
    return path


def _normal(w: Writer, size: Size, x: str) -> str:
    mean = w("ReduceMean", w("Mul", x, x), axes=[-1], keepdims=1)
    return w("Mul", w("Div", x, w("Sqrt", w("Add", mean, w.constant(1e-5)))), w.constant(np.ones(size.hidden)))


def _attention(w: Writer, size: Size, x: str, layer: int) -> str:
    def by_heads(count: int) -> str:
        shape = w.constant([0, 0, count, size.width], np.int64)
        return w("Transpose", w("Reshape", w("MatMul", x, w.weight(size.hidden, count * size.width)), shape), perm=[0, 2, 1, 3])

    query = by_heads(size.heads)
    key = w("Concat", f"past.{layer}.k", by_heads(size.groups), axis=2, name=f"present.{layer}.k")
    value = w("Concat", f"past.{layer}.v", by_heads(size.groups), axis=2, name=f"present.{layer}.v")
    if size.groups < size.heads:
        key, value = (_repeated(w, size, one) for one in (key, value))
    scores = w("Mul", w("MatMul", query, w("Transpose", key, perm=[0, 1, 3, 2])), w.constant(size.width**-0.5))
    seen = w("Transpose", w("MatMul", w("Softmax", scores, axis=-1), value), perm=[0, 2, 1, 3])
    return w("MatMul", w("Reshape", seen, w.constant([0, 0, size.hidden], np.int64)), w.weight(size.hidden, size.hidden))


def _repeated(w: Writer, size: Size, x: str) -> str:
    wide = w.constant([1, size.groups, size.heads // size.groups, PAST + 1, size.width], np.int64)
    shape = w.constant([1, size.heads, PAST + 1, size.width], np.int64)
    return w("Reshape", w("Expand", w("Unsqueeze", x, w.constant([2], np.int64)), wide), shape)


def _forward(w: Writer, size: Size, x: str) -> str:
    gate = w("MatMul", x, w.weight(size.hidden, size.inner))
    up = w("MatMul", x, w.weight(size.hidden, size.inner))
    return w("MatMul", w("Mul", w("Mul", gate, w("Sigmoid", gate)), up), w.weight(size.inner, size.hidden))


def _model(w: Writer, size: Size) -> onnx.ModelProto:
    names = [f"{layer}.{kind}" for layer in range(size.layers) for kind in "kv"]
    cache = [1, size.groups, PAST, size.width]
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, 1])]
    inputs += [helper.make_tensor_value_info(f"past.{name}", TensorProto.FLOAT, cache) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, size.vocabulary])]
    grown = [1, size.groups, PAST + 1, size.width]
    outputs += [helper.make_tensor_value_info(f"present.{name}", TensorProto.FLOAT, grown) for name in names]
    graph = helper.make_graph(w.nodes, "decoder", inputs, outputs, w.initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, default in Size().__dataclass_fields__.items():
        parser.add_argument(f"--{name}", type=int, default=default.default)
    options = vars(parser.parse_args())
    folder = options.pop("folder")
    folder.mkdir(parents=True, exist_ok=True)
    path = write_decoder(folder, Size(**options))
    total = sum(math.prod(tensor.dims) * 4 for tensor in onnx.load(path, load_external_data=False).graph.initializer)
    print(f"{path}: {total / 2**20:.0f} MiB of weights")


if __name__ == "__main__":
    main()
