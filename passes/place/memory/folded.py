"""Operators that onnxruntime computes when it loads a segment, since they depend on constants alone: a weight that is widened from int8,
say. What they compute is held as long as the session, and nothing of it is computed in a run.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...graph.graph import Graph
from ...graph.node import Node

KEPT = frozenset({"DequantizeLinear", "QuantizeLinear"})
"""Left for the kernels that read them (onnxruntime 1.32)."""


def folded_nodes(graph: Graph, nodes: Sequence[Node], outputs: set[str]) -> list[Node]:
    """Those of a segment, in execution order. outputs: of the segment, which stay results of operators."""
    made: set[str] = set()
    found = []
    for node in nodes:
        constant = all(name in made or graph.tensor(name).const for name in node.reads)
        if node.reads and constant and node.operator not in KEPT and not node.body_bytes and outputs.isdisjoint(node.writes):
            made.update(node.writes)
            found.append(node)
    return found
