"""Rules inside the bodies of If, Loop and Scan: a body is a graph of its own that also sees what it captures from outside.

A captured constant is a constant inside, a captured tensor has its type there; both stay what they are outside: a body never gets a copy
of them, and never gives them another name. New names are new in every graph. A body is replaced as a whole, never edited in place, so that
copies of the graph around it keep theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
from onnx import helper

from ..graph.graph import Graph
from ..graph.node import Node
from .apply import apply
from .rewrite import Allow, Decision, Rewrite, anywhere


def apply_everywhere(graph: Graph, rules: Sequence[Rewrite], allow: Allow = anywhere) -> tuple[Decision, ...]:
    """`apply` to the graph and then to every body in it, however deep."""
    decisions = apply(graph, rules, allow)
    holders = [node for node in graph.nodes if any(True for _ in node.bodies())]
    if holders:
        graph.reserve(name for node in holders for body in node.bodies() for name in _names(body))
    return (*decisions, *(decision for node in holders for decision in _inside(graph, node, rules, allow)))


def _inside(graph: Graph, node: Node, rules: Sequence[Rewrite], allow: Allow) -> Iterator[Decision]:
    changed: dict[str, onnx.AttributeProto] = {}
    for name, attribute in node.attributes.items():
        bodies = [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs)
        rewritten = [_rewrite(graph, body, rules, allow) for body in bodies]
        yield from (decision for _, decisions in rewritten for decision in decisions)
        if any(decision.taken for _, decisions in rewritten for decision in decisions):
            new = [body for body, _ in rewritten]
            changed[name] = helper.make_attribute(name, new[0] if attribute.type == onnx.AttributeProto.GRAPH else new)
    if changed:
        feeders = [producer for producer in map(graph.producer, node.captures) if producer is not None]
        graph.give_attributes(node, changed)
        graph.sweep(feeders)


def _rewrite(outer: Graph, body: onnx.GraphProto, rules: Sequence[Rewrite], allow: Allow) -> tuple[onnx.GraphProto, tuple[Decision, ...]]:
    """The body rewritten, or the body itself, and what was decided about it."""
    inner = outer.enter(body)
    decisions = apply_everywhere(inner, rules, allow)
    if not any(decision.taken for decision in decisions):
        return body, decisions
    inner.sweep()
    result = onnx.GraphProto()
    result.CopyFrom(inner.to_model().graph)
    own = [tensor for tensor in result.initializer if tensor.name not in outer.constants]
    del result.initializer[:]
    result.initializer.extend(own)
    return result, decisions


def _names(body: onnx.GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*body.input, *body.initializer))
    for node in body.node:
        yield from (node.name, *node.output)
        for attribute in node.attribute:
            for nested in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _names(nested)
