"""Sentences about measured errors and the limits they break."""

from __future__ import annotations

from ..bundle.manifest import LimitRecord
from ..differing_digits import differing


def measured_against(limit: LimitRecord) -> str:
    """`error abs: measured 0.013, and the target allows <= 0.001`; as many digits as make the two differ."""
    value = differing(limit.value or 0.0, limit.limit)[0]
    return f"{limit.kind} {limit.subject}: measured {value}, and the target allows {limit.comparison} {limit.text}"
