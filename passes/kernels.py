"""Group the chains that a device runs as one launch: `kernel { Conv -> Relu | Clip; MatMul -> Add -> Gelu?; }`.

A chain follows the data: each operator is the only reader of the one before it, so that the tensor between them never needs
to leave the device's registers. The longest chain wins, then the one written first; an operator is in one group only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..targets.model import KernelChain
from .graph import Graph, Node


def group_kernels(graph: Graph, nodes: Sequence[Node], chains: Sequence[KernelChain]) -> tuple[tuple[Node, ...], ...]:
    """All of `nodes` (in topological order), each in exactly one group; a group of one is an operator of its own."""
    inside = {id(node) for node in nodes}
    by_first: dict[str, list[KernelChain]] = {}
    for chain in chains:
        for operator in _starts(chain):
            by_first.setdefault(operator, []).append(chain)
    taken: set[int] = set()
    groups: list[tuple[Node, ...]] = []
    for node in nodes:
        if id(node) in taken:
            continue
        options = [_follow(graph, node, chain, inside, taken) for chain in by_first.get(node.kind, ())]
        group = max(options, key=len, default=(node,)) or (node,)
        taken.update(id(member) for member in group)
        groups.append(group)
    return tuple(groups)


def _starts(chain: KernelChain) -> list[str]:
    """Operators a chain may begin with: its first stage's, and the next one's while stages are optional."""
    starts: list[str] = []
    for stage in chain.stages:
        starts.extend(stage.operators)
        if not stage.optional:
            break
    return list(dict.fromkeys(starts))


def _follow(graph: Graph, start: Node, chain: KernelChain, inside: Collection[int], taken: Collection[int]) -> tuple[Node, ...]:
    """The nodes from `start` on that spell the chain, as long as its stages can be met; () if a required stage is missing."""
    members: list[Node] = []
    node: Node | None = start
    for stage in chain.stages:
        if node is not None and node.kind in stage.operators:
            members.append(node)
            node = _only_reader(graph, node, inside, taken)
        elif not stage.optional:
            return ()
    return tuple(members)


def _only_reader(graph: Graph, node: Node, inside: Collection[int], taken: Collection[int]) -> Node | None:
    """The one node that reads the node's one output, if it is still free to join."""
    written = node.writes
    if len(written) != 1 or graph.uses(written[0]) != 1:
        return None
    readers = graph.users(written[0])
    if not readers or written[0] not in readers[0].inputs or id(readers[0]) not in inside or id(readers[0]) in taken:
        return None
    return readers[0]
