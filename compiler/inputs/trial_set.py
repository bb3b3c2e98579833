"""One set of trial inputs that the untouched model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TrialSet:
    """Inputs, and what the model makes of them."""

    label: str
    values: Mapping[str, Any]
    outputs: Mapping[str, Any]
    reached: frozenset[tuple[str, str]]
    """(path of a node, side) of every side that a value reached."""
    plain: bool = False
    """Whether a seed alone made it."""
    given: bool = False
    """Whether it is a real sample."""

    @property
    def usual(self) -> bool:
        """Whether it is what the model is likely to get: a sample, or plain numbers; not one made to drive it to its edges."""
        return self.plain or self.given
