"""Operators that onnxruntime has in the standard's own domain, though the standard has them by another name or not at all.

SimplifiedLayerNormalization(x, scale)   ->  RMSNormalization(x, scale)     opset 23; the same attributes with the same defaults

onnxruntime's optimiser, its model builder and exports that went through them write these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..structure import all_graphs
from ..versions import DEFAULT_DOMAINS

if TYPE_CHECKING:
    import onnx

STANDARD = {"SimplifiedLayerNormalization": "RMSNormalization"}
FIRST_OPSET = 23
WIDENING = 18
"""From this opset on newer ones only widen what operators take."""
UNSEEN = "autoglmc.runtime"


def hide_runtime_operators(model: onnx.ModelProto) -> int:
    """Puts them into a domain of their own, in place, where onnx lets them pass; how many there are."""
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node if is_runtime_operator(node)]
    for node in nodes:
        node.domain = UNSEEN
    if nodes:
        model.opset_import.add(domain=UNSEEN, version=1)
    return len(nodes)


def is_runtime_operator(node: onnx.NodeProto) -> bool:
    """Whether the standard has it by another name: not where statistics are asked for, which its operator does not give."""
    return node.domain in DEFAULT_DOMAINS and node.op_type in STANDARD and not any(node.output[1:])


def standardise_runtime_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """Gives what was hidden the standard's names, in place, and the model the opset that has them, if it is not too old; a note."""
    opset = next(entry for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS)
    if opset.version < WIDENING:
        return (f"opset {opset.version} was kept, and with it operators that onnxruntime alone has",)
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node if node.domain == UNSEEN]
    for node in nodes:
        node.domain, node.op_type = "", STANDARD[node.op_type]
        del node.output[1:]
    opset.version = max(opset.version, FIRST_OPSET)
    kept = [entry for entry in model.opset_import if entry.domain != UNSEEN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return (f"{len(nodes)} SimplifiedLayerNormalization of onnxruntime became the standard's RMSNormalization",)
