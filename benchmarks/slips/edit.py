"""A model being made wrong: constants found through Identity and Constant, operands replaced, operators put in, bodies included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass(frozen=True, slots=True)
class Place:
    """An operator: the k-th of the n-th graph (0 is the main one, bodies follow in order)."""

    graph: int
    node: int


class Chain:
    """Operators to be put into one graph, in order."""

    def __init__(self, edit: Edit, graph: onnx.GraphProto, dtype: int) -> None:
        """dtype: an ONNX element type, that of the constants."""
        self.edit, self.graph, self.dtype = edit, graph, dtype
        self.nodes: list[onnx.NodeProto] = []

    def op(self, operator: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        """Adds an operator of one output, and gives its name."""
        name = out or self.edit.fresh()
        self.nodes.append(helper.make_node(operator, inputs, [name], name=self.edit.fresh(), **attributes))
        return name

    def const(self, value: Any, dtype: int = 0) -> str:
        """A constant of `dtype`, or of the chain's."""
        array = np.asarray(value, helper.tensor_dtype_to_np_dtype(dtype or self.dtype))
        return self.edit.weight(self.graph, array)

    def ints(self, *values: int) -> str:
        """A vector of int64."""
        return self.edit.weight(self.graph, np.array(values, np.int64))


Build = Callable[[Chain, str, str], None]
"""Fills a chain that reads the first name and writes the second."""


class Edit:
    """A copy of a model, to be changed. Places are those of the original until an operator is put in: do one change."""

    def __init__(self, model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, int]) -> None:
        """shapes, types: of tensors of the main graph, as far as they are known."""
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.shapes, self.types = shapes, types
        self.graphs = list(_graphs(self.model.graph))
        self._made = 0

    def copy(self) -> Edit:
        """Another one, of the model as it is now."""
        return Edit(self.model, self.shapes, self.types)

    @property
    def opset(self) -> int:
        return next(entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx"))

    def fresh(self) -> str:
        """A name that nothing has."""
        self._made += 1
        return f"slip__{self._made}"

    def places(self, *operators: str) -> Iterator[tuple[Place, onnx.NodeProto]]:
        """Every operator of these types."""
        for n, graph in enumerate(self.graphs):
            for k, node in enumerate(graph.node):
                if node.op_type in operators and node.domain in ("", "ai.onnx"):
                    yield Place(n, k), node

    def node(self, place: Place) -> onnx.NodeProto:
        return self.graphs[place.graph].node[place.node]

    @cached_property
    def _tensors(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for graph in self.graphs for tensor in graph.initializer}

    @cached_property
    def _makers(self) -> dict[str, onnx.NodeProto]:
        return {name: node for graph in self.graphs for node in graph.node for name in node.output if name}

    @cached_property
    def _readers(self) -> dict[str, list[onnx.NodeProto]]:
        found: dict[str, list[onnx.NodeProto]] = {}
        for graph in self.graphs:
            for node in graph.node:
                for name in set(node.input):
                    found.setdefault(name, []).append(node)
        return found

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The operator that writes a tensor of the original; Identity and Cast are looked through."""
        node = self._makers.get(name)
        return self.maker(node.input[0]) or node if node is not None and node.op_type in ("Identity", "Cast") else node

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The operators that read a tensor of the original."""
        return self._readers.get(name, [])

    def constant(self, name: str) -> Any:
        """The array behind a name of the original, None where it is computed."""
        if name in self._tensors:
            return numpy_helper.to_array(self._tensors[name])
        node = self._makers.get(name)
        if node is None:
            return None
        return self.constant(node.input[0]) if node.op_type == "Identity" else _value(node)

    def operand(self, node: onnx.NodeProto, k: int) -> Any:
        """The constant that an operator reads at that place; None for another operand."""
        return self.constant(node.input[k]) if k < len(node.input) and node.input[k] else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        found = self.shapes.get(name)
        if found is None and (array := self.constant(name)) is not None:
            return tuple(array.shape)
        return found

    def weight(self, graph: onnx.GraphProto, array: Any) -> str:
        """A new constant of a graph."""
        name = self.fresh()
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name))
        return name

    def give(self, place: Place, k: int, array: Any) -> None:
        """Another constant for one operand of one operator; "" operands before it are added where they are missing."""
        node = self.node(place)
        while len(node.input) <= k:
            node.input.append("")
        node.input[k] = self.weight(self.graphs[place.graph], array)

    def set(self, place: Place, name: str, value: Any) -> None:
        """An attribute's value; None removes it."""
        node = self.node(place)
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
        if value is not None:
            node.attribute.append(helper.make_attribute(name, value))

    def after(self, place: Place, k: int, build: Build) -> None:
        """Operators between an operator's k-th result and all its readers."""
        graph, node = self.graphs[place.graph], self.node(place)
        name, raw = node.output[k], self.fresh()
        chain = Chain(self, graph, self.types.get(name, TensorProto.FLOAT))
        node.output[k] = raw
        build(chain, raw, name)
        _insert(graph, place.node + 1, chain.nodes)

    def before(self, place: Place, k: int, build: Build) -> None:
        """Operators between an operator and its k-th operand."""
        graph, node = self.graphs[place.graph], self.node(place)
        name, made = node.input[k], self.fresh()
        chain = Chain(self, graph, self.types.get(name, TensorProto.FLOAT))
        build(chain, name, made)
        node.input[k] = made
        _insert(graph, place.node, chain.nodes)

    def replace(self, place: Place, build: Build) -> None:
        """Other operators in place of one; they read what they like and write its first result."""
        graph, node = self.graphs[place.graph], self.node(place)
        chain = Chain(self, graph, self.types.get(node.output[0], TensorProto.FLOAT))
        build(chain, node.input[0], node.output[0])
        del graph.node[place.node]
        _insert(graph, place.node, chain.nodes)

    def on_input(self, name: str, build: Build) -> None:
        """Operators between an input of the model and all its readers."""
        made = self.fresh()
        for graph in self.graphs:
            for node in graph.node:
                for k, read in enumerate(node.input):
                    if read == name:
                        node.input[k] = made
        chain = Chain(self, self.graphs[0], self.types.get(name, TensorProto.FLOAT))
        build(chain, name, made)
        _insert(self.graphs[0], 0, chain.nodes)

    def output_places(self) -> Iterator[tuple[str, Place, int]]:
        """(name, operator that writes it, its place among the results) of every output of the model."""
        made = {name: (Place(0, n), k) for n, node in enumerate(self.graphs[0].node) for k, name in enumerate(node.output)}
        for value in self.model.graph.output:
            if value.name in made:
                yield value.name, *made[value.name]


def _insert(graph: onnx.GraphProto, at: int, nodes: list[onnx.NodeProto]) -> None:
    for k, node in enumerate(nodes):
        graph.node.insert(at + k, node)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _value(node: onnx.NodeProto) -> Any:
    if node.op_type != "Constant":
        return None
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return numpy_helper.to_array(value)
        if attribute.name.startswith("value_float"):
            return np.asarray(value, np.float32)
        if attribute.name.startswith("value_int"):
            return np.asarray(value, np.int64)
    return None


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """An attribute's value, strings decoded."""
    for one in node.attribute:
        if one.name == name:
            value = helper.get_attribute_value(one)
            return value.decode() if isinstance(value, bytes) else value
    return default
