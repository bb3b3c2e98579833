"""Identity of a constant is the constant: exporters share a weight through Identity nodes, and folded each would be a copy of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..structure import all_graphs, bodies

if TYPE_CHECKING:
    import onnx


def alias_constants(model: onnx.ModelProto, hidden: Collection[str] = ()) -> int:
    """Lets readers of such an Identity read the constant itself, in place, bodies included; how many Identity nodes went.

    hidden: graph inputs that stand for weights. An Identity that writes an output of its graph stays.
    """
    local = {name for graph in all_graphs(model.graph) if graph is not model.graph for name in defined(graph)}
    return _alias(model.graph, frozenset(hidden), frozenset(hidden), {}, frozenset(local))


def defined(graph: onnx.GraphProto) -> set[str]:
    """Names that the graph itself gives a value."""
    return {value.name for value in (*graph.input, *graph.initializer)} | {name for node in graph.node for name in node.output if name}


def _alias(graph: onnx.GraphProto, outer: frozenset[str], hidden: frozenset[str], renames: Mapping[str, str], local: frozenset[str]) -> int:
    """outer: constants from outside. local: names that some body defines, which another body might take for its own."""
    own = defined(graph) - hidden
    constants = {*(outer - own), *(tensor.name for tensor in graph.initializer)}
    renames = {name: to for name, to in renames.items() if name not in own}
    results = {value.name for value in graph.output}
    gone = 0
    kept = []
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = renames.get(name, name)
        if _is_identity(node) and node.input[0] in constants and node.output[0] not in results | local and node.input[0] not in local:
            renames[node.output[0]] = node.input[0]
            gone += 1
            continue
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            constants.update(node.output)
        gone += sum(_alias(body, frozenset(constants), frozenset(), renames, local) for body in bodies(node))
        kept.append(node)
    for value in graph.output:
        value.name = renames.get(value.name, value.name)
    if len(kept) < len(graph.node):
        _replace(graph, kept, renames)
    return gone


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], gone: Mapping[str, str]) -> None:
    typed = [value for value in graph.value_info if value.name not in gone]
    for field, values in ((graph.node, nodes), (graph.value_info, typed)):
        del field[:]
        field.extend(values)


def _is_identity(node: onnx.NodeProto) -> bool:
    return node.op_type == "Identity" and node.domain in ("", "ai.onnx") and len(node.input) == 1
