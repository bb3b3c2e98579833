"""Does an input change any output, when nothing but it changes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .coverage import differs
from .recipes import Recipe
from .trial_set import TrialSet

BASES = 4
"""Sets on top of which one input is changed: an input may matter only where a mask closes, or a length is not 1."""

Pair = tuple[TrialSet, TrialSet | Recipe]


def pairs(name: str, kept: Sequence[TrialSet]) -> Iterator[Pair]:
    """Pairs that differ in this input alone: sets that do already, then recipes for others; last one in which two inputs are alike."""
    if not kept:
        return
    yield from ((kept[0], trial) for trial in kept[1:] if _only(name, kept[0], trial))
    bases = [kept[0], *(trial for trial in kept[1:] if not trial.plain)][:BASES]
    for base in bases:
        others = [trial for trial in kept if differs(base.values[name], trial.values[name])]
        for other in others[:1] + (others[1:][-1:] if base is kept[0] else []):
            yield base, Recipe(f"{name} as in {other.label}", 0, {}, start={**base.values, name: other.values[name]})
    twin = next((twin for twin in kept[0].values if twin != name and _alike(kept[0], name, twin)), None)
    if twin is not None:
        yield kept[0], Recipe(f"{name} equal to {twin}", 0, {}, start={**kept[0].values, name: kept[0].values[twin]})


def _only(name: str, one: TrialSet, other: TrialSet) -> bool:
    """Whether two sets differ in this input and in no other."""
    return [key for key in one.values if differs(one.values[key], other.values.get(key))] == [name]


def _alike(trial: TrialSet, name: str, twin: str) -> bool:
    """Whether two inputs have one shape and dtype."""
    a, b = trial.values[name], trial.values[twin]
    return hasattr(a, "shape") and hasattr(b, "shape") and bool(a.shape == b.shape and a.dtype == b.dtype) and differs(a, b)
