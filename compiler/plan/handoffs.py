"""From the cut segments to what planning and emission need: tensors at borders, and how each gets from device to device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...passes.graph.graph import Graph
from ...passes.place.cut_segments import Cut
from ...targets.cost import Hop, home_memory, route
from ...targets.model import Target
from ..bundle.tensor_spec import TensorSpec
from .segments import Compiled, Handoff, Mode, Segment


def assemble(graph: Graph, target: Target, cuts: Sequence[Cut]) -> Compiled:
    """The compiled model: segments with predictions, border tensors, handoffs (one per tensor and destination device)."""
    host = target.host.name
    names = dict.fromkeys([*graph.inputs, *(name for c in cuts for name in (*c.inputs, *c.outputs)), *graph.outputs])
    memory = home_memory(target, host)
    used = {host, *(c.part.device for c in cuts)}
    return Compiled(
        segments=tuple(_segment(target, k, c) for k, c in enumerate(cuts)),
        tensors={name: _spec(graph, name) for name in names},
        handoffs=tuple(_handoffs(graph, target, cuts)),
        graph_inputs=tuple(graph.inputs),
        graph_outputs=tuple(graph.outputs),
        host=host,
        runtimes={device.name: device.runtime for device in target.devices if device.name in used},
        page=memory.page,
    )


def _segment(target: Target, k: int, cut: Cut) -> Segment:
    power = target.device(cut.part.device).active_power
    return Segment(
        index=k,
        device=cut.part.device,
        model=cut.model,
        inputs=cut.inputs,
        outputs=cut.outputs,
        compute_dtype=cut.part.dtypes[0] if cut.part.dtypes else "",
        kernels=cut.kernels,
        predicted_seconds=cut.part.seconds,
        predicted_joules=None if power is None else power * cut.part.seconds,
        peak_internal_bytes=cut.internal_peak,
    )


def _spec(graph: Graph, name: str) -> TensorSpec:
    view = graph.tensor(name)
    known = view.shape is not None and all(dim is not None for dim in view.shape)
    return TensorSpec(name, view.dtype, tuple(dim or 0 for dim in view.shape or ()) if known else None)


def _handoffs(graph: Graph, target: Target, cuts: Sequence[Cut]) -> Iterable[Handoff]:
    host = target.host.name
    holder = dict.fromkeys(graph.inputs, host) | {name: c.part.device for c in cuts for name in c.outputs}
    readers: dict[str, dict[str, None]] = {name: {} for name in holder}
    for c in cuts:
        for name in c.inputs:
            readers[name][c.part.device] = None
    for name in graph.outputs:
        readers.setdefault(name, {})[host] = None
    for name, devices in readers.items():
        seen: set[str] = set()
        for device in devices:
            for hop in route(target, holder[name], device, graph.tensor(name)) or ():
                if hop.consumer not in seen:
                    seen.add(hop.consumer)
                    yield _handoff(name, hop, graph.tensor(name).dtype)


def _handoff(tensor: str, hop: Hop, dtype: str) -> Handoff:
    link = hop.link
    mode: Mode = "zero_copy" if hop.mode == "zero_copy" else "convert" if hop.mode == "convert" else "copy"
    return Handoff(
        tensor=tensor,
        producer=hop.producer,
        consumer=hop.consumer,
        mode=mode,
        via=link.via or "host",
        align=link.align,
        row_align=link.row_align,
        length_multiple=link.length_multiple,
        bytes=hop.bytes,
        seconds=hop.seconds,
        origin=str(link.zero_copy_origin or link.origin),
        fallback="copy" if link.copy_bandwidth is not None else "refuse",
        device_dtype=hop.device_dtype if mode == "convert" else dtype,
        query_at_runtime=("page_size",) if max(link.align, link.length_multiple) >= 4096 else (),
    )
