"""The target's own limits on accuracy and error, with what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ..bundle.manifest import LimitRecord
from ..differing_digits import differing
from .compare import TensorDifference


def measured(outputs: Sequence[TensorDifference]) -> dict[tuple[str, str], float]:
    """The worst values of all outputs, by (kind, subject) of the limits that are about them."""
    return {
        ("accuracy", "cosine"): min((d.cosine for d in outputs), default=1.0),
        ("error", "abs"): max((d.max_abs for d in outputs), default=0.0),
        ("error", "rel"): max((d.max_rel for d in outputs), default=0.0),
    }


JUDGED = frozenset(measured(()))
"""(kind, subject) of the limits that verification answers; others on accuracy need labelled samples."""


def held(limits: Sequence[LimitRecord], outputs: Sequence[TensorDifference]) -> tuple[LimitRecord, ...]:
    """The target's accuracy and error limits with what was measured."""
    values = measured(outputs)
    found = []
    for limit in limits:
        value = values.get((limit.kind, limit.subject))
        if value is not None:
            margin = limit.limit - value if limit.comparison.startswith("<") else value - limit.limit
            found.append(structs.replace(limit, basis="measured", value=value, margin=margin))
    return tuple(found)


def broken_limits(limits: Sequence[LimitRecord]) -> tuple[LimitRecord, ...]:
    """The measured limits that do not hold."""

    def holds(limit: LimitRecord) -> bool:
        margin = limit.margin or 0.0
        return margin > 0 or (margin == 0 and "=" in limit.comparison)

    return tuple(limit for limit in limits if not holds(limit))


def broken(limits: Sequence[LimitRecord]) -> list[str]:
    """The measured limits that do not hold, one sentence each."""
    return [_broken(limit) for limit in broken_limits(limits)]


def _broken(limit: LimitRecord) -> str:
    value, required = differing(limit.value or 0.0, limit.limit)
    return f"{limit.kind} {limit.subject} is {value}, the target requires {limit.comparison} {required} ({limit.origin})"
