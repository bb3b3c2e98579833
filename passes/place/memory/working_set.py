"""What a segment holds while it runs: the tensors between its operators, each from its writer to its last reader.

A quantised unit (`quantised.py`) does not hold what the graph shows. Its weights are read as they are stored, from the memory that
holds them: the floats that DequantizeLinear makes of a constant are never in memory as a whole. A device that computes the unit in
integers holds no floats at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ....targets.dtypes import FLOATS
from ....targets.model import Device
from ...graph.graph import Graph
from ...graph.node import Node
from ..placed import Part
from ..quantised import OUT, QuantisedUnit, quantised_units


@dataclass(frozen=True, slots=True)
class HeldOtherwise:
    """Tensors inside quantised units that are held in another form than the graph has them."""

    sizes: dict[str, int] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    """A tensor that takes no bytes of its own: whose bytes it is."""


def internal_peak(graph: Graph, part: Part, nodes: Sequence[Node], border: set[str], device: Device) -> int:
    """Largest sum of bytes live at once inside the segment, in execution order. `border`: its inputs and outputs, which the arena holds."""
    held = held_otherwise(graph, part, nodes, border, device)
    dying: dict[int, list[str]] = {}
    for name, k in _last_uses(nodes, held.same).items():
        dying.setdefault(k, []).append(name)
    live = peak = 0
    inside: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in node.writes:
            if name not in border:
                inside[name] = held.sizes.get(name, graph.tensor(name).bytes or 0)
                live += inside[name]
        peak = max(peak, live)
        live -= sum(inside.get(name, 0) for name in dying.get(k, ()))
    return peak


def _last_uses(nodes: Sequence[Node], same: Mapping[str, str]) -> dict[str, int]:
    """The number of the last node that needs a tensor's bytes."""
    last: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in (*node.reads, *node.writes):
            last[name] = k
    for node in reversed(nodes):
        for name in node.writes:
            if name in same:
                last[same[name]] = max(last[same[name]], last[name])
    return last


def held_otherwise(graph: Graph, part: Part, nodes: Sequence[Node], border: set[str], device: Device) -> HeldOtherwise:
    found = HeldOtherwise()
    for unit in quantised_units(graph, nodes):
        root = unit.members[-1]
        if unit.whole and root.writes[0] in part.in_integers:
            _as_integers(graph, unit, border, found)
        elif unit.whole or device.runtime.adapter != "ort":  # onnxruntime does not join every DequantizeLinear to what reads it
            found.sizes.update(dict.fromkeys(_weights(graph, unit), 0))
    return found


def _weights(graph: Graph, unit: QuantisedUnit) -> set[str]:
    """What members compute from constants alone: a dequantised weight, also transposed or reshaped before its operator reads it."""
    found: set[str] = set()
    for node in unit.members:
        if all(name in found or graph.tensor(name).const for name in node.reads):
            found.update(node.writes)
    return found


def _as_integers(graph: Graph, unit: QuantisedUnit, border: set[str], found: HeldOtherwise) -> None:
    """DequantizeLinear is another reading of the same bytes, and the last operator writes what QuantizeLinear gives."""
    *inner, root = unit.members
    result = graph.tensor(root.writes[0])
    for name in (name for node in inner for name in node.writes):
        tensor = graph.tensor(name)
        found.sizes[name] = (replace(tensor, dtype=result.dtype) if tensor.dtype in FLOATS else tensor).bytes or 0
    for node in unit.members:
        if node.kind == OUT:
            found.sizes[node.writes[0]] = 0
            found.same[node.writes[0]] = node.inputs[0]
    found.sizes.update(dict.fromkeys(_weights(graph, unit), 0))
    if result.name in border:
        found.sizes[root.inputs[0]] = 0
    else:
        found.sizes[result.name] = 0
        found.same[result.name] = root.inputs[0]
