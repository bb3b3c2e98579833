"""The float model that a quantised one was made of: every DequantizeLinear of what a QuantizeLinear wrote passes that one's operand on.

Weights stay what they dequantise to. What is left out is the rounding of activations to their grids. That a grid ends somewhere stays: it
may be what cuts off below zero, in place of a Relu. How far the quantised model is from this is the error of its quantisation, beside
which another way to compute in those integers is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

DOMAINS = ("", "ai.onnx", "com.microsoft")
FEWEST = 2
"""Pairs below which a model has no activations in integers to speak of: one alone is an operation of the model's own."""


def float_nodes(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, Any]) -> list[onnx.NodeProto] | None:
    """The nodes of a main graph, those that dequantise activations replaced; None where there are fewer than FEWEST of these. constants:
    arrays by name; a grid whose scale is none of them does not end."""
    quantised = {node.output[0]: node for node in nodes if _is(node, "QuantizeLinear")}
    found: list[onnx.NodeProto] = []
    pairs = 0
    for node in nodes:
        source = quantised.get(node.input[0]) if _is(node, "DequantizeLinear") else None
        pairs += source is not None
        found += [node] if source is None else _passed_on(source, node, constants)
    return found if pairs >= FEWEST else None


def _passed_on(quantise: onnx.NodeProto, node: onnx.NodeProto, constants: Mapping[str, Any]) -> Iterator[onnx.NodeProto]:
    import onnx
    from onnx import numpy_helper

    ends, result = _ends(quantise, constants), node.output[0]
    if ends is None:
        yield onnx.NodeProto(op_type="Identity", input=[quantise.input[0]], output=[result], name=node.name)
        return
    names = [f"{result}/{end}" for end in ("low", "high", "above")]
    for name, end in zip(names, ends, strict=False):
        constant = onnx.NodeProto(op_type="Constant", output=[name])
        constant.attribute.append(onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=numpy_helper.from_array(end)))
        yield constant
    yield onnx.NodeProto(op_type="Max", input=[quantise.input[0], names[0]], output=[names[2]])
    yield onnx.NodeProto(op_type="Min", input=[names[2], names[1]], output=[result], name=node.name)


def _ends(quantise: onnx.NodeProto, constants: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The lowest and the highest number of a grid of one scale, in the dtype of the scale."""
    import ml_dtypes
    import numpy as np

    scale = constants.get(quantise.input[1])
    named = quantise.input[2] if len(quantise.input) > 2 else ""
    zero = constants.get(named) if named else np.zeros((), np.uint8)
    stated = any(attribute.name == "output_dtype" and attribute.i for attribute in quantise.attribute)
    if scale is None or zero is None or np.size(scale) != 1 or (stated and not named):
        return None
    try:
        limits = ml_dtypes.iinfo(np.asarray(zero).dtype)
    except ValueError:  # 8-bit floats
        return None
    step, middle = np.asarray(scale).reshape(()), int(np.asarray(zero).reshape(()))
    return np.asarray((limits.min - middle) * step, step.dtype), np.asarray((limits.max - middle) * step, step.dtype)


def _is(node: onnx.NodeProto, operator: str) -> bool:
    return node.op_type == operator and node.domain in DOMAINS
