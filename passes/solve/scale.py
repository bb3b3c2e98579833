"""The problem in terms of its objective: a plan's seconds there are what the plan costs here."""

from __future__ import annotations

from dataclasses import replace

from .problem import Problem, Unit, Weights


def scaled(problem: Problem) -> Problem:
    """Every second multiplied by what it adds to the objective; without limits on quantities in time, which are in seconds."""
    aim = problem.objective
    if aim is None:
        return problem
    units = tuple(
        Unit(u.name, tuple(None if s is None else s * w for s, w in zip(u.seconds, aim.busy, strict=True))) for u in problem.units
    )
    return repriced(replace(problem, bounds=()), units, aim)


def repriced(problem: Problem, units: tuple[Unit, ...], weights: Weights) -> Problem:
    """The problem with these units, handoffs and dispatches at what their seconds weigh; forms only add to that and are left out."""
    nets = tuple(
        replace(
            net,
            seconds=tuple(tuple(None if s is None else s * weights.handoff for s in row) for row in net.seconds),
            export=tuple(s * weights.handoff for s in net.export),
            in_form=(),
            recode=(),
        )
        for net in problem.nets
    )
    dispatch = tuple(s * w for s, w in zip(problem.dispatch, weights.busy, strict=True))
    return replace(problem, units=units, nets=nets, dispatch=dispatch, objective=None)
