"""Merges nodes that compute the same thing: one operator with equal attributes on the same tensors.

Constants count as equal by dtype, shape and bytes. Left alone: operators whose result is drawn at random, those with bodies, other
domains than ONNX's, of which nothing is known, and DequantizeLinear, which every reader has for itself. Linear in the number of nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ..graph.graph import Graph
from ..graph.node import RANDOM, Node
from ..rule.apply import name_stays
from ..rule.rewrite import Allow, Decision, anywhere

NAME = "merge_equal"
SUMMARY = "f(x) and f(x) -> one f(x), read twice"
OWN = frozenset({"DequantizeLinear"})
"""Belongs to its reader: a device takes both together."""
HASHED_BELOW = 1 << 12
"""Bytes up to which constants are compared; larger ones are stored once anyway where they are equal."""


def merge_equal(graph: Graph, allow: Allow = anywhere) -> tuple[Decision, ...]:
    """Readers of the later one of two equal nodes read the earlier one, whose place in the order is before theirs."""
    known: dict[tuple[object, ...], Node] = {}
    names: dict[str, object] = {}
    instead: dict[str, str] = {}
    taken: list[Decision] = []
    merged: list[Node] = []
    kept_apart = RANDOM | OWN
    for node in graph.nodes:
        if any(name in instead for name in node.inputs):  # each node once, however many of its feeders were merged
            graph.set_inputs(node, [instead.get(name, name) for name in node.inputs])
        if node.domain or node.operator in kept_apart or node.captures or any(True for _ in node.bodies()):
            continue
        key = (node.operator, *_attributes(node), *(_identity(graph, name, names) for name in node.inputs), len(node.outputs))
        first = known.setdefault(key, node)
        if first is node:
            continue
        pairs = {old: new for old, new in zip(node.outputs, first.outputs, strict=True) if old and old != new}
        if any(not new for new in pairs.values()):
            continue
        alike = graph.version(first) == graph.version(node)
        if alike and not any(name_stays(graph, old) for old in pairs) and allow(NAME, node.outputs[0]):
            instead |= pairs
            merged.append(node)
            taken.append(Decision(NAME, node.name, node.outputs[0], True, SUMMARY, 0.0, "exact"))
    graph.sweep(merged)
    return tuple(taken)


def _attributes(node: Node) -> Iterable[bytes]:
    return [node.attributes[name].SerializeToString(deterministic=True) for name in sorted(node.attributes)]


def _identity(graph: Graph, tensor: str, names: dict[str, object]) -> object:
    """The tensor's name; for a small constant, what it is."""
    if tensor not in names:
        names[tensor] = tensor
        view = graph.tensor(tensor)
        value = graph.value(tensor) if view.const and view.dtype != "string" and (view.bytes or HASHED_BELOW) < HASHED_BELOW else None
        if value is not None:
            names[tensor] = (view.dtype, view.shape, hashlib.sha256(value.tobytes()).digest())
    return names[tensor]
