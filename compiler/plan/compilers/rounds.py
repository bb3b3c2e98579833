"""Placement priced by a runtime's own compiler, which knows more than a table of rates.

Operators are placed by the target's rates, the segments of that plan are compiled, and what the compiler says of them takes the place of
the rates, operator by operator; then they are placed again. So that an operator which rates alone keep off a device is priced as well, the
plan with all that the device can run is compiled too. It ends when a plan comes back, or after `ROUNDS`. What is taken is the best of all
plans that were compiled, each by the compiler's word on its own segments: never one that is worse than another that was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from ....passes.place.objectives import ENERGY, LATENCY, MEMORY, aimed_problem, cost_of
from ....passes.place.place_operators import state
from ....passes.place.placed import Placement, Question
from ....passes.solve.price import price
from ....passes.solve.solve import Solution
from ...errors import Infeasible, clipped
from ...pipeline.run_passes import run_passes
from ...pipeline.work import Work
from ...quantities import count, time
from ..emitted_plan import EmittedPlan, emitted_plan
from ..limits import excess, limit_records
from ..predict import Predictions, predict
from .times import operator_prices, refusal_of, reporting_devices

ROUNDS = 5
"""Placements by prices of compilers, at most, after the one by rates."""
ASKED = "ask-devices"
"""The pass before placement."""
Prices = Mapping[tuple[int, int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the rounds came to."""

    placement: Placement
    """Its question has the prices."""
    note: str
    """How many rounds there were, whether the plan stayed, and what was gained, for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A plan whose segments were compiled."""

    placement: Placement
    prices: Prices
    value: float
    """In terms of the objective, by the compilers' estimates."""
    latency: float
    excess: float
    """By what share it breaks a limit of the target, at most; 0 where it keeps all."""
    compiled: int
    """Segments of reporting devices that their compilers took."""
    refused: tuple[str, ...]
    """Why they did not take others, one by one."""

    @property
    def rank(self) -> tuple[float, float]:
        """The best one first; of those that break a limit, the one that is nearest to it."""
        return self.excess, self.value


def settle(work: Work, question: Question) -> Settled | None:
    """The placement of a work whose devices were asked; the work stays as it is. None where no device in question has a compiler here that
    makes estimates. Raises Infeasible where the operators cannot be placed at all."""
    devices = [d for d in reporting_devices(work.target) if any(unit.seconds[d] is not None for unit in question.problem.units)]
    if not devices or work.plan is not None:
        return None
    by_rates = _tried(work, question)
    if work.any_fitting and not by_rates.excess:
        return Settled(placement=by_rates.placement, note=_note([by_rates], by_rates, by_rates, 0, True))
    tried = [*(_tried(work, question, plan) for plan in _filled(by_rates.placement, devices)), by_rates]
    prices: Prices = {key: seconds for each in tried for key, seconds in each.prices.items()}
    rounds, stayed, last = 0, False, by_rates
    while rounds < ROUNDS and not stayed and prices:
        rounds += 1
        try:
            last = _tried(work, state(replace(question, compiled=prices)))
        except Infeasible:
            break
        stayed = any(last.placement.solution.assignment == each.placement.solution.assignment for each in tried)
        prices = {**prices, **last.prices}
        tried.append(last)
    best = min(tried, key=lambda each: each.rank)
    return Settled(placement=_repriced(best, last, prices, work.objective), note=_note(tried, by_rates, best, rounds, stayed))


def _filled(placement: Placement, devices: Sequence[int]) -> Iterator[Placement]:
    """For each of the devices, the plan with all that it can run, if that is another one and keeps the problem's limits."""
    problem, ours = placement.question.problem, placement.solution
    for device in devices:
        assignment = tuple(device if u.seconds[device] is not None else d for u, d in zip(problem.units, ours.assignment, strict=True))
        cost = price(problem, assignment)
        if cost is not None and assignment != ours.assignment:
            yield replace(placement, solution=Solution(assignment, cost, 0.0, False))


def _tried(work: Work, question: Question, plan: Placement | None = None) -> _Tried:
    """`plan`: to be taken instead of the best one by the question's prices."""
    trial = replace(work, question=question, placement=None, settled=plan, diagnose=True).copy()
    run_passes(trial, lambda name: nullcontext(), after=ASKED)
    placement, made = trial.placement, emitted_plan(trial, compares=True)
    assert placement is not None
    own = operator_prices(placement, made.reports)
    found = predict(made.compiled, work.target, latency=made.latency, arena=made.arena.arena.mapped)
    asked = {work.target.devices[d].name for d in reporting_devices(work.target)}
    reports = [(s, report) for s, report in zip(made.compiled.segments, made.reports, strict=True) if s.device in asked]
    back = replace(placement, question=replace(placement.question, graph=work.graph, nodes=question.nodes))
    return _Tried(
        placement=back,
        prices=own,
        value=_value(work.objective, back, own, made, found),
        latency=made.latency,
        excess=excess(limit_records(work.target, found)),
        compiled=sum(report is not None for _, report in reports),
        refused=tuple(refusal_of(s, made.compiled.runtimes[s.device]) for s, report in reports if report is None),
    )


def _value(objective: str, placement: Placement, own: Prices, made: EmittedPlan, found: Predictions) -> float:
    if objective in (LATENCY, MEMORY):
        return made.latency if objective == LATENCY else float(found.memory)
    if objective == ENERGY:
        return found.joules or 0.0
    before = placement.question
    question = state(replace(before, compiled={**before.compiled, **own}), before.share)
    return cost_of(question.problem, placement.solution.price.pieces, objective)


def _repriced(best: _Tried, last: _Tried, prices: Prices, objective: str) -> Placement:
    """The best placement by all prices, those of its own segments before others; with a proof where the last one was solved by the same."""
    known, before = {**prices, **best.prices}, best.placement.question
    question = state(replace(before, compiled=known), before.share)
    if best.placement.solution.assignment == last.placement.solution.assignment and last.placement.question.compiled == known:
        return replace(last.placement, question=question)
    ours, bound = best.placement.solution, last.placement.solution.lower_bound
    problem = aimed_problem(question.problem, question.target, objective)
    cost = price(problem, ours.assignment, ours.options, ours.price.pieces) or ours.price
    if objective not in (LATENCY, ENERGY):
        cost = replace(cost, cost=best.value)
    solution = replace(ours, price=cost, lower_bound=min(bound, cost.cost), proven=False)
    return replace(best.placement, question=question, solution=solution)


def _note(tried: Sequence[_Tried], by_rates: _Tried, best: _Tried, rounds: int, stayed: bool) -> str:
    compilers = best.placement.question.target
    names = ", ".join(dict.fromkeys(compilers.devices[d].runtime.adapter for d in reporting_devices(compilers)))
    if not any(each.compiled for each in tried):
        return f"placed by the target's rates: the compiler of {names} took none of the segments that it was asked about{_why(tried)}"
    how = f"{count(rounds, 'round')}, " + ("then the plan stayed" if stayed else "and no plan stayed: the best of those seen is taken")
    gain = f"{time(best.latency)} a run by its estimates"
    if best is not by_rates and best.placement.solution.assignment != by_rates.placement.solution.assignment:
        gain += f", {time(by_rates.latency)} with the plan by the target's rates"
    refused = sum(len(each.refused) for each in tried)
    kept = f"; it refused {count(refused, 'segment')}, whose operators keep the target's rates{_why(tried)}" if refused else ""
    return f"placed by what the compiler of {names} says of {count(sum(each.compiled for each in tried), 'segment')}: {how}; {gain}{kept}"


def _why(tried: Sequence[_Tried]) -> str:
    """The first reason of a compiler."""
    first = next((why for each in tried for why in each.refused if why), "")
    return f" ({clipped(first)})" if first else ""
