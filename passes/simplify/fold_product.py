"""Folds factors after a product with a constant matrix into the matrix, in float64, cast back once.

s·(x·W)         ->  x·(s·W)
s·(x·W + b)     ->  x·(s·W) + s·b          s one number or one per column; also as a division by 1/s
"""

from __future__ import annotations

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    for index in (0, 1) if node.operator == "Mul" else (0,):
        product, factor = node.inputs[index], node.inputs[1 - index]
        found = _product(graph, product)
        if found is not None and graph.tensor(factor).const:
            return Bindings(node, {**found, "factor": factor})
    return None


def _product(graph: Graph, tensor: str) -> dict[str, str] | None:
    """x, weight and bias where the tensor is x·W or x·W + b and nothing else reads it or what it is made of."""
    node = graph.producer(tensor)
    if node is None or graph.uses(tensor) != 1:
        return None
    if node.kind == "MatMul" and graph.tensor(node.inputs[1]).const:
        return {"x": node.inputs[0], "weight": node.inputs[1]}
    if node.kind != "Add":
        return None
    for inner, bias in (node.inputs, reversed(node.inputs)):
        matmul = graph.producer(inner)
        if matmul is not None and matmul.kind == "MatMul" and graph.tensor(bias).const and (found := _product(graph, inner)) is not None:
            return {**found, "bias": bias}
    return None


def unless(graph: Graph, found: Bindings) -> str | None:
    weight, factor = graph.value(found["weight"]), _factor(graph, found)
    if weight is None or weight.ndim != 2 or weight.dtype.kind != "f":
        return "the weight is not a matrix of floats"
    if isinstance(factor, str):
        return factor
    if not np.isfinite(factor).all():
        return "the factor is not finite"
    if "bias" in found and not _by_column(graph, found, "bias"):
        return "the bias is not one value per column"
    limit = float(np.finfo(weight.dtype).max)
    return None if float(np.abs(weight).max(initial=0.0)) * float(np.abs(factor).max()) < limit else "the folded weights overflow"


def _by_column(graph: Graph, found: Bindings, name: str) -> bool:
    """Whether the operand is one number or one per column, without more axes than the product has."""
    shape, x, weight = (graph.tensor(found[key]).shape for key in (name, "x", "weight"))
    rank = 1 if x is None else len(x)
    if shape is None or weight is None or len(shape) > rank:
        return False
    return all(extent == 1 for extent in shape[:-1]) and (not shape or shape[-1] in (1, weight[-1]))


def _factor(graph: Graph, found: Bindings) -> np.ndarray | str:
    """One number or one per column, float64; or why not."""
    array = graph.value(found["factor"])
    if array is None or not _by_column(graph, found, "factor"):
        return "the factor is not one value per column"
    wide = array.astype(np.float64).reshape(-1)
    with np.errstate(divide="ignore"):
        return wide if found.root.operator == "Mul" else 1.0 / wide


def build(b: Builder, found: Bindings) -> str:
    weight, factor = b.graph.value(found["weight"]), _factor(b.graph, found)
    assert weight is not None and not isinstance(factor, str), "unless() has checked"
    result = b.op("MatMul", found["x"], b.array(weight.astype(np.float64) * factor))
    if "bias" in found:
        bias = b.graph.value(found["bias"])
        assert bias is not None, "match() has seen that it is constant"
        result = b.add(result, b.array(bias.astype(np.float64).reshape(-1) * factor))
    return result


FOLD_PRODUCT = Rewrite(
    name="fold_product",
    summary="s·(x·W + b) -> x·(s·W) + s·b",
    operators=("Mul", "Div"),
    emits=("MatMul", "Add"),
    contract=Contract("reassociates"),
    match=match,
    unless=unless,
    build=build,
)
