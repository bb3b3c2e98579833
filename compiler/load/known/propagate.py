"""Shapes and small values, in one walk from the inputs to the outputs: what onnx's own inference leaves open.

onnx follows values through ten operators. Exporters compute shapes with many more (Where, Equal, ConstantOfShape, Range, Expand …), and
whatever is read through one of those has no shape. Here every small tensor whose operands are known is computed, and every node that
reads such a value, or a shape that was open before, is inferred again with it: once, in order, so that the work grows with the graph.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ....passes.mapped.mapped_tensor import array_of
from ..structure import bodies
from .bodies import enter
from .evaluate import evaluate
from .facts import Known
from .infer_node import NodeInference
from .moves import LONGEST, shape_value
from .types import attributes_of, elements_of, is_static, sizes_of, tensor_type

if TYPE_CHECKING:
    import onnx

FIRST_OPSET = 9
"""From which on Scan, sums and products mean what they mean today; older models are lifted first."""
WORK = 1 << 22
"""Elements of all values together that are followed; beyond it nothing more is computed."""
ELEMENT_TYPES = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13})
"""Dtypes that numpy has and shapes are computed in: floats, integers, booleans."""


def propagate(model: onnx.ModelProto, afresh: bool = False) -> Known:
    """What can be known of the main graph; the types that bodies' tensors have are written into the bodies' value_info.

    afresh: onnx has inferred nothing, so every node is asked.
    """
    known = Known({}, {})
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset >= FIRST_OPSET:
        Walk(model, afresh).graph(model.graph, known)
    return known


class Walk:
    """One walk through a model."""

    def __init__(self, model: onnx.ModelProto, afresh: bool) -> None:
        self.inference = NodeInference(model)
        self.afresh = afresh
        self.room = WORK

    def graph(self, graph: onnx.GraphProto, known: Known) -> None:
        """In order; what is found goes to `known`."""
        known.types.update((value.name, value.type) for value in (*graph.input, *graph.value_info, *graph.output) if _typed(value))
        for tensor in graph.initializer:
            known.types[tensor.name] = tensor_type(tensor.data_type, list(tensor.dims))
            if tensor.data_type in ELEMENT_TYPES and elements_of(known.types[tensor.name]) in range(LONGEST + 1):
                known.values[tensor.name] = array_of(tensor)
        for node in graph.node:
            self.node(node, known)

    def node(self, node: onnx.NodeProto, known: Known) -> None:
        if any(True for _ in bodies(node)):
            enter(self.graph, node, known)
            return
        self._infer(node, known)
        self._evaluate(node, known)

    def _infer(self, node: onnx.NodeProto, known: Known) -> None:
        """Types of the results, where something about the operands is new and some result is open."""
        results = [name for name in node.output if name]
        if all(is_static(known.types.get(name)) for name in results):
            return
        if not self.afresh and known.refined.isdisjoint(node.input):
            return
        found = self.inference.infer(node, known.types, known.values)
        for name in results:
            if name in found:
                known.learn(name, found[name])

    def _evaluate(self, node: onnx.NodeProto, known: Known) -> None:
        """Values of the results, where they are small and follow from known ones."""
        if node.domain not in ("", "ai.onnx") or self.room <= 0:
            return
        found = self._value(node, known)
        if found is None or len(found) < len(node.output):
            return
        for name, value in zip(node.output, found, strict=False):
            if name:
                known.values[name] = value
                known.refined.add(name)
                known.learn(name, _type_of(value))
                self.room -= value.size + 1

    def _value(self, node: onnx.NodeProto, known: Known) -> list[np.ndarray] | None:
        if node.op_type == "Constant":
            return _constant(node)
        if node.op_type in ("Shape", "Size"):
            sizes = sizes_of(known.types.get(node.input[0]))
            if sizes is None or None in sizes:
                return None
            whole = [size for size in sizes if size is not None]
            return [shape_value(whole, attributes_of(node)) if node.op_type == "Shape" else np.asarray(math.prod(whole), np.int64)]
        operands = [known.values.get(name) if name else None for name in node.input]
        if not operands or any(value is None and name for value, name in zip(operands, node.input, strict=True)):
            return None
        return evaluate(node.op_type, operands, {**attributes_of(node), "outputs": len(node.output)})


def _constant(node: onnx.NodeProto) -> list[np.ndarray] | None:
    from onnx import numpy_helper

    from ..fold.lift_constants import tensor_of

    tensor = tensor_of(node)
    if tensor is None or tensor.data_type not in ELEMENT_TYPES or math.prod(tensor.dims) > LONGEST:
        return None
    return [numpy_helper.to_array(tensor)]


def _type_of(value: np.ndarray) -> onnx.TypeProto:
    from onnx import helper

    return tensor_type(helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape))


def _typed(value: onnx.ValueInfoProto) -> bool:
    return value.type.WhichOneof("value") is not None
