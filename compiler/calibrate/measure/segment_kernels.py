"""The kernels of a segment as placement prices them: groups that its device launches at once, quantised units in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.place.candidates import Implementation
from ....passes.place.kernels import group_kernels, reader_in
from ....passes.place.place_operators import ask
from ....passes.place.quantised import INTO, OUT, quantised_units
from ....targets.cost import kernel_seconds, runs_once
from ....targets.dtypes import FLOATS
from ....targets.model import Device, Target
from ....targets.operator_view import OperatorView

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What a device launches at once."""

    name: str
    """Of its first operator."""
    names: frozenset[str]
    """Of all its operators, and of those around them that cost nothing where it computes in integers."""
    writes: frozenset[str]
    """The tensors that these write."""
    views: tuple[OperatorView, ...]
    compute_dtype: str
    stated: float = 0.0
    """Seconds by the target's roofline; 0 where it is done when the model is loaded, or only another view of its input."""


@dataclass(frozen=True, slots=True)
class SegmentKernels:
    """A segment, or a model that is to be one."""

    kernels: tuple[Kernel, ...]
    """In topological order."""
    weight_bytes: int
    """As they are stored."""


def segment_kernels(model: onnx.ModelProto, target: Target, device: Device) -> SegmentKernels:
    """Takes over `model`, whose nodes are in topological order and need no weights beyond a few elements. An operator that the device's
    table refuses (of a segment made for another target) is seen as it stands."""
    graph = Graph(model)
    for number, node in enumerate(graph.nodes):
        node.name = node.name or f"{node.operator}_{number}"  # as onnxruntime calls one without a name
    asked = ask(graph, target, (), {})
    column = [each.name for each in target.devices].index(device.name)
    answers = {id(node): row[column] for node, row in zip(asked.nodes, asked.answers, strict=True)}
    carried = _carried(graph, asked.nodes, answers)
    free = {id(node) for nodes in carried.values() for node in nodes}
    nodes = [node for node in asked.nodes if id(node) not in free]
    kernels = [_kernel(graph, target, device, group, answers, carried) for group in group_kernels(nodes, device.kernels, reader_in(graph))]
    read = {name for node in asked.nodes for name in node.reads}
    weights = sum(graph.tensor(name).bytes or 0 for name in read if name in graph.constants)
    return SegmentKernels(tuple(kernels), weights + sum(node.body_bytes for node in asked.nodes))


def _carried(graph: Graph, nodes: Sequence[Node], answers: Mapping[int, object]) -> dict[int, list[Node]]:
    """By the id of the last operator that a quantised unit computes: its QuantizeLinear and DequantizeLinears, where they cost nothing."""
    found = {}
    for unit in quantised_units(graph, nodes):
        around = [node for node in unit.members if node.kind in (INTO, OUT)]
        computed = [node for node in unit.members if node.kind not in (INTO, OUT)]
        if computed and around and all(_costs_nothing(answers[id(node)]) for node in around):
            found[id(computed[-1])] = around
    return found


def _costs_nothing(answer: object) -> bool:
    return isinstance(answer, Implementation) and not answer.launches and not answer.seconds and answer.compute_dtype not in FLOATS


def _kernel(
    graph: Graph,
    target: Target,
    device: Device,
    group: Sequence[Node],
    answers: Mapping[int, object],
    carried: Mapping[int, Sequence[Node]],
) -> Kernel:
    first, views = answers[id(group[0])], []
    for node in group:
        answer = answers[id(node)]
        seen = answer.view if isinstance(answer, Implementation) else None
        views.append(seen or graph.view(node))
    members = [*group, *(node for member in group for node in carried.get(id(member), ()))]
    dtype = first.compute_dtype if isinstance(first, Implementation) else device.peaks[0].dtype
    names = frozenset(node.name for node in members)
    writes = frozenset(name for node in members for name in node.writes)
    stated = 0.0 if all(map(runs_once, views)) else kernel_seconds(target, device, views, dtype)
    return Kernel(name=group[0].name, names=names, writes=writes, views=tuple(views), compute_dtype=dtype, stated=stated)
