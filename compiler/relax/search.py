"""The smallest changes to a target's limits after which a model compiles: one limit where that is enough, else the fewest together.

Nothing here knows what a limit is about. A bound is taken away, the model compiled again, and what the plan then needs is the change; then
it is tried with less than that until no plan is left, because slower plans may need less of this bound and keep all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ...targets.model import Target
from ..hw.bounds import Bound, bounds_of
from .trial import Change, Key, Outcome, Relaxation, Trials, changed

DESCENTS = 6
"""Times that less is tried of a bound."""
MOST_ALTERNATIVES = 3
"""Relaxations that are reported; each costs a whole compilation."""
ROOM = (0.0, 1e-3, 1e-2)
"""Shares more than what is needed, tried one after the other: a bundle says what limits it was made for, which takes some bytes more or
less."""

Write = Callable[[Target, Relaxation], tuple[Target, Relaxation] | None]
"""The target with changes written into a copy of its text, and the changes as they are written; None where it may not say that."""


def search(target: Target, plan: Trials, whole: Trials, write: Write) -> tuple[tuple[Relaxation, ...], Outcome]:
    """Relaxations that work, smallest first, and what comes of the target with all bounds taken away.

    plan: what can be predicted of a compilation; whole: all of it, which says whether a relaxation works."""
    found: list[Relaxation] = []
    free = Outcome(None)
    for explore in (plan, whole) if plan(target).values is None else (whole,):
        # whole ones only for what shows when the bundle is there
        without = explore(_unlimited(target, bounds_of(target)))
        free = free if without.values is None and explore.cut else without
        bounds = _likeliest(bounds_of(target), free.values or {})
        found = _confirmed(_singles(target, bounds, explore), target, explore, whole, write)
        if not found and free.values is not None:
            found = _confirmed(_together(target, bounds, free.values, explore), target, explore, whole, write)
        if found or free.values is None:
            break
    return tuple(found), free


def all_together(target: Target, needs: Mapping[Key, float], whole: Trials, write: Write) -> tuple[Relaxation, ...]:
    """What the plan without bounds needs of all that it breaks, changed at once: for where the search ended before it found less."""
    broken = tuple(Change(bound, needs[bound.key]) for bound in bounds_of(target) if bound.key in needs and bound.beyond(needs[bound.key]))
    return tuple(_confirmed(iter([broken]), target, whole, whole, write)) if broken else ()


def _unlimited(target: Target, bounds: Sequence[Bound]) -> Target:
    return changed(target, [Change(bound, bound.unlimited) for bound in bounds])


def _likeliest(bounds: Sequence[Bound], values: Mapping[Key, float]) -> list[Bound]:
    """Those first that the fastest plan breaks."""
    return sorted(bounds, key=lambda bound: bound.key not in values or not bound.beyond(values[bound.key]))


def _singles(target: Target, bounds: Sequence[Bound], trials: Trials) -> Iterator[Relaxation]:
    """One bound changed, by as little as was found for each; smallest first."""
    found = [(Change(bound, value),) for bound in bounds for value in _enough(target, bound, (), trials)]
    yield from sorted(found, key=lambda one: one[0].far)


def _enough(target: Target, bound: Bound, others: Sequence[Change], trials: Trials) -> Iterator[float]:
    """Values of a bound with which the target, with the other changes, has a plan: always less."""
    value = _needed(target, bound, bound.unlimited, others, trials)
    steps = 0
    while value is not None and bound.beyond(value) and steps < DESCENTS:
        yield value
        value, steps = _less(target, bound, value, others, trials), steps + 1


def _less(target: Target, bound: Bound, value: float, others: Sequence[Change], trials: Trials) -> float | None:
    tries = (bound.below(value, trials.wobble), *(bound.value + share * (value - bound.value) for share in trials.probes))
    for tried in tries:
        if bound.beyond(tried):
            needed = _needed(target, bound, tried, others, trials)
            if needed is not None:
                return needed
    return None


def _needed(target: Target, bound: Bound, allowed: float, others: Sequence[Change], trials: Trials) -> float | None:
    """What the plan needs of the bound that is kept where it allows `allowed`; None where none is."""
    values = trials(changed(target, [*others, Change(bound, allowed)])).values
    return None if values is None else values.get(bound.key)


def _together(target: Target, bounds: Sequence[Bound], values: Mapping[Key, float], trials: Trials) -> Iterator[Relaxation]:
    """Several bounds changed, none of which could be left out."""
    needed = [bound for bound in bounds if bound.key in values and bound.beyond(values[bound.key])]
    for bound in sorted(needed, key=lambda bound: -bound.factor(values[bound.key])):
        if bound not in needed:
            continue
        rest = [other for other in needed if other is not bound]
        fewer = trials(_unlimited(target, rest)).values
        if fewer is not None:
            values, needed = fewer, [other for other in rest if other.key in fewer and other.beyond(fewer[other.key])]
    changes = [Change(bound, values[bound.key]) for bound in needed]
    if not changes:
        return
    first = tuple(changes)
    for k, change in enumerate(changes):
        *_, least = (change.value, *_enough(target, change.bound, [*changes[:k], *changes[k + 1 :]], trials))
        changes[k] = min(change, replace(change, value=least), key=lambda one: one.far)
    yield from dict.fromkeys((tuple(changes), first))


def _confirmed(found: Iterator[Relaxation], target: Target, explore: Trials, whole: Trials, write: Write) -> list[Relaxation]:
    """Those that can be written and after which the whole compilation succeeds. Of several for the same bounds the first."""
    kept: dict[tuple[Key, ...], Relaxation] = {}
    for relaxation in found:
        keys = tuple(change.bound.key for change in relaxation)
        if keys in kept or len(kept) == MOST_ALTERNATIVES:
            continue
        for room in ROOM:
            made = write(target, _with_room(relaxation, room))
            if made is not None and explore(made[0]).values is not None and whole(made[0]).values is not None:
                kept[keys] = made[1]
                break
    return list(kept.values())


def _with_room(relaxation: Relaxation, room: float) -> Relaxation:
    """The same with a little more than is needed."""
    return tuple(replace(change, value=change.bound.looser(change.value, room)) for change in relaxation)
