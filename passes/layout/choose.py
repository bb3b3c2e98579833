"""Which operators are to be computed in another order of axes, so that the fewest Transposes are left: a minimum cut.

Every operator that can be turned (operators.py) is on one of two sides: as it is, or turned. A tensor costs one Transpose if its writer
and one of its readers are on different sides, once. A Transpose in the graph costs nothing where what reads it, or what it reads, is
turned into the very order that it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..graph.graph import Graph
from ..graph.node import Node
from ..solve.minimum_cut import NEVER, SINK, SOURCE, minimum_cut
from .operators import turn, undone
from .turn import Order, Turn, after, inverse, is_identity

ONE = 1 << 20
"""Cost of a Transpose; what it moves decides between equally many."""
MOST_ELEMENTS = ONE // 2


@dataclass(slots=True)
class Choice:
    """The network for one order, as it is built."""

    graph: Graph
    order: Order
    turns: Mapping[int, Turn]
    """How each operator that can be turned changes, by the node's id."""
    number: dict[int, int] = field(default_factory=dict)
    arcs: list[tuple[int, int, int]] = field(default_factory=list)
    nodes: int = 2
    read: set[str] = field(default_factory=set)
    """Tensors that something reads which can be turned."""

    def side(self, node: Node) -> int:
        """The node's number; it is as it is on the side of the source, turned on the side of the sink."""
        return self.number.setdefault(id(node), self._new())

    def _new(self) -> int:
        self.nodes += 1
        return self.nodes - 1

    def if_turned(self, sides: Iterable[int], cost: int, writer: int = SOURCE) -> None:
        """Costs that much if the writer is as it is and one of these is turned."""
        gate = self._new()
        self.arcs.append((writer, gate, cost))
        self.arcs.extend((gate, side, NEVER) for side in sides)

    def if_kept(self, sides: Iterable[int], cost: int, writer: int = SINK) -> None:
        """Costs that much if the writer is turned and one of these is as it is."""
        gate = self._new()
        self.arcs.append((gate, writer, cost))
        self.arcs.extend((side, gate, NEVER) for side in sides)


def turnable(graph: Graph, nodes: Iterable[Node], order: Order) -> dict[int, Turn]:
    found = ((id(node), turn(graph, node, order)) for node in nodes)
    return {key: change for key, change in found if change is not None}


def choose(graph: Graph, order: Order) -> dict[int, Turn]:
    """How those operators change that are to be turned, by the node's id; none where that leaves no fewer Transposes."""
    nodes = graph.nodes
    choice = Choice(graph, order, turnable(graph, nodes, order))
    if not choice.turns:
        return {}
    tensors: dict[str, list[Node]] = {}
    for node in nodes:
        change = choice.turns.get(id(node))
        if change is not None:
            choice.side(node)
            _alone(choice, node, change)
            for index in dict.fromkeys(change.operands):
                tensors.setdefault(node.inputs[index], []).append(node)
            for index in change.results:
                tensors.setdefault(node.outputs[index], [])
    choice.read = {name for name, readers in tensors.items() if readers}
    for name, readers in tensors.items():
        _tensor(choice, name, readers)
    there = minimum_cut(choice.arcs) if choice.arcs else frozenset()
    fewer = _count(choice.arcs, frozenset({SINK})) - _count(choice.arcs, there)
    return {key: change for key, change in choice.turns.items() if choice.number[key] in there} if fewer > 0 else {}


def _count(arcs: Iterable[tuple[int, int, int]], there: frozenset[int]) -> int:
    """Transposes that are left with these nodes on the side of the sink."""
    return sum(capacity // ONE for tail, head, capacity in arcs if head in there and tail not in there)


def _alone(choice: Choice, node: Node, change: Turn) -> None:
    """What the operator's smaller tensors cost where it is turned."""
    for names, orders in ((node.inputs, change.smaller_operands), (node.outputs, change.smaller_results)):
        for index, order in orders.items():
            if not is_identity(order):
                choice.if_turned([choice.side(node)], _weight(choice.graph, names[index]))


def _tensor(choice: Choice, name: str, readers: list[Node]) -> None:
    graph, order = choice.graph, choice.order
    weight, writer = _weight(graph, name), graph.producer(name)
    sides = [choice.side(node) for node in readers]
    turning = writer is not None and id(writer) in choice.turns and writer.outputs.index(name) in choice.turns[id(writer)].results
    others = [user for user in graph.users(name) if user not in readers or _reads_otherwise(choice, user, name)]
    ends = name in graph.outputs or any(name in user.captures for user in others)
    if not turning:
        _from_outside(choice, writer, sides, weight, bool(others) or ends)
        return
    assert writer is not None
    here = choice.side(writer)
    choice.if_turned(sides, weight, here)
    given = [None if _leads_in(choice, user) else undone(graph, user, order) for user in others]
    if ends or None in given:
        choice.arcs.append((SOURCE, here, weight))
    elif sides:
        choice.if_kept(sides, weight, here)
    choice.arcs.extend((here, SINK, weight) for one in given if one == order)


def _leads_in(choice: Choice, node: Node) -> bool:
    """Whether it is a Transpose into the order that its readers want to be turned from: it is theirs, and reads what it reads as it is.

    With both ends free, a Transpose costs nothing where exactly one of them is turned, which no cut can say. So each has one end."""
    return undone(choice.graph, node, choice.order) == inverse(choice.order) and node.outputs[0] in choice.read


def _from_outside(choice: Choice, writer: Node | None, sides: list[int], weight: int, read_as_it_is: bool) -> None:
    """A tensor that is written as it is. Where a Transpose writes it that nothing else reads, that may go."""
    given = None if writer is None else undone(choice.graph, writer, choice.order)
    inner = None if writer is None or given is None else choice.graph.producer(writer.inputs[0])
    theirs = (
        inner is not None and id(inner) in choice.turns and given == choice.order and writer is not None and not _leads_in(choice, writer)
    )
    if given is None or theirs:
        choice.if_turned(sides, weight)
        return
    if not read_as_it_is:
        choice.if_kept(sides, weight)
    if not is_identity(after(given, choice.order)):
        choice.if_turned(sides, weight)


def _reads_otherwise(choice: Choice, user: Node, name: str) -> bool:
    """Whether it reads the tensor at a place that stays as it is, too."""
    change = choice.turns[id(user)]
    return any(read == name and index not in change.operands for index, read in enumerate(user.inputs))


def _weight(graph: Graph, name: str) -> int:
    elements = graph.tensor(name).elements
    return ONE + min(MOST_ELEMENTS if elements is None else elements, MOST_ELEMENTS)


def orders(graph: Graph, most: int) -> list[Order]:
    """Orders in which a Transpose of the graph would be nothing, most frequent first."""
    counted: dict[Order, int] = {}
    for node in graph.nodes:
        shape = graph.tensor(node.inputs[0]).shape if node.kind == "Transpose" else None
        given = None if shape is None else undone(graph, node, tuple(range(len(shape))))
        if given is not None and not is_identity(given):
            for order in {given, inverse(given)}:
                counted[order] = counted.get(order, 0) + 1
    return sorted(counted, key=lambda order: (-counted[order], order))[:most]
