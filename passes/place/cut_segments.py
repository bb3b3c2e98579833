"""Cut the placed graph into segments: each a graph of its own, whose inputs and outputs are the tensors that cross its border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...targets.model import Target
from ..graph.graph import Graph
from ..graph.node import Node, operators_in
from ..graph.part import part_of
from ..graph.schema import first_opset
from ..graph.versions import declared, readable, reinterpreted
from .kernels import group_kernels, reader_in
from .memory.working_set import internal_peak
from .placed import Part
from .segment import Segment, header


def cut(graph: Graph, parts: Sequence[Part], target: Target) -> tuple[Segment, ...]:
    """The segments of all parts, in the order given. Nodes without a name get one; else the graph is not changed."""
    reader_of: dict[str, set[int]] = {}
    for k, part in enumerate(parts):
        for node in part.nodes:
            for name in node.reads:
                reader_of.setdefault(name, set()).add(k)
    found, wanted = [], set(graph.outputs)
    for k, part in enumerate(parts):
        _name_nodes(graph, part.nodes)
        results = {name for node in part.nodes for name in node.writes if name in wanted or reader_of.get(name, set()) - {k}}
        inputs, outputs = _border(graph, part.nodes, results)
        opset = segment_opset(graph, part.nodes, readable(target.device(part.device), target))
        own = part_of(graph, part.nodes, header(graph, part, k, inputs, outputs, opset))
        found.append(_segment(own, k, part, target))
    return tuple(found)


def cut_again(graph: Graph, old: Segment, target: Target) -> Segment:
    """The segment after its graph was rewritten."""
    _name_nodes(graph, graph.nodes)
    return _segment(graph, old.index, old.part, target)


def _segment(graph: Graph, k: int, part: Part, target: Target) -> Segment:
    """Segment number `k` of a graph that is only this segment."""
    device, nodes = target.device(part.device), tuple(graph.nodes)
    inputs, outputs = _border(graph, nodes, set(graph.outputs))
    return Segment(
        index=k,
        part=replace(part, nodes=nodes),
        graph=graph,
        inputs=inputs,
        outputs=outputs,
        groups=group_kernels(nodes, device.kernels, reader_in(graph, device)),
        opset=segment_opset(graph, nodes, readable(device, target)),
        internal_peak=internal_peak(graph, part, nodes, {*inputs, *outputs}, device),
    )


def _border(graph: Graph, nodes: Sequence[Node], results: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What nodes read from outside, and which of `results` they write."""
    written = {name for node in nodes for name in node.writes}
    read = dict.fromkeys(name for node in nodes for name in node.reads)
    inputs = tuple(name for name in read if name not in written and name not in graph.constants)
    return inputs, tuple(name for node in nodes for name in node.writes if name in results)


def _name_nodes(graph: Graph, nodes: Sequence[Node]) -> None:
    """Reports and kernels speak of nodes by name: an exporter that gave none gets one."""
    for node in nodes:
        if not node.name:
            node.name = graph.fresh(node.operator.lower())


def segment_opset(graph: Graph, nodes: Sequence[Node], readable: tuple[int, int] | None = None) -> int:
    """The graph's opset, or the first one that has every operator of the segment in the meaning that it was written in; inside `readable`
    where a runtime reads only that."""
    kinds = {node.operator for node in nodes if not node.domain}
    inside = {kind for node in nodes for kind in operators_in(node.bodies()) if "::" not in kind}
    meant = [reinterpreted(node.operator, node.attributes.values()) for node in nodes if graph.version(node) > graph.opset]
    opset = max([graph.opset, *map(first_opset, kinds | inside), *meant])
    return declared(opset, *readable) if readable else opset
