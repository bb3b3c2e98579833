"""Quantised models for devices that compute in floats beside weights in integers: activations that are quantised on the run stay floats,
and a table of embeddings is dequantised as a whole.

x̂, s, z = DynamicQuantizeLinear(x)
Cast(MatMulInteger(x̂, W, z, v))·s·r        ->  MatMul(x, DequantizeLinear(W, r, v))
Cast(ConvInteger(x̂, W, z, v))·s·r          ->  Conv(x, DequantizeLinear(W, r, v))
DequantizeLinear(Gather(T, i), r, v)       ->  Gather(DequantizeLinear(T, r, v), i)          exact

What quantising on the run rounds is an error of x that the model's author put up with for speed: up to half a step of x/255. Left out, the
result is nearer to what the model was made of.
"""

from __future__ import annotations

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite

INTEGER = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
DYNAMIC = "DynamicQuantizeLinear"


def match_product(graph: Graph, node: Node) -> Bindings | None:
    for sums, scales in (node.inputs, node.inputs[::-1]):
        found = _product(graph, node, sums, scales)
        if found is not None:
            return found
    return None


def _product(graph: Graph, node: Node, sums: str, scales: str) -> Bindings | None:
    cast = _made_by(graph, sums, "Cast")
    product = graph.producer(cast.inputs[0]) if cast is not None else None
    both = _made_by(graph, scales, "Mul")
    if product is None or both is None or product.kind not in INTEGER or graph.uses(sums) != 1 or graph.uses(product.outputs[0]) != 1:
        return None
    quantised, weight, *zeros = product.inputs
    dynamic = graph.producer(quantised)
    if dynamic is None or dynamic.kind != DYNAMIC or quantised != dynamic.outputs[0] or weight not in graph.constants:
        return None
    steps = [name for name in both.inputs if name != dynamic.outputs[1]]
    if len(steps) != 1 or steps[0] not in graph.constants or not zeros or zeros[0] != dynamic.outputs[2]:
        return None
    zero = zeros[1] if len(zeros) > 1 else ""
    if (zero and zero not in graph.constants) or not _one_for_each(graph, product, weight, steps[0], zero):
        return None
    if graph.tensor(node.outputs[0]).shape != graph.tensor(product.outputs[0]).shape:
        return None
    return Bindings(node, {"x": dynamic.inputs[0], "product": product.outputs[0], "w": weight, "steps": steps[0], "zero": zero})


def _made_by(graph: Graph, tensor: str, kind: str) -> Node | None:
    node = graph.producer(tensor)
    return node if node is not None and node.kind == kind else None


def _one_for_each(graph: Graph, product: Node, weight: str, steps: str, zero: str) -> bool:
    """Whether there is one scale and zero point, or of a matrix one for each column."""
    columns = (graph.tensor(weight).shape or ())[-1:] if product.kind == "MatMulInteger" else ()
    sizes = {
        graph.tensor(name).elements if graph.tensor(name).elements == 1 else graph.tensor(name).shape for name in (steps, zero) if name
    }
    return len(sizes) == 1 and sizes <= {1, columns or 1}


def build_product(b: Builder, found: Bindings) -> str:
    product = b.graph.producer(found["product"])
    assert product is not None, "match() has seen it"
    w = _dequantised(b, found["w"], found["steps"], found["zero"])
    return b.like(product, found["x"], w, operator=INTEGER[product.kind])


def _dequantised(b: Builder, stored: str, steps: str, zero: str) -> str:
    """Along the last axis where there are many scales, as vectors; else with scalars."""
    graph = b.graph
    values = [graph.value(name) for name in (steps, zero) if name]
    known = [value.reshape(()) if value.size == 1 else value for value in values if value is not None]
    operands = [graph.constant(value, f"{stored}_dequantised") for value in known]
    axis = {"axis": len(graph.tensor(stored).shape or ()) - 1} if known[0].size > 1 else {}
    return b.op("DequantizeLinear", stored, *operands, **axis)


def match_table(graph: Graph, node: Node) -> Bindings | None:
    gather = _made_by(graph, node.inputs[0], "Gather")
    if gather is None or gather.inputs[0] not in graph.constants or graph.uses(gather.outputs[0]) != 1:
        return None
    one = all(graph.tensor(name).elements == 1 and name in graph.constants for name in node.inputs[1:] if name)
    return Bindings(node, {"gather": gather.outputs[0]}) if one and not graph.attribute(node, "block_size") else None


def build_table(b: Builder, found: Bindings) -> str:
    gather = b.graph.producer(found["gather"])
    assert gather is not None, "match() has seen it"
    return b.like(gather, b.like(found.root, gather.inputs[0], *found.root.inputs[1:]), gather.inputs[1])


KEEP_IN_FLOATS = Rewrite(
    name="keep_in_floats",
    summary="(x̂·W)·s·r, x̂ and s by DynamicQuantizeLinear(x) -> x·DequantizeLinear(W, r)",
    operators=("Mul",),
    emits=("MatMul", "Conv", "DequantizeLinear"),
    contract=Contract("reassociates"),
    match=match_product,
    build=build_product,
)
DEQUANTIZE_TABLE = Rewrite(
    name="dequantize_table",
    summary="DequantizeLinear(Gather(T, i)) -> Gather(DequantizeLinear(T), i)",
    operators=("DequantizeLinear",),
    emits=("DequantizeLinear", "Gather"),
    contract=Contract("exact"),
    match=match_table,
    build=build_table,
)
WEIGHTS_ALONE = (KEEP_IN_FLOATS, DEQUANTIZE_TABLE)
