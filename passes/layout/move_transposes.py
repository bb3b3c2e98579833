"""Moves Transposes through what can be computed in any order of axes, so that they meet and cancel: fewer are left, never more.

Transpose(f(Transpose(x; p), …); q)  ->  f'(x, …)      and whatever else a graph of such operators allows: choose.py says what is best
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import helper

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Allow, Decision, anywhere
from .choose import choose, orders
from .operators import undone
from .turn import Order, Turn, after, inverse, is_identity

NAME = "move_transposes"
SUMMARY = "Transpose(f(Transpose(x; p)); q) -> f'(x), over whole graphs of such f"
MOST_ORDERS, MOST_ROUNDS = 6, 4


def move_transposes(graph: Graph, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """Tries the orders that the graph's own Transposes have; nothing changes where none leaves fewer of them."""
    taken: list[Decision] = []
    for _ in range(MOST_ROUNDS):
        before = len(taken)
        for order in orders(graph, MOST_ORDERS):
            turns = choose(graph, order)
            if turns:
                taken += _Mover(graph, order, turns, allow).move()
        if len(taken) == before:
            break
    return tuple(taken)


class _Mover:
    """Writes the graph anew where operators are turned; what is turned keeps its old tensors too, as long as something reads them."""

    def __init__(self, graph: Graph, order: Order, turns: Mapping[int, Turn], allow: Allow) -> None:
        self.graph, self.order, self.turns, self.allow = graph, order, turns, allow
        self.new: dict[str, str] = {}
        """By tensor, its name in the new order."""

    def move(self) -> list[Decision]:
        taken, nodes = [], self.graph.nodes
        for node in nodes:
            change = self.turns.get(id(node))
            if change is not None and self.allow(NAME, node.outputs[0]):
                self._turn(node, change)
                contract = "reassociates" if change.sums else "exact"
                taken.append(Decision(NAME, node.name, node.outputs[0], True, SUMMARY, 0.0, contract))
            elif (given := undone(self.graph, node, self.order)) is not None and node.inputs[0] in self.new:
                self._merge(node, given)
        self.graph.sweep()
        return taken

    def _turn(self, node: Node, change: Turn) -> None:
        b = Builder.at(self.graph, node)
        inputs = [self._operand(b, node, change, index) for index in range(len(node.inputs))]
        names = [self.graph.fresh(name) for name in node.outputs]
        new = self.graph.node(node.operator, inputs, outputs=names, domain=node.domain, hint=node.outputs[0])
        new.attributes = {**node.attributes, **{key: helper.make_attribute(key, value) for key, value in change.attributes.items()}}
        b.nodes.append(new)
        outputs = {}
        for index, (old, name) in enumerate(zip(node.outputs, names, strict=True)):
            order = self.order if index in change.results else change.smaller_results[index]
            if index in change.results:
                self.new[old] = name
            outputs[old] = name if is_identity(order) else b.op("Transpose", name, perm=inverse(order))
        self.graph.replace(node, b.nodes, outputs)

    def _operand(self, b: Builder, node: Node, change: Turn, index: int) -> str:
        name = node.inputs[index]
        if index in change.operands:
            return self._in_order(b, name)
        if index in change.smaller_operands and not is_identity(change.smaller_operands[index]):
            return b.op("Transpose", name, perm=change.smaller_operands[index])
        if index in change.constants:
            return self.graph.constant(change.constants[index](), name)
        if index in change.stored:
            quantised = self.graph.producer(name)
            assert quantised is not None, "turn() has seen it"
            return b.like(quantised, self.graph.constant(change.stored[index](), name), *quantised.inputs[1:])
        return name

    def _in_order(self, b: Builder, name: str) -> str:
        """The tensor in the new order: as its writer gives it, or what its Transpose reads, or behind a new Transpose."""
        if name not in self.new:
            writer = self.graph.producer(name)
            given = None if writer is None else undone(self.graph, writer, self.order)
            if writer is None or given is None:
                self.new[name] = b.op("Transpose", name, perm=self.order)
            elif is_identity(left := after(given, self.order)):
                return writer.inputs[0]
            else:
                self.new[name] = b.op("Transpose", writer.inputs[0], perm=left)
        return self.new[name]

    def _merge(self, node: Node, given: Order) -> None:
        """A Transpose of a turned tensor reads it as it is now."""
        left, b = after(inverse(self.order), given), Builder.at(self.graph, node)
        x = self.new[node.inputs[0]]
        result = b.op("Identity", x) if is_identity(left) else b.op("Transpose", x, perm=left)
        self.graph.replace(node, b.nodes, {node.outputs[0]: result})
