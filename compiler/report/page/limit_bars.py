"""Limits as bars: how much of what is allowed is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LimitBar:
    """A limit of the manifest, and its bar."""

    record: Mapping[str, Any]
    used: float | None
    """Percent of what is allowed, 0 to 100: of a limit that is a least value, how much of the value it takes. None: nothing was measured,
    or the limit is of accuracy, or no positive number."""
    state: str
    """kept, close (less than 5 % left), broken, unproven, or not measured."""


CLOSE = 95.0


def limit_bars(limits: Sequence[Mapping[str, Any]]) -> list[LimitBar]:
    return [_bar(record) for record in limits]


def _bar(record: Mapping[str, Any]) -> LimitBar:
    value, limit = record["value"], record["limit"]
    if value is None:
        return LimitBar(record, None, "not measured")
    part, whole = (value, limit) if record["comparison"] in ("<", "<=") else (limit, value)
    used = min(max(part / whole * 100, 0.0), 100.0) if whole > 0 and record["kind"] != "accuracy" else None
    if record["margin"] is not None and record["margin"] < 0:
        return LimitBar(record, used, "broken")
    if record["unproven"]:
        return LimitBar(record, used, "unproven")
    return LimitBar(record, used, "close" if used is not None and used >= CLOSE and record["comparison"] in ("<", "<=") else "kept")
