"""Operands as tensors of a Core AI program, and numbers of the dtype of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..onnx_node import OnnxNode
from .api import CoreValue

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


def tensor(node: OnnxNode, index: int) -> CoreValue:
    """An operand, a constant too. Raises Refused where it is left out, has a dtype that is not taken, or no elements: what Core AI's
    interpreter makes of those is arbitrary."""
    try:
        value: CoreValue = node.api.value(node.operand(index))
    except ValueError as problem:
        raise node.refuse(f"input {index}: {problem}") from None
    if 0 in value.shape:
        raise node.refuse(f"input {index} is empty")
    return value


def like(x: CoreValue, number: float) -> Array:
    """A number in the dtype of x, of rank 0."""
    import numpy

    return numpy.array(number, x.dtype)


def whole(values: list[int]) -> Array:
    """Sizes, axes and bounds."""
    import numpy

    return numpy.array(values, numpy.int32)


def counts(values: list[int]) -> Array:
    """Sizes, axes and strides where the API has no sign for them."""
    import numpy

    return numpy.array(values, numpy.uint32)


def least_above_zero(x: CoreValue) -> float:
    """In the dtype of x; of fp16 it is no normal number."""
    import numpy

    limits = numpy.finfo(x.dtype)
    return float(limits.smallest_subnormal if x.dtype == numpy.float16 else limits.smallest_normal)
