"""How a tensor is quantised: real value = (stored value - zero point) x scale."""

from __future__ import annotations

from dataclasses import dataclass

from ..dtypes import BITS, DTYPES


@dataclass(frozen=True, slots=True)
class Scales:
    """Of one quantised tensor."""

    axis: int | None = None
    """The axis each index of which has a scale of its own, or along which blocks lie; None: one scale for the tensor."""
    block: int = 0
    """Elements along the axis that share a scale; 0 where each index of the axis has its own."""
    zero_points: tuple[int, ...] | None = None
    """The different zero points there are, ascending; None where they are not known when compiling."""
    scale: tuple[float, float] | None = None
    """The smallest and the largest scale; None where they are not known when compiling."""


def middle(dtype: str) -> int:
    """The zero point of a symmetric tensor: 0 of a signed dtype, 128 of uint8."""
    return 1 << (BITS[dtype] - 1) if DTYPES[dtype].kind == "uint" else 0
