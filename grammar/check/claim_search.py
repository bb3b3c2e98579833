"""Does a rule's error claim hold? A search for the input where `match` and `emit` differ most, and an honest answer about rounding.

One input: a dense grid, logarithmic tails, places near the rule's constants, then ever finer grids around the worst ones. Several
inputs: corners and random points, then random points in shrinking boxes. A difference counts only where it exceeds the claim by more
than float64 rounding can explain (running error analysis at that point). This is a search, not a proof: it finds what a person would.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import pairwise

from ...targets.dtypes import LARGEST
from ...targets.rule_spec import RuleSpec
from .rule_tape import ROUNDING, Careful, Tape, evaluate, evaluate_carefully, evaluate_narrow

WORK = 400_000
"""Operations that one search may spend on its grid, and about as many on refinement."""
MOST_POINTS, LEAST_POINTS = 3_000, 8
CAREFUL_WORK, MOST_CAREFUL = 20_000, 64
DOUBT = 2.0**-24
"""Relative doubt in a constant where a rule claims to be equal over the reals: eight digits of the square root of 2 are enough."""
DENSE = 16.0
FAR = 1e300
ORDINARY = 1e4
Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Counterexample:
    point: Point
    match: float
    emit: float
    error: float
    """What is certain of it: rounding is taken off. Infinite where `emit` is not defined."""
    why: str = ""
    """Why `emit` is not defined."""


@dataclass(frozen=True, slots=True)
class Verdict:
    points: int
    """Where both sides were compared."""
    worst: Counterexample | None
    """The largest difference beyond the claim; None where the claim held everywhere."""
    grows: bool = False
    """Whether differences at huge inputs are far larger than the worst one: no claim over all reals would hold."""


def judge(spec: RuleSpec, tape: Tape, share: float = 1.0) -> Verdict:
    """Searches for a counterexample. `share` scales the work, for files of very many rules."""
    low, high = spec.over or (-math.inf, math.inf)
    search = _Search(tape, spec.error or 0.0, DOUBT if spec.claim != "bounded" else ROUNDING, low, high)
    size = max(1, len(tape.steps))
    count = int(max(LEAST_POINTS, share * min(MOST_POINTS, WORK / size)))
    search.look(_grid(tape, low, high, count) if len(tape.parameters) == 1 else _cloud(tape, low, high, count))
    rounds = min(5, int(share * WORK / (size * 40)), 1 + int(5 * share))
    for step in range(rounds):
        search.look(_closer(search.best(6 if size < 2000 else 2), tape, step, low, high))
    return search.verdict(max(1, min(MOST_CAREFUL, int(share * CAREFUL_WORK / size))))


class _Search:
    def __init__(self, tape: Tape, claim: float, constants: float, low: float, high: float) -> None:
        self.tape, self.claim, self.constants, self.low, self.high = tape, claim, constants, low, high
        self._seen: list[tuple[float, Point, float, float]] = []
        """(difference less what rounding of the input usually makes of it, point, distance to the next one on the line, difference)"""
        self._undefined: list[Point] = []

    @property
    def compared(self) -> int:
        return len(self._seen)

    def look(self, points: Sequence[Point]) -> None:
        inside = sorted({point for point in points if all(self.low <= x <= self.high for x in point)})
        if not inside:
            return
        columns = list(zip(*inside, strict=True))
        match, emit = evaluate(self.tape, columns)
        line = columns[0] if len(columns) == 1 else ()
        steps = [b - a for a, b in pairwise(line)] or [0.0] * max(1, len(inside) - 1)
        widths = list(map(max, [steps[0], *steps], [*steps, steps[-1]]))
        for point, a, b, width in zip(inside, match, emit, widths, strict=True):
            error = abs(a - b)
            if error < math.inf:
                self._seen.append((error - 64 * ROUNDING * _size(point), point, width, error))
            elif math.isfinite(a) and not math.isfinite(b):
                self._undefined.append(point)

    def best(self, count: int) -> list[tuple[Point, float]]:
        """The worst places that are not beside one another, with the distance to the next point looked at."""
        chosen: list[tuple[Point, float]] = []
        for _, point, width, _ in nlargest(40 * count, self._seen):
            if all(max(abs(a - b) for a, b in zip(point, other, strict=True)) > 2 * width for other, _ in chosen):
                chosen.append((point, width))
            if len(chosen) == count:
                break
        return chosen

    def verdict(self, count: int) -> Verdict:
        """Looks among inputs of ordinary size first: what goes wrong there is what a person wants to see."""
        beyond = [row for row in self._seen if row[3] > self.claim]
        near = [row for row in beyond if _size(row[1]) <= ORDINARY]
        far = [row for row in beyond if _size(row[1]) > ORDINARY]
        worst = self._worst([row[1] for row in nlargest(count, near)]) or self._not_defined(max(1, count // 4), ORDINARY)
        grows = worst is not None and max((row[0] for row in far if _size(row[1]) < 1e20), default=0.0) > 1e3 * worst.error
        if worst is not None:
            simple = self._worst(sorted((row[1] for row in near), key=_tame)[:1]) if grows else None
            return Verdict(self.compared, simple or worst, grows)
        simple = self._worst(sorted((row[1] for row in near), key=_tame)[:count])
        worst = simple or self._worst([row[1] for row in nlargest(count, far)]) or self._not_defined(max(1, count // 4), math.inf)
        return Verdict(self.compared, worst)

    def _worst(self, points: Sequence[Point]) -> Counterexample | None:
        """The point whose difference is certainly the largest, and beyond the claim."""
        worst: Counterexample | None = None
        for point in points:
            found = evaluate_carefully(self.tape, point, self.constants)
            error = abs(found.match - found.emit) - found.rounding
            if error > self.claim * (1 + 1e-9) and (worst is None or error > worst.error):
                worst = Counterexample(point, found.match, found.emit, error)
        return worst

    def _not_defined(self, count: int, size: float) -> Counterexample | None:
        """A point where `match` has a value and `emit` has none, other than by overflow."""
        for point in sorted((p for p in self._undefined if _size(p) <= size), key=_tame)[:count]:
            found: Careful = evaluate_carefully(self.tape, point)
            if found.trouble not in ("", "overflow"):
                return Counterexample(point, found.match, found.emit, math.inf, found.trouble)
        return None


def _size(point: Point) -> float:
    return abs(point[0]) if len(point) == 1 else max(map(abs, point), default=0.0)


def _tame(point: Point) -> tuple[float, Point]:
    """Sorts simple points first."""
    return sum(abs(x) + (x != round(x)) + 2 * (0 < abs(x) < 1e-3) for x in point), point


def _grid(tape: Tape, low: float, high: float, count: int) -> list[Point]:
    """Points on the line, about `count`, every one of them a float that prints short where that costs nothing."""
    start, end = max(low, -DENSE), min(high, DENSE)
    if start > end:
        start, end = (low, min(high, 2 * abs(low) + 1)) if low > 0 else (max(low, -2 * abs(high) - 1), high)
    inner = max(4, count * 3 // 5)
    found = {start + (end - start) * k / inner for k in range(inner + 1)}
    for size in _sizes(count // 5):
        found |= {size, -size}
    for value in tape.constants[:32]:
        near = (value, math.sqrt(abs(value)), 1 / value if abs(value) > 1e-300 else 0.0)
        found |= {sign * x * scale for x in near for sign in (1, -1) for scale in (1, 0.999, 1.001)} if count > 500 else {value}
    found |= {0.0, 1.0, -1.0, *(x for x in (low, high) if math.isfinite(x))}
    return [(x,) for x in found if math.isfinite(x)]


def _sizes(count: int) -> list[float]:
    """Magnitudes: most between DENSE and 1e6, some out to FAR, some very small."""
    near, far = max(2, count * 3 // 5), max(2, count // 5)
    found = [DENSE * 10 ** (k * 4.8 / near) for k in range(near)]
    found += [10 ** (6 + 14 * k / far) for k in range(far)] + [1e30, 1e75, 1e150, FAR]
    return found + [10 ** (-20 * k / far) for k in range(1, far)]


def _cloud(tape: Tape, low: float, high: float, count: int) -> list[Point]:
    """Points in several dimensions: the same value everywhere, corners, and random ones of several sizes."""
    generator = random.Random(0)
    width = len(tape.parameters)
    if not width:
        return [()]
    some = [0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 10.0, -10.0, 100.0, -100.0, 1e4, -1e4]
    some += [x for x in (low, high) if math.isfinite(x)] + tape.constants[:16]
    found: list[Point] = [(x,) * width for x in some]
    start, end = max(low, -4.0), min(high, 4.0)
    if start > end:
        start, end = (low, 2 * abs(low) + 1) if low > 0 else (-2 * abs(high) - 1, high)

    def one(kind: int) -> float:
        if kind == 0:
            return generator.uniform(start, end)
        if kind == 1:
            return generator.choice(some)
        if kind == 2:
            return generator.uniform(max(low, -DENSE), min(high, DENSE))
        return generator.choice((1, -1)) * 10 ** generator.uniform(-6, 6)

    while len(found) < count:
        kind = len(found) % 6
        found.append(tuple(one(kind if kind < 4 else generator.randrange(4)) for _ in range(width)))
    return found[: max(count, 2)]


def _closer(worst: Sequence[tuple[Point, float]], tape: Tape, step: int, low: float, high: float) -> list[Point]:
    """Points around the worst ones: finer grids on the line, shrinking boxes elsewhere."""
    found: list[Point] = []
    generator = random.Random(step)
    for point, width in worst:
        if len(point) == 1:
            found += [(point[0] + width * k / 16,) for k in range(-16, 17) if k]
            continue
        for _ in range(32):
            reach = 0.4 / 3**step
            moved = [x + generator.uniform(-reach, reach) * max(abs(x), 0.25) if generator.random() < 0.7 else x for x in point]
            found.append(tuple(min(max(x, low), high) for x in moved))
    return found


# --- narrow dtypes

STRUCT = {"fp16": "e", "fp32": "f"}
"""Dtypes that Python's struct can round to."""


def first_overflow(tape: Tape, dtype: str, over: tuple[float, float] | None) -> tuple[float, float] | None:
    """(x, what `emit` then is) of the smallest |x| up to 65504 for which `emit` in that dtype is infinite or nan although `match` is
    within the dtype; None if there is none, or several inputs or too many operations make that a question without an answer."""
    letter = STRUCT.get(dtype, "")
    if not letter or len(tape.parameters) != 1 or len(tape.steps) > 400:
        return None
    low, high = over or (-math.inf, math.inf)
    sizes = [2.0 ** (k / 2) for k in range(-8, 32)] + [LARGEST["fp16"]]
    limit = LARGEST[dtype]
    for size in sizes:
        for x in (size, -size):
            if low <= x <= high:
                match, emit = evaluate_narrow(tape, (x,), letter)
                if abs(match) <= limit and not math.isfinite(emit):
                    return x, emit
    return None
