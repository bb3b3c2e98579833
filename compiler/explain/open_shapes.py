"""Where a size that is not known comes from: the first operator whose result has one, though all that it reads has its sizes."""

from __future__ import annotations

from collections import deque

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node

UNKNOWN = " is not known"
"""How a device says that it misses a shape (targets/support.py)."""


def with_origin(reason: str, graph: Graph, node: Node) -> str:
    """The reason of a device that needs static shapes, with the operator on whose values a size of the node depends; any other as it is."""
    found = _origin(graph, node) if UNKNOWN in reason else None
    if found is None:
        return reason
    said = f"how large it is depends on values in {found.kind} `{found.name or found.writes[0]}`"
    return reason.replace(UNKNOWN, f"{UNKNOWN}: {said}", 1)


def _origin(graph: Graph, node: Node) -> Node | None:
    """None where an input of the model has no size itself."""
    pending, seen = deque([node]), {id(node)}
    while pending:
        one = pending.popleft()
        before = [name for name in one.reads if _open(graph, name)]
        if not before and any(_open(graph, name) for name in one.writes):
            return one
        for producer in filter(None, map(graph.producer, before)):
            if id(producer) not in seen:
                seen.add(id(producer))
                pending.append(producer)
    return None


def _open(graph: Graph, name: str) -> bool:
    shape = graph.tensor(name).shape
    return shape is None or None in shape
