"""com.microsoft's QuantizeLinear and DequantizeLinear, as onnxruntime.quantization writes them for 16 and 4 bits: the standard's instead.

They are the same functions. com.microsoft's take one scale where no axis is stated, which the standard reads off the scale's rank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..structure import all_graphs

if TYPE_CHECKING:
    import onnx

OPERATORS = frozenset({"QuantizeLinear", "DequantizeLinear"})
DOMAIN = "com.microsoft"
WIDE = 21
"""The first opset whose operators take 16 and 4 bits; those before take 8, and int32 to dequantise."""
OLD_DTYPES = frozenset({1, 2, 3, 6})
"""float, uint8, int8, int32: what they take of ours before."""


def opset_needed(model: onnx.ModelProto) -> int:
    """The opset that the standard's operators need in the place of com.microsoft's; 0 where there are none."""
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node if _is_contrib(node)]
    if not nodes:
        return 0
    dtypes = {tensor.name: tensor.data_type for graph in all_graphs(model.graph) for tensor in graph.initializer}
    used = {dtypes.get(name, 0) for node in nodes for name in node.input[1:] if name}
    return 13 if used <= OLD_DTYPES else WIDE


def standardise(model: onnx.ModelProto) -> str:
    """Changes the nodes in place, in a model at the opset that is needed; a note, "" where there are none."""
    changed = 0
    for graph in all_graphs(model.graph):
        for node in graph.node:
            if _is_contrib(node):
                node.domain = ""
                changed += 1
    if not changed:
        return ""
    if not any(node.domain == DOMAIN for graph in all_graphs(model.graph) for node in graph.node):
        kept = [entry for entry in model.opset_import if entry.domain != DOMAIN]
        del model.opset_import[:]
        model.opset_import.extend(kept)
    return f"{changed} QuantizeLinear and DequantizeLinear of com.microsoft became the standard's"


def _is_contrib(node: onnx.NodeProto) -> bool:
    return node.domain == DOMAIN and node.op_type in OPERATORS
