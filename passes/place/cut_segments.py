"""Write every part of the placed graph as a model of its own: its inputs and outputs are the tensors that cross its border.

Kernel groups are marked on the nodes themselves (metadata key KERNEL): operators stay visible to whatever reads the segment,
and a device compiler finds the groups that were counted as one launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx
from onnx import helper

from ...targets.model import Target
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import first_opset
from ..graph.versions import declared, drop_younger, readable
from .kernels import group_kernels, reader_in
from .placed import Part

KERNEL = "autoglmc.kernel"


@dataclass(frozen=True, slots=True)
class Cut:
    """One segment as a model, and what it exchanges with the others."""

    part: Part
    model: onnx.ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kernels: tuple[tuple[str, ...], ...]
    """Node names per launch."""
    internal_peak: int
    """Largest sum of bytes live inside at once, border tensors not counted."""


def cut(graph: Graph, parts: Sequence[Part], target: Target) -> tuple[Cut, ...]:
    """The models of all parts, in the order given."""
    reader_of: dict[str, set[int]] = {}
    for k, part in enumerate(parts):
        for node in part.nodes:
            for name in node.reads:
                reader_of.setdefault(name, set()).add(k)
    return tuple(_cut(graph, k, part, target, reader_of) for k, part in enumerate(parts))


def recut(graph: Graph, k: int, old: Cut, target: Target) -> Cut:
    """Segment number `k` written anew from a graph of that segment alone."""
    return _cut(graph, k, replace(old.part, nodes=tuple(graph.nodes)), target, {})


def _cut(graph: Graph, k: int, part: Part, target: Target, reader_of: dict[str, set[int]]) -> Cut:
    written = {name for node in part.nodes for name in node.writes}
    read = dict.fromkeys(name for node in part.nodes for name in node.reads)
    inputs = tuple(name for name in read if name not in written and name not in graph.constants)
    results = set(graph.outputs)
    outputs = tuple(name for node in part.nodes for name in node.writes if name in results or reader_of.get(name, set()) - {k})
    device = target.device(part.device)
    groups = group_kernels(part.nodes, device.kernels, reader_in(graph))
    _name_nodes(graph, part.nodes)
    model = _model(graph, k, part, inputs, outputs, groups, segment_opset(graph, part.nodes, readable(device, target)))
    kernels = tuple(tuple(node.name for node in group) for group in groups)
    return Cut(part, model, inputs, outputs, kernels, _internal_peak(graph, part.nodes, {*inputs, *outputs}))


def _name_nodes(graph: Graph, nodes: Sequence[Node]) -> None:
    """Reports and kernels speak of nodes by name: an exporter that gave none gets one."""
    for node in nodes:
        if not node.name:
            node.name = graph.fresh(node.operator.lower())


def _model(
    graph: Graph, k: int, part: Part, inputs: Sequence[str], outputs: Sequence[str], groups: Sequence[Sequence[Node]], opset: int
) -> onnx.ModelProto:
    domains = {node.domain for node in part.nodes}
    imports = [helper.make_opsetid("", opset)]
    imports += [o for o in graph.model.opset_import if o.domain not in ("", "ai.onnx") and (o.domain in domains or _has_body(part.nodes))]
    model = onnx.ModelProto(ir_version=helper.find_min_ir_version_for(imports, ignore_unknown=True))
    model.producer_name = "autoglmc"
    model.opset_import.extend(imports)
    model.functions.extend(graph.model.functions)
    model.graph.name = f"segment_{k:02d}_{part.device}"
    model.graph.input.extend(graph.value_info(name) for name in inputs)
    model.graph.output.extend(graph.value_info(name) for name in outputs)
    grouped = {id(node): number for number, group in enumerate(groups) if len(group) > 1 for node in group}
    for node in part.nodes:
        proto = node.to_proto()
        if opset < graph.version(node):
            drop_younger(proto, opset)
        if id(node) in grouped:
            proto.metadata_props.add(key=KERNEL, value=str(grouped[id(node)]))
        model.graph.node.append(proto)
    used = dict.fromkeys(name for node in part.nodes for name in node.reads)
    model.graph.initializer.extend(graph.constants[name] for name in used if name in graph.constants)
    inner = (name for node in part.nodes for name in node.writes if name not in outputs)
    model.graph.value_info.extend(info for name in inner if (info := graph.value_info(name)).type.WhichOneof("value"))
    return model


def _has_body(nodes: Sequence[Node]) -> bool:
    return any(True for node in nodes for _ in node.bodies())


def segment_opset(graph: Graph, nodes: Sequence[Node], readable: tuple[int, int] | None = None) -> int:
    """The graph's opset, or the first one that has every operator of the segment; inside `readable` where a runtime reads only that."""
    kinds = {node.operator for node in nodes if not node.domain}
    inside = {kind for node in nodes if any(True for _ in node.bodies()) for kind in graph.view(node).functions if "::" not in kind}
    opset = max([graph.opset, *map(first_opset, kinds | inside)])
    return declared(opset, *readable) if readable else opset


def _internal_peak(graph: Graph, nodes: Sequence[Node], border: set[str]) -> int:
    """Liveness in execution order: a tensor lives from its writer to its last reader."""
    last: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in (*node.reads, *node.writes):
            last[name] = k
    dying: dict[int, list[str]] = {}
    for name, k in last.items():
        dying.setdefault(k, []).append(name)
    live = peak = 0
    inside: set[str] = set()
    for k, node in enumerate(nodes):
        for name in node.writes:
            if name not in border:
                inside.add(name)
                live += graph.tensor(name).bytes or 0
        peak = max(peak, live)
        for name in dying.get(k, ()):
            if name in inside:
                live -= graph.tensor(name).bytes or 0
    return peak
