"""A bundle as a networkx graph: operators or segments, handoffs between devices, and the tensors that join them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ...targets.dtypes import BITS, DTYPE
from ..errors import BundleError, UsageError, first_line
from .manifest import Manifest
from .plan_records import SegmentRecord, ValueRecord

if TYPE_CHECKING:
    import networkx
    import onnx

    Graph: TypeAlias = networkx.DiGraph[str]

Level = Literal["operators", "segments"]
NOTHING: Mapping[str, float] = {}


def bundle_graph(folder: Path, manifest: Manifest, level: Level = "operators", seconds: Mapping[str, float] = NOTHING) -> Graph:
    """What `Bundle.graph` describes. seconds: of operators, by a tensor that each writes.

    Raises UsageError for another level, BundleError for a segment's file that cannot be read.
    """
    if level not in get_args(Level):
        raise UsageError(f"there is no level '{level}' of a bundle's graph", help=f"known: {', '.join(get_args(Level))}")
    return _Builder(folder, manifest, level, seconds).build()


class _Builder:
    """Adds what computes first, then the handoffs, then the edges: by then it is known where every tensor is."""

    def __init__(self, folder: Path, manifest: Manifest, level: Level, seconds: Mapping[str, float]) -> None:
        import networkx

        self.manifest, self.level, self.seconds = manifest, level, seconds
        self.models = {segment.index: _read(folder / segment.file) for segment in manifest.segments}
        self.graph: Graph = networkx.DiGraph()
        self.origin: dict[str, str] = {}
        """The node that makes a tensor."""
        self.there: dict[tuple[str, str], str] = {}
        """The node that makes a tensor available on a device."""
        self.reads: list[tuple[str, str, str]] = []
        """(tensor, the device that reads it, the node that reads it)."""
        self.sizes: dict[str, int | None] = {}

    def build(self) -> Graph:
        model, host = self.manifest.model, _host(self.manifest)
        for value in model.inputs:
            self._makes(self._value("input", value), value.name, host)
        for segment in self.manifest.segments:
            self.sizes.update(_tensor_bytes(self.models[segment.index]))
            (self._operators if self.level == "operators" else self._segment)(segment)
        self._handoffs()
        for value in model.outputs:
            self.reads.append((value.name, host, self._value("output", value)))
        for tensor, device, node in self.reads:
            self._edge(self.there.get((tensor, device)) or self.origin.get(tensor), node, tensor)
        total = sum(s.predicted_seconds for s in self.manifest.segments) + sum(h.seconds for h in self.manifest.handoffs)
        segments = {segment.index: self._facts(segment) for segment in self.manifest.segments}
        self.graph.graph.update(target=self.manifest.target.name, level=self.level, seconds=total, segments=segments)
        return self.graph

    def _value(self, kind: str, value: ValueRecord) -> str:
        node = f"{kind} {value.name}"
        self.graph.add_node(node, kind=kind, tensor=value.name, dtype=value.dtype, shape=value.shape, seconds=0.0)
        self.sizes.setdefault(value.name, _bytes(value.dtype, value.shape))
        return node

    def _makes(self, node: str, tensor: str, device: str) -> None:
        self.origin.setdefault(tensor, node)
        self.there[tensor, device] = node

    def _segment(self, segment: SegmentRecord) -> None:
        node = f"segment {segment.index}"
        self.graph.add_node(node, kind="segment", index=segment.index, **self._facts(segment))
        for port in segment.inputs:
            self.reads.append((port.tensor, segment.device, node))
        for port in segment.outputs:
            self._makes(node, port.tensor, segment.device)

    def _facts(self, segment: SegmentRecord) -> dict[str, Any]:
        return {
            "device": segment.device,
            "runtime": segment.runtime.adapter,
            "dtype": segment.compute_dtype,
            "operators": len(self.models[segment.index].node),
            "kernels": len(segment.kernels),
            "bytes": segment.peak_internal_bytes,
            "joules": segment.predicted_joules,
            "seconds": segment.predicted_seconds,
        }

    def _operators(self, segment: SegmentRecord) -> None:
        model = self.models[segment.index]
        constants = {tensor.name for tensor in model.initializer}
        made: dict[str, str] = {}
        for operator in model.node:
            node = self._operator(segment, operator)
            for tensor in dict.fromkeys(_reads(operator)):
                if tensor in made:
                    self._edge(made[tensor], node, tensor)
                elif tensor not in constants:
                    self.reads.append((tensor, segment.device, node))
            made.update(dict.fromkeys(operator.output, node))
        for port in segment.outputs:
            self._makes(made[port.tensor], port.tensor, segment.device)

    def _operator(self, segment: SegmentRecord, operator: onnx.NodeProto) -> str:
        name = operator.name or operator.output[0]
        node = f"{segment.index}/{name}"
        if node in self.graph:  # a name that two operators share: outputs are unique
            node = f"{segment.index}/{operator.output[0]}"
        known = [self.seconds[tensor] for tensor in operator.output if tensor in self.seconds]
        kernel = next((number for number, group in enumerate(segment.kernels) if name in group), None)
        where = {"segment": segment.index, "device": segment.device, "dtype": segment.compute_dtype, "kernel": kernel}
        what = {"name": name, "operator": operator.op_type, "domain": operator.domain}
        self.graph.add_node(node, kind="operator", **what, **where, seconds=sum(known) if known else None)
        return node

    def _handoffs(self) -> None:
        for number, handoff in enumerate(self.manifest.handoffs):
            node = f"handoff {number}"
            ends = {"tensor": handoff.tensor, "producer": handoff.producer, "consumer": handoff.consumer}
            how = {"mode": handoff.mode, "via": handoff.mechanism, "bytes": handoff.bytes, "seconds": handoff.seconds}
            self.graph.add_node(node, kind="handoff", **ends, **how)
            self.reads.append((handoff.tensor, handoff.producer, node))
            self.there[handoff.tensor, handoff.consumer] = node

    def _edge(self, source: str | None, node: str, tensor: str) -> None:
        if source is None:
            return
        size = self.sizes.get(tensor)
        if self.graph.has_edge(source, node):
            edge = self.graph.edges[source, node]
            both = None if size is None or edge["bytes"] is None else edge["bytes"] + size
            edge.update(tensors=(*edge["tensors"], tensor), bytes=both)
        else:
            self.graph.add_edge(source, node, tensors=(tensor,), bytes=size)


def _read(file: Path) -> onnx.GraphProto:
    import onnx

    try:
        return onnx.load_model(str(file), load_external_data=False).graph
    except Exception as problem:  # protobuf's own error types differ between its back ends
        message = f"cannot read a segment's model: {first_line(problem)}"
        raise BundleError(message, where=str(file), help="compile the model again") from None


def _host(manifest: Manifest) -> str:
    """The device that holds the model's inputs and reads its outputs; "" where no tensor of the bundle says which."""
    slots = [value.slot for value in manifest.model.inputs if value.slot is not None]
    if slots:
        return manifest.arena.slots[slots[0]].device
    inputs = {value.name for value in manifest.model.inputs}
    outputs = {value.name for value in manifest.model.outputs}
    found = [h.producer for h in manifest.handoffs if h.tensor in inputs] + [h.consumer for h in manifest.handoffs if h.tensor in outputs]
    return found[0] if found else ""


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node reads, its bodies included; names that a body makes itself are no tensors of the graph around it."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            own = {value.name for value in (*body.input, *body.initializer)} | {name for inner in body.node for name in inner.output}
            inside = [name for inner in body.node for name in _reads(inner)]
            yield from (name for name in (*inside, *(value.name for value in body.output)) if name not in own)


def _tensor_bytes(graph: onnx.GraphProto) -> dict[str, int | None]:
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
        known = tuple(dim for dim in dims if dim is not None)
        shape = known if tensor.HasField("shape") and len(known) == len(dims) else None
        found[value.name] = _bytes(DTYPE.get(tensor.elem_type, ""), shape)
    return found


def _bytes(dtype: str, shape: tuple[int, ...] | None) -> int | None:
    return None if shape is None or dtype not in BITS else (math.prod(shape) * BITS[dtype] + 7) // 8
