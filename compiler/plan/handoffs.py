"""From the cut segments to what planning and emission need: tensors at borders, and how each gets from device to device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...passes.graph.graph import Graph
from ...passes.place.segment import Segment
from ...targets.cost import home_memory
from ...targets.forms import is_host
from ...targets.model import Target
from ...targets.operator_view import TensorView
from ...targets.route import route, row_align
from ..bundle.plan_records import HandoffRecord
from .segments import Compiled

PAGE = 4096
"""The smallest page: what is aligned to one or more depends on the page size of the device."""


def assemble(graph: Graph, target: Target, segments: Sequence[Segment]) -> Compiled:
    """The compiled model: segments, border tensors, handoffs (one per tensor and destination device)."""
    host = target.host.name
    names = dict.fromkeys([*graph.inputs, *(name for s in segments for name in (*s.inputs, *s.outputs)), *graph.outputs])
    used = [device for device in target.devices if device.name in {host, *(s.device for s in segments)}]
    return Compiled(
        segments=tuple(segments),
        tensors={name: _known(graph.tensor(name)) for name in names},
        handoffs=tuple(_handoffs(graph, target, segments)),
        graph_inputs=tuple(graph.inputs),
        graph_outputs=tuple(graph.outputs),
        host=host,
        runtimes={device.name: device.runtime for device in used},
        power={device.name: watts for device in used if (watts := device.computing_power) is not None},
        page=home_memory(target, host).page,
        layouts={device.name: device.layout for device in used if not is_host(target, device.name)},
    )


def _known(tensor: TensorView) -> TensorView:
    return tensor if tensor.elements is not None else replace(tensor, shape=None)


def _handoffs(graph: Graph, target: Target, segments: Sequence[Segment]) -> Iterable[HandoffRecord]:
    host = target.host.name
    holder = dict.fromkeys(graph.inputs, host) | {name: s.device for s in segments for name in s.outputs}
    readers: dict[str, dict[str, None]] = {name: {} for name in holder}
    for segment in segments:
        for name in segment.inputs:
            readers[name][segment.device] = None
    for name in graph.outputs:
        readers.setdefault(name, {})[host] = None
    for name, devices in readers.items():
        seen: set[str] = set()
        for device in devices:
            for handoff in _way(target, graph.tensor(name), holder[name], device):
                if handoff.consumer not in seen:
                    seen.add(handoff.consumer)
                    yield handoff


def _way(target: Target, tensor: TensorView, producer: str, consumer: str) -> Iterable[HandoffRecord]:
    """The handoffs from one device to another, one for each link on the way."""
    for hop in route(target, producer, consumer, tensor) or ():
        link = hop.link
        yield HandoffRecord(
            tensor=tensor.name,
            producer=hop.producer,
            consumer=hop.consumer,
            mode=hop.mode,
            mechanism=link.via or "host",
            align=link.align,
            row_align=row_align(target, link),
            length_multiple=link.length_multiple,
            bytes=hop.bytes,
            seconds=float(hop.seconds),
            origin=str(link.zero_copy_origin or link.origin),
            fallback="copy" if link.copy_bandwidth is not None else "refuse",
            fallback_seconds=None if link.copy_bandwidth is None else link.handoff + (tensor.bytes or 0) / link.copy_bandwidth,
            device_dtype=hop.device_dtype,
            query_at_runtime=("page_size",) if max(link.align, link.length_multiple) >= PAGE else (),
        )
