"""Nodes and weights of one network, written as exporters write them; shapes are followed so that layers know what they read."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .tensor import Tensor

IR_VERSION = 10


class Net:
    """The graph under construction. Weights come from a seed made of the network's name: equal names, equal bytes."""

    def __init__(self, name: str, opset: int = 17) -> None:
        self.name, self.opset = name, opset
        self.generator = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.numbers: dict[tuple[float, ...], Tensor] = {}

    def input(self, name: str, shape: Sequence[int], dtype: int = TensorProto.FLOAT, dims: Sequence[int | str] | None = None) -> Tensor:
        """An input of the model. dims: what stands in the model where that is not the shape (names of open dims)."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, list(dims or shape)))
        return Tensor(name, shape)

    def constant(self, value: np.ndarray | Sequence[int]) -> Tensor:
        array = value if isinstance(value, np.ndarray) else np.array(value, np.int64)
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return Tensor(name, array.shape)

    def number(self, *values: float) -> Tensor:
        """A float scalar (or a vector of them), once per graph."""
        if values not in self.numbers:
            self.numbers[values] = self.constant(np.array(values if len(values) > 1 else values[0], np.float32))
        return self.numbers[values]

    def normal(self, shape: Sequence[int], deviation: float) -> Tensor:
        return self.constant(self.generator.standard_normal(tuple(shape), dtype=np.float32) * np.float32(deviation))

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Tensor:
        return self.constant(self.generator.uniform(low, high, tuple(shape)).astype(np.float32))

    def many(self, operator: str, inputs: Sequence[str], shapes: Sequence[Sequence[int]], **attributes: object) -> list[Tensor]:
        """A node with as many outputs as there are shapes."""
        number = len(self.nodes)
        names = [f"t{number}" if k == 0 else f"t{number}_{k}" for k in range(len(shapes))]
        domain = str(attributes.pop("domain", ""))
        self.nodes.append(helper.make_node(operator, [str(i) for i in inputs], names, f"{operator}_{number}", domain=domain, **attributes))
        return [Tensor(name, shape) for name, shape in zip(names, shapes, strict=True)]

    def op(self, operator: str, *inputs: str, shape: Sequence[int] | None = None, **attributes: object) -> Tensor:
        """A node with one output, of the shape that its inputs broadcast to unless another is given."""
        if shape is None:
            shape = np.broadcast_shapes(*(i.shape for i in inputs if isinstance(i, Tensor)))
        return self.many(operator, inputs, [shape], **attributes)[0]

    # what moves data

    def reshape(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """sizes as in ONNX: 0 keeps an extent, -1 takes what is left."""
        shape = [x.shape[k] if size == 0 else size for k, size in enumerate(sizes)]
        if -1 in shape:
            shape[shape.index(-1)] = prod(x.shape) // -prod(shape)
        return self.op("Reshape", x, self.constant(sizes), shape=shape)

    def transpose(self, x: Tensor, *perm: int) -> Tensor:
        return self.op("Transpose", x, shape=[x.shape[p] for p in perm], perm=list(perm))

    def concat(self, *parts: Tensor, axis: int) -> Tensor:
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.op("Concat", *parts, shape=shape, axis=axis)

    def split(self, x: Tensor, sizes: Sequence[int], axis: int) -> list[Tensor]:
        shapes = []
        for size in sizes:
            shape = list(x.shape)
            shape[axis] = size
            shapes.append(shape)
        return self.many("Split", [x, self.constant(sizes)], shapes, axis=axis)

    def slice(self, x: Tensor, axis: int, start: int, end: int, step: int = 1) -> Tensor:
        shape = list(x.shape)
        shape[axis] = len(range(*slice(start, end, step).indices(shape[axis])))
        return self.op("Slice", x, *(self.constant([k]) for k in (start, end, axis, step)), shape=shape)

    def unsqueeze(self, x: Tensor, axis: int) -> Tensor:
        shape = list(x.shape)
        shape.insert(axis, 1)
        return self.op("Unsqueeze", x, self.constant([axis]), shape=shape)

    def squeeze(self, x: Tensor, axis: int) -> Tensor:
        shape = list(x.shape)
        del shape[axis]
        return self.op("Squeeze", x, self.constant([axis]), shape=shape)

    def gather(self, table: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
        shape = (*table.shape[:axis], *indices.shape, *table.shape[axis + 1 :])
        return self.op("Gather", table, indices, shape=shape, axis=axis)

    # what computes

    def mean(self, x: Tensor, axes: Sequence[int], keep: bool = True, operator: str = "ReduceMean") -> Tensor:
        """A reduction; its axes are an attribute before opset 18, an input since."""
        wanted = {axis % len(x.shape) for axis in axes}
        shape = [1 if k in wanted else size for k, size in enumerate(x.shape) if keep or k not in wanted]
        if self.opset >= 18 or (operator == "ReduceSum" and self.opset >= 13):
            return self.op(operator, x, self.constant(list(axes)), shape=shape, keepdims=int(keep))
        return self.op(operator, x, shape=shape, keepdims=int(keep), axes=list(axes))

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return self.op("MatMul", a, b, shape=(*batch, a.shape[-2], b.shape[-1]))

    def model(self, *outputs: Tensor, dims: Mapping[str, Sequence[int | str]] | None = None, names: Sequence[str] = ()) -> onnx.ModelProto:
        """The finished model. dims: of an output (by its name) that stands there with open dims."""
        results = []
        for k, output in enumerate(outputs):
            name = names[k] if names else f"output{k}" if len(outputs) > 1 else "output"
            for node in self.nodes:
                for field in (node.input, node.output):
                    field[:] = [name if item == output else item for item in field]
            results.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list((dims or {}).get(name, output.shape))))
        graph = helper.make_graph(self.nodes, self.name, self.inputs, results, self.constants)
        domains = {node.domain for node in self.nodes} - {""}
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in sorted(domains))]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="autoglmc-benchmarks")
