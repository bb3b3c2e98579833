"""onnx's shape inference with values of shape arithmetic, in bounded memory.

onnx (1.23) keeps what it knows of the values of vectors as one message an element, 77 bytes (measured), and does so for activations too:
`ConstantOfShape([2**31]) + 1` takes 150 GB. So a first inference without values tells how long vectors are, and an operator that reads a
long one, or one of unknown length, is hidden from the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .structure import all_graphs

if TYPE_CHECKING:
    import onnx

CARRIERS = frozenset({"Add", "Cast", "Concat", "Gather", "Mul", "Size", "Slice", "Squeeze", "Sub", "Unsqueeze"})
"""Operators that hand on values element by element (onnx 1.23; a test tries all)."""
HIDDEN = "autoglmc.long"
"""Domain of an operator that inference is not to see."""
LONG, SHORT = 1024, 64
"""Elements of the longest vector whose values are followed: LONG, or SHORT where the model has many of them."""
MANY = 1 << 20
"""Elements of all vectors above SHORT together; beyond it SHORT counts."""
ROUNDS = 4
"""Values reveal lengths, which let more values be followed; no real model needs more rounds than this."""


def infer_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model with value_info and shapes of outputs as onnx infers them. Raises as `onnx.shape_inference` does."""
    found = _infer(model, values=False)
    if model.functions:  # types inside a function are known to nobody before it is inlined
        return found
    hidden = hide_long(found)
    for _ in range(ROUNDS):
        found = _infer(found, values=True)
        show_long(found)
        if not hidden:
            return found
        before, hidden = hidden, hide_long(found)
        if hidden == before:
            break
    show_long(found)
    return _infer(found, values=False)


def _infer(model: onnx.ModelProto, values: bool) -> onnx.ModelProto:
    from onnx import shape_inference

    return shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=values)


def hide_long(model: onnx.ModelProto) -> int:
    """Puts carriers of long vectors, and of what may be long, into the domain HIDDEN, in place; how many."""
    lengths = _lengths(model.graph)
    carriers = list(_carriers(model.graph))
    read = [max((lengths.get(name, MANY) for name in node.input if name), default=0) for node in carriers]
    most = LONG if sum(length for length in read if SHORT < length <= LONG) <= MANY else SHORT
    hidden = [node for node, length in zip(carriers, read, strict=True) if length > most]
    for node in hidden:
        node.domain = HIDDEN
    if hidden:
        model.opset_import.add(domain=HIDDEN, version=1)
    return len(hidden)


def show_long(model: onnx.ModelProto) -> None:
    """The inverse of `hide_long`, in place."""
    for graph in all_graphs(model.graph):
        for node in graph.node:
            if node.domain == HIDDEN:
                node.domain = ""
    imports = [entry for entry in model.opset_import if entry.domain != HIDDEN]
    del model.opset_import[:]
    model.opset_import.extend(imports)


def _carriers(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for part in all_graphs(graph):
        yield from (node for node in part.node if node.op_type in CARRIERS and node.domain == "")


def _lengths(graph: onnx.GraphProto) -> Mapping[str, int]:
    """Elements of every vector of known length; 1 for a tensor of another rank, whose values nobody follows. The longest of a name."""
    lengths: dict[str, int] = {}
    for part in all_graphs(graph):
        sizes = [(tensor.name, list(tensor.dims)) for tensor in part.initializer]
        for value in (*part.input, *part.output, *part.value_info):
            kind = value.type.tensor_type
            if kind.HasField("shape"):
                sizes.append((value.name, [dim.dim_value if dim.HasField("dim_value") else MANY for dim in kind.shape.dim]))
        for name, dims in sizes:
            lengths[name] = max(lengths.get(name, 0), dims[0] if len(dims) == 1 else 1)
    return lengths
