"""More trial sets where the planned ones left a side of an operator unreached: other numbers for what decides it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .points import Point
from .recipes import Cook, Recipe, Values, control, filled, longest_of, rounded, scale, special
from .roles import Part, Role
from .variants import SCALED, Change, controls_of, flagged, range_of

TARGETED = 4
"""Sets with one input changed for one point."""
SCALES = ((30, ""), (1000, "+"), (1000, "-"), (1000, ""), (100, "+"), (100, "-"), (3, ""), (255, ""))
"""(factor, sign): the first few reach most of what can be reached."""
FIRST_SEED = 100
Start = tuple[str, Values]
"""(label, inputs) of a set."""
Starts = Mapping[tuple[str, str], Start]


def candidates(cook: Cook, missing: Sequence[Point], starts: Starts, asks: frozenset[str]) -> Iterator[Recipe]:
    """Sets that may reach one of the missing points, the most promising first. asks: the model's operators.

    starts: for a branch of an If, a set that takes it: a point in there is sought from that.
    """
    for number, recipe in enumerate(_targeted(cook, missing, starts)):
        if number == TARGETED:
            break
        yield recipe
    scaling = [part for part in cook.parts.values() if part.role in SCALED and any(part.name in point.inputs for point in missing)]
    start = next((found for point in missing if (found := _start(point, starts)) is not None), None)
    if scaling and asks & {"IsNaN", "IsInf"}:
        yield special(scaling)
    for factor, sign in (*(((0.1, ""),) if start else ()), *SCALES) if scaling else ():
        words = {"": "numbers", "+": "positive numbers", "-": "negative numbers"}[sign]
        yield _from(start, scale(scaling, f"{words} times {factor}", factor, sign))
    if scaling:
        yield rounded(scaling)
    for seed in range(FIRST_SEED, FIRST_SEED + 8):
        yield Recipe(f"seed {seed}", seed, {}, flags=seed)


def _start(point: Point, starts: Starts) -> Start | None:
    return starts.get(point.within[-1]) if point.within else None


def _from(start: Start | None, recipe: Recipe) -> Recipe:
    """The same changes, on top of another set."""
    return recipe if start is None else replace(recipe, label=f"{recipe.label} on {start[0]}", start=start[1])


def _targeted(cook: Cook, missing: Sequence[Point], starts: Starts) -> Iterator[Recipe]:
    """One discrete input at a time; each value once, whatever the number of points that hang on it."""
    longest, seen = longest_of(list(cook.parts.values())), set()
    for point in missing:
        for name in cook.parts:
            if name not in point.inputs:
                continue
            for recipe in _values(cook.parts[name], longest):
                if (found := _from(_start(point, starts), recipe)).label not in seen:
                    seen.add(found.label)
                    yield found


def _values(part: Part, longest: int) -> Iterator[Recipe]:
    if part.role in (Role.CONTROL, Role.SHAPING):
        for number in controls_of(part, longest):
            yield control({part.name: number})
    elif part.role is Role.FLAG:
        for value in (True, False):
            yield Recipe(f"{part.name} = {value}", 0, {part.name: _flag(value)})
    elif part.role in (Role.INDEX, Role.INTEGER, Role.POSITION):
        low, high = range_of(part)
        for number in dict.fromkeys((*part.special, low, high)):
            if not low <= number <= high:
                continue
            yield Recipe(f"{part.name} all {number}", 0, {part.name: filled(number)})
    elif part.role in (Role.MASK, Role.ADDITIVE):
        closed: tuple[float, ...] = (0, 1) if part.role is Role.MASK else (-math.inf,)
        for fill in closed:
            yield Recipe(f"{part.name} all {fill:g}", 0, {part.name: filled(fill)})


def _flag(value: bool) -> Change:
    return lambda part, before, rng: flagged(part, value)
