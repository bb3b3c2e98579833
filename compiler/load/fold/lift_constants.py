"""`Constant` nodes as initializers, so that everything after sees one kind of constant, and a node for every graph output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..structure import all_names, fresh_name

if TYPE_CHECKING:
    import onnx


def constants_to_initializers(graph: onnx.GraphProto) -> None:
    """In place, in the main graph only; a constant that is itself a graph output stays a node, a sparse one too."""
    results = {value.name for value in graph.output}
    made = []
    kept = []
    for node in graph.node:
        tensor = (
            tensor_of(node) if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output[0] not in results else None
        )
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


def copy_constant_outputs(graph: onnx.GraphProto) -> int:
    """In place: a graph output that is itself an initializer is copied from it by an Identity, so that some device hands it out."""
    from onnx import helper

    results = {value.name for value in graph.output}
    named = [tensor for tensor in graph.initializer if tensor.name in results]
    if not named:
        return 0
    taken = all_names(graph)
    renames = {tensor.name: fresh_name(f"{tensor.name}_constant", taken) for tensor in named}
    _rename_reads(graph, renames)
    for tensor in named:
        tensor.name = renames[tensor.name]
    copies = [helper.make_node("Identity", [renamed], [name]) for name, renamed in renames.items()]
    nodes = [*copies, *graph.node]  # first: a body may go on reading the output's own name
    del graph.node[:]
    graph.node.extend(nodes)
    return len(named)


def _rename_reads(graph: onnx.GraphProto, renames: Mapping[str, str]) -> None:
    """Main graph only: a body may mean a name of its own."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renames.get(name, name)


def tensor_of(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The dense tensor of a Constant node, under the name of its output; None for another kind of constant."""
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
