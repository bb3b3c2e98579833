"""`Constant` nodes as initializers, so that everything after sees one kind of constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def constants_to_initializers(graph: onnx.GraphProto) -> None:
    """In place, in the main graph only; a constant that is itself a graph output stays a node, a sparse one too."""
    results = {value.name for value in graph.output}
    made = []
    kept = []
    for node in graph.node:
        tensor = _tensor(node) if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output[0] not in results else None
        if tensor is None:
            kept.append(node)
        else:
            made.append(tensor)
    if not made:
        return
    names = {tensor.name for tensor in made}
    typed = [value for value in graph.value_info if value.name not in names]
    for field, values in ((graph.node, kept), (graph.value_info, typed)):
        del field[:]
        field.extend(values)
    graph.initializer.extend(made)


def _tensor(node: onnx.NodeProto) -> onnx.TensorProto | None:
    from onnx import TensorProto, helper

    if len(node.attribute) != 1:
        return None
    attribute, name = node.attribute[0], node.output[0]
    if attribute.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(attribute.t)
        tensor.name = name
        return tensor
    plain = {
        "value_float": (TensorProto.FLOAT, [], [attribute.f]),
        "value_floats": (TensorProto.FLOAT, [len(attribute.floats)], list(attribute.floats)),
        "value_int": (TensorProto.INT64, [], [attribute.i]),
        "value_ints": (TensorProto.INT64, [len(attribute.ints)], list(attribute.ints)),
        "value_string": (TensorProto.STRING, [], [attribute.s]),
        "value_strings": (TensorProto.STRING, [len(attribute.strings)], list(attribute.strings)),
    }
    if attribute.name not in plain:
        return None
    kind, dims, values = plain[attribute.name]
    return helper.make_tensor(name, kind, dims, values)
