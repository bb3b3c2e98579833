"""A bundle as a networkx graph: operators or segments, handoffs between devices, and the tensors that join them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ..errors import UsageError
from .manifest import Manifest
from .plan_records import SegmentRecord, ValueRecord

if TYPE_CHECKING:
    import networkx

    Graph: TypeAlias = networkx.DiGraph[str]

Level = Literal["operators", "segments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of a segment."""

    name: str
    kind: str
    domain: str
    reads: tuple[str, ...]
    """Tensors, those that its bodies read included; constants need not be left out."""
    writes: tuple[str, ...]
    facts: Mapping[str, Any]
    """Further attributes of its node in the graph."""


Contents = Mapping[int, Sequence[Operator]]
"""The operators of every segment, in topological order, by its index."""
Sizes = Mapping[str, int | None]
"""Bytes of tensors without padding, by name; None where the shape is known only at run time."""


def bundle_graph(manifest: Manifest, contents: Contents, sizes: Sizes, level: Level = "operators") -> Graph:
    """What `Bundle.graph` describes. Raises UsageError for another level."""
    if level not in get_args(Level):
        raise UsageError(f"a bundle's graph has no level '{level}'", help=f"known: {', '.join(get_args(Level))}")
    return _Builder(manifest, contents, sizes, level).build()


class _Builder:
    """Adds what computes first, then the handoffs, then the edges: by then it is known where every tensor is."""

    def __init__(self, manifest: Manifest, contents: Contents, sizes: Sizes, level: Level) -> None:
        import networkx

        self.manifest, self.sizes, self.level = manifest, sizes, level
        left_out = _made_by_ranges(manifest)
        self.contents = {index: [one for one in found if not left_out.issuperset(one.writes)] for index, found in contents.items()}
        self.graph: Graph = networkx.DiGraph()
        self.origin: dict[str, str] = {}
        """The node that makes a tensor."""
        self.there: dict[tuple[str, str], str] = {}
        """The node that makes a tensor available on a device."""
        self.reads: list[tuple[str, str, str]] = []
        """(tensor, the device that reads it, the node that reads it)."""

    def build(self) -> Graph:
        model, host = self.manifest.model, _host(self.manifest)
        for value in model.inputs:
            self._makes(self._value("input", value), value.name, host)
        for segment in self.manifest.segments:
            (self._operators if self.level == "operators" else self._segment)(segment)
        self._ranges()
        self._handoffs()
        for value in model.outputs:
            self.reads.append((value.name, host, self._value("output", value)))
        for tensor, device, node in self.reads:
            self._edge(self.there.get((tensor, device)) or self.origin.get(tensor), node, tensor)
        total = self.manifest.predicted_seconds
        segments = {segment.index: self._facts(segment) for segment in self.manifest.segments}
        self.graph.graph.update(target=self.manifest.target.name, level=self.level, seconds=total, segments=segments)
        return self.graph

    def _value(self, kind: str, value: ValueRecord) -> str:
        node = f"{kind} {value.name}"
        self.graph.add_node(node, kind=kind, tensor=value.name, dtype=value.dtype, shape=value.shape, seconds=0.0)
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
            "operators": len(self.contents[segment.index]),
            "kernels": len(segment.kernels),
            "bytes": segment.peak_internal_bytes,
            "joules": segment.predicted_joules,
            "seconds": segment.predicted_seconds,
        }

    def _operators(self, segment: SegmentRecord) -> None:
        made: dict[str, str] = {}
        for operator in self.contents[segment.index]:
            node = self._operator(segment, operator)
            for tensor in dict.fromkeys(operator.reads):
                if tensor in made:
                    self._edge(made[tensor], node, tensor)
                else:
                    self.reads.append((tensor, segment.device, node))
            made.update(dict.fromkeys(operator.writes, node))
        last = next(reversed(made.values()), "")
        for port in segment.outputs:  # a tensor that a rewrite made is known by no operator of before
            self._makes(made.get(port.tensor, last), port.tensor, segment.device)

    def _operator(self, segment: SegmentRecord, operator: Operator) -> str:
        node = f"{segment.index}/{operator.name}"
        if node in self.graph:  # a name that two operators share: the tensors they write are unique
            node = f"{segment.index}/{operator.writes[0]}"
        what = {"name": operator.name, "operator": operator.kind, "domain": operator.domain}
        where = {"segment": segment.index, "device": segment.device, "dtype": segment.compute_dtype}
        self.graph.add_node(node, kind="operator", **what, **where, **operator.facts)
        return node

    def _ranges(self) -> None:
        """Operators that no segment has, because tensors lie inside of others."""
        slots = self.manifest.arena.slots
        for slot in slots:
            if slot.inside is None:
                continue
            whole = slots[slot.inside.slot]
            node = f"range {slot.inside.operator} of {whole.tensor}"
            source, result = (slot, whole) if slot.inside.kind == "part" else (whole, slot)
            self.graph.add_node(node, kind="range", operator=slot.inside.operator, device=result.device, bytes=0, seconds=0.0)
            if (source.tensor, result.device, node) not in self.reads:
                self.reads.append((source.tensor, result.device, node))
            self._makes(node, result.tensor, result.device)

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


def _made_by_ranges(manifest: Manifest) -> frozenset[str]:
    """Tensors that no segment makes, because they are ranges of others or made of them."""
    slots = manifest.arena.slots
    ranges = [(slot, slot.inside) for slot in slots if slot.inside is not None]
    return frozenset(slot.tensor if inside.kind == "view" else slots[inside.slot].tensor for slot, inside in ranges)


def _host(manifest: Manifest) -> str:
    """The device that holds the model's inputs and reads its outputs; "" where no tensor of the bundle tells."""
    slots = [value.slot for value in manifest.model.inputs if value.slot is not None]
    if slots:
        return manifest.arena.slots[slots[0]].device
    inputs = {value.name for value in manifest.model.inputs}
    outputs = {value.name for value in manifest.model.outputs}
    found = [h.producer for h in manifest.handoffs if h.tensor in inputs] + [h.consumer for h in manifest.handoffs if h.tensor in outputs]
    return found[0] if found else ""
