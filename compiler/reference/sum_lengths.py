"""How many terms a result of an operator adds up, by the operator's definition: what rounding of partial sums depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, gcd, prod
from typing import Any

import numpy as np

from .held import Held
from .program import Step

CONVOLUTIONS = frozenset({"Conv", "ConvInteger"})
PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
NORMALISATIONS = frozenset({"LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization"})
"""What divides by the root of a sum and multiplies by its second operand."""
REDUCTIONS = frozenset({"ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "GlobalAveragePool"})


def terms_of(step: Step, operands: Sequence[Held]) -> int:
    """Of a product or a sum at most; 1 for what adds nothing up.

    Conv            channels of a filter · its places
    ConvTranspose   channels of a group · places of the filter that meet in one element: per axis those a multiple of the stride apart
    MatMul, Gemm    columns of the first matrix
    reductions      elements along their axes
    normalisations  elements that have one deviation
    """
    operator = step.operator
    if operator not in NORMALISATIONS | REDUCTIONS | PRODUCTS or not operands:
        return 1
    first = np.shape(operands[0].value)
    if operator in NORMALISATIONS:
        return _normalised(step.attributes, operator, first)
    if operator in REDUCTIONS:
        return int(np.prod([first[axis] for axis in _axes(step, operands, len(first))]))
    second = np.shape(operands[1].value)
    if operator == "ConvTranspose":
        return int(second[0] // step.attributes.get("group", 1) * prod(_meeting(step.attributes, second[2:])))
    if operator in CONVOLUTIONS:
        return prod(second[1:])
    if not second or not first:
        return 1
    return int(first[0] if operator == "Gemm" and step.attributes.get("transA") else first[-1])


def _meeting(attributes: Mapping[str, Any], kernel: Sequence[int]) -> list[int]:
    strides, dilations = (attributes.get(name) or [1] * len(kernel) for name in ("strides", "dilations"))
    return [ceil(size * gcd(stride, dilation) / stride) for size, stride, dilation in zip(kernel, strides, dilations, strict=True)]


def _normalised(attributes: Mapping[str, Any], operator: str, shape: Sequence[int]) -> int:
    if operator == "InstanceNormalization":
        return prod(shape[2:])
    if operator == "GroupNormalization":
        return prod(shape[1:]) // int(attributes["num_groups"])
    return prod(shape[int(attributes.get("axis", -1)) % max(len(shape), 1) :])


def _axes(step: Step, operands: Sequence[Held], rank: int) -> Sequence[int]:
    if step.operator == "GlobalAveragePool":
        return range(2, rank)
    given = operands[1].value if len(operands) > 1 and operands[1].value is not None else step.attributes.get("axes")
    axes = [] if given is None else [int(axis) % rank for axis in np.reshape(given, -1)] if rank else []
    return axes or ([] if step.attributes.get("noop_with_empty_axes") else range(rank))
