"""What a segment holds while it runs: the tensors between its operators, each from its writer to its last reader.

A quantised unit (`quantised.py`) does not hold what the graph shows. Its weights are read as they are stored, from the memory that
holds them: the floats that DequantizeLinear makes of a constant are never in memory as a whole. A device that computes the unit in
integers holds no floats at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ....targets.dtypes import FLOATS
from ....targets.model import Device
from ...graph.graph import Graph
from ...graph.node import Node
from ..placed import Part
from ..quantised import OUT, QuantisedUnit, quantised_units
from .folded import folded_nodes


@dataclass(frozen=True, slots=True)
class HeldOtherwise:
    """Tensors inside quantised units that are held in another form than the graph has them."""

    sizes: dict[str, int] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    """A tensor that takes no bytes of its own: whose bytes it is."""


@dataclass(frozen=True, slots=True)
class Step:
    node: Node
    live: int
    """Bytes between the operators of the segment while it runs, its own results among them."""
    handled: int
    """Bytes of its operands and results, constants not counted."""


def internal_peak(graph: Graph, part: Part, nodes: Sequence[Node], border: set[str], device: Device) -> int:
    """Largest sum of bytes live at once inside the segment, in execution order. `border`: its inputs and outputs, which the arena holds."""
    folded = folded_nodes(graph, nodes, border) if device.runtime.adapter == "ort" else []
    run = [node for node in nodes if node not in folded]
    read, sizes = {name for node in run for name in node.reads}, {n: graph.tensor(n).bytes or 0 for node in folded for n in node.writes}
    kept = sum(size for name, size in sizes.items() if name in read)  # is held as weights are
    passing = max((size for name, size in sizes.items() if name not in read), default=0)  # before what follows from it is there
    return max((0, passing - kept, *(step.live for step in held_by_steps(graph, part, run, border, device))))


def held_by_steps(graph: Graph, part: Part, nodes: Sequence[Node], border: set[str], device: Device) -> Iterator[Step]:
    """Every operator in execution order, and what is held while it runs."""
    held = held_otherwise(graph, part, nodes, border, device)
    dying: dict[int, list[str]] = {}
    for name, k in _last_uses(nodes, held.same).items():
        dying.setdefault(k, []).append(name)
    live = 0
    inside: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in node.writes:
            if name not in border:
                inside[name] = held.sizes.get(name, graph.tensor(name).bytes or 0)
                live += inside[name]
        yield Step(node, live, sum(_handled(graph, held, name) for name in dict.fromkeys((*node.reads, *node.writes))))
        live -= sum(inside.get(name, 0) for name in dying.get(k, ()))


def _handled(graph: Graph, held: HeldOtherwise, name: str) -> int:
    tensor = graph.tensor(name)
    return 0 if tensor.const else held.sizes.get(name, tensor.bytes or 0)


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
