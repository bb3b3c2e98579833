"""Finds again that heads were turned, where they were turned as one batch.

    Reshape(Transpose(Reshape(k, [batch·heads, rows, width]), (0, 2, 1)), [batch, heads, width, rows])
        ->  Transpose(Reshape(k, [batch, heads, rows, width]), (0, 1, 3, 2))

PyTorch's exporter by torch.export writes the keys of scaled_dot_product_attention so; attention is looked for with the second form.
"""

from __future__ import annotations

from math import prod

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

ONE_BATCH, APART = (0, 2, 1), (0, 1, 3, 2)


def match(graph: Graph, node: Node) -> Bindings | None:
    turned = graph.producer(node.inputs[0])
    before, after = extents(graph, node.inputs[0]), extents(graph, node.outputs[0])
    if turned is None or turned.kind != "Transpose" or turned.attribute("perm") != ONE_BATCH or graph.uses(node.inputs[0]) != 1:
        return None
    if before is None or after is None or len(after) != 4 or after[2:] != before[1:] or prod(after[:2]) != before[0]:
        return None
    flat = graph.producer(turned.inputs[0])
    source = flat.inputs[0] if flat is not None and flat.kind == "Reshape" else turned.inputs[0]
    return Bindings(node, {"k": source, "shape": (*after[:2], after[3], after[2])})


def build(b: Builder, found: Bindings) -> str:
    return b.op("Transpose", b.reshape(found["k"], found.integers("shape")), perm=APART)


RECOVER_TURNED_HEADS = Rewrite(
    name="recover_turned_heads",
    summary="Reshape(Transpose(Reshape(k, batch·heads first), (0, 2, 1))) -> Transpose(Reshape(k), (0, 1, 3, 2))",
    operators=("Reshape",),
    emits=("Transpose", "Reshape"),
    contract=Contract("exact"),
    match=match,
    build=build,
)
