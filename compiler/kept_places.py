"""What of a model stays in the arena from run to run, or lies there at a place that other models of the same bundle know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlaces:
    """Tensors at the start of the arena, where nothing else is at any time. Bytes; empty for a bundle of one model without states."""

    states: tuple[tuple[str, str], ...] = ()
    """Inputs that stay from run to run, each with the output that takes its place."""
    rooms: tuple[tuple[str, int], ...] = ()
    """Inputs that other models write, behind the states in this order, each with the bytes that are kept free for it."""
    placed: tuple[tuple[str, int], ...] = ()
    """Outputs that are written where another model reads them, each with its offset. One that cannot lie there lies elsewhere."""
    begin: int = 0
    """First byte that is this model's own: what is before it is kept for others."""

    def __bool__(self) -> bool:
        return bool(self.states or self.rooms or self.placed or self.begin)


NOTHING_KEPT = KeptPlaces()
