"""A pool with one window that holds its whole input is a global pool, however far it reaches into the padding.

AveragePool(x)  ->  GlobalAveragePool(x)             times n/d where it divides by d instead of the n elements: the padding counts
MaxPool(x)      ->  GlobalMaxPool(x)                 padding is never the largest
"""

from __future__ import annotations

from math import prod

from ...targets.work.window import windows
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """Every axis has one window, which holds all of it."""
    x, y = graph.tensor(node.inputs[0]), graph.tensor(node.outputs[0]).shape
    if x.dtype not in COMPUTED or x.shape is None or y is None or None in x.shape[2:] or set(y[2:]) != {1} or len(node.writes) != 1:
        return None
    found = windows([extent or 0 for extent in x.shape[2:]], graph.view(node).attributes)
    if found is None or any(axis.overlap(0) != axis.extent for axis in found):
        return None
    averaged = prod(axis.extent for axis in found)
    counted = prod(axis.counted(0) for axis in found) if graph.attribute(node, "count_include_pad") else averaged
    return Bindings(node, {"n": averaged, "d": counted})


def unless(graph: Graph, found: Bindings) -> str | None:
    before, after = graph.producer(found.root.inputs[0]), graph.users(found.root.outputs[0])
    if before is not None and before.kind == "DequantizeLinear" and any(user.kind == "QuantizeLinear" for user in after):
        return "devices have quantised pools that have no quantised global pool"
    return None


def build(b: Builder, found: Bindings) -> str:
    if found.root.operator == "MaxPool":
        return b.op("GlobalMaxPool", found.root.inputs[0])
    mean = b.op("GlobalAveragePool", found.root.inputs[0])
    return mean if found.number("n") == found.number("d") else b.mul(mean, found.number("n") / found.number("d"))


def _rule(name: str, summary: str, operator: str, emits: tuple[str, ...], contract: Contract) -> Rewrite:
    return Rewrite(
        name=name, summary=summary, operators=(operator,), emits=emits, contract=contract, match=match, unless=unless, build=build
    )


GLOBAL_POOLS = (
    _rule(
        "global_averagepool",
        "AveragePool(x; one window over all of x) -> GlobalAveragePool(x), · n/d where the padding counts",
        "AveragePool",
        ("GlobalAveragePool", "Mul"),
        Contract("reassociates"),
    ),
    _rule("global_maxpool", "MaxPool(x; one window over all of x) -> GlobalMaxPool(x)", "MaxPool", ("GlobalMaxPool",), Contract("exact")),
)
