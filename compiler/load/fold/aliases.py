"""What computes a constant twice computes it once, and Identity of a constant is the constant.

Exporters share a weight through Identity nodes, each with a Transpose or Cast behind it: folded one by one, all would be copies.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..structure import all_graphs, bodies
from .constant_nodes import NO_TENSOR, RANDOM

if TYPE_CHECKING:
    import onnx

Key = tuple[object, ...]


@dataclass(slots=True)
class _Known:
    """What a graph knows of constants: its own, and those outside that it can read."""

    constants: set[str]
    renames: dict[str, str] = field(default_factory=dict)
    """Names that have gone, and what is read in their place."""
    results: dict[Key, list[str]] = field(default_factory=dict)
    """By operator, attributes and operands, what holds its results."""

    def inside(self, own: Collection[str]) -> _Known:
        """What a body that defines `own` knows."""
        renames = {name: to for name, to in self.renames.items() if name not in own}
        results = {key: names for key, names in self.results.items() if not any(name in own for name in names)}
        return _Known({name for name in self.constants if name not in own}, renames, results)


def alias_constants(model: onnx.ModelProto, hidden: Collection[str] = ()) -> int:
    """Lets readers of such a node read what is there already, in place, bodies included; how many nodes went.

    hidden: graph inputs that stand for weights. A node that writes an output of its graph stays.
    """
    local = {name for graph in all_graphs(model.graph) if graph is not model.graph for name in defined(graph)}
    return _alias(model.graph, _Known(set(hidden)), frozenset(local))


def defined(graph: onnx.GraphProto) -> set[str]:
    """Names that the graph itself gives a value."""
    return {value.name for value in (*graph.input, *graph.initializer)} | {name for node in graph.node for name in node.output if name}


def _alias(graph: onnx.GraphProto, known: _Known, local: frozenset[str]) -> int:
    """local: names that some body defines, which another body might take for its own."""
    known.constants.update(tensor.name for tensor in graph.initializer)
    fixed = {value.name for value in graph.output} | local
    gone = 0
    kept = []
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = known.renames.get(name, name)
        there = _there(node, known)
        if there is not None and fixed.isdisjoint(node.output) and local.isdisjoint(there):
            known.renames.update(zip(node.output, there, strict=True))
            gone += 1
            continue
        gone += sum(_alias(body, known.inside(defined(body)), local) for body in bodies(node))
        kept.append(node)
    for value in graph.output:
        value.name = known.renames.get(value.name, value.name)
    if len(kept) < len(graph.node):
        _replace(graph, kept, known.renames)
    return gone


def _there(node: onnx.NodeProto, known: _Known) -> list[str] | None:
    """Tensors that hold what the node computes; None where it is no constant, or the first of its kind, which is remembered."""
    if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
        known.constants.update(node.output)
    opaque = node.op_type in RANDOM or node.op_type in NO_TENSOR or any(True for _ in bodies(node))
    if opaque or not any(node.input) or not all(name in known.constants for name in node.input if name):
        return None
    if node.op_type == "Identity" and node.domain in ("", "ai.onnx"):
        return [node.input[0]]
    known.constants.update(node.output)
    attributes = sorted(attribute.SerializeToString() for attribute in node.attribute)
    key = (node.op_type, node.domain, node.overload, *node.input, *attributes)
    there = known.results.setdefault(key, list(node.output))
    same = there != list(node.output) and [bool(name) for name in there] == [bool(name) for name in node.output]
    return there if same else None


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], gone: Mapping[str, str]) -> None:
    typed = [value for value in graph.value_info if value.name not in gone]
    for target, values in ((graph.node, nodes), (graph.value_info, typed)):
        del target[:]
        target.extend(values)
