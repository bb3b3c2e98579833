"""Group the chains that a device runs as one launch: `kernel { Conv -> Relu | Clip; MatMul -> Add -> Gelu?; }`.

A chain follows the data: each operator is the only reader of the one before it, so that the tensor between them never needs
to leave the device's registers. The longest chain wins, then the one written first; an operator is in one group only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ...targets.cost import computed_in
from ...targets.dtypes import HALVES
from ...targets.model import Device, KernelChain
from ..graph.graph import Graph
from ..graph.node import Node

Follow = Callable[[Node], Node | None]
"""The one node that reads a node's one output; None if there are several, or another reader (a graph output, a body)."""


def group_kernels(nodes: Sequence[Node], chains: Sequence[KernelChain], only_reader: Follow) -> tuple[tuple[Node, ...], ...]:
    """All of `nodes` (in topological order), each in exactly one group; a group of one is an operator of its own."""
    free = {id(node) for node in nodes}
    by_first: dict[str, list[KernelChain]] = {}
    for chain in chains:
        for operator in _starts(chain):
            by_first.setdefault(operator, []).append(chain)
    groups: list[tuple[Node, ...]] = []
    for node in nodes:
        if id(node) not in free:
            continue
        options = [_follow(node, chain, free, only_reader) for chain in by_first.get(node.kind, ())]
        group = max(options, key=len, default=(node,)) or (node,)
        free.difference_update(id(member) for member in group)
        groups.append(group)
    return tuple(groups)


def reader_in(graph: Graph, device: Device) -> Follow:
    """Who reads what in a graph on a device; nobody a float that its runtime widens: it is cast in between, and nothing is fused."""

    def only_reader(node: Node) -> Node | None:
        written = node.writes
        if len(written) != 1 or graph.uses(written[0]) != 1:
            return None
        dtype = graph.tensor(written[0]).dtype
        if dtype in HALVES and computed_in(device, dtype) != dtype:
            return None
        readers = graph.users(written[0])
        return readers[0] if readers and written[0] in readers[0].inputs else None

    return only_reader


def reader_among(nodes: Sequence[Node], results: Collection[str]) -> Follow:
    """Who reads what among nodes that are in no graph yet; `results` are read from outside."""
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.reads:
            readers.setdefault(name, []).append(node)

    def only_reader(node: Node) -> Node | None:
        written = node.writes
        found = readers.get(written[0], []) if len(written) == 1 and written[0] not in results else []
        return found[0] if len(found) == 1 else None

    return only_reader


def _starts(chain: KernelChain) -> list[str]:
    """Operators a chain may begin with: its first stage's, and the next one's while stages are optional."""
    starts: list[str] = []
    for stage in chain.stages:
        starts.extend(stage.operators)
        if not stage.optional:
            break
    return list(dict.fromkeys(starts))


def _follow(start: Node, chain: KernelChain, free: Collection[int], only_reader: Follow) -> tuple[Node, ...]:
    """The nodes from `start` on that spell the chain, as far as its stages can be met; () if a required stage is missing."""
    members: list[Node] = []
    node: Node | None = start
    for stage in chain.stages:
        if node is not None and id(node) in free and node.kind in stage.operators:
            members.append(node)
            node = only_reader(node)
        elif not stage.optional:
            return ()
    return tuple(members)
