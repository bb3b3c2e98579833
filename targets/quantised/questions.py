"""What a condition may ask about how a tensor is quantised; None where that is not known, or the tensor is not quantised."""

from __future__ import annotations

from ..dtypes import BITS
from ..environment import Absent, Answer, Every
from ..operator_view import TensorView
from .scales import middle


def per_tensor(tensor: TensorView) -> Answer:
    return None if tensor.scales is None else tensor.scales.axis is None


def per_channel(tensor: TensorView) -> Answer:
    return None if tensor.scales is None else tensor.scales.axis is not None and not tensor.scales.block


def channel_axis(tensor: TensorView) -> Answer:
    """The axis whose indices have scales of their own, counted from 0."""
    if tensor.scales is None:
        return None
    axis = tensor.scales.axis
    return Absent(f"`{tensor.name}` has no scale a channel") if axis is None or tensor.scales.block else axis


def block(tensor: TensorView) -> Answer:
    """Elements that share a scale, of a tensor in blocks."""
    if tensor.scales is None:
        return None
    return tensor.scales.block or Absent(f"`{tensor.name}` is not quantised in blocks")


def symmetric(tensor: TensorView) -> Answer:
    if tensor.scales is None or tensor.scales.zero_points is None or tensor.dtype not in BITS:
        return None
    return all(zero == middle(tensor.dtype) for zero in tensor.scales.zero_points)


def zero_point(tensor: TensorView) -> Answer:
    """Each there is."""
    if tensor.scales is None or tensor.scales.zero_points is None:
        return None
    zeros = tensor.scales.zero_points
    return zeros[0] if len(zeros) == 1 else Every(tuple((f"a zero point of {tensor.name}", zero) for zero in zeros))


def scale(tensor: TensorView) -> Answer:
    """The one there is, or the smallest and the largest."""
    if tensor.scales is None or tensor.scales.scale is None:
        return None
    low, high = tensor.scales.scale
    return low if low == high else Every(((f"the smallest scale of {tensor.name}", low), (f"the largest scale of {tensor.name}", high)))
