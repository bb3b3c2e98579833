"""Takes out nodes that compute nothing at inference: Identity, Dropout, Cast, Reshape, Transpose, Expand to what is there already, and
Split and Concat of one piece."""

from __future__ import annotations

from collections.abc import Callable

from ..formula.region import not_training
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.apply import name_stays
from ..rule.rewrite import Bindings, Contract, Decision, Rewrite


def match_identity(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0]})


def match_dropout(graph: Graph, node: Node) -> Bindings | None:
    return Bindings(node, {"x": node.inputs[0]}) if graph.opset >= 7 and not_training(graph, node) else None


def match_cast(graph: Graph, node: Node) -> Bindings | None:
    dtype = graph.tensor(node.inputs[0]).dtype
    same = dtype == graph.tensor(node.outputs[0]).dtype and dtype not in ("unknown", "fp8")
    return Bindings(node, {"x": node.inputs[0]}) if same else None


def match_shape(graph: Graph, node: Node) -> Bindings | None:
    before, after = graph.tensor(node.inputs[0]).shape, graph.tensor(node.outputs[0]).shape
    return Bindings(node, {"x": node.inputs[0]}) if before is not None and before == after and None not in before else None


def match_transpose(graph: Graph, node: Node) -> Bindings | None:
    order = graph.attribute(node, "perm")
    same = isinstance(order, tuple) and list(order) == list(range(len(order)))
    return Bindings(node, {"x": node.inputs[0]}) if same else None


def match_whole(graph: Graph, node: Node) -> Bindings | None:
    given = 1 if node.operator == "Split" else len(node.inputs)  # a Split has sizes beside what it splits
    return Bindings(node, {"x": node.inputs[0]}) if given == 1 == len(node.outputs) else None


def _rule(name: str, operators: tuple[str, ...], summary: str, match: Callable[[Graph, Node], Bindings | None], *before: str) -> Rewrite:
    return Rewrite(
        name=name,
        summary=summary,
        operators=operators,
        emits=(),
        contract=Contract("exact"),
        match=match,
        build=lambda b, found: found["x"],
        before=before,
    )


SHAPING = ("Reshape", "Expand", "Squeeze", "Unsqueeze", "Flatten")
WHOLE = ("Split", "Concat", "Sum", "Mean", "Max", "Min")
"""Several inputs become one, or one becomes several: exporters write them for one image, or a cache of one part."""
REMOVALS = (
    _rule("remove_identity", ("Identity",), "Identity(x) -> x", match_identity),
    _rule("remove_dropout", ("Dropout",), "Dropout(x) at inference -> x", match_dropout),
    _rule("remove_cast", ("Cast",), "Cast(x) to the dtype of x -> x", match_cast),
    _rule("remove_reshape", SHAPING, "Reshape(x) to the shape of x -> x", match_shape, "merge_reshape", "merge_shaping"),
    _rule("remove_whole", WHOLE, "Split(x) into one, Concat(x), Sum(x), Max(x) … of one -> x", match_whole),
    _rule("remove_transpose", ("Transpose",), "Transpose(x) in the order of x -> x", match_transpose, "merge_transpose"),
)
"""Merging first would compute again what stands before the removed node, where something else reads that too."""


def name_outputs(graph: Graph) -> tuple[Decision, ...]:
    """An Identity that only gives a graph output its name goes, and what it copied takes the name itself."""
    taken = []
    for node in graph.nodes:
        if node.kind != "Identity" or not graph.is_output(node.outputs[0]):
            continue
        x, y = node.inputs[0], node.outputs[0]
        if graph.producer(x) is None or name_stays(graph, x):
            continue
        graph.remove(node)
        graph.rename(x, y)
        taken.append(Decision("name_output", node.name, y, True, "P writes x, Identity(x) -> y  =>  P writes y", 0.0, "exact"))
    return tuple(taken)
