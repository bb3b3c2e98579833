"""GELU between two quantisations as a table of 256 values: a device without Gelu, Erf, Tanh and Sigmoid runs it in integers.

QuantizeLinear(Gelu(DequantizeLinear(q; s, z)); t, u)  =  T[q],    T[q] = QuantizeLinear(Gelu(s·(q - z)); t, u) for each of the 256 q

Gelu itself becomes DequantizeLinear(Gather(T, Cast(q)); t, u): that quantises to T[q] again, exactly (remove_requantize says why), so the
two cancel, and the DequantizeLinear before has no reader left. T is what onnxruntime computes for the three operators, bit for bit. A
negative q counts from the end, as Gather's indices do: T begins with the values for q = 0, 1, ….
"""

from __future__ import annotations

from math import ldexp

import numpy as np
from onnx import helper

from ...targets.dtypes import BYTES, ELEMENT, SMALLEST_NORMAL
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """Scalar constant scales in fp32, 8 bits on both sides, and no other reader of the float that Gelu computes."""
    before, readers = graph.producer(node.inputs[0]), graph.users(node.outputs[0])
    if before is None or before.kind != "DequantizeLinear" or graph.uses(node.outputs[0]) != 1 or len(readers) != 1:
        return None
    after = readers[0]
    if after.kind != "QuantizeLinear" or node.outputs[0] != after.inputs[0] or node.outputs[0] in after.inputs[1:]:
        return None
    kinds = {graph.tensor(before.inputs[0]).dtype, graph.tensor(after.outputs[0]).dtype}
    scales = [graph.scalar(quantiser.inputs[1]) for quantiser in (before, after)]
    zeros = [graph.scalar(quantiser.inputs[2]) for quantiser in (before, after) if len(quantiser.inputs) > 2 and quantiser.inputs[2]]
    in_fp32 = all(graph.tensor(quantiser.inputs[1]).dtype == "fp32" for quantiser in (before, after))
    if not kinds <= BYTES or None in scales or None in zeros or not in_fp32 or graph.attribute(after, "precision"):
        return None
    numbers = {"scale": scales[1] or 0.0}
    return Bindings(node, {"q": before.inputs[0], "before": before.outputs[0], "after": after.outputs[0], **numbers})


def unless(graph: Graph, found: Bindings) -> str | None:
    normal = SMALLEST_NORMAL["fp32"] <= found.number("scale") <= ldexp(1, 111)
    return None if normal else "the scale of the result is too small or too large for quantising it again"


def build(b: Builder, found: Bindings) -> str:
    before, after = b.graph.producer(found["before"]), b.graph.producer(found["after"])
    assert before is not None and after is not None, "match() has seen them"
    table = b.graph.constant(table_of(b.graph, [before, found.root, after]), b.hint)
    result = b.op("Gather", table, b.cast(found["q"], "int32"), axis=0)
    scale, *zero = after.inputs[1:3]
    if not any(zero):
        zero = [b.graph.constant(np.zeros((), helper.tensor_dtype_to_np_dtype(ELEMENT[b.graph.tensor(found["after"]).dtype])))]
    return b.op("DequantizeLinear", result, scale, *zero)


def table_of(graph: Graph, chain: list[Node]) -> np.ndarray:
    """What the chain computes for 0, 1, …, 255, each taken as the byte of its first operand's dtype."""
    import onnxruntime

    entry, result = chain[0].inputs[0], chain[-1].outputs[0]
    elements = [ELEMENT[graph.tensor(name).dtype] for name in (entry, result)]
    outer = [helper.make_tensor_value_info(name, kind, [256]) for name, kind in zip((entry, result), elements, strict=True)]
    constants = {name: graph.constants[name] for node in chain for name in node.reads if name in graph.constants}
    body = helper.make_graph([node.to_proto() for node in chain], "table", outer[:1], outer[1:], list(constants.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", max(graph.newest, 20))], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    every = np.arange(256).astype(np.uint8).view(helper.tensor_dtype_to_np_dtype(elements[0]))
    return np.asarray(session.run(None, {entry: every})[0])


GELU_TABLE = Rewrite(
    name="gelu_table",
    summary="QuantizeLinear(Gelu(DequantizeLinear(q))) -> T[q], a table of 256",
    operators=("Gelu",),
    emits=("Cast", "Gather", "DequantizeLinear"),
    contract=Contract("exact", over="values as quantised after it, 8 bits, constant scalar scales"),
    match=match,
    unless=unless,
    build=build,
)
