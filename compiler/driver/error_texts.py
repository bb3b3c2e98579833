"""Sentences about measured errors and the limits they break."""

from __future__ import annotations

import math

from ..bundle.manifest import LimitRecord
from ..differing_digits import differing


def measured_against(limit: LimitRecord) -> str:
    """`error abs: measured 0.013, and the target allows <= 0.001`; as many digits as make the two differ."""
    value = differing(limit.value or 0.0, limit.limit)[0]
    return f"{limit.kind} {limit.subject}: measured {value}, and the target allows {limit.comparison} {limit.text}"


def sufficient(limit: LimitRecord) -> str:
    """A limit of three digits that the measured value keeps, on its safe side: `<= 0.0131`."""
    value = limit.value or 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2) if value else 1.0
    below = limit.comparison.startswith("<")
    safe = (math.ceil if below else math.floor)(value / unit) * unit
    return f"{'<=' if below else '>='} {safe:.3g}"
