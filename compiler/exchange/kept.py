"""What a gs.Graph has no place for, kept aside by name: doc strings, metadata, denotations, default values of inputs, unread weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import onnx


@dataclass(frozen=True)
class KeptNodes:
    """Nodes as a model had them, found by name where that is unique, else by first output."""

    nodes: tuple[onnx.NodeProto, ...]

    @cached_property
    def _by_name(self) -> Mapping[str, onnx.NodeProto]:
        counts = Counter(node.name for node in self.nodes)
        return {node.name: node for node in self.nodes if node.name and counts[node.name] == 1}

    @cached_property
    def _by_output(self) -> Mapping[str, onnx.NodeProto]:
        return {name: node for node in self.nodes if (name := first(node.output))}

    def find(self, name: str, outputs: Iterable[str]) -> onnx.NodeProto | None:
        """The node of that name, or else the one that wrote the first output; None for a new node."""
        return self._by_name.get(name) or self._by_output.get(first(outputs))


@dataclass(frozen=True)
class Kept:
    """One graph (the main one or a body) as its model had it. The protobufs are the model's own: nobody edits them."""

    graph: onnx.GraphProto
    model: onnx.ModelProto | None = None
    """Of the main graph; None for a body."""

    @cached_property
    def nodes(self) -> KeptNodes:
        return KeptNodes(tuple(self.graph.node))

    @cached_property
    def values(self) -> Mapping[str, tuple[onnx.ValueInfoProto, ...]]:
        """Every statement about a tensor's type: as input, as output, as inner tensor."""
        found: dict[str, tuple[onnx.ValueInfoProto, ...]] = {}
        for value in (*self.graph.input, *self.graph.output, *self.graph.value_info):
            found[value.name] = (*found.get(value.name, ()), value)
        return found

    @cached_property
    def constants(self) -> Mapping[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.graph.initializer}

    @cached_property
    def used(self) -> frozenset[str]:
        """Tensors that nodes (of bodies too) and outputs name: a tensor beside these was loose in the model as well."""
        return frozenset({*(name for node in self.graph.node for name in mentioned(node)), *(value.name for value in self.graph.output)})

    @property
    def functions(self) -> Mapping[tuple[str, str], onnx.FunctionProto]:
        return {} if self.model is None else {(function.domain, function.name): function for function in self.model.functions}


def first(names: Iterable[str]) -> str:
    """The first that is not empty, or ""."""
    return next((name for name in names if name), "")


def told(operator: str, name: str, outputs: Iterable[str]) -> str:
    """How a message names a node: `Add 'encoder/add'`, or `Add (writes 'y')` for one without a name."""
    return f"{operator} '{name}'" if name else f"{operator} (writes '{first(outputs)}')"


def mentioned(node: onnx.NodeProto) -> set[str]:
    """Every tensor that the node or its bodies name."""
    names = {*node.input, *node.output}
    for body in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
        names.update(value.name for value in body.output)
        names.update(*(mentioned(inner) for inner in body.node))
    return names
