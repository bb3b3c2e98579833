"""Models that are in integers before we begin."""

from __future__ import annotations

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ..errors import UsageError

FORMS = frozenset({
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "MatMulInteger", "ConvInteger",
    "com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear", "com.microsoft::MatMulNBits", "com.microsoft::MatMulBnb4",
    "com.microsoft::DynamicQuantizeMatMul", "com.microsoft::MatMulIntegerToFloat", "com.microsoft::QLinearAdd",
    "com.microsoft::QLinearMul", "com.microsoft::QGemm", "com.microsoft::QAttention", "com.microsoft::GatherBlockQuantized",
})  # fmt: skip


def is_quantised(graph: Graph) -> Node | None:
    """The first quantised operator of a model; None of a float model."""
    return next((node for node in graph.nodes if node.kind in FORMS), None)


def check_float(graph: Graph, where: str) -> None:
    """Raises UsageError for a model that has a quantised operator."""
    node = is_quantised(graph)
    if node is not None:
        name = node.name or (node.outputs[0] if node.outputs else "")
        message = f"the model is quantised already: {node.kind} '{name}'"
        help = "compile it without --precision, --prune and --calibration-data, or give the float model"
        raise UsageError(message, where=where, help=help)
