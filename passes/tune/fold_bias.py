"""Takes a constant bias into a Gemm that has none yet, for devices whose table asks for Gemm instead of MatMul.

Gemm(A, B) + c             ->  Gemm(A, B, c)               c any constant that broadcasts to the product
Reshape(Gemm(A, B)) + c    ->  Reshape(Gemm(A, B, c'))     c one value per column, c' = c as a row
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    for index in (0, 1):
        product, bias = node.inputs[index], node.inputs[1 - index]
        if not graph.tensor(bias).const or graph.uses(product) != 1:
            continue
        shaping, gemm = None, graph.producer(product)
        if gemm is not None and gemm.kind == "Reshape":
            shaping, gemm = gemm, graph.producer(gemm.inputs[0])
        if gemm is None or gemm.kind != "Gemm" or any(gemm.inputs[2:]) or graph.uses(gemm.outputs[0]) != 1:
            continue
        shape = {} if shaping is None else {"shape": shaping.inputs[1]}
        return Bindings(node, {"product": product, "bias": bias, "gemm": gemm.outputs[0], **shape})
    return None


def unless(graph: Graph, found: Bindings) -> str | None:
    bias, product = graph.tensor(found["bias"]).shape or (), graph.tensor(found["gemm"]).shape
    if product is None or product[1] is None or graph.tensor(found["gemm"]).dtype not in COMPUTED:
        return "the width of the product is not known"
    if graph.tensor(found["product"]).shape != graph.tensor(found.root.outputs[0]).shape:
        return "the bias broadcasts the product to a larger shape"
    per_column = all(extent == 1 for extent in bias[:-1]) and (not bias or bias[-1] in (1, product[1]))
    if "shape" in found:
        last = (graph.tensor(found["product"]).shape or (None,))[-1]
        return None if per_column and last == product[1] else "the bias is not one value per column"
    fits = len(bias) <= 2 and all(extent in (1, whole) for extent, whole in zip(reversed(bias), reversed(product), strict=False))
    return None if fits or per_column else "the bias does not broadcast to the product"


def build(b: Builder, found: Bindings) -> str:
    gemm, value, bias = b.graph.producer(found["gemm"]), None, found["bias"]
    if "shape" in found or len(b.graph.tensor(bias).shape or ()) > 2:
        value = b.graph.value(bias)
    assert gemm is not None, "match() has seen it"
    result = b.like(gemm, *gemm.inputs[:2], bias if value is None else b.array(value.reshape(-1)), without=("beta",))
    return b.op("Reshape", result, found["shape"]) if "shape" in found else result


FOLD_BIAS = Rewrite(
    name="fold_bias",
    summary="Gemm(A, B) + c -> Gemm(A, B, c)",
    operators=("Add",),
    emits=("Gemm", "Reshape"),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)
