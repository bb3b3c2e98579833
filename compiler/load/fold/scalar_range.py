"""Range of one-element tensors, as some exporters and ONNX's own AffineGrid write it.

The standard asks for scalars. onnxruntime runs such a node all the same while it cannot tell the shape, and refuses the model once
folding constants has made the shape known: it was accepted only because its shape was unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..structure import all_names, fresh_name

if TYPE_CHECKING:
    import onnx


def make_scalars(model: onnx.ModelProto) -> bool:
    """Puts a Squeeze before every input of a Range in the main graph that is known to have shape [1], in place; whether there was one."""
    from onnx import helper

    single = _single(model.graph)
    taken = all_names(model.graph)
    nodes = []
    for node in model.graph.node:
        for index, name in enumerate(node.input if node.op_type == "Range" and not node.domain else ()):
            if name not in single:
                continue
            scalar = fresh_name(f"{name}_scalar", taken)
            nodes.append(helper.make_node("Squeeze", [name], [scalar], name=scalar))
            node.input[index] = scalar
        nodes.append(node)
    if len(nodes) == len(model.graph.node):
        return False
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    return True


def _single(graph: onnx.GraphProto) -> set[str]:
    """Tensors known to have one axis of one element."""
    names = {tensor.name for tensor in graph.initializer if list(tensor.dims) == [1]}
    for value in (*graph.input, *graph.value_info):
        kind = value.type.tensor_type
        if kind.HasField("shape") and [dim.dim_value for dim in kind.shape.dim] == [1]:
            names.add(value.name)
    return names
