"""The float model that a quantised one was made of: every DequantizeLinear of what a QuantizeLinear wrote passes that one's operand on.

Weights stay what they dequantise to. What is left out is the rounding of activations to their grids, and that a grid ends somewhere. How
far the quantised model is from this is the error of its quantisation, beside which another way to compute in those integers is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

DOMAINS = ("", "ai.onnx", "com.microsoft")
FEWEST = 2
"""Pairs below which a model has no activations in integers to speak of: one alone is an operation of the model's own."""


def float_nodes(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto] | None:
    """The nodes of a main graph, those that dequantise activations replaced; None where there are fewer than FEWEST of these."""
    import onnx

    quantised = {node.output[0]: node.input[0] for node in nodes if _is(node, "QuantizeLinear")}
    found, pairs = [], 0
    for node in nodes:
        source = quantised.get(node.input[0]) if _is(node, "DequantizeLinear") else None
        if source is not None:
            pairs += 1
            node = onnx.NodeProto(op_type="Identity", input=[source], output=node.output, name=node.name)
        found.append(node)
    return found if pairs >= FEWEST else None


def _is(node: onnx.NodeProto, operator: str) -> bool:
    return node.op_type == operator and node.domain in DOMAINS
