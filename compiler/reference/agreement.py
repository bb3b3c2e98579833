"""Whether two implementations of an operator agree: within what the operator's own dtype can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .held import Held, is_float
from .rounding import SINGLE, UNIT

COARSE = 2.0**11
"""Unit roundoffs of the largest result that two right implementations are apart at a first look (1.2e-4 in fp32): no wrong formula is
that close on all of its results."""
FINE, SENSITIVE = 2.0**9, 64.0
"""At a second look, on exactly the same operands: unit roundoffs of the largest result, and how often the change that noise of one unit
roundoff in the operands makes."""
STEPS = frozenset({"QuantizeLinear", "DynamicQuantizeLinear", "Round", "Floor", "Ceil", "Cast", "CastLike"})
"""Operators that round: of two results on both sides of a tie neither is wrong. And all whose name begins with QLinear."""
TIES = 0.02
"""Share of elements that may be on the other side of a tie."""


def close(mine: Sequence[Held], other: Sequence[Held], operator: str, sensitivity: Sequence[Any] | None = None) -> bool:
    """Whether all results agree. sensitivity: per result, how far each element moves under noise in the operands (a second look)."""
    return all(
        _close(a, b, operator, None if sensitivity is None else sensitivity[k])
        for k, (a, b) in enumerate(zip(mine, other, strict=False))
        if a.value is not None and b.value is not None
    )


def _close(mine: Held, other: Held, operator: str, sensitivity: Any) -> bool:
    a, b = np.asarray(mine.value), np.asarray(other.value)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "OUST":
        return bool((a.astype(str) == b.astype(str)).all())
    stepped = operator in STEPS or operator.startswith("QLinear")
    if not is_float(other.dtype):
        return _same_integers(a, b, sensitivity, stepped)
    unit = UNIT.get(other.dtype, SINGLE)
    a, b = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    alike = finite | (a == b) | (np.isnan(a) & np.isnan(b)) | _overflowed(a, b, other.dtype)
    if not alike.all():
        return False
    a, b = a[finite], b[finite]
    if not a.size:
        return True
    largest = float(np.abs(a).max())
    if sensitivity is None:
        allowed: Any = COARSE * unit * (largest + np.abs(a))
    else:
        allowed = FINE * unit * (largest + np.abs(a)) + SENSITIVE * np.nan_to_num(sensitivity)[finite].clip(None, largest)
    far = np.abs(a - b) > allowed
    return not far.any() or (stepped and far.mean() <= TIES)


def _overflowed(a: Any, b: Any, dtype: str) -> Any:
    """Where a runtime has an infinity of the right sign because its dtype ends there."""
    if dtype not in ("float16", "float32"):
        return np.zeros(a.shape, bool)
    largest = float(np.finfo(dtype).max) * (1 - 2 * UNIT.get(dtype, SINGLE))
    return np.isinf(b) & (np.sign(a) == np.sign(b)) & (np.abs(a) >= largest)


def _same_integers(a: Any, b: Any, sensitivity: Any, stepped: bool) -> bool:
    wrong = np.asarray(a != b)
    if sensitivity is not None:
        wrong &= ~np.asarray(sensitivity > 0)
    if not wrong.any():
        return True
    if not stepped or a.dtype.kind not in "iuV":
        return False
    apart = np.abs(a.astype(np.int64) - b.astype(np.int64))
    return bool((apart[wrong] <= 1).all() and wrong.mean() <= TIES)
