"""Rates of all groups at once: what saves most for what it loses, as far as the accuracy allows.

Squares of losses add up (errors of different layers are nearly independent); how far they may add up is found by measuring whole choices.
One rate for all is tried as well, where it saves more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from ...passes.prune.groups import Group
from .rates import gone
from .savings import Savings
from .sensitivity import LADDER, Judge, sensitivities

ROUNDS = 8
"""Choices that are measured as a whole, at most."""
NEAR = 1.05
"""Limits on losses closer than this factor are not told apart."""


def choose_rates(
    judge: Judge, groups: Sequence[Group], given: Mapping[int, float], savings: Savings, least: float, key: str
) -> list[float]:
    """Of each group, 0 where it stays. given: rates that were asked for, which count whatever they lose. least: what the cosine has
    to be, on the samples that choices are judged on."""
    most = (2 * (1 - least)) ** 0.5  # of two vectors of one length whose relative distance is e, the cosine is 1 - e²/2
    losses = sensitivities(judge, groups, 2 * most, key)
    steps = [{} if k in given else one for k, one in enumerate(losses)]
    worth = [{rate: savings.share(gone(judge.spread, (group,), (rate,))) for rate in one} for group, one in zip(groups, steps, strict=True)]
    accurate = cache(lambda rates: judge.cosine(gone(judge.spread, groups, rates)) >= least)
    best = _mixed(accurate, lambda most: within(most, steps, worth, given), most, steps, [given.get(k, 0.0) for k in range(len(groups))])
    for rate in sorted(LADDER, reverse=True):
        alike = [given.get(k, rate) for k in range(len(groups))]
        if _saved(judge, groups, savings, alike) > _saved(judge, groups, savings, best) and accurate(tuple(alike)):
            return alike
    return best


def _mixed(
    accurate: Callable[[tuple[float, ...]], bool],
    chosen: Callable[[float], list[float]],
    most: float,
    steps: Sequence[Mapping[float, float]],
    best: list[float],
) -> list[float]:
    """Bisection on how much losses may add up to. best: what is left where no choice is accurate."""
    low, high = 0.0, float("inf")
    for _ in range(ROUNDS):
        rates = chosen(most)
        if accurate(tuple(rates)):
            low, best = most, rates
        else:
            high = most
        if high <= low * NEAR or (low == most and _all_taken(rates, steps)):
            break
        most = (low * high) ** 0.5 if low and high < float("inf") else most * 2 if low else most / 2
    return best


def _saved(judge: Judge, groups: Sequence[Group], savings: Savings, rates: Sequence[float]) -> float:
    return savings.share(gone(judge.spread, groups, rates))


def within(
    most: float, losses: Sequence[Mapping[float, float]], worth: Sequence[Mapping[float, float]], given: Mapping[int, float]
) -> list[float]:
    """The rates that save most where the root of the sum of the squares of losses is at most `most`: step by step, the one that saves most
    for what it adds."""
    rates = [given.get(k, 0.0) for k in range(len(losses))]
    spent = 0.0
    while True:
        best: tuple[float, int, float, float] | None = None
        for k, one in enumerate(losses):
            now = one.get(rates[k], 0.0) ** 2
            for rate, loss in one.items():
                added, saved = loss**2 - now, worth[k][rate] - worth[k].get(rates[k], 0.0)
                if rate <= rates[k] or saved <= 0 or spent + max(added, 0.0) > most**2:
                    continue
                value = saved / max(added, 1e-12)
                if best is None or value > best[0]:
                    best = (value, k, rate, max(added, 0.0))
        if best is None:
            return rates
        rates[best[1]], spent = best[2], spent + best[3]


def _all_taken(rates: Sequence[float], losses: Sequence[Mapping[float, float]]) -> bool:
    return all(not one or rate >= max(one) for rate, one in zip(rates, losses, strict=True))
