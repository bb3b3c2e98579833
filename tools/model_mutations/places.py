"""Where in a model a mutation happens: any graph, of the model or of a body, and what stands in it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypeVar

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

T = TypeVar("T")


class NotHere(Exception):
    """The model has no place for this mutation; another one is drawn."""


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and, depth first, every graph in its nodes' attributes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from graphs(body)


def a_graph(model: ModelProto, dice: random.Random) -> GraphProto:
    """The main graph more often than any body."""
    found = list(graphs(model.graph))
    return model.graph if dice.random() < 0.5 else dice.choice(found)


def a_node(model: ModelProto, dice: random.Random) -> tuple[GraphProto, NodeProto]:
    return _one([(graph, node) for graph in [a_graph(model, dice)] for node in graph.node], dice)


def an_attribute(model: ModelProto, dice: random.Random) -> tuple[NodeProto, AttributeProto]:
    return _one([(node, held) for graph in graphs(model.graph) for node in graph.node for held in node.attribute], dice)


def a_tensor(model: ModelProto, dice: random.Random) -> TensorProto:
    """An initializer, or the value of a Constant."""
    constants = [a.t for graph in graphs(model.graph) for node in graph.node for a in node.attribute if a.HasField("t")]
    return _one([*(tensor for graph in graphs(model.graph) for tensor in graph.initializer), *constants], dice)


def an_end(model: ModelProto, dice: random.Random) -> ValueInfoProto:
    """An input or an output of a graph."""
    graph = a_graph(model, dice)
    return _one([*graph.input, *graph.output], dice)


def a_name(model: ModelProto, dice: random.Random) -> str:
    """A tensor of some graph, whether it can be read from another or not."""
    return _one([name for graph in graphs(model.graph) for name in names(graph)], dice)


def names(graph: GraphProto) -> list[str]:
    """Every tensor that the graph defines."""
    outputs = [name for node in graph.node for name in node.output if name]
    return [*(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer), *outputs]


def a_body(dice: random.Random, captured: str = "") -> GraphProto:
    """A body of a Loop that never ends by itself: its condition is what came in."""
    condition = onnx.helper.make_tensor_value_info("keep_going", TensorProto.BOOL, [])
    trip = onnx.helper.make_tensor_value_info("trip", TensorProto.INT64, [])
    after = onnx.helper.make_tensor_value_info("still", TensorProto.BOOL, [])
    nodes = [onnx.helper.make_node("Identity", ["keep_going"], ["still"])]
    if captured:
        nodes.append(onnx.helper.make_node("Relu", [captured], [f"unused_{dice.randrange(9)}"]))
    return onnx.helper.make_graph(nodes, "forever", [trip, condition], [after])


def _one(found: list[T], dice: random.Random) -> T:
    if not found:
        raise NotHere
    return dice.choice(found)
