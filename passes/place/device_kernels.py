"""What a device runs of a graph as it stands, kernel by kernel, and what each is predicted to take.

One reading for all that price or measure what is emitted: the plan, `calibrate`, the benchmark's judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...targets.calibrated_cost import Beyond, kernel_time, runs_once
from ...targets.cost import weights_read
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView
from ..graph.graph import Graph
from ..graph.node import Node
from .candidates import Answer, Implementation
from .kernels import group_kernels, reader_in
from .place_operators import ask
from .quantised import INTO, OUT, quantised_units


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKernel:
    """What a device launches at once."""

    nodes: tuple[Node, ...]
    carried: tuple[Node, ...]
    """QuantizeLinear and DequantizeLinear around them that cost nothing where the device computes in integers."""
    views: tuple[OperatorView, ...]
    """Of `nodes`, as the device sees them."""
    compute_dtype: str

    @property
    def members(self) -> tuple[Node, ...]:
        return (*self.nodes, *self.carried)


@dataclass(frozen=True, slots=True)
class PricedKernel:
    kernel: DeviceKernel
    seconds: float
    """Predicted, launch included."""
    outside: Beyond | None
    """Why no measurement supports that; None where one does, and where the device was not measured."""


def device_kernels(graph: Graph, nodes: Sequence[Node], target: Target, device: Device) -> tuple[DeviceKernel, ...]:
    """Of those `nodes` of the graph (in topological order), in that order: groups that the device launches at once, quantised units in
    integers. An operator that the device's table refuses (in a segment made for another target) is seen as it stands."""
    asked = ask(graph, replace(target, devices=(device,)), (), {})
    answers = {id(node): row[0] for node, row in zip(asked.nodes, asked.answers, strict=True)}
    carried = _carried(graph, nodes, answers)
    free = {id(node) for around in carried.values() for node in around}
    usual = _usual_dtype(device, list(answers.values()))
    found = []
    for group in group_kernels([node for node in nodes if id(node) not in free], device.kernels, reader_in(graph, device)):
        first = answers[id(group[0])]
        kernel = DeviceKernel(
            nodes=group,
            carried=tuple(node for member in group for node in carried.get(id(member), ())),
            views=tuple(_seen(answers[id(node)]) or asked.view(node) for node in group),
            compute_dtype=first.compute_dtype if isinstance(first, Implementation) else usual,
        )
        found.append(kernel)
    return tuple(found)


def weights_of_kernels(kernels: Sequence[DeviceKernel]) -> float:
    """Bytes of constants that a run of them reads, each tensor once: what `priced` is to know of a whole model."""
    return weights_read(view for kernel in kernels for view in kernel.views)


def priced(kernels: Sequence[DeviceKernel], target: Target, device: Device, weights: float) -> tuple[PricedKernel, ...]:
    """Each with its predicted time. `weights`: `weights_of_kernels` of all that a run of the model consists of."""
    found = []
    for kernel in kernels:
        time = kernel_time(target, device, kernel.views, kernel.compute_dtype, weights)
        launch = 0.0 if all(map(runs_once, kernel.views)) else device.kernel_launch
        found.append(PricedKernel(kernel, time.seconds + launch, time.outside))
    return tuple(found)


def _carried(graph: Graph, nodes: Sequence[Node], answers: Mapping[int, Answer]) -> dict[int, list[Node]]:
    """By the id of the last operator that a quantised unit computes: its QuantizeLinear and DequantizeLinears, where they cost nothing."""
    found = {}
    for unit in quantised_units(graph, nodes):
        around = [node for node in unit.members if node.kind in (INTO, OUT) and _is_carried(answers[id(node)])]
        computed = [node for node in unit.members if node.kind not in (INTO, OUT)]
        if computed and around:
            found[id(computed[-1])] = around
    return found


def _is_carried(answer: Answer) -> bool:
    return isinstance(answer, Implementation) and answer.carried


def _seen(answer: Answer) -> OperatorView | None:
    return answer.view if isinstance(answer, Implementation) else None


def _usual_dtype(device: Device, answers: Sequence[Answer]) -> str:
    """What most operators are computed in, for one that the device's table refuses."""
    found = [answer.compute_dtype for answer in answers if isinstance(answer, Implementation) and answer.compute_dtype]
    return max(dict.fromkeys(found), key=found.count, default=device.peaks[0].dtype)
