"""What no plan can be smaller than."""

from __future__ import annotations

from collections.abc import Sequence

from .buffer import Buffer


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Largest sum of sizes live at one step, or more where alignment leaves holes that nothing can fill.

    Buffers whose alignments are all multiples of A share no A-sized cell, so together they take whole cells, but for the end of the last.
    """
    best = _peak([(*b.lifetime, b.bytes) for b in buffers])
    for cell in sorted({b.align for b in buffers} - {1}):
        coarse = [(*b.lifetime, -(-b.bytes // cell) * cell, b.bytes) for b in buffers if b.align % cell == 0]
        unused = max(whole - size for _, _, whole, size in coarse)
        best = max(best, _peak([(first, last, whole) for first, last, whole, _ in coarse]) - unused)
    return best


def _peak(lives: Sequence[tuple[int, int, int]]) -> int:
    """Largest sum of sizes over (first, last, size) live at one step."""
    changes = sorted([(first, size) for first, _, size in lives] + [(last + 1, -size) for _, last, size in lives])
    live = peak = 0
    for _, change in changes:  # at one step, what dies (negative) sorts before what is born
        live += change
        peak = max(peak, live)
    return peak
