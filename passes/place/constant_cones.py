"""Operators that depend on no input of the graph, and that loading did not fold: each goes where its only reader goes.

What they compute is the same on every run, so it must never be handed from one device to another: a device that runs the reader runs
its constant operands too, or neither. `split_constants` has given every reader operators of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.graph import Graph
from ..graph.node import Node
from .candidates import Answer, Refusal

AnswerRow = tuple[Answer, ...]


def constant_tensors(graph: Graph, nodes: Sequence[Node]) -> frozenset[str]:
    """What nodes (in topological order) write that depends on no input of the graph."""
    found: set[str] = set()
    for node in nodes:
        if all(name in found or graph.tensor(name).const for name in node.reads):
            found.update(node.writes)
    return frozenset(found)


def constant_ties(graph: Graph, nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """The edges from each such node to its only reader."""
    constant = constant_tensors(graph, nodes)
    number = {id(node): k for k, node in enumerate(nodes)}
    found = []
    for k, node in enumerate(nodes):
        readers = {number[id(user)] for name in node.writes if name in constant for user in graph.users(name)}
        if len(readers) == 1 and constant.issuperset(node.writes) and not any(name in graph.outputs for name in node.writes):
            found.append((k, readers.pop()))
    return found


def agree_on_constants(graph: Graph, nodes: Sequence[Node], answers: Sequence[AnswerRow]) -> tuple[AnswerRow, ...]:
    """The answers: a device that refuses a node refuses its reader, and the other way round. Where no device would be left, as they are."""
    settled = list(answers)
    ties = constant_ties(graph, nodes)
    for node, reader in (*ties, *reversed(ties)):  # what the operands refuse goes down to the reader, then up to its other operands
        columns = [_both(nodes, node, reader, *pair) for pair in zip(settled[node], settled[reader], strict=True)]
        if any(not isinstance(answer, Refusal) for answer, _ in columns):
            settled[node], settled[reader] = (tuple(column) for column in zip(*columns, strict=True))
    return tuple(settled)


def _both(nodes: Sequence[Node], node: int, reader: int, first: Answer, second: Answer) -> tuple[Answer, Answer]:
    """One device's answers for a node and its reader, once neither is refused alone."""
    if isinstance(first, Refusal) and not isinstance(second, Refusal):
        return first, Refusal(first.device, tuple(f"its constant operand needs {nodes[node].kind}, and {why}" for why in first.reasons))
    if isinstance(second, Refusal) and not isinstance(first, Refusal):
        return Refusal(second.device, tuple(f"only {nodes[reader].kind} reads it, and {why}" for why in second.reasons)), second
    return first, second
