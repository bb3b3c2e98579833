"""An If whose condition is constant becomes the branch that is taken: devices that run no If run its operators."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..structure import all_graphs

if TYPE_CHECKING:
    import onnx


def take_branches(model: onnx.ModelProto) -> int:
    """In place, in the main graph: how many were taken. An If that a taken branch holds waits for the next call.

    The branch's tensors keep their names, unless another body uses the same; what the If gives out keeps its own.
    """
    graph = model.graph
    conditions = {tensor.name: tensor for tensor in graph.initializer}
    chosen = {k: body for k, node in enumerate(graph.node) if (body := _branch(node, conditions)) is not None}
    if not chosen:
        return 0
    defined = Counter(name for part in all_graphs(graph) for name in _defined(part))
    nodes: list[onnx.NodeProto] = []
    for k, node in enumerate(graph.node):
        if k in chosen:
            nodes.extend(_spliced(graph, node, chosen[k], defined))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    return len(chosen)


def _branch(node: onnx.NodeProto, conditions: dict[str, onnx.TensorProto]) -> onnx.GraphProto | None:
    """A copy of the body that runs; None where that is not known, or the body holds what a main graph cannot take over."""
    from onnx import GraphProto, numpy_helper

    if node.op_type != "If" or node.domain not in ("", "ai.onnx") or node.input[0] not in conditions:
        return None
    condition = numpy_helper.to_array(conditions[node.input[0]])
    if condition.size != 1:
        return None
    wanted = "then_branch" if condition.item() else "else_branch"
    body = next((attribute.g for attribute in node.attribute if attribute.name == wanted), None)
    if body is None or body.sparse_initializer or len(body.output) != len(node.output):
        return None
    copy = GraphProto()
    copy.CopyFrom(body)
    return copy


def _defined(graph: onnx.GraphProto) -> list[str]:
    names = [value.name for value in (*graph.input, *graph.initializer)]
    return [*dict.fromkeys(names), *(name for node in graph.node for name in node.output if name)]


def _spliced(graph: onnx.GraphProto, node: onnx.NodeProto, body: onnx.GraphProto, defined: Counter[str]) -> list[onnx.NodeProto]:
    """The nodes that stand for the If; the branch's constants and types move to `graph`."""
    from onnx import helper

    own = _defined(body)
    written = {name for inner in body.node for name in inner.output if name}
    renames = {name: _fresh(name, defined) for name in own if defined[name] > 1}
    copies = []
    for outer, value in zip(node.output, body.output, strict=True):
        if value.name in written and outer and outer not in renames.values():
            renames[value.name] = outer
            written.discard(value.name)
        elif outer:
            copies.append((value.name, outer))
    _rename(body, renames)
    graph.initializer.extend(body.initializer)
    given = {value.name for value in (*graph.value_info, *graph.output)}
    graph.value_info.extend(value for value in body.value_info if value.name not in given)
    return [*body.node, *(helper.make_node("Identity", [renames.get(inner, inner)], [outer]) for inner, outer in copies)]


def _fresh(name: str, defined: Counter[str]) -> str:
    fresh = name
    while fresh in defined:
        fresh += "_"
    defined[fresh] += 1
    return fresh


def _rename(body: onnx.GraphProto, renames: dict[str, str]) -> None:
    """Definitions and uses, in bodies inside the body too."""
    for part in all_graphs(body):
        for value in (*part.initializer, *part.value_info, *part.output):
            value.name = renames.get(value.name, value.name)
        for node in part.node:
            for names in (node.input, node.output):
                for k, name in enumerate(names):
                    names[k] = renames.get(name, name)
