"""Limits paid for instead of kept: with a price on what a limit is about, plans cost more where they need more of it.

    cost(plan) >= min over all plans of [cost + sum of price_r * need_r] - sum of price_r * most_r

for every plan that keeps its limits (Lagrangian relaxation; Fisher, Management Science 27(1), 1981). Times, weights and errors are sums
over units and handoffs, so the right-hand side is a placement problem without limits: minimum cuts bound it, and rule out choices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from .problem import Option, Problem, Unit, Weights
from .scale import repriced

STEPS = 16
"""Prices tried for each limit in a sweep: factors of two, and as many in between."""
SWEEPS = 2
"""Rounds over all limits, where there are several."""
NEAR = 8
"""Of STEPS, those that halve or double; the others close in."""


@dataclass(frozen=True, slots=True)
class Row:
    """A limit on a sum: of seconds, of bytes of weights on some devices, or of errors."""

    weights: Weights | None
    devices: tuple[int, ...]
    errors: bool
    most: float

    def need(self, unit: Unit, device: int, option: Option) -> float:
        """Of an option, seconds left out."""
        return option.error if self.errors else float(unit.stored(option)) if device in self.devices else 0.0


@dataclass(frozen=True, slots=True)
class Priced:
    """`problem`: its plans' seconds are what they cost with the prices, in terms of the objective; `less` is to be taken from them."""

    problem: Problem
    less: float


def rows(problem: Problem) -> tuple[Row, ...]:
    """The limits that are sums. Of a memory, what is live there whatever the plan is not left for weights."""
    found = [Row(bound.weights, (), False, bound.most) for bound in problem.bounds]
    every = set(range(len(problem.devices)))
    for room in problem.rooms:
        live = max((u.touched_bytes + u.passing_bytes for u in problem.units), default=0) if set(room.homes) == every else 0
        if len(set(room.devices)) < len(every) or any(unit.options for unit in problem.units):
            found.append(Row(None, room.devices, False, float(room.bytes - live)))
    if problem.most_error is not None:
        found.append(Row(None, (), True, problem.most_error))
    return tuple(row for row in found if row.most >= 0)


def priced(problem: Problem, limits: Sequence[Row], prices: Sequence[float]) -> Priced:
    """The problem without limits, its costs with these prices, none of them below 0."""
    paid = list(zip(limits, prices, strict=True))
    weights = _total(problem, paid)

    def cost(unit: Unit, device: int) -> float | None:
        ways = [
            option.seconds * weights.busy[device] + sum(p * row.need(unit, device, option) for row, p in paid) for option in unit.on(device)
        ]
        return min(ways, default=None)

    units = tuple(Unit(unit.name, tuple(cost(unit, d) for d in range(len(problem.devices)))) for unit in problem.units)
    free = repriced(problem.without_limits(), units, weights)
    return Priced(free, sum(row.most * p for row, p in paid))


def _total(problem: Problem, paid: Sequence[tuple[Row, float]]) -> Weights:
    aim = problem.aim
    timed = [(row.weights, p) for row, p in paid if row.weights is not None]
    busy = tuple(max(0.0, w + sum(p * extra.busy[d] for extra, p in timed)) for d, w in enumerate(aim.busy))
    return Weights(busy, max(0.0, aim.handoff + sum(p * extra.handoff for extra, p in timed)))


def best_prices(problem: Problem, limits: Sequence[Row], cost: float, value: Callable[[Sequence[float]], float]) -> tuple[float, ...]:
    """Prices with a high `value`, found by one limit after the other. `cost`: of a plan, about."""
    prices = [0.0] * len(limits)
    best = value(prices)
    for _ in range(SWEEPS if len(limits) > 1 else 1):
        for k, row in enumerate(limits):
            most = _highest(problem, limits, prices, k)
            unit = min(cost / abs(row.most) if row.most else most / 2 if most < float("inf") else cost, most)
            best, prices[k] = _climb(partial(_with_price, value, tuple(prices), k), best, prices[k], unit, most)
    return tuple(prices)


def _with_price(value: Callable[[Sequence[float]], float], prices: Sequence[float], k: int, price: float) -> float:
    return value([*prices[:k], price, *prices[k + 1 :]])


def _climb(value: Callable[[float], float], best: float, here: float, unit: float, most: float) -> tuple[float, float]:
    """The value is concave in a price: factors of two up or down from a first guess, then closing in."""
    if unit <= 0:
        return best, here  # nothing costs anything, or any price would make a second worth less than nothing
    tried, factor = {here: best}, 2.0
    at = min(here or unit, most)
    tried.setdefault(at, value(at))
    for step in range(STEPS):
        top = max(tried, key=lambda price: (tried[price], -price))
        if step < NEAR:
            ahead = [p for p in (min(top * factor, most), top / factor) if top and p not in tried]
            at = ahead[0] if ahead else min(p for p in tried if p > 0) / 4 if not top else -1.0
        else:
            at = -1.0
        if at < 0:
            below, above = max((p for p in tried if p < top), default=top), min((p for p in tried if p > top), default=top)
            at = (top + (above if above - top > top - below else below)) / 2
        if at not in tried:
            tried[at] = value(at)
    top = max(tried, key=lambda price: (tried[price], -price))
    return tried[top], top


def _highest(problem: Problem, limits: Sequence[Row], prices: Sequence[float], k: int) -> float:
    """The highest price of a limit that leaves no second worth less than nothing (a limit on average power gains from idle time)."""
    weights = limits[k].weights
    if weights is None:
        return float("inf")
    others = [(row, p) for j, (row, p) in enumerate(zip(limits, prices, strict=True)) if j != k]
    left = _total(problem, others)
    pairs = [*zip(weights.busy, left.busy, strict=True), (weights.handoff, left.handoff)]
    return min((have / -w for w, have in pairs if w < 0), default=float("inf")) * (1 - 1e-9)
