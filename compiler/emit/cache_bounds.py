"""What is proved of caches that are kept in fewer bits than the model has: how far a value in them is from the one that was computed."""

from __future__ import annotations

from collections.abc import Sequence

from ...targets.dtypes import DTYPES, LARGEST, ROUNDOFF
from ..bundle.manifest import BoundRecord


def cache_bounds(states: Sequence[tuple[str, str]], dtype: str) -> tuple[BoundRecord, ...]:
    """Of every cache, by its output; () for caches in the model's own dtype (""). A step clips rows before it rounds them
    (passes/state/stored_rows.py)."""
    if not dtype:
        return ()
    unit, least, most = ROUNDOFF[dtype], 2.0 ** (2 - 2 ** (DTYPES[dtype].exponent - 1)), LARGEST[dtype]
    over = f"relative, values of {least:.3g} to {most:g}; smaller ones within {least * unit:.2g}, larger ones become {most:g}"
    return tuple(BoundRecord(rule=f"cache_{dtype}", site=present, bound=unit, over=over) for _, present in states)
