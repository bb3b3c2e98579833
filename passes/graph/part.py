"""A part of a graph as a graph of its own."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from .graph import Graph
from .node import Node
from .versions import attributes_at, newest_among


def part_of(graph: Graph, nodes: Sequence[Node], header: onnx.ModelProto) -> Graph:
    """A graph of copies of `nodes`, written at the opset of `header`, which has its inputs, outputs and functions and no node yet.
    It shares attributes and constants with `graph`, which nothing edits in place; new names are new in the part only."""
    part = Graph(header)
    part.newest = newest_among(nodes, part.opset, graph.version)
    names = dict.fromkeys(name for node in nodes for name in (*node.reads, *node.writes))
    part.reserve(name for name in names if name in graph.constants)
    for name in names:
        part.tensors.capture(name, graph.tensors)
    for node in nodes:
        twin = node.copy()
        if part.opset < graph.version(node):
            twin.attributes = attributes_at(node, part.opset)
        part.add(twin)
    return part
