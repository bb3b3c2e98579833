"""From the range of a tensor to scale and zero point: real value = (stored value - zero point) x scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...targets.dtypes import BITS, DTYPES, NUMPY
from ...targets.quantised.scales import middle

AT_ONCE = 1 << 20
"""Elements that are rounded at once: in float64 they take eight times the memory of integers."""
SMALLEST = 2.0**-100
"""Scale of a tensor of zeros; no smaller one is stored, so that its reciprocal and products of two are normal numbers of fp32."""


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a tensor takes."""

    low: float
    high: float

    def joined(self, other: Range) -> Range:
        return Range(min(self.low, other.low), max(self.high, other.high))

    @property
    def usable(self) -> bool:
        """Whether a step of it is a number of fp32."""
        return math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high


@dataclass(frozen=True, slots=True)
class Steps:
    """How one tensor is quantised."""

    scale: float
    """A number of fp32."""
    zero: int
    dtype: str

    @property
    def low(self) -> float:
        """The smallest real value that it can hold."""
        return (limits(self.dtype)[0] - self.zero) * self.scale

    @property
    def high(self) -> float:
        return (limits(self.dtype)[1] - self.zero) * self.scale


def limits(dtype: str) -> tuple[int, int]:
    """The smallest and the largest stored value."""
    bits = BITS[dtype]
    return (0, 2**bits - 1) if DTYPES[dtype].kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def steps_of(found: Range, dtype: str, symmetric: bool) -> Steps:
    """The finest steps that hold the range and 0, which paddings and sums need exactly. symmetric: with the zero point in the middle."""
    least, most = limits(dtype)
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    if symmetric:
        zero = middle(dtype)
        return Steps(_stored(max(-low, high) / (most - zero)), zero, dtype)
    scale = _stored(high / (most - least) - low / (most - least))
    return Steps(scale, int(np.clip(round(least - low / scale), least, most)), dtype)


def quantised(values: np.ndarray, scale: np.ndarray | float, zero: int, dtype: str) -> np.ndarray:
    """Rounded half to even and saturated, as QuantizeLinear does; `scale` broadcasts against the values. int4 comes back as int8."""
    least, most = limits(dtype)
    stored = np.empty(values.shape, NUMPY.get(dtype, "int8" if least < 0 else "uint8"))
    along, rows = np.broadcast_to(np.asarray(scale, np.float64), values.shape), len(values) if values.ndim else 1
    step = max(1, AT_ONCE * rows // max(values.size, 1))
    for start in range(0, rows, step):
        part: Any = slice(start, start + step) if values.ndim else ...
        stored[part] = np.clip(np.rint(values[part].astype(np.float64) / along[part]) + zero, least, most)
    return stored


def _stored(scale: float) -> float:
    return float(np.float32(max(scale, SMALLEST)))
