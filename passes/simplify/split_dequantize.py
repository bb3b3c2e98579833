"""Gives every reader of a dequantised tensor a DequantizeLinear of its own, so that a device can take it together with the reader.

Exact, and what runtimes with integer kernels do themselves: none of these nodes is run where the operator behind it is an integer kernel.

The same for what is computed from constants alone and was not folded when the model was loaded (the result is too large, or the CPU has
no kernel for it): it is never handed from one device to another, so it goes where its reader goes.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import RANDOM, Node
from ..rule.apply import name_stays
from ..rule.rewrite import Allow, Decision, anywhere

NAME = "split_dequantize"
SUMMARY = "f(y), g(y) with y = DequantizeLinear(q) -> f(DequantizeLinear(q)), g(DequantizeLinear(q))"
MOST = 256
"""Operators on constants that may be added to a graph: a ladder of them doubles with every step."""


def split_dequantize(graph: Graph, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """The first reader keeps the tensor, its name stays; a body that reads it, or the graph's output, too."""
    taken: list[Decision] = []
    constant, room = _constant(graph), MOST
    for node in reversed(graph.nodes):  # a reader's copies read its operands too
        name = node.outputs[0] if node.writes else ""
        if (node.kind != "DequantizeLinear" and id(node) not in constant) or graph.uses(name) < 2:
            continue
        bound = name_stays(graph, name)
        movable = [user for user in graph.users(name) if name not in user.captures]
        readers = movable if bound else movable[1:]
        room -= len(readers) if node.kind != "DequantizeLinear" else 0
        if readers and (room >= 0 or node.kind == "DequantizeLinear") and allow(NAME, name):
            _split(graph, node, name, readers)
            taken.append(Decision(NAME, node.name, name, True, SUMMARY, 0.0, "exact"))
    return tuple(reversed(taken))


def _constant(graph: Graph) -> frozenset[int]:
    """The nodes, by id(), with one result and no body, that compute the same on every run."""
    names: set[str] = set()
    found = []
    for node in graph.nodes:
        if node.reads and node.operator not in RANDOM and all(name in names or graph.tensor(name).const for name in node.reads):
            names.update(node.writes)
            found += [id(node)] if len(node.outputs) == 1 and not any(True for _ in node.bodies()) else []
    return frozenset(found)


def _split(graph: Graph, node: Node, name: str, readers: list[Node]) -> None:
    copies = [graph.node(node.operator, node.inputs, domain=node.domain, hint=name) for _ in range(len(readers) + 1)]
    for copy in copies:
        copy.attributes, copy.proto = dict(node.attributes), node.proto
    copies[0].name = node.name
    graph.replace(node, copies, {name: copies[0].outputs[0]})
    for reader, copy in zip(readers, copies[1:], strict=True):
        for index, read in enumerate(reader.inputs):
            if read == name:
                graph.set_input(reader, index, copy.outputs[0])
