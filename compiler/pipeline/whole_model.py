"""The graph as one ONNX model that onnxruntime can run, at any point of the pipeline: whole before the cut, joined from segments after."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ...passes.graph.graph import Graph
from ...passes.mapped.mapped_tensor import inline_all
from ...passes.place.cut_segments import segment_opset
from ...passes.place.segment import Segment

if TYPE_CHECKING:
    import onnx

    from .work import Work


def whole_model(work: Work) -> onnx.ModelProto:
    """What the passes so far have made of the model. Shares no node with the work; weights are copied."""
    model = light_whole_model(work)
    inline_all(model)
    return model


def light_whole_model(work: Work) -> onnx.ModelProto:
    """The same with large weights where they lie (passes/mapped)."""
    return _joined(work.graph, work.segments) if work.segments else light_graph_model(work.graph)


def graph_model(graph: Graph, opened: Collection[str] = ()) -> onnx.ModelProto:
    """The graph, declared at the first opset that has all of its operators. opened: constants that become inputs."""
    model = light_graph_model(graph, opened)
    inline_all(model)
    return model


def light_graph_model(graph: Graph, opened: Collection[str] = ()) -> onnx.ModelProto:
    """The same with large weights where they lie (passes/mapped)."""
    model = graph.to_model(opened)
    _declare(model, segment_opset(graph, graph.nodes))
    return model


def _declare(model: onnx.ModelProto, opset: int) -> None:
    from onnx import helper

    entry = next((entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None)
    if entry is None:
        model.opset_import.append(helper.make_opsetid("", opset))
    else:
        entry.version = opset
    model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True))


def _joined(graph: Graph, segments: tuple[Segment, ...]) -> onnx.ModelProto:
    """Segments in order. Names inside a segment are its own: where two use one for different things, one is renamed."""
    model = graph.to_model()
    for part in (model.graph.node, model.graph.initializer, model.graph.value_info):
        del part[:]
    border = {name for segment in segments for name in (*segment.inputs, *segment.outputs)}
    weights: dict[str, bytes] = {}
    taken: set[str] = set(border)
    for k, segment in enumerate(segments):
        piece = segment.without_weights()
        piece.graph.initializer.extend(segment.constants)
        bytes_of = {tensor.name: tensor.SerializeToString() for tensor in piece.graph.initializer}
        inner = {name for node in piece.graph.node for name in node.output if name} - border
        clashing = {name for name, data in bytes_of.items() if weights.get(name, data) != data} | (inner & taken)
        _rename(piece.graph, {name: f"{name}__segment_{k}" for name in clashing})
        model.graph.node.extend(piece.graph.node)
        model.graph.initializer.extend(tensor for tensor in piece.graph.initializer if tensor.name not in weights)
        model.graph.value_info.extend(piece.graph.value_info)
        weights.update({tensor.name: bytes_of.get(tensor.name, b"") for tensor in piece.graph.initializer})
        taken |= inner | set(weights)
    used = {name for segment in segments for name in segment.inputs} | {value.name for value in model.graph.output}
    left = used - taken - set(weights) - {value.name for value in model.graph.input}
    model.graph.initializer.extend(graph.constants[name] for name in sorted(left & set(graph.constants)))
    _declare(model, max([graph.opset, *(segment.opset for segment in segments)]))
    return model


def _rename(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Everywhere in the graph, bodies included."""
    if not names:
        return
    for node in graph.node:
        for part in (node.input, node.output):
            for index, name in enumerate(part):
                part[index] = names.get(name, name)
        for attribute in node.attribute:
            for body in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                _rename(body, names)
    for item in (*graph.initializer, *graph.value_info, *graph.output):
        item.name = names.get(item.name, item.name)
