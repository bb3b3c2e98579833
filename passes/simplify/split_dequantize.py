"""Gives every reader of a dequantised tensor a DequantizeLinear of its own, so that a device can take it together with the reader.

Exact, and what runtimes with integer kernels do themselves: none of these nodes is run where the operator behind it is an integer kernel.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.apply import name_stays
from ..rule.rewrite import Allow, Decision, anywhere

NAME = "split_dequantize"
SUMMARY = "f(y), g(y) with y = DequantizeLinear(q) -> f(DequantizeLinear(q)), g(DequantizeLinear(q))"


def split_dequantize(graph: Graph, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """The first reader keeps the tensor, its name stays; a body that reads it, or the graph's output, too."""
    taken: list[Decision] = []
    for node in graph.nodes:
        name = node.outputs[0] if node.writes else ""
        if node.kind != "DequantizeLinear" or graph.uses(name) < 2:
            continue
        bound = name_stays(graph, name)
        movable = [user for user in graph.users(name) if name not in user.captures]
        readers = movable if bound else movable[1:]
        if readers and allow(NAME, name):
            _split(graph, node, name, readers)
            taken.append(Decision(NAME, node.name, name, True, SUMMARY, 0.0, "exact"))
    return tuple(taken)


def _split(graph: Graph, node: Node, name: str, readers: list[Node]) -> None:
    copies = [graph.node(node.operator, node.inputs, hint=name) for _ in range(len(readers) + 1)]
    for copy in copies:
        copy.attributes, copy.proto = dict(node.attributes), node.proto
    copies[0].name = node.name
    graph.replace(node, copies, {name: copies[0].outputs[0]})
    for reader, copy in zip(readers, copies[1:], strict=True):
        for index, read in enumerate(reader.inputs):
            if read == name:
                graph.set_input(reader, index, copy.outputs[0])
