"""Sentences about relaxations that work."""

from __future__ import annotations

from collections.abc import Sequence

from .trial import Outcome, Relaxation

SMALLEST = "the smallest change to the target that would do: "
ENOUGH = "a change to the target that would do, and there was no time to look for a smaller one: "


def sentences(found: Sequence[Relaxation], free: Outcome, cut: bool, smallest: bool = True) -> tuple[str, ...]:
    """One for each relaxation, smallest first; where there is none, why."""
    if found:
        first, *others = (_named(relaxation) for relaxation in found)
        return (f"{SMALLEST if smallest else ENOUGH}{first}", *others)
    if free.values is not None or cut:
        return ("no change to the limits of the target was found that would do",)
    return (f"no change to the limits of the target would do: without them, {free.problem}",)


def _named(relaxation: Relaxation) -> str:
    """`a`; both `a` and `b`; all of `a`, `b` and `c`."""
    texts = [f"`{change.shown}`" for change in relaxation]
    if len(texts) == 1:
        return texts[0]
    return f"{'both' if len(texts) == 2 else 'all of'} {', '.join(texts[:-1])} and {texts[-1]}"
