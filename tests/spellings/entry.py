"""What the test of every rule must know of one rule besides the rule itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .sketch import Sketch

Spelling = Callable[[Sketch], str | Sequence[str]]
"""Writes what the rule matches and returns the tensors that the root writes."""
FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    spell: Spelling
    declined: tuple[str, ...] = ()
    """Dtypes for which the rule must not fire."""
    dtypes: tuple[str, ...] = FLOATS
    """Dtypes in which the operators exist at all."""
    opsets: tuple[int, ...] = (18, 21, 24)
    may_end: bool = True
    """Whether the rule fires where its root writes an output of the graph, too."""
    single: bool = False
    """Whether a number of it is an attribute, which has single precision whatever the dtype."""
    roundings: int = 16
    """How many roundings of the largest intermediate value the result may be off, where the contract allows any."""


def operator(name: str, low: int = 0, high: int = 5, *, positive: bool = False, **numbers: Sequence[float]) -> Spelling:
    """An operator on one tensor of low to high axes, of which any may be symbolic; attributes of these values, or left out."""

    def spell(s: Sketch) -> str:
        shape = s.shape(low, high)
        x = s.input(shape, free=range(len(shape)))
        given = {key: s.pick(*values) for key, values in numbers.items() if s.flip()}
        return str(s.op(name, s.positive(x) if positive else x, **given))

    return spell
