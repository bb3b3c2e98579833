"""The kernels of a segment as the plan prices them, by the names that a runtime may report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....passes.graph.graph import Graph
from ....passes.place.device_kernels import DeviceKernel, device_kernels
from ....targets.cost import kernel_seconds, runs_once
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
    """Takes over `model`, whose nodes are in topological order and need no weights beyond a few elements."""
    graph = Graph(model)
    for number, node in enumerate(graph.nodes):
        node.name = node.name or f"{node.operator}_{number}"  # as onnxruntime calls one without a name
    nodes = tuple(graph.nodes)
    kernels = tuple(_named(kernel, target, device) for kernel in device_kernels(graph, nodes, target, device))
    read = {name for node in nodes for name in node.reads}
    weights = sum(graph.tensor(name).bytes or 0 for name in read if name in graph.constants)
    return SegmentKernels(kernels, weights + sum(node.body_bytes for node in nodes))


def _named(kernel: DeviceKernel, target: Target, device: Device) -> Kernel:
    free = all(map(runs_once, kernel.views))
    return Kernel(
        name=kernel.nodes[0].name,
        names=frozenset(node.name for node in kernel.members),
        writes=frozenset(name for node in kernel.members for name in node.writes),
        views=kernel.views,
        compute_dtype=kernel.compute_dtype,
        stated=0.0 if free else kernel_seconds(target, device, kernel.views, kernel.compute_dtype),
    )
