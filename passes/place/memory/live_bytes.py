"""What must lie in memory while a unit runs, in whatever order the units are executed: a lower bound on the real need.

A unit's own operators need what one of them reads and writes at once (an operator that may write over what it reads needs the larger of
both). Beside that, a tensor is there if its writer is before the unit on some path and a reader behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....targets.cost import FREE
from ...graph.graph import Graph
from ...graph.node import Node
from ...solve.problem import Net

APART = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "MaxPool", "AveragePool", "ConvInteger", "MatMulInteger"})
"""Operators that cannot write over what they read."""
MOST_UNITS = 400
"""Beyond which tensors that only pass by are not counted: the work is units times tensors."""
_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True)
class Live:
    touched: int
    passing: int


def live_bytes(graph: Graph, nodes: Sequence[Node], units: Sequence[Sequence[int]], nets: Sequence[Net], constant: set[str]) -> list[Live]:
    """Per unit. `constant`: tensors computed from constants alone, which count as weights."""
    passing = [0] * len(units)
    counted: list[set[str]] = [set(constant) for _ in units]
    if len(units) <= MOST_UNITS:
        _count_passing(graph, nets, passing, counted, constant)
    return [Live(_touched(graph, [nodes[k] for k in unit], counted[u]), passing[u]) for u, unit in enumerate(units)]


def _touched(graph: Graph, nodes: Sequence[Node], left_out: set[str]) -> int:
    if any(node.operator in _QUANTISED for node in nodes):
        return 0  # a device of integers holds none of the floats that the graph shows
    sizes: dict[str, int] = {}
    most = 0
    for node in nodes:  # without calls where there need be none: graphs are long
        if node.operator in FREE and not node.domain:
            continue
        reads, writes = set(node.reads), set(node.writes)
        for name in (reads | writes) - sizes.keys():
            tensor = graph.tensor(name)
            sizes[name] = 0 if name in left_out or tensor.const else tensor.bytes or 0
        read, written = sum([sizes[name] for name in reads]), sum([sizes[name] for name in writes])
        most = max(most, read + written if node.operator in APART and not node.domain else max(read, written))
    return most


def _order(nets: Sequence[Net], count: int) -> tuple[list[int], list[int]]:
    """Sets of units, as bits, from which each unit is reached, and that it reaches; both with itself."""
    before, behind = [1 << k for k in range(count)], [1 << k for k in range(count)]
    edges = sorted({(net.producer, c) for net in nets if net.producer >= 0 for c in net.consumers}, key=lambda edge: edge[1])
    for a, b in edges:
        before[b] |= before[a]
    for a, b in sorted(edges, key=lambda edge: -edge[0]):
        behind[a] |= behind[b]
    return before, behind


def _count_passing(graph: Graph, nets: Sequence[Net], passing: list[int], counted: Sequence[set[str]], constant: set[str]) -> None:
    """Tensors that are there before a unit and still wanted behind it; those the unit reads are not to be counted again."""
    before, behind = _order(nets, len(passing))
    for net in nets:
        size = 0 if net.tensor in constant or net.producer < 0 else graph.tensor(net.tensor).bytes or 0
        if not size:
            continue
        readers = sum(1 << c for c in net.consumers)
        for u in range(net.producer + 1, len(passing)):
            if before[u] >> net.producer & 1 and (net.to_host or behind[u] & readers & ~(1 << u)):
                passing[u] += size
                if readers >> u & 1:
                    counted[u].add(net.tensor)
